"""Ways to check a name and a password."""
