"""Spawning: requests the start of servers, and creates, edits and removes them. It never launches a task itself."""

import logging
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from hubless.domain import histograms, launch_times, lifecycle, names
from hubless.domain.errors import (
    BudgetReachedError,
    InvalidRequestError,
    MaintenanceError,
    NameTakenError,
    NotFoundError,
    QuotaExceededError,
    StoreConflictError,
)
from hubless.domain.leases import Lease, NoLease
from hubless.domain.lifecycle import ACTIVE, INACTIVE, PENDING, WAITING_TO_LAUNCH, Deadlines, Server, State
from hubless.domain.messages import Message, MessageKind
from hubless.domain.profiles import Profile, check_options, choose
from hubless.domain.tariffs import Meter
from hubless.domain.translatable import gettext as _
from hubless.domain.translatable import ngettext
from hubless.domain.users import User
from hubless.domain.values import value
from hubless.domain.waiting import Waiting
from hubless.ports.clock import Clock
from hubless.ports.launch_times import LaunchTimeStore
from hubless.ports.launch_turns import LaunchTurns
from hubless.ports.leases import LeaseStore
from hubless.ports.metrics import Metrics
from hubless.ports.queue import Queue
from hubless.ports.servers import ServerStore
from hubless.ports.waiting import WaitingList
from hubless.services.budgets import Budgets
from hubless.services.identifiers import new_id
from hubless.services.maintaining import Maintaining

logger = logging.getLogger(__name__)

HOUR = timedelta(hours=1)


