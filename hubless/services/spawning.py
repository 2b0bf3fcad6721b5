"""What the API does about servers: asking for a start, naming, editing, removing. It never launches anything itself."""

import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from hubless.domain import lifecycle, names
from hubless.domain.errors import (
    InvalidRequestError,
    NameTakenError,
    NotFoundError,
    QuotaExceededError,
)
from hubless.domain.lifecycle import ACTIVE, INACTIVE, Deadlines, Server
from hubless.domain.messages import Message, MessageKind
from hubless.domain.profiles import Profile
from hubless.domain.users import User
from hubless.domain.values import value
from hubless.ports.clock import Clock
from hubless.ports.queue import Queue
from hubless.ports.servers import ServerStore
from hubless.services.identifiers import new_id

logger = logging.getLogger(__name__)

RESERVED_OPTION = "__jupyterhub_"  # JupyterHub 6.1 keeps these keys to itself
MAX_OPTIONS = 16_384  # characters of JSON; a server's record stays small


@value
class Spawning:
    """The servers of users, as far as a request may change them."""

    servers: ServerStore
    queue: Queue
    clock: Clock
    profiles: Mapping[str, Profile]
    deadlines: Deadlines
    named_limit: int = 0  # 0: named servers are off
    active_limit: int = 0  # 0: no limit

    def find(self, owner: User, name: str) -> Server:
        """Return the owner's server of that name, to look at; the default one counts as there before it is stored.

        Raises:
            NotFoundError: when there is no such named server.
        """
        server = self.servers.find(owner.id, name)
        if server is None and not name:
            now = self.clock.now()
            return Server(id=new_id("s", now), owner_id=owner.id, name="", created_at=now, entered_at=now)
        if server is None:
            raise NotFoundError("Server", f"{owner.name}/{name}")
        return server

    def stored(self, owner: User, name: str) -> Server:
        """Return the owner's server of that name, to be changed or referred to; the default one is made where missing.

        Raises:
            NotFoundError: when there is no such named server.
        """
        if name:
            return self.find(owner, name)
        return self.servers.find(owner.id, "") or self._found_or_created(owner, "", "")

    def create(
        self, owner: User, name: str, *, display_name: str = "", user_options: Mapping[str, Any] | None = None
    ) -> Server:
        """Make a named server without starting it.

        Raises:
            InvalidRequestError: when named servers are off, or a name or an option is not allowed.
            NameTakenError: when the owner has a server of that name; the default one always counts as there.
            QuotaExceededError: when the owner has as many as allowed.
        """
        if not name:
            raise NameTakenError("Server", f"{owner.name}/")
        return self._create(owner, name, display_name=display_name, user_options=user_options)

    def start(
        self, owner: User, name: str, *, user_options: Mapping[str, Any] | None = None, display_name: str | None = None
    ) -> Server:
        """Ask for a launch and return the server as `requested`; the answer comes before anything is launched.

        *user_options* None repeats the last ones.

        Raises:
            InvalidRequestError: when it runs or is on its way already, or a name, profile or option is not allowed.
            QuotaExceededError: when the owner has too many named servers or the hub too many running.
            StoreConflictError: when another request for this server came first.
        """
        self._check_active_limit()
        server = self.servers.find(owner.id, name) or self._found_or_created(owner, name, display_name or "")
        options = server.user_options if user_options is None else user_options
        profile = self._chosen(options)
        if server.state not in INACTIVE:
            raise InvalidRequestError(f"{owner.name}'s server {_called(server)}is {_doing(server)}")
        now = self.clock.now()
        named = replace(server, display_name=names.check_display_name(display_name)) if display_name else server
        asked = lifecycle.requested(
            named,
            launch_id=new_id("l", now),
            profile=profile.name,
            user_options=options,
            now=now,
            deadlines=self.deadlines,
        )
        self.servers.write(server, asked)
        self.queue.send(Message(MessageKind.LAUNCH, asked.id, asked.launch_id or ""))
        logger.info(
            "server %s of %s is asked for as %s", asked.id, owner.name, profile.name, extra=lifecycle.log_fields(asked)
        )
        return asked

    def edit(
        self,
        owner: User,
        server: Server,
        *,
        name: str | None = None,
        display_name: str | None = None,
        user_options: Mapping[str, Any] | None = None,
    ) -> Server:
        """Rename a stopped server or change what it is shown as or started with.

        Raises:
            InvalidRequestError: when it is active, or a name or option is not allowed.
            NameTakenError: when the owner has another server of that name.
        """
        if server.state in ACTIVE:
            raise InvalidRequestError(f"{owner.name}'s server {_called(server)}is active: stop it before editing it")
        after = replace(server, revision=server.revision + 1)
        if name is not None and name != server.name:
            if not server.name:
                raise InvalidRequestError("The default server cannot be renamed")
            after = replace(after, name=names.check_server_name(name))
        if display_name is not None:
            after = replace(after, display_name=names.check_display_name(display_name))
        if user_options is not None:
            self._chosen(user_options)
            after = replace(after, user_options=dict(user_options))
        self.servers.write(server, after)
        return after

    def remove(self, server: Server) -> None:
        """Remove a named server that is not active.

        Raises:
            InvalidRequestError: when it is the default server or active.
        """
        if not server.name:
            raise InvalidRequestError("Cannot delete the default server")
        if server.state in ACTIVE:
            raise InvalidRequestError(f"Server {server.name} is active: stop it before removing it")
        self.servers.delete(server)

    def position(self, server: Server) -> int:
        """Return how many servers are launched before this one that waits, about so many where they are more than a hundred."""
        return self.servers.queue_position(server, self.clock.now())

    def _create(
        self, owner: User, name: str, *, display_name: str, user_options: Mapping[str, Any] | None = None
    ) -> Server:
        if name:
            if not self.named_limit:
                raise InvalidRequestError("Named servers are not enabled.")
            names.check_server_name(name)
        self._chosen(user_options or {})
        now = self.clock.now()
        server = Server(
            id=new_id("s", now),
            owner_id=owner.id,
            name=name,
            created_at=now,
            entered_at=now,
            display_name=names.check_display_name(display_name) if display_name else name,
            user_options=dict(user_options or {}),
        )
        try:
            self.servers.create(server, named_limit=self.named_limit if name else 0)
        except QuotaExceededError as reached:
            raise QuotaExceededError(
                f"User {owner.name} already has the maximum of {self.named_limit} named servers."
                " One must be deleted before a new server can be created",
                limit=self.named_limit,
            ) from reached
        return server

    def _found_or_created(self, owner: User, name: str, display_name: str) -> Server:
        try:
            return self._create(owner, name, display_name=display_name)
        except NameTakenError:
            return self.find(owner, name)  # another request was faster: its server is as good

    def _check_active_limit(self) -> None:
        if self.active_limit and self.servers.count(ACTIVE) >= self.active_limit:
            raise QuotaExceededError(
                "The hub runs as many servers as it may. Try again in a few minutes.",
                limit=self.active_limit,
                retry=True,
            )

    def _chosen(self, options: Mapping[str, Any]) -> Profile:
        """Return the profile that *options* choose: only `profile` has a meaning here, and only names on offer."""
        if any(str(key).startswith(RESERVED_OPTION) for key in options):
            raise InvalidRequestError(f"user_options may not hold keys that begin with {RESERVED_OPTION}")
        if len(repr(options)) > MAX_OPTIONS:
            raise InvalidRequestError(f"user_options may be at most {MAX_OPTIONS} characters long")
        name = options.get("profile") or next(iter(self.profiles))
        if not isinstance(name, str) or name not in self.profiles:
            raise InvalidRequestError(f"No such profile: {str(name)[:60]!r}; there are {', '.join(self.profiles)}")
        return self.profiles[name]


def _called(server: Server) -> str:
    return f"{server.name} " if server.name else ""


def _doing(server: Server) -> str:
    return {
        lifecycle.State.READY: "already running",
        lifecycle.State.STOPPING: "pending stop",
    }.get(server.state, "pending spawn")
