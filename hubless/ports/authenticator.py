"""Who may log in with what."""

from collections.abc import Mapping
from dataclasses import field
from typing import Any, Protocol

from hubless.domain.values import value


@value
class Identity:
    """Who logged in; *admin* None leaves the flag as it is, *groups* None the memberships."""

    name: str
    admin: bool | None = None
    user_info: Mapping[str, Any] | None = field(default=None, hash=False)
    creates: bool = True  # whether a first login makes the user


@value
class Refused:
    """The login failed; *why* is a sentence for the one who tried."""

    why: str = "Invalid username or password"


class Authenticator(Protocol):
    """Checks a name and password. Further kinds (OpenID) come in by pages of their own and end in an Identity too."""

    @property
    def name(self) -> str:
        """Return what kind of login this is, for people."""
        ...

    def authenticate(self, user_name: str, password: str) -> Identity | Refused:
        """Say who this is; *user_name* is normalised. Takes as long for names that do not exist."""
        ...
