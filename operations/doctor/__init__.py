"""A live hub, looked at from outside as its users see it, and from AWS where it is there."""
