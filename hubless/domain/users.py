"""Users, groups and services: they own servers and tokens."""

from collections.abc import Mapping
from dataclasses import field
from datetime import datetime
from enum import StrEnum
from typing import Any

from hubless.domain.external_identities import AwaitedLogin
from hubless.domain.values import value


class FactorState(StrEnum):
    """What every reader of a user knows of the user's second factors."""

    NONE = ""
    SET_UP = "set-up"
    RESET = "reset"  # an admin removed them, and the user has not been told yet


@value
class User:
    """A person known to the hub; *id* never changes, *name* may."""

    id: str
    name: str
    created_at: datetime
    admin: bool = False
    groups: tuple[str, ...] = ()  # names, sorted
    shared: tuple[str, ...] = ()  # scopes on others' servers, shared with the user or one of its groups; sorted
    last_activity_at: datetime | None = None
    user_info: Mapping[str, Any] | None = field(default=None, hash=False)
    revision: int = 0  # +1 at each change of name, admin or info; a change states the revision that it expects
    factors: FactorState = FactorState.NONE  # whether the user has second factors; their own record has the details
    awaited: AwaitedLogin | None = None  # of an imported user whose identity is not known
    unread: tuple[str, ...] = ()  # ids of letters that the user has not read; some may have gone. Sorted


@value
class Group:
    """A set of users with properties; its members inherit its roles."""

    id: str
    name: str
    users: tuple[str, ...] = ()  # names, sorted
    properties: Mapping[str, Any] = field(default_factory=dict, hash=False)


@value
class GroupSummary:
    """A group without the names of its members: *members* is their number, and `MAX_COUNTED` + 1 for any above it."""

    id: str
    name: str
    members: int = 0
    properties: Mapping[str, Any] = field(default_factory=dict, hash=False)


@value
class Member:
    """A member of a group: the user's id and name."""

    id: str
    name: str


@value
class Service:
    """A program that holds a token and may be an OAuth client (JupyterHub's external services)."""

    name: str
    admin: bool = False
    url: str | None = None
    token_sha256: str | None = None
    oauth_client_id: str | None = None
    oauth_redirect_uri: str | None = None
    oauth_no_confirm: bool = False
    oauth_client_allowed_scopes: tuple[str, ...] = ()
    info: Mapping[str, Any] = field(default_factory=dict, hash=False)
    display: bool = True
    from_settings: bool = True
    id: str = ""  # of one that was added: one of the same name that is added later is another
    client_secret_hash: str | None = None  # of an imported one; otherwise its token is its client's secret

    @property
    def token_owner(self) -> str:
        """Return the `owner_id` of its tokens. No name has a colon, so those of settings and added ones never meet."""
        return self.name if self.from_settings else f"{self.name}:{self.id}"

    @property
    def prefix(self) -> str:
        """Return the prefix at which the edge serves this service."""
        return f"/services/{self.name}/"
