"""Authenticators: each checks a name and a password in its way."""
