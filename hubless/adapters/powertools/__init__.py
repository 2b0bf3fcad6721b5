"""Powertools for AWS Lambda: what a function says of itself."""
