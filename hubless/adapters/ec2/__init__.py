"""EC2: the instance of an edge with autosuspend."""
