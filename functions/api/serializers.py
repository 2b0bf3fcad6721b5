"""JupyterHub's models of users, servers, tokens, groups and services, with the fields that the actor may see."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from hubless.domain import names, roles, shares
from hubless.domain.lifecycle import ACTIVE, PENDING_START, Server, State
from hubless.domain.origins import SHARED, Origins
from hubless.domain.roles import Role
from hubless.domain.scopes import Scopes
from hubless.domain.tokens import Token
from hubless.domain.users import Group, Service, User
from hubless.services.sharing import ShareCodeDetails, ShareDetails, SharedServer

_USER_FIELDS = {
    "read:users": ("user_info", "admin", "roles", "groups", "server", "pending", "created", "last_activity"),
    "read:users:name": ("user_info", "admin"),
    "read:users:groups": ("groups",),
    "read:users:activity": ("last_activity",),
    "read:servers": ("servers",),
    "read:roles:users": ("roles", "admin"),
    "admin:auth_state": ("auth_state",),
}
_FIELDS = frozenset(f for fields in _USER_FIELDS.values() for f in fields)
_ALWAYS = frozenset({"kind", "name"})
READS_USER = (
    "read:users",
    "read:users:name",
    "read:servers",
    "read:users:groups",
    "read:users:activity",
    "read:roles:users",
)


def instant(at: datetime | None) -> str | None:
    """Return *at* as JupyterHub writes it: UTC with `Z`. For pages; in models orjson writes instants the same way."""
    return None if at is None else at.astimezone(UTC).isoformat().removesuffix("+00:00") + "Z"


@dataclass(slots=True)
class UserView:
    """Makes users' models for an actor with *scopes*. Use one for a whole list: it shares most checks."""

    scopes: Scopes
    role_table: Mapping[str, Role]
    origins: Origins = SHARED
    include_stopped: bool = False
    _everywhere: frozenset[str] = field(init=False)  # fields that the actor sees of every user
    _by_filter: Mapping[str, tuple[str, ...]] = field(init=False)  # scopes that show more of some users
    _all: bool = field(init=False)  # the actor sees every field of every user
    _sees_servers: bool = field(init=False)  # of every user
    _has_bearers: bool = field(init=False)  # whether any role names users

    def __post_init__(self) -> None:
        """Find the fields that are the same for every user, and the scopes that must be checked for each."""
        everywhere = {scope for scope in _USER_FIELDS if self.scopes.has_everywhere(scope)}
        self._everywhere = frozenset(f for scope in everywhere for f in _USER_FIELDS[scope])
        self._by_filter = {
            scope: fields
            for scope, fields in _USER_FIELDS.items()
            if scope not in everywhere and self.scopes.has(scope) and not self._everywhere.issuperset(fields)
        }
        self._all = self._everywhere >= _FIELDS
        self._sees_servers = self.scopes.has_everywhere("read:servers")
        self._has_bearers = any(role.users for role in self.role_table.values())

    def model(self, user: User, servers: Iterable[Server]) -> dict[str, Any] | None:
        """Return the user's model as the actor may see it, or None if nothing but servers is visible."""
        shown: dict[str, Any] = {}
        default = None
        for server in servers:
            default = default if server.name else server
            if (self.include_stopped or server.state in ACTIVE) and self._shows(user, server):
                shown[server.name] = server_model(server, user, scopes=self.scopes, origins=self.origins)
        facts: dict[str, Any] = {
            "kind": "user",
            "name": user.name,
            "user_info": user.user_info,
            "admin": user.admin,
            "roles": roles.of_user(user, self.role_table if self._has_bearers else {}),
            "groups": user.groups,
            "server": self._server_url(user) if default and default.state is State.READY else None,
            "pending": pending(default) if default else None,
            "created": user.created_at,
            "last_activity": user.last_activity_at,
            "servers": shown,
            "auth_state": None,
        }
        return facts if self._all else self._visible(facts, user)

    def _visible(self, facts: Mapping[str, Any], user: User) -> dict[str, Any] | None:
        visible = self._everywhere.union(
            *(
                fields
                for scope, fields in self._by_filter.items()
                if self.scopes.covers_user(scope, user.name, user.groups)
            )
        )
        if not visible:
            return None
        always = {"servers", *_ALWAYS} if facts["servers"] else _ALWAYS
        return {key: fact for key, fact in facts.items() if key in visible or key in always}

    def _server_url(self, user: User) -> str:
        return self.origins.link_to(names.server_prefix(user.name, ""))

    def _shows(self, user: User, server: Server) -> bool:
        return self._sees_servers or self.scopes.covers_server("read:servers", user.name, server.name, user.groups)


def pending(server: Server) -> str | None:
    """Return JupyterHub's `pending`: "spawn", "stop" or None."""
    if server.state in PENDING_START:
        return "spawn"
    return "stop" if server.state is State.STOPPING else None


