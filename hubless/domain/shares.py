"""Shares: what others may do with one server, granted to a user or a group, directly or by a code.

A share keeps the server's id and bare names of scopes; the filter `!server=OWNER/NAME` is put on when it is read. So a
rename of owner or server changes what a share says and never what it opens.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

from hubless.domain.errors import InvalidRequestError
from hubless.domain.scopes import SERVER, is_custom, parse
from hubless.domain.values import value

ACCESS = ("access:servers",)
# What says something of one server. JupyterHub lets any scope be shared, also those that a server has no part in.
SHAREABLE = frozenset(
    {
        "access:servers",
        "servers",
        "read:servers",
        "start:servers",
        "delete:servers",
        "admin:servers",
        "admin:server_state",
        "shares",
        "read:shares",
    }
)
SHORTEST, LONGEST = timedelta(minutes=1), timedelta(days=365)  # of a code's life (JupyterHub)
A_DAY = timedelta(days=1)


@value
class Share:
    """A grant on a server to exactly one user or one group."""

    id: str
    server_id: str
    scopes: tuple[str, ...]  # bare names, sorted
    created_at: datetime
    user_id: str | None = None
    group_id: str | None = None


@value
class ShareCode:
    """A secret that gives whoever shows it a share, as often as it is shown until it expires."""

    id: str
    sha256: str
    server_id: str
    scopes: tuple[str, ...]  # bare names, sorted
    created_at: datetime
    expires_at: datetime
    exchange_count: int = 0
    last_exchanged_at: datetime | None = None

    def is_expired(self, now: datetime) -> bool:
        """Say whether the code no longer counts. Asked on every read: stores delete late."""
        return now >= self.expires_at


def on_server(names: Iterable[str], owner: str, server: str) -> list[str]:
    """Return the scopes that *names* stand for on this server."""
    return [f"{name}!server={owner}/{server}" for name in names]


def bare_names(wanted: Iterable[str], owner: str, server: str) -> tuple[str, ...]:
    """Return the bare names of the scopes *wanted* for this server, sorted.

    Raises:
        InvalidRequestError: naming a scope that does not exist, says nothing of a server, or is of something else.
    """
    names = set()
    for text in wanted:
        scope = parse(text)
        own = f"{owner}/{server}"
        if scope.kind and (scope.kind, scope.value) != (SERVER, own):
            raise InvalidRequestError(f"!{scope.kind}={scope.value} not allowed on sharing {text}, only !server={own}")
        if scope.name not in SHAREABLE and not is_custom(scope.name):
            raise InvalidRequestError(f"The scope {scope.name} says nothing of a server: it cannot be shared")
        names.add(scope.name)
    return tuple(sorted(names))
