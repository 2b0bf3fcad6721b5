"""The lifecycle of a server as data: states, events, and the transitions between states.

Every function takes a server and returns the server after a transition. The store writes it with one conditional write
that expects the state, launch and revision from before: that write is the only lock.
"""

from collections.abc import Iterable, Mapping
from dataclasses import field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from hubless.domain.errors import IllegalTransitionError
from hubless.domain.limits import LimitReached, noted
from hubless.domain.metering import Metering
from hubless.domain.stop_reasons import StopReason
from hubless.domain.translatable import Message, ngettext
from hubless.domain.translatable import gettext as _
from hubless.domain.values import value


class State(StrEnum):
    """The state of a server."""

    STOPPED = "stopped"
    REQUESTED = "requested"
    PREPARING = "preparing"
    LAUNCHING = "launching"
    STARTING = "starting"
    READY = "ready"
    STOPPING = "stopping"
    FAILED = "failed"


class Event(StrEnum):
    """What causes a transition; the values complete the sentence «a server that is … cannot …»."""

    SPAWN = "spawn"
    UNPREPARED = "wait for its preparation"
    PREPARED = "be prepared"
    LAUNCHED = "be launched"
    ADDRESSED = "get an address"
    ANSWERED = "become ready"
    STOP = "stop"
    ENDED = "end"


S = State
TRANSITIONS: Mapping[tuple[State, Event], State] = {
    (S.STOPPED, Event.SPAWN): S.REQUESTED,
    (S.FAILED, Event.SPAWN): S.REQUESTED,
    (S.REQUESTED, Event.UNPREPARED): S.PREPARING,
    (S.PREPARING, Event.PREPARED): S.REQUESTED,
    (S.REQUESTED, Event.LAUNCHED): S.LAUNCHING,
    (S.PREPARING, Event.LAUNCHED): S.LAUNCHING,  # by a repeated message that found it prepared
    (S.LAUNCHING, Event.ADDRESSED): S.STARTING,
    (S.STARTING, Event.ANSWERED): S.READY,
    (S.REQUESTED, Event.STOP): S.STOPPING,
    (S.PREPARING, Event.STOP): S.STOPPING,
    (S.LAUNCHING, Event.STOP): S.STOPPING,
    (S.STARTING, Event.STOP): S.STOPPING,
    (S.READY, Event.STOP): S.STOPPING,
    (S.STOPPING, Event.ENDED): S.STOPPED,  # or FAILED, when the record names a failure
}
WAITING_TO_LAUNCH = frozenset({S.REQUESTED, S.PREPARING})  # no task yet
PENDING_START = WAITING_TO_LAUNCH | {S.LAUNCHING, S.STARTING}
PENDING = PENDING_START | {S.STOPPING}
ACTIVE = PENDING | {S.READY}
INACTIVE = frozenset({S.STOPPED, S.FAILED})


MAX_START_STEPS = 12  # of a launch that a record keeps: few launches wait for a preparation, and none waits often


@value
class StartStep:
    """A state on the way of a start, and when it began."""

    state: State
    began_at: datetime


@value
class Server:
    """A user's Jupyter server: the default one (*name* empty) or a named one."""

    id: str
    owner_id: str
    name: str
    created_at: datetime
    entered_at: datetime  # when the present state began
    state: State = State.STOPPED
    display_name: str = ""
    profile: str = ""
    user_options: Mapping[str, Any] = field(default_factory=dict, hash=False)
    launch_id: str | None = None  # of the present or the last launch
    task: str | None = None  # the launcher's name for the task
    spare_id: str = ""  # of the spare that the task was before the present launch got it; "" if it was none
    address: str | None = None  # ip:port
    requested_at: datetime | None = None  # of the present or the last launch
    started_at: datetime | None = None  # when it became ready
    start_steps: tuple[StartStep, ...] = ()  # of the present or the last launch, in order; older records have none
    deadline_at: datetime | None = None  # when the present state becomes overdue
    last_activity_at: datetime | None = None
    jupyterhub_version: str = ""  # that its present or last launch named; "" if it named none
    failure: str | None = None  # why the last launch failed: a sentence for the owner
    log_tail: tuple[str, ...] = ()  # the last lines of its log, if it failed
    stop_reason: StopReason | None = None  # why the last launch was stopped; None if it failed, or nobody noted it
    kept_until: datetime | None = None  # the owner keeps it running until then, however idle it is
    times_kept: int = 0  # in the present or the last launch
    limits_reached: tuple[LimitReached, ...] = ()  # by the present or the last launch, one for each resource
    frozen_at: datetime | None = None  # since when it is known not to run on, though its task exists; only when ready
    metering: Metering | None = None  # of the present or the last launch; None if nobody noted it
    ledgers: tuple[str, ...] = ()  # keys of those in which it is as long as it is active
    revision: int = 0  # +1 at every write except activity


