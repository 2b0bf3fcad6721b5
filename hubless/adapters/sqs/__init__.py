"""The queue in the cloud."""