@value
class Spawning:
    """Handles API requests about servers."""

    servers: ServerStore
    queue: Queue
    clock: Clock
    leases: LeaseStore
    profiles: Mapping[str, Profile]
    deadlines: Deadlines
    metrics: Metrics
    launch_times: LaunchTimeStore
    waiting: WaitingList
    named_limit: int = 0  # 0: named servers are off
    active_limit: int = 0  # 0: no limit
    start_limit: int = 0  # starts of one owner's servers in an hour; 0: no limit
    meter: Meter = Meter()
    budgets: Budgets | None = None  # None: there are none
    maintaining: Maintaining | None = None  # None: there is no maintenance
    turns: LaunchTurns | None = None  # None where the launcher has room for all

    def find(self, owner: User, name: str) -> Server:
        """Return the owner's server of that name, to read. The default server exists even before it is stored.

        Raises:
            NotFoundError: when the owner has no named server of that name.
        """
        server = self.servers.find(owner.id, name)
        if server is None and not name:
            now = self.clock.now()
            return Server(id=new_id("s", now), owner_id=owner.id, name="", created_at=now, entered_at=now)
        if server is None:
            raise NotFoundError("Server", f"{owner.name}/{name}")
        return server

    def stored(self, owner: User, name: str) -> Server:
        """Return the owner's stored server of that name, to change it or refer to it; store a missing default server.

        Raises:
            NotFoundError: when the owner has no named server of that name.
        """
        if name:
            return self.find(owner, name)
        return self.servers.find(owner.id, "") or self._found_or_created(owner, "", "", None)

    def create(
        self, owner: User, name: str, *, display_name: str = "", user_options: Mapping[str, Any] | None = None
    ) -> Server:
        """Create a named server without starting it.

        Raises:
            InvalidRequestError: when named servers are disabled, or a name or an option is not allowed.
            NameTakenError: when the owner has a server of that name; the default server always exists.
            QuotaExceededError: when the owner has the maximum number of named servers.
        """
        if not name:
            raise NameTakenError("Server", f"{owner.name}/")
        return self._create(owner, name, display_name=display_name, user_options=user_options or {})

    def start(
        self,
        owner: User,
        name: str,
        *,
        user_options: Mapping[str, Any] | None = None,
        display_name: str | None = None,
        waits: bool = False,
    ) -> Server:
        """Request a launch and return the server as `requested`; the spawn function launches it later.

        In a full hub, places that become free are for those who wait, in the order in which they first asked.

        Args:
            owner: whose server starts.
            name: its name; "" for the default server.
            user_options: None repeats the options of the last launch.
            display_name: of a server that is new.
            waits: whether the caller asks again until there is a place, and so waits in line.

        Raises:
            InvalidRequestError: when the server is active already, or a name, profile or option is not allowed.
            QuotaExceededError: when the owner has too many named servers, or started too often within an hour, or the
                hub has too many active servers.
            BudgetReachedError: when a budget is used up, or has no room now.
            MaintenanceError: when maintenance is on, and not for an admin who may start all the same.
            StoreConflictError: when another request for this server was faster.
        """
        found = self.servers.find(owner.id, name)
        is_active = found is not None and found.state not in INACTIVE  # then maintenance is not what is in the way
        if self.maintaining is not None and not is_active:
            self.maintaining.require_no_maintenance(owner)
        line = self._line(owner, waits=waits)
        server = found or self._created_to_start(owner, name, display_name or "", user_options or {}, line)
        options = server.user_options if user_options is None else user_options
        profile = self._chosen(options, owner)
        if server.state not in INACTIVE:
            if server.state in PENDING:
                self._count_refusal(histograms.ALREADY_PENDING)
            raise InvalidRequestError(_doing(owner, server))
        now = self.clock.now()
        named = replace(server, display_name=names.check_display_name(display_name)) if display_name else server
        asked = lifecycle.requested(
            named,
            launch_id=new_id("l", now),
            profile=profile.name,
            user_options=options,
            now=now,
            deadlines=self.deadlines,
            metering=self.meter.of(profile, owner),
        )
        asked = self._write_start(owner, server, asked, line)
        self.queue.send(Message(MessageKind.LAUNCH, asked.id, asked.launch_id or ""))
        logger.info(
            "server %s of %s: start requested with profile %s",
            asked.id,
            owner.name,
            profile.name,
            extra=lifecycle.log_fields(asked),
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
        """Change the name, display name or options of a server that is not active.

        Raises:
            InvalidRequestError: when the server is active, or a name or option is not allowed.
            NameTakenError: when the owner has another server of that name.
        """
        if server.state in ACTIVE:
            raise InvalidRequestError(
                _(
                    "%(owner)s's server %(called)sis active: stop it before you edit it",
                    owner=owner.name,
                    called=_called(server),
                )
            )
        after = replace(server, revision=server.revision + 1)
        if name is not None and name != server.name:
            if not server.name:
                raise InvalidRequestError("The default server cannot be renamed")
            after = replace(after, name=names.check_server_name(name))
        if display_name is not None:
            after = replace(after, display_name=names.check_display_name(display_name))
        if user_options is not None:
            self._chosen(user_options, owner)
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
            raise InvalidRequestError(
                _("Server %(server)s is active: stop it before you remove it", server=server.name)
            )
        self.servers.delete(server)

    def keep_choice(
        self, owner: User, name: str, user_options: Mapping[str, Any], *, display_name: str | None = None
    ) -> None:
        """Keep what was chosen for a server that cannot start yet, as the choice of its last launch is kept.

        Raises:
            InvalidRequestError: when the server is active, or a name or an option is not allowed.
            QuotaExceededError: when the owner has the maximum number of named servers.
            StoreConflictError: when another request for this server was faster.
        """
        found = self.servers.find(owner.id, name)
        server = found or self._found_or_created(owner, name, display_name or "", user_options)
        self.edit(owner, server, user_options=user_options)

    def position(self, server: Server) -> int:
        """Return how many servers will be launched, or set up, before this one; above 100 it is approximate."""
        if self.turns is not None:
            return self.turns.position(server)
        return self.servers.queue_position(server, self.clock.now())

    def progress(self, server: Server) -> "StartProgress":
        """Return how far a start has come."""
        if server.state not in WAITING_TO_LAUNCH:
            return StartProgress(*lifecycle.progress(server))
        ahead = self.position(server)
        obstacle = self.turns.obstacle() if self.turns is not None and server.state is State.REQUESTED else None
        return StartProgress(*lifecycle.progress(server, ahead, obstacle), ahead, obstacle is not None)

    def usual_time(self, server: Server) -> timedelta | None:
        """Return how long the latest launches of the server's profile took as a rule; None if too few are known.

        Those that got a spare take a few seconds: they count for no other, and nothing is known of one of them.
        """
        if server.spare_id:
            return None
        return launch_times.usual(self.launch_times.of(server.profile), self.clock.now())

    def _create(self, owner: User, name: str, *, display_name: str, user_options: Mapping[str, Any] | None) -> Server:
        """Create a server; *user_options* None is a server of which nobody has chosen anything yet."""
        if name:
            if not self.named_limit:
                raise InvalidRequestError("Named servers are not enabled.")
            names.check_server_name(name)
        if user_options is not None:
            self._chosen(user_options, owner)
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
                _(
                    "User %(owner)s already has the maximum of %(named_limit)s named servers. One must be deleted"
                    " before a new server can be created",
                    owner=owner.name,
                    named_limit=self.named_limit,
                ),
                limit=self.named_limit,
            ) from reached
        return server

    def _found_or_created(
        self, owner: User, name: str, display_name: str, user_options: Mapping[str, Any] | None
    ) -> Server:
        try:
            return self._create(owner, name, display_name=display_name, user_options=user_options)
        except NameTakenError:
            return self.find(owner, name)  # another request has created it meanwhile

    def leave_line(self, owner: User) -> None:
        """Let those who wait behind *owner* move up."""
        self.waiting.leave(owner.id)

    def _line(self, owner: User, *, waits: bool) -> "_Line":
        if not self.active_limit:
            return _Line(None, 0, waits)
        now = self.clock.now()
        place = self.waiting.find(owner.id, now)
        return _Line(place, self.waiting.ahead(place, now), waits)

    def _created_to_start(
        self, owner: User, name: str, display_name: str, user_options: Mapping[str, Any], line: "_Line"
    ) -> Server:
        """Create the server, unless the hub is so full that it would only be left behind."""
        if self.active_limit and self.servers.count(ACTIVE) + line.ahead >= self.active_limit:
            raise self._full(owner, line)
        return self._found_or_created(owner, name, display_name, user_options)

    def _write_start(self, owner: User, server: Server, asked: Server, line: "_Line") -> Server:
        """Count the start and write it; return it as it was written. A start that was refused does not count."""
        counted = self._count_start(owner)
        check = None if self.maintaining is None else self.maintaining.check_of(owner)
        places: dict[str, Any] = {"active_limit": self.active_limit, "places_kept": line.ahead, "start": check}
        try:
            if self.budgets is not None:
                asked = self.budgets.start(owner, server, asked, **places)
            else:
                self.servers.write(server, asked, **places)
        except (QuotaExceededError, StoreConflictError, MaintenanceError) as refused:  # nothing was written
            if counted is not None:
                self.leases.release(counted)
            if isinstance(refused, MaintenanceError) and self.maintaining is not None:
                raise self.maintaining.refusal(refused) from refused
            if isinstance(refused, BudgetReachedError):
                self._count_refusal(histograms.TOO_MANY_USERS)
                raise
            if isinstance(refused, QuotaExceededError):
                raise self._full(owner, line) from refused
            raise
        if line.place is not None:
            self.waiting.leave(owner.id)  # a crash before this keeps a place free until the wait counts no more
        return asked

    def _count_start(self, owner: User) -> Lease | None:
        """Take one of the owner's starts of this hour, whoever asks for it; None without a limit.

        Raises:
            QuotaExceededError: when the owner has none left.
        """
        if not self.start_limit:
            return None
        now = self.clock.now()
        given = self.leases.claim(f"start#{owner.id}", limit=self.start_limit, now=now, until=now + HOUR)
        if isinstance(given, NoLease):
            wait = given.until - now
            self._count_refusal(histograms.THROTTLED)
            raise QuotaExceededError(
                _(
                    "%(owner)s's servers were started %(start_limit)s times within an hour, which is the limit. Try"
                    " again in %(minutes)s.",
                    owner=owner.name,
                    start_limit=self.start_limit,
                    minutes=_minutes(wait),
                ),
                limit=self.start_limit,
                retry=True,
                after=wait,
            )
        return given

    def _full(self, owner: User, line: "_Line") -> QuotaExceededError:
        """Return the refusal. Who waits in line was refused once, however often a page asks."""
        if line.place is None:
            self._count_refusal(histograms.TOO_MANY_USERS)
        ahead = None
        if line.waits:
            now = self.clock.now()
            ahead = self.waiting.ahead(self.waiting.ask(owner.id, now), now)
        return QuotaExceededError(
            "The hub is full right now. Try again in a few minutes.", limit=self.active_limit, retry=True, ahead=ahead
        )

    def _count_refusal(self, reason: str) -> None:
        self.metrics.observe(histograms.SPAWN_DURATION, timedelta(), histograms.FAILURE, reason)

    def _chosen(self, options: Mapping[str, Any], owner: User) -> Profile:
        """Return what *owner* chooses; options that the profile does not have mean nothing to the hub."""
        check_options(options)
        return choose(self.profiles, options, owner).profile


