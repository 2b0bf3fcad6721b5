"""One password for a whole class."""

import hmac
from dataclasses import field

from hubless.domain.values import value
from hubless.ports.authenticator import Identity, Refused


@value
class SharedPasswordAuthenticator:
    """Lets in whoever knows the class's password, under any allowed name; the first login makes the user."""

    password: str = field(repr=False)
    admins: frozenset[str] = frozenset()
    allowed: frozenset[str] = frozenset()  # empty: every name
    admin_password: str = field(default="", repr=False)  # where there is one, admins' names open with this alone
    name: str = "shared-password"

    def authenticate(self, user_name: str, password: str) -> Identity | Refused:
        """Compare in constant time; names are normalised before the lists are asked."""
        is_admin = user_name in self.admins
        expected = (self.admin_password if is_admin else "") or self.password
        fits = hmac.compare_digest(expected.encode(), password.encode(errors="replace"))
        if not fits or (self.allowed and user_name not in self.allowed | self.admins):
            return Refused()
        return Identity(user_name, admin=True if is_admin else None)
