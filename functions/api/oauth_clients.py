"""OAuth clients, which are running servers or services."""

from typing import Annotated

from fastapi import Depends

from functions.api.dependencies import Clients, Services
from hubless.bootstrap.hub import Hub
from hubless.domain.bounds import MAX_IDENTIFIER
from hubless.domain.tokens import Client, Token


class ClientLookup:
    """Finds OAuth clients of both kinds."""

    def __init__(self, services: Services, clients: Clients) -> None:
        self._services, self._clients = services, clients
        self._descriptions: dict[str, str] = {}  # of one request: a list has many tokens of few clients

    def find(self, client_id: str) -> Client | None:
        """Return the client of that id, or None."""
        if len(client_id) > MAX_IDENTIFIER:
            return None
        return self._services.client(client_id) or self._clients.get(client_id)

    def describe(self, token: Token) -> str:
        """Return what a token's owner reads about its origin: its client, or JupyterHub if the API issued it."""
        if token.client_id is None:
            return "JupyterHub"
        if token.client_id not in self._descriptions:
            client = self.find(token.client_id)
            self._descriptions[token.client_id] = client.description if client else ""
        return self._descriptions[token.client_id]


async def _lookup(services: Services, clients: Clients) -> ClientLookup:
    return ClientLookup(services, clients)


OAuthClients = Annotated[ClientLookup, Depends(_lookup)]


def clients_of(hub: Hub) -> ClientLookup:
    """Return the look-up of *hub*'s clients."""
    return ClientLookup(hub.services, hub.clients)
