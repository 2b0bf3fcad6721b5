"""What a server holds to prove itself: its token, its OAuth client, and the environment that tells it of them."""

import json
from collections.abc import Callable

from hubless.domain import names, tokens
from hubless.domain.lifecycle import Server
from hubless.domain.origins import SHARED, Origins
from hubless.domain.profiles import Profile
from hubless.domain.tokens import Client, OwnerKind, Token
from hubless.domain.users import User
from hubless.domain.values import value
from hubless.ports.clock import Clock
from hubless.ports.launcher import Launch
from hubless.ports.tokens import ClientStore
from hubless.services.identifiers import new_id


def client_id_of(server_id: str) -> str:
    """Return a server's OAuth client id: by its immutable id, so that no two names can meet in one."""
    return f"jupyterhub-user-{server_id}"


@value
class Credentials:
    """Issues and removes what one launch holds (singleuser-contract, 1.1 and 1.2)."""

    clients: ClientStore
    clock: Clock
    key: Callable[[], bytes]  # asked for only where a launch is issued: in the cloud that is a question to AWS
    api_url: str  # how servers reach the API, e.g. http://127.0.0.1:8000/hub/api
    origins: Origins = SHARED

    def issue(self, server: Server, owner: User, profile: Profile) -> Launch:
        """Write token and client of the present launch and return all that the launcher must know.

        The token is derived from the launch id: the same message twice writes and hands out the same.
        """
        launch_id = server.launch_id or ""
        secret = tokens.launch_secret(self.key(), launch_id)
        prefix = names.server_prefix(owner.name, server.name)
        access = (f"access:servers!server={owner.name}/{server.name}", f"access:servers!user={owner.name}")
        client = Client(
            id=client_id_of(server.id),
            secret_sha256=tokens.sha256(secret),
            redirect_uri=self.origins.located(f"{prefix}oauth_callback"),
            description=f"Server at {prefix}",
            access_scopes=access[:1],
            server_id=server.id,
            launch_id=launch_id,
            owner_id=owner.id,
        )
        self.clients.put(client, self._token(server, owner, secret, prefix))
        return Launch(
            launch_id=launch_id,
            server_id=server.id,
            owner_id=owner.id,
            owner_name=owner.name,
            server_name=server.name,
            prefix=prefix,
            profile=profile,
            environment=self._environment(server, owner, profile, client, access),
            secrets={"JUPYTERHUB_API_TOKEN": secret, "JPY_API_TOKEN": secret},
        )

    def remove(self, server: Server) -> None:
        """Remove all that the present launch holds, and every browser's token for it."""
        if server.launch_id:
            self.clients.delete(client_id_of(server.id), server.launch_id)

    def _token(self, server: Server, owner: User, secret: str, prefix: str) -> Token:
        now = self.clock.now()
        return Token(
            id=new_id("a", now),
            sha256=tokens.sha256(secret),
            owner_kind=OwnerKind.USER,
            owner_id=owner.id,
            scopes=(f"users:activity!user={owner.name}", f"access:servers!server={owner.name}/{server.name}"),
            created_at=now,
            note=f"Server at {prefix}",  # JupyterHub knows by these words that its use is nobody's activity
            server_id=server.id,
        )

    def _environment(
        self, server: Server, owner: User, profile: Profile, client: Client, access: tuple[str, ...]
    ) -> dict[str, str]:
        prefix = names.server_prefix(owner.name, server.name)
        environment = {
            "JUPYTERHUB_CLIENT_ID": client.id,
            "JUPYTERHUB_API_URL": self.api_url,
            "JUPYTERHUB_ACTIVITY_URL": f"{self.api_url}/users/{names.url_name(owner.name)}/activity",
            "JUPYTERHUB_BASE_URL": "/",
            "JUPYTERHUB_SERVICE_PREFIX": prefix,
            "JUPYTERHUB_USER": owner.name,
            "JUPYTERHUB_SERVER_NAME": server.name,
            "JUPYTERHUB_HOST": self.origins.own_hub,
            "JUPYTERHUB_OAUTH_CALLBACK_URL": client.redirect_uri,
            "JUPYTERHUB_OAUTH_ACCESS_SCOPES": json.dumps(access),
            "JUPYTERHUB_OAUTH_SCOPES": json.dumps(access),
            "JUPYTERHUB_OAUTH_CLIENT_ALLOWED_SCOPES": "[]",
            # At an origin of its own no other server sees its cookies, and over https then none can plant one either.
            "JUPYTERHUB_COOKIE_HOST_PREFIX_ENABLED": str(int(self.origins.own_hub.startswith("https:"))),
            "JUPYTERHUB_DEFAULT_URL": profile.default_url,
        }
        if (here := self.origins.full(prefix)) and (hub := self.origins.full("/hub/")):
            environment |= {"JUPYTERHUB_PUBLIC_URL": here, "JUPYTERHUB_PUBLIC_HUB_URL": hub}
        if profile.memory_bytes:
            environment["MEM_LIMIT"] = str(profile.memory_bytes)
        if profile.cpus:
            environment["CPU_LIMIT"] = str(profile.cpus)
        return environment | dict(profile.environment)
