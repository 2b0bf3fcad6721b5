"""Check a live hub: from outside as its users see it, and in AWS if it is deployed there."""
