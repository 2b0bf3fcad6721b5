"""What would keep a stage from being deployed or from running, looked at before."""
