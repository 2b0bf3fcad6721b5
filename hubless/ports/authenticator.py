"""Authenticators: they check a name and a password and return an identity."""

from collections.abc import Mapping
from dataclasses import field
from typing import Any, Protocol

from hubless.domain.external_identities import ExternalId
from hubless.domain.users import User
from hubless.domain.values import value


@value
class Identity:
    """The person who logs in, as one kind of login knows this person.

    *name* is the name that the user shall have: the provider's wish, after its template. *admin* sets the user's admin
    flag; None leaves the flag as it is. *groups* are all groups of the person at the provider; None leaves memberships
    alone. With *external* it alone says who this is, and the name counts at the first login only.
    """

    name: str
    admin: bool | None = None
    external: ExternalId | None = None
    provider: str = ""  # the name in settings
    label: str = ""  # what the person knows the login by, such as an address of e-mail
    groups: tuple[str, ...] | None = None
    auth_state: Mapping[str, Any] | None = field(default=None, hash=False, repr=False)  # None: keep what is stored
    match_existing: bool = False  # whether a first login may take over a user of that name who has no other way in


@value
class Refused:
    """The login failed; *why* is a sentence for the person at the login page."""

    why: str = "Invalid username or password"


@value
class Candidate:
    """Whom somebody at a login form claims to be.

    *name* is as the user's is stored, or normalised if no *user* has it.
    """

    name: str
    user: User | None = None
    password_hash: str | None = field(default=None, repr=False)  # of the user, if one is stored


class Authenticator(Protocol):
    """Checks a name and a password."""

    @property
    def name(self) -> str:
        """Return the name of this kind of login, as `/hub/api/info` shows it."""
        ...

    def authenticate(self, candidate: Candidate, password: str) -> Identity | Refused:
        """Return the identity that the password proves; take as long for a name that does not exist."""
        ...
