"""Authenticators: they check a name and a password and return an identity."""

from typing import Protocol

from hubless.domain.values import value


@value
class Identity:
    """The person who logs in. *admin* sets the user's admin flag; None leaves the flag as it is."""

    name: str
    admin: bool | None = None


@value
class Refused:
    """The login failed; *why* is a sentence for the person at the login page."""

    why: str = "Invalid username or password"


class Authenticator(Protocol):
    """Checks a name and a password. The name is as the user's is stored, or normalised."""

    @property
    def name(self) -> str:
        """Return the name of this kind of login, as `/hub/api/info` shows it."""
        ...

    def authenticate(self, user_name: str, password: str) -> Identity | Refused:
        """Return the identity that the password proves; take as long for a name that does not exist."""
        ...
