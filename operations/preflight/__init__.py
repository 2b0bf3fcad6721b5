"""Check an account before a stage is deployed."""