@value
class Deadlines:
    """How long a server may stay in each state before the hub ends the launch."""

    requested: timedelta = timedelta(minutes=10)
    preparing: timedelta = timedelta(hours=3)  # for 10,000 people at one a second: EFS has no more access points
    launching: timedelta = timedelta(seconds=60)
    starting: timedelta = timedelta(seconds=60)
    stopping: timedelta = timedelta(seconds=15)

    def of(self, state: State, now: datetime) -> datetime | None:
        """Return when a server that enters *state* at *now* becomes overdue; None for a state without a limit."""
        limit = {
            State.REQUESTED: self.requested,
            State.PREPARING: self.preparing,
            State.LAUNCHING: self.launching,
            State.STARTING: self.starting,
            State.STOPPING: self.stopping,
        }.get(state)
        return None if limit is None else now + limit


def after(state: State, event: Event) -> State:
    """Return the state that follows *state* on *event*.

    Raises:
        IllegalTransitionError: when the table has no such transition.
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
    metering: Metering | None = None,
    ledgers: tuple[str, ...] = (),
) -> Server:
    """Return *server* with a new launch requested; nothing of the last launch is left."""
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
        start_steps=(StartStep(state, now),),
        task=None,
        spare_id="",
        address=None,
        started_at=None,
        jupyterhub_version="",
        failure=None,
        log_tail=(),
        stop_reason=None,
        kept_until=None,
        times_kept=0,
        limits_reached=(),
        metering=metering,
        ledgers=ledgers,
        revision=server.revision + 1,
    )


def adopted(
    server: Server,
    *,
    launch_id: str,
    profile: str,
    now: datetime,
    deadlines: Deadlines,
    metering: Metering | None = None,
) -> Server:
    """Return *server* with the launch of a stray requested, whose task runs: no deadline ends it before it is known.

    Its steps do not begin with the request, so nobody takes the time for that of a start.
    """
    options = server.user_options if server.profile == profile else {}
    asked = requested(
        server,
        launch_id=launch_id,
        profile=profile,
        user_options=options,
        now=now,
        deadlines=deadlines,
        metering=metering,
    )
    return replace(asked, deadline_at=None, start_steps=())


def unprepared(server: Server, *, now: datetime, deadlines: Deadlines) -> Server:
    """Return *server* in the queue of those whose launches must be prepared first."""
    return _moved(server, Event.UNPREPARED, now, deadlines)


def prepared(server: Server, *, now: datetime, deadlines: Deadlines) -> Server:
    """Return *server* as requested again: its launch is prepared, and the time to launch it begins now."""
    return _moved(server, Event.PREPARED, now, deadlines)


def launched(server: Server, *, task: str, now: datetime, deadlines: Deadlines, spare_id: str = "") -> Server:
    """Return *server* with the task that the launcher has started, or that waited as the spare *spare_id*."""
    return _moved(server, Event.LAUNCHED, now, deadlines, task=task, spare_id=spare_id)


def addressed(server: Server, *, address: str, now: datetime, deadlines: Deadlines) -> Server:
    """Return *server* with the *address* (ip:port) at which its task will listen."""
    return _moved(server, Event.ADDRESSED, now, deadlines, address=address)


def answered(server: Server, *, now: datetime, deadlines: Deadlines, jupyterhub_version: str = "") -> Server:
    """Return *server* as ready: it answers, with this version of JupyterHub, and every edge serves its route."""
    facts = {"started_at": now, "last_activity_at": now, "jupyterhub_version": jupyterhub_version}
    return _moved(server, Event.ANSWERED, now, deadlines, **facts)


def stopping(
    server: Server,
    *,
    now: datetime,
    deadlines: Deadlines,
    reason: StopReason | None = None,
    failure: str | None = None,
    log_tail: tuple[str, ...] = (),
) -> Server:
    """Return *server* as stopping, for a *reason* if somebody requested the stop, or because of a *failure*."""
    return _moved(server, Event.STOP, now, deadlines, stop_reason=reason, failure=failure, log_tail=log_tail)


def ended(server: Server, *, now: datetime, deadlines: Deadlines) -> Server:
    """Return *server* after its task has ended: stopped, or failed if the record names a failure."""
    moved = _moved(server, Event.ENDED, now, deadlines, task=None, spare_id="", address=None, ledgers=())
    return replace(moved, state=State.FAILED) if server.failure else moved


def kept(server: Server, until: datetime) -> Server:
    """Return *server* with the wish of its owner that it is not stopped for idleness before *until*."""
    return replace(server, kept_until=until, times_kept=server.times_kept + 1, revision=server.revision + 1)


def with_limits_reached(server: Server, seen: Iterable[LimitReached], now: datetime) -> Server | None:
    """Return *server* with the limits that its launch was *seen* to have reached; None if that is no news."""
    news = noted(server.limits_reached, seen, now)
    return None if news is None else replace(server, limits_reached=news, revision=server.revision + 1)


def frozen(server: Server, now: datetime) -> Server:
    """Return the ready *server* as frozen: its task exists, and does not answer. It has no route until it is thawed."""
    return replace(server, frozen_at=now, revision=server.revision + 1)


def thawed(server: Server) -> Server:
    """Return the frozen *server* as one that runs on."""
    return replace(server, frozen_at=None, revision=server.revision + 1)


def has_reported(server: Server) -> bool:
    """Say whether *server* has reported activity since its launch was requested, and so is listening."""
    return (
        server.last_activity_at is not None
        and server.requested_at is not None
        and server.last_activity_at >= server.requested_at
    )


def log_fields(server: Server) -> dict[str, str | None]:
    """Return the keys by which structured logs find every line about a launch."""
    return {"server_id": server.id, "launch_id": server.launch_id}


def is_overdue(server: Server, now: datetime) -> bool:
    """Say whether *server* has been in its state for longer than its deadline allows."""
    return server.deadline_at is not None and now >= server.deadline_at


def sentence_of(state: State) -> Message:
    """Return the sentence about a server that is in *state* on its way to be ready."""
    return _PROGRESS[state][1]


def progress(server: Server, ahead: int = 0, obstacle: Message | None = None) -> tuple[int, str]:
    """Return the progress of a start in per cent, and a sentence for people.

    Args:
        server: that starts.
        ahead: its queue position.
        obstacle: why nobody in the queue is launched now.
    """
    percent, sentence = _PROGRESS.get(server.state, (0, _("Server is not starting")))
    if obstacle is not None:
        sentence = obstacle
    if server.state is State.STARTING and has_reported(server):
        percent, sentence = 80, OPENING
    if not ahead:
        return percent, sentence
    place = ngettext("%(count)s server is ahead of this one", "%(count)s servers are ahead of this one", ahead)
    if server.state is State.PREPARING or sentence is obstacle:
        return percent, _("%(sentence)s: %(place)s", sentence=sentence, place=place)
    return percent, place


OPENING = _("Opening the way to the server")  # it answers, and the edges do not have its route yet
_PROGRESS = {
    State.REQUESTED: (10, _("Waiting for a free slot")),
    State.PREPARING: (5, _("Waiting for the server to be set up")),
    State.LAUNCHING: (30, _("Launching the server")),
    State.STARTING: (60, _("Waiting for Jupyter to answer")),
    State.READY: (100, _("Server ready")),
}


def _moved(server: Server, event: Event, now: datetime, deadlines: Deadlines, **facts: Any) -> Server:
    state = after(server.state, event)
    steps = server.start_steps
    if state in PENDING_START | {State.READY} and len(steps) < MAX_START_STEPS:
        steps = (*steps, StartStep(state, now))
    return replace(
        server,
        state=state,
        entered_at=now,
        deadline_at=deadlines.of(state, now),
        start_steps=steps,
        frozen_at=None,
        revision=server.revision + 1,
        **facts,
    )
