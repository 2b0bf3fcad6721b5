"""The same web with streamed answers: through a REST API that streams, and Lambda's Runtime API (ADR 20)."""
