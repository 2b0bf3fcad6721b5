"""Authentication by one password that a whole class shares."""

import hmac
from collections.abc import Callable
from dataclasses import field

from hubless.domain.names import normalise_user_name
from hubless.domain.users import User
from hubless.domain.values import value
from hubless.ports.authenticator import Candidate, Identity, Refused

WHY_REFUSED = (
    "This user has an admin's rights, which the shared password does not open. Ask the operator of this hub to set "
    "login.admin_password."
)


@value
class SharedPasswordAuthenticator:
    """Accepts the shared password with any allowed name; the first login creates the user.

    The names of admins, and of users with rights over others, open with the admins' password alone.
    """

    password: str = field(repr=False)
    admins: frozenset[str] = frozenset()
    allowed: frozenset[str] = frozenset()  # empty: all names are allowed
    admin_password: str = field(default="", repr=False)
    opens_admins: bool = False  # whether the shared password opens admins' names, if they have none of their own
    # Whether a role gives the name more, or the store its user, who may not exist.
    is_privileged: Callable[[str, User | None], bool] = lambda _name, _user: False
    name: str = "shared-password"

    def authenticate(self, candidate: Candidate, password: str) -> Identity | Refused:
        """Compare in constant time."""
        normal = normalise_user_name(candidate.name)  # settings have names in this form
        is_admin = normal in self.admins
        is_privileged = (
            is_admin or self.is_privileged(normal, None) or self.is_privileged(candidate.name, candidate.user)
        )
        expected = (self.admin_password if is_privileged else "") or self.password
        fits = hmac.compare_digest(expected.encode(), password.encode(errors="replace"))
        if not fits or (self.allowed and normal not in self.allowed | self.admins):
            return Refused()
        if is_privileged and not (self.admin_password or self.opens_admins):
            return Refused(WHY_REFUSED)
        return Identity(candidate.name, admin=True if is_admin else None)
