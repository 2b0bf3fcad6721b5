"""What the page that opens somebody else's server says: the hub's own page and OAuth's consent show the same."""

from typing import Any

from hubless.domain.lifecycle import Server, State
from hubless.domain.users import User
from hubless.services.visits import is_shared


def opening_view(visitor: User, owner: User, server: Server, *, starts: bool) -> dict[str, Any]:
    """Return what the page says of a server, with nothing offered yet but to open it.

    Args:
        visitor: who reads it.
        owner: the owner of the server.
        server: the server.
        starts: whether the button starts the server too.
    """
    return {
        "owner": owner.name,
        "title": server.display_name or server.name,
        "is_shared": is_shared(visitor, owner, server),
        "is_offered": False,
        "scopes": [],
        "starts": starts,
        "is_running": server.state is State.READY,
        "may_open": True,
    }
