"""OAuth clients, whichever place they come from: running servers or services."""

from hubless.bootstrap import Hub
from hubless.domain.tokens import Client, Token
from hubless.domain.users import Service


def find_client(hub: Hub, client_id: str) -> Client | None:
    """Return the client of that id, or None."""
    for service in hub.services.values():
        if service.oauth_client_id == client_id:
            return _of_service(service)
    return hub.clients.get(client_id)


def describe_client(hub: Hub, token: Token) -> str:
    """Return, for its owner, where a token came from; what the API issued came from JupyterHub itself."""
    if token.client_id is None:
        return "JupyterHub"
    client = find_client(hub, token.client_id)
    return client.description if client else ""


def _of_service(service: Service) -> Client | None:
    if not service.token_sha256 or not service.oauth_client_id:
        return None
    return Client(
        id=service.oauth_client_id,
        secret_sha256=service.token_sha256,
        redirect_uri=service.oauth_redirect_uri or f"{service.prefix}oauth_callback",
        description=f"Service {service.name}",
        access_scopes=(f"access:services!service={service.name}",),
        allowed_scopes=service.oauth_client_allowed_scopes,
        no_confirm=service.oauth_no_confirm,
    )
