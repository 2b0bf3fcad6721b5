"""The same web where answers reach who asked as they are made: a REST API that streams, and Lambda's Runtime API (ADR 20)."""
