"""Credentials of a server: its token, its OAuth client, and the environment that passes them to the server."""

import json
from collections.abc import Callable
from dataclasses import field
from datetime import timedelta

from hubless.domain import names, tokens
from hubless.domain.idle_policies import IdlePolicies
from hubless.domain.idleness import LONGEST_INTERVAL, UNUSED_REPORT_INTERVAL
from hubless.domain.lifecycle import Server
from hubless.domain.origins import SHARED, Origins
from hubless.domain.profile_options import Chosen
from hubless.domain.profiles import Profile
from hubless.domain.tokens import Client, OwnerKind, Token
from hubless.domain.users import User
from hubless.domain.values import value
from hubless.ports.clock import Clock
from hubless.ports.launcher import SECRET_NAMES, Launch
from hubless.ports.tokens import ClientStore
from hubless.services.identifiers import new_id


def client_id_of(server_id: str) -> str:
    """Return a server's OAuth client id: it has the immutable id, so no two names of servers can collide."""
    return f"jupyterhub-user-{server_id}"


@value
class Credentials:
    """Issues and removes the credentials of a launch (singleuser-contract, 1.1 and 1.2)."""

    clients: ClientStore
    clock: Clock
    key: Callable[[], bytes]  # read only when a launch is issued, because in the cloud that is a request to SSM
    api_url: str  # the address of the API for servers, e.g. http://127.0.0.1:8000/hub/api
    origins: Origins = SHARED
    idle_policies: IdlePolicies = field(default_factory=IdlePolicies)
    hub_sees_work: bool = False  # by its edges and by asking servers, so their reports count for nothing

    def issue(self, server: Server, owner: User, chosen: Chosen) -> Launch:
        """Store token and client of the present launch and return everything that the launcher needs.

        Idempotent: the token is derived from the launch id, so a second message issues the same token.

        Raises:
            StoreConflictError: when the server is not starting in that launch.
        """
        launch_id = server.launch_id or ""
        secret = tokens.launch_secret(self.key(), launch_id)
        prefix = names.server_prefix(owner.name, server.name)
        access = (f"access:servers!server={owner.name}/{server.name}", f"access:servers!user={owner.name}")
        client = Client(
            id=client_id_of(server.id),
            secret_sha256=tokens.sha256(secret),
            redirect_uri=self.origins.link_to(f"{prefix}oauth_callback"),
            description=f"Server at {prefix}",
            access_scopes=access[:1],
            server_id=server.id,
            launch_id=launch_id,
            owner_id=owner.id,
        )
        self.clients.put(client, self._token(server, owner, secret, prefix))
        environment = self._environment(server, owner, chosen.profile, client, access)
        return Launch(
            launch_id=launch_id,
            server_id=server.id,
            owner_id=owner.id,
            owner_name=owner.name,
            server_name=server.name,
            prefix=prefix,
            profile=chosen.profile,
            environment=environment,
            chosen={name: text for name, text in chosen.variables.items() if name not in environment},
            secrets=dict.fromkeys(SECRET_NAMES, secret),
        )

    def remove(self, server: Server) -> None:
        """Remove the credentials of the present launch, and every token that was issued to its OAuth client."""
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
            note=f"Server at {prefix}",  # JupyterHub recognises a server's own token by these words
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
            "JUPYTERHUB_HOST": self.origins.hub_origin,
            "JUPYTERHUB_OAUTH_CALLBACK_URL": client.redirect_uri,
            "JUPYTERHUB_OAUTH_ACCESS_SCOPES": json.dumps(access),
            "JUPYTERHUB_OAUTH_SCOPES": json.dumps(access),
            "JUPYTERHUB_OAUTH_CLIENT_ALLOWED_SCOPES": "[]",
            # With an origin of its own, over https, no other server can read or plant its cookies.
            "JUPYTERHUB_COOKIE_HOST_PREFIX_ENABLED": str(int(self.origins.hub_origin.startswith("https:"))),
            "JUPYTERHUB_DEFAULT_URL": profile.default_url,
        }
        if (here := self.origins.absolute_url(prefix)) and (hub := self.origins.absolute_url("/hub/")):
            environment |= {"JUPYTERHUB_PUBLIC_URL": here, "JUPYTERHUB_PUBLIC_HUB_URL": hub}
        interval = self._report_interval(owner, profile)
        if interval != LONGEST_INTERVAL:  # the server's own default
            environment["JUPYTERHUB_ACTIVITY_INTERVAL"] = str(int(interval.total_seconds()))
        if profile.memory_bytes:
            environment["MEM_LIMIT"] = str(profile.memory_bytes)
        if profile.cpus:
            environment["CPU_LIMIT"] = str(profile.cpus)
        return environment | dict(profile.environment)

    def _report_interval(self, owner: User, profile: Profile) -> timedelta:
        """Return how often the server reports its activity. In AWS each report is a request that is billed."""
        if self.hub_sees_work:
            return UNUSED_REPORT_INTERVAL
        return self.idle_policies.of(profile.name, owner.name).look_interval