@value
class StartProgress:
    """How far a start has come: in per cent, and in a sentence for people.

    Args:
        percent: from 0 to 100.
        sentence: what happens now.
        ahead: how many are launched before.
        is_held: whether nobody is launched now, and the sentence says why.
    """

    percent: int
    sentence: str
    ahead: int = 0
    is_held: bool = False


@value
class _Line:
    """Where an owner stands in the line of those who wait for a place."""

    place: Waiting | None
    ahead: int  # how many places are for others
    waits: bool  # whether the owner stays in line if there is none


def _minutes(wait: timedelta) -> str:
    """Return *wait* in whole minutes, rounded up."""
    minutes = max(1, -(-wait // timedelta(minutes=1)))
    return ngettext("a minute", "%(count)s minutes", minutes)


def _called(server: Server) -> str:
    return f"{server.name} " if server.name else ""


def _doing(owner: User, server: Server) -> str:
    """Return JupyterHub's sentence about a server that is active already."""
    whose = {"owner": owner.name, "called": _called(server)}
    match server.state:
        case lifecycle.State.READY:
            return _("%(owner)s's server %(called)sis already running", **whose)
        case lifecycle.State.STOPPING:
            return _("%(owner)s's server %(called)sis pending stop", **whose)
        case _other:
            return _("%(owner)s's server %(called)sis pending spawn", **whose)
