"""Authentication by one password that a whole class shares."""

import hmac
from dataclasses import field

from hubless.domain.values import value
from hubless.ports.authenticator import Identity, Refused


@value
class SharedPasswordAuthenticator:
    """Accepts the shared password with any allowed name; the first login creates the user."""

    password: str = field(repr=False)
    admins: frozenset[str] = frozenset()
    allowed: frozenset[str] = frozenset()  # empty: all names are allowed
    admin_password: str = field(default="", repr=False)  # if set, admins must use this one
    name: str = "shared-password"

    def authenticate(self, user_name: str, password: str) -> Identity | Refused:
        """Compare in constant time; *user_name* is normalised already."""
        is_admin = user_name in self.admins
        expected = (self.admin_password if is_admin else "") or self.password
        fits = hmac.compare_digest(expected.encode(), password.encode(errors="replace"))
        if not fits or (self.allowed and user_name not in self.allowed | self.admins):
            return Refused()
        return Identity(user_name, admin=True if is_admin else None)
