"""What is deployed, and how it is put together."""
