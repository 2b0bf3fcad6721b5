"""Turns: how many servers start at once on one machine, and whose turn is next.

Starts share the machine's processors, so more of them at once than keep these busy make each slower, and none sooner.
How many that are depends on what starts: a forked server needs a tenth of the processor time of one that loads its
packages itself. So each profile has a pace, by how long its starts took: the gradient of Netflix's concurrency limits.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from hubless.domain.lifecycle import Server
from hubless.domain.translatable import gettext as _
from hubless.domain.values import value

MIB = 2**20
MEMORY_OF_START = 128 * MIB  # an idle JupyterLab that shares nothing has 115 MB (benchmarks/RESULTS.md)
LEAST_KEPT, MOST_KEPT, KEPT_SHARE = 64 * MIB, 1024 * MIB, 0.05  # of the memory, for what runs already
MOST_STALLED = 0.1
WAITING_FOR_MEMORY = _("Waiting for free memory on the hub's machine")
FIRST, MOST = 2, 8  # starts at once for each processor: of an unknown profile, and of any
_TOLERANCE = 1.5  # a start may take that many times as long as a quick one of its profile
_STEEPEST, _WEIGHT = 0.5, 0.2  # one slow start changes little
_FORGETTING = 1.001  # a quick start of long ago counts less and less
_SAFE_PART = 4  # of the time that a start may take
_LATE = 4  # quick starts of its profile: a start that lasts longer takes less and less of the machine
_LATE_AT_LEAST, _LATE_IF_UNKNOWN = timedelta(seconds=2), timedelta(seconds=10)
_ROUNDING = 1e-9


@value
class Room:
    """What a machine has at an instant.

    Args:
        processors: how many this process may use.
        memory: bytes in all; None if nobody tells.
        free: bytes that programs can still get without swapping; None if nobody tells.
        stalled: the share of the last ten seconds in which some process waited for memory (Linux's PSI).
    """

    processors: int
    memory: int | None = None
    free: int | None = None
    stalled: float = 0.0

    @property
    def kept(self) -> int:
        """Return how many bytes stay free for what runs already."""
        return min(max(int((self.memory or 0) * KEPT_SHARE), LEAST_KEPT), MOST_KEPT)

    def lacks_memory(self, starting: int = 0) -> bool:
        """Say whether one more server finds no memory beside *starting* ones, which have not taken theirs yet."""
        if self.stalled > MOST_STALLED:
            return True
        return self.free is not None and self.free - (starting + 1) * MEMORY_OF_START < self.kept


@value
class Pace:
    """How many servers of a profile start at once, and how long a quick start of it takes, if that is known."""

    at_once: float
    quick: timedelta | None = None

    def after(self, took: timedelta, *, starting: int, processors: int, longest: timedelta) -> "Pace":
        """Return the pace after a start that *took* so long, or failed after that time.

        A start that ended before it began says nothing: the clock was set back meanwhile.

        Args:
            took: from the server's own launch until it was ready.
            starting: how many servers started at that time, itself included.
            processors: of the machine.
            longest: how long a start may take.
        """
        if took <= timedelta():
            return self
        quick = took if self.quick is None else min(self.quick * _FORGETTING, took)
        bearable = min(_TOLERANCE * quick, longest / _SAFE_PART)
        gradient = max(_STEEPEST, min(1.0, bearable / took))
        wish = self.at_once * gradient
        if starting >= self.at_once / 2:  # otherwise nobody knows how long it takes with more
            wish += 1
        smoothed = self.at_once + _WEIGHT * (wish - self.at_once)
        return Pace(min(max(smoothed, 1.0, processors), MOST * processors), quick)


def first_pace(processors: int) -> Pace:
    """Return the pace of a profile of which nothing is known."""
    return Pace(FIRST * processors)


def line(waiting: Iterable[Server], starting: Iterable[Server]) -> list[Server]:
    """Return those who wait in the order of their turns.

    First come, first served. But an owner's second server comes after the first one of everybody who waits, the third
    after their second, and so on; what starts already counts. So nobody's many servers hold up others.
    """
    before = Counter(server.owner_id for server in starting)
    ranked = []
    for server in sorted(waiting, key=lambda one: (one.entered_at, one.id)):
        ranked.append((before[server.owner_id], server.entered_at, server.id, server))
        before[server.owner_id] += 1
    return [server for *_, server in sorted(ranked, key=lambda one: one[:3])]


def next_turns(
    in_line: Sequence[Server],
    starting: Sequence[Server],
    paces: Mapping[str, Pace],
    room: Room,
    now: datetime,
    *,
    most: int = 0,
    idle: Collection[str] = (),
) -> list[Server]:
    """Return who may start now, of those *in_line*: the first of them, as many as the machine bears.

    One starts in any case, if there is memory and nothing else starts. Nobody overtakes: where the first one finds no
    room, the others wait too. A start that does nothing, such as a server that hangs, has given its turn back. It takes
    the turn again with its next work. One that works for much longer than others gives back more and more of it. So
    servers that hang hold up nobody until they fail. All of them count for the memory.

    Args:
        in_line: who waits, in the order of their turns.
        starting: what starts already.
        paces: by profile; a profile that is missing has the first pace.
        room: what the machine has.
        now: against which starts are late.
        most: servers that may start at once; 0 for as many as the machine bears.
        idle: launches among those that start that use no processor now, and wait for none.
    """
    working = [server for server in starting if server.launch_id not in idle]

    def share(server: Server) -> float:
        return 1 / (most or paces.get(server.profile, first_pace(room.processors)).at_once)

    used = sum(share(server) * _part_of_turn(server, paces.get(server.profile), now) for server in working)
    count, turns = len(starting), list[Server]()
    for server in in_line:
        used, count = used + share(server), count + 1
        has_place = used <= 1 + _ROUNDING or count == 1
        if not has_place or room.lacks_memory(count - 1):
            break
        turns.append(server)
    return turns


def _part_of_turn(server: Server, pace: Pace | None, now: datetime) -> float:
    """Return how much of its turn a *server* that starts still takes: 1, and less and less once it is late."""
    quick = pace.quick if pace else None
    late = max(_LATE * quick, _LATE_AT_LEAST) if quick else _LATE_IF_UNKNOWN
    lasted = now - server.entered_at
    return late / lasted if lasted > late else 1.0