def server_model(server: Server, owner: User, *, scopes: Scopes, origins: Origins = SHARED) -> dict[str, Any]:
    """Return a server's model; its inner state only with `admin:server_state`."""
    path = names.server_prefix(owner.name, server.name)
    progress = progress_url(owner.name, server.name)
    model: dict[str, Any] = {
        "name": server.name,
        "display_name": server.display_name,
        "full_name": f"{owner.name}/{server.name}",
        "last_activity": server.last_activity_at or server.started_at,
        "started": (server.started_at or server.requested_at) if server.state in ACTIVE else None,
        "pending": pending(server),
        "ready": server.state is State.READY,
        "stopped": server.state not in ACTIVE,
        "frozen": server.frozen_at,
        "url": origins.link_to(path),
        "user_options": dict(server.user_options),
        "progress_url": progress,
        "full_url": origins.absolute_url(path),
        "full_progress_url": origins.absolute_url(progress),
    }
    if scopes.covers_server("admin:server_state", owner.name, server.name, owner.groups):
        model["state"] = {"launch_id": server.launch_id, "state": server.state.value, "address": server.address}
    return model


def progress_url(user_name: str, server_name: str) -> str:
    """Return the address of the server's progress stream."""
    base = f"/hub/api/users/{names.url_name(user_name)}"
    return f"{base}/servers/{names.url_name(server_name)}/progress" if server_name else f"{base}/server/progress"


def token_model(token: Token, owner: str, scopes: Scopes, client: str) -> dict[str, Any]:
    """Return a token's model; its secret is not in it."""
    return {
        "user": owner,
        "id": token.id,
        "kind": "api_token",
        "roles": [],
        "scopes": scopes.texts(),
        "created": token.created_at,
        "last_activity": token.last_activity_at,
        "expires_at": token.expires_at,
        "note": token.note,
        "session_id": token.session_id,
        "oauth_client": client,
    }


def group_model(group: Group, scopes: Scopes, role_table: Mapping[str, Role]) -> dict[str, Any]:
    """Return a group's model with what *scopes* show of it."""
    model: dict[str, Any] = {"kind": "group", "name": group.name}
    if scopes.covers_group("read:groups", group.name):
        model |= {"users": list(group.users), "properties": dict(group.properties)}
    if scopes.covers_group("read:roles:groups", group.name):
        model["roles"] = roles.of_group(group.name, role_table)
    return model


def service_model(service: Service, scopes: Scopes, role_table: Mapping[str, Role]) -> dict[str, Any]:
    """Return a service's model with what *scopes* show of it."""
    model: dict[str, Any] = {"kind": "service", "name": service.name}
    reads_roles = scopes.covers_service("read:roles:services", service.name)
    if reads_roles or scopes.covers_service("read:services:name", service.name):
        model["admin"] = service.admin
    if scopes.covers_service("read:services", service.name):
        model |= {
            "url": service.url or "",
            "prefix": service.prefix if service.url else "",
            "command": [],
            "pid": 0,
            "info": dict(service.info),
            "display": service.display,
        }
    if reads_roles:
        model["roles"] = roles.of_service(service, role_table)
    return model


def share_model(granted: ShareDetails, origins: Origins) -> dict[str, Any]:
    """Return a share's model."""
    return {
        "server": _shared_server(granted.of, origins),
        "scopes": _scopes_on(granted.share.scopes, granted.of),
        "user": {"name": granted.user} if granted.user else None,
        "group": {"name": granted.group} if granted.group else None,
        "kind": "group" if granted.group else "user",
        "created_at": granted.share.created_at,
    }


def share_code_model(offered: ShareCodeDetails, origins: Origins, secret: str | None = None) -> dict[str, Any]:
    """Return a share code's model; *secret* is given only for a new code."""
    code = offered.code
    model = {
        "server": _shared_server(offered.of, origins),
        "scopes": _scopes_on(code.scopes, offered.of),
        "id": code.id,
        "created_at": code.created_at,
        "expires_at": code.expires_at,
        "exchange_count": code.exchange_count,
        "last_exchanged_at": code.last_exchanged_at,
    }
    if secret is None:
        return model
    accept_url = f"/hub/accept-share?code={secret}"
    return model | {"code": secret, "accept_url": accept_url, "full_accept_url": origins.absolute_url(accept_url)}


def _shared_server(of: SharedServer, origins: Origins) -> dict[str, Any]:
    path = names.server_prefix(of.owner.name, of.server.name)
    return {
        "user": {"name": of.owner.name},
        "name": of.server.name,
        "url": origins.link_to(path),
        "full_url": origins.absolute_url(path),
        "ready": of.server.state is State.READY,
        "frozen": of.server.frozen_at,
    }


def _scopes_on(bare: Iterable[str], of: SharedServer) -> list[str]:
    return shares.on_server(bare, of.owner.name, of.server.name)
