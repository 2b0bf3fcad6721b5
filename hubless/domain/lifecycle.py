"""A server's life as data: states, the events that move it, and what each state may become.

Every function here takes a server and returns the server it becomes. Writing it is one conditional write of the store
that names the state, launch and revision found before: that write is the lock, and there is no other.
"""

from collections.abc import Mapping
from dataclasses import field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from hubless.domain.errors import IllegalTransitionError
from hubless.domain.values import value


class State(StrEnum):
    """Where a server is in its life."""

    STOPPED = "stopped"
    REQUESTED = "requested"
    LAUNCHING = "launching"
    STARTING = "starting"
    READY = "ready"
    STOPPING = "stopping"
    FAILED = "failed"


class Event(StrEnum):
    """What moves a server on; the words complete «a server that is … cannot …»."""

    SPAWN = "spawn"
    LAUNCHED = "be launched"
    ADDRESSED = "get an address"
    ANSWERED = "become ready"
    STOP = "stop"
    ENDED = "end"


S = State
TRANSITIONS: Mapping[tuple[State, Event], State] = {
    (S.STOPPED, Event.SPAWN): S.REQUESTED,
    (S.FAILED, Event.SPAWN): S.REQUESTED,
    (S.REQUESTED, Event.LAUNCHED): S.LAUNCHING,
    (S.LAUNCHING, Event.ADDRESSED): S.STARTING,
    (S.STARTING, Event.ANSWERED): S.READY,
    (S.REQUESTED, Event.STOP): S.STOPPING,
    (S.LAUNCHING, Event.STOP): S.STOPPING,
    (S.STARTING, Event.STOP): S.STOPPING,
    (S.READY, Event.STOP): S.STOPPING,
    (S.STOPPING, Event.ENDED): S.STOPPED,  # or FAILED, when a failure was noted on the way
}
PENDING_START = frozenset({S.REQUESTED, S.LAUNCHING, S.STARTING})
PENDING = PENDING_START | {S.STOPPING}
ACTIVE = PENDING | {S.READY}
INACTIVE = frozenset({S.STOPPED, S.FAILED})


@value
class Server:
    """A user's Jupyter server: the default one (*name* empty) or a named one."""

    id: str
    owner_id: str
    name: str
    created_at: datetime
    entered_at: datetime  # when it came into its state
    state: State = State.STOPPED
    display_name: str = ""
    profile: str = ""
    user_options: Mapping[str, Any] = field(default_factory=dict, hash=False)
    launch_id: str | None = None  # the present or the last launch
    task: str | None = None  # the launcher's name for what runs
    address: str | None = None  # ip:port
    requested_at: datetime | None = None  # of the present or the last launch
    started_at: datetime | None = None  # ready since
    deadline_at: datetime | None = None  # when the state has lasted too long
    last_activity_at: datetime | None = None
    failure: str | None = None  # why the last launch failed, in words
    log_tail: tuple[str, ...] = ()  # the last lines it said, where it failed
    revision: int = 0  # +1 at every write but activity


@value
class Deadlines:
    """How long a server may stay in each state before the reaper settles it."""

    requested: timedelta = timedelta(minutes=10)
    launching: timedelta = timedelta(seconds=60)
    starting: timedelta = timedelta(seconds=60)
    stopping: timedelta = timedelta(seconds=15)

    def of(self, state: State, now: datetime) -> datetime | None:
        """Return when a server that enters *state* at *now* is overdue, or None when it may stay."""
        limit = {
            State.REQUESTED: self.requested,
            State.LAUNCHING: self.launching,
            State.STARTING: self.starting,
            State.STOPPING: self.stopping,
        }.get(state)
        return None if limit is None else now + limit


def after(state: State, event: Event) -> State:
    """Return the state that *event* leads to.

    Raises:
        IllegalTransitionError: when the table has no such step.
    """
    try:
        return TRANSITIONS[state, event]
    except KeyError:
        raise IllegalTransitionError(state, event) from None


def requested(
    server: Server,
    *,
    launch_id: str,
    profile: str,
    user_options: Mapping[str, Any],
    now: datetime,
    deadlines: Deadlines,
) -> Server:
    """Return *server* as asked to start: a new launch that knows nothing of the last one."""
    state = after(server.state, Event.SPAWN)
    return replace(
        server,
        state=state,
        entered_at=now,
        deadline_at=deadlines.of(state, now),
        launch_id=launch_id,
        profile=profile,
        user_options=dict(user_options),
        requested_at=now,
        task=None,
        address=None,
        started_at=None,
        failure=None,
        log_tail=(),
        revision=server.revision + 1,
    )


def launched(server: Server, *, task: str, now: datetime, deadlines: Deadlines) -> Server:
    """Return *server* with its task."""
    return _moved(server, Event.LAUNCHED, now, deadlines, task=task)


def addressed(server: Server, *, address: str, now: datetime, deadlines: Deadlines) -> Server:
    """Return *server* with the address at which its task will listen."""
    return _moved(server, Event.ADDRESSED, now, deadlines, address=address)


def answered(server: Server, *, now: datetime, deadlines: Deadlines) -> Server:
    """Return *server* as ready: it answers and every edge serves its route."""
    return _moved(server, Event.ANSWERED, now, deadlines, started_at=now, last_activity_at=now)


def stopping(
    server: Server, *, now: datetime, deadlines: Deadlines, failure: str | None = None, log_tail: tuple[str, ...] = ()
) -> Server:
    """Return *server* on its way out; *failure* says why when nobody asked for it."""
    return _moved(server, Event.STOP, now, deadlines, failure=failure, log_tail=log_tail)


def ended(server: Server, *, now: datetime, deadlines: Deadlines) -> Server:
    """Return *server* with nothing left running: stopped, or failed when a failure was noted."""
    moved = _moved(server, Event.ENDED, now, deadlines, task=None, address=None)
    return replace(moved, state=State.FAILED) if server.failure else moved


def has_reported(server: Server) -> bool:
    """Say whether *server* has reported activity since its launch was asked for, so that it must be listening."""
    return (
        server.last_activity_at is not None
        and server.requested_at is not None
        and server.last_activity_at >= server.requested_at
    )


def log_fields(server: Server) -> dict[str, str | None]:
    """Return the keys by which structured logs find all that was said of a launch."""
    return {"server_id": server.id, "launch_id": server.launch_id}


def is_overdue(server: Server, now: datetime) -> bool:
    """Say whether *server* has been in its state longer than it may."""
    return server.deadline_at is not None and now >= server.deadline_at


def progress(server: Server) -> tuple[int, str]:
    """Return how far a start has come, in per cent, and a sentence for the one who waits."""
    return _PROGRESS.get(server.state, (0, "Server is not starting"))


_PROGRESS = {
    State.REQUESTED: (10, "Waiting for a place to launch"),
    State.LAUNCHING: (30, "Launching the server"),
    State.STARTING: (60, "Waiting for Jupyter to answer"),
    State.READY: (100, "Server ready"),
}


def _moved(server: Server, event: Event, now: datetime, deadlines: Deadlines, **facts: Any) -> Server:
    state = after(server.state, event)
    return replace(
        server, state=state, entered_at=now, deadline_at=deadlines.of(state, now), revision=server.revision + 1, **facts
    )
