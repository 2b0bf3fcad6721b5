"""Powertools for AWS Lambda: logs and metrics of a function."""
