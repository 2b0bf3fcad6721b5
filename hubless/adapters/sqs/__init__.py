"""The queue in AWS."""
