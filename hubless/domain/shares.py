"""Shares: scopes on one server that its owner grants to a user or a group, directly or by a share code.

A share stores the server's id and scopes without a filter; reading it adds the filter `!server=OWNER/NAME`. So a rename
of the owner or the server changes how a share reads, and never which server it opens.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

from hubless.domain.errors import InvalidRequestError
from hubless.domain.scopes import SERVER, is_custom, parse
from hubless.domain.values import value

ACCESS = ("access:servers",)
START = "start:servers"  # what a share needs, beside access, to start a server that does not run
# Scopes that apply to one server. JupyterHub allows any scope here, even scopes that have nothing to do with a server.
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
MAX_SHARES = 1000  # of one server, and with one user or group, who reads all of them with each request
MAX_CODES = 100  # of one server, without expired ones
MAX_USES = 10_000  # that a code may allow


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
    """A secret that grants its server's share to users who redeem it, until it expires or is used up."""

    id: str
    sha256: str
    server_id: str
    scopes: tuple[str, ...]  # bare names, sorted
    created_at: datetime
    expires_at: datetime
    exchange_count: int = 0
    last_exchanged_at: datetime | None = None
    max_uses: int = 0  # exchanges; 0 for no limit, as in JupyterHub

    @property
    def is_used_up(self) -> bool:
        """Say whether as many users as allowed have redeemed the code."""
        return 0 < self.max_uses <= self.exchange_count

    def is_expired(self, now: datetime) -> bool:
        """Say whether the code has expired at *now*. Check it at every read: stores delete expired codes late."""
        return now >= self.expires_at


def on_server(names: Iterable[str], owner: str, server: str) -> list[str]:
    """Return the scopes *names* with a filter on this server."""
    return [f"{name}!server={owner}/{server}" for name in names]


def bare_names(wanted: Iterable[str], owner: str, server: str) -> tuple[str, ...]:
    """Return the names of the scopes *wanted* for this server without their filter, sorted.

    Raises:
        InvalidRequestError: naming a scope that does not exist, does not apply to servers, or has another filter.
    """
    names = set()
    for text in wanted:
        scope = parse(text)
        own = f"{owner}/{server}"
        if scope.kind and (scope.kind, scope.value) != (SERVER, own):
            raise InvalidRequestError(f"!{scope.kind}={scope.value} not allowed on sharing {text}, only !server={own}")
        if scope.name not in SHAREABLE and not is_custom(scope.name):
            raise InvalidRequestError(f"The scope {scope.name} cannot be shared: it does not apply to a server")
        names.add(scope.name)
    return tuple(sorted(names))
