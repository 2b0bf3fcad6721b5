"""OAuth clients, whichever place they come from: running servers or services."""

from hubless.bootstrap.hub import Hub
from hubless.domain.tokens import Client, Token


def find_client(hub: Hub, client_id: str) -> Client | None:
    """Return the client of that id, or None."""
    return hub.services.client(client_id) or hub.clients.get(client_id)


def describe_client(hub: Hub, token: Token) -> str:
    """Return, for its owner, where a token came from; what the API issued came from JupyterHub itself."""
    if token.client_id is None:
        return "JupyterHub"
    client = find_client(hub, token.client_id)
    return client.description if client else ""
