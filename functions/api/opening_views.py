"""What the page that opens somebody else's server says: the hub's own page and OAuth's consent show the same."""

from typing import Any

from hubless.domain.lifecycle import PENDING_START, Server, State
from hubless.domain.users import User
from hubless.services.visits import is_shared


def opening_view(
    visitor: User, owner: User, server: Server, *, starts: bool, may_start: bool = False
) -> dict[str, Any]:
    """Return what the page says of a server, with nothing offered yet but to open it.

    Args:
        visitor: who reads it.
        owner: the owner of the server.
        server: the server.
        starts: whether the button starts the server too.
        may_start: whether the visitor may start the server at any time.
    """
    return {
        "owner": owner.name,
        "title": server.display_name or server.name,
        "is_shared": is_shared(visitor, owner, server),
        "is_offered": False,
        "scopes": [],
        "starts": starts,
        "may_start": may_start,
        "is_starting": server.state in PENDING_START,
        "is_running": server.state is State.READY,
        "may_open": True,
    }
