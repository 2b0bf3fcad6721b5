"""Turns of launches on this machine."""

import logging
import threading
from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta

from hubless.domain.errors import CapacityUnavailableError
from hubless.domain.launch_turns import MIB, WAITING_FOR_MEMORY, Pace, Room, first_pace, line, next_turns
from hubless.domain.lifecycle import Server, State
from hubless.domain.translatable import Message
from hubless.ports.clock import Clock
from hubless.ports.servers import ServerStore

logger = logging.getLogger(__name__)

STARTING = frozenset({State.LAUNCHING, State.STARTING})
RETRY = timedelta(seconds=0.2)  # of a message that came before its server was seen in line
LOOK_EVERY = timedelta(seconds=0.25)  # at the machine, and at the line for who only asks


class MachineTurns:
    """Gives turns by the servers' records, the room that the machine has, and how long starts took."""

    def __init__(
        self,
        servers: ServerStore,
        read_room: Callable[[], Room],
        clock: Clock,
        *,
        longest: timedelta,
        most: int = 0,
        idle: Callable[[Sequence[str]], Collection[str]] = lambda _launches: (),
    ) -> None:
        """Give turns to *servers*.

        Args:
            servers: their records.
            read_room: says what the machine has now.
            clock: tells when to look again.
            longest: how long a start may take.
            most: starts at once; 0 for as many as the machine bears.
            idle: says which of the launches that start do nothing now.
        """
        self._servers, self._read_room, self._clock = servers, read_room, clock
        self._find_idle = idle
        self._longest, self._most = longest, most
        self._guard = threading.Lock()
        self._given: dict[str, Server] = {}  # by launch: whose record does not say yet that they start
        self._ended: set[str] = set()  # launches: whose record of a moment ago says that they start
        self._paces: dict[str, Pace] = {}
        self._starting = 0
        self._is_short = False
        self._held: frozenset[str] = frozenset()
        self._room: tuple[datetime, Room] | None = None
        self._idle: tuple[datetime, frozenset[str]] | None = None
        self._line: tuple[datetime, dict[str, int]] | None = None

    @property
    def held(self) -> frozenset[str]:
        """Return the launches that waited for their turn when the servers were seen last."""
        return self._held

    def take(self, server: Server) -> None:
        if server.launch_id not in self._given:
            self.see(self._servers.in_states({State.REQUESTED, *STARTING}))
        if server.launch_id not in self._given:
            raise CapacityUnavailableError(f"It is not the turn of server {server.id} yet", after=RETRY)

    def see(self, pending: Sequence[Server]) -> None:
        with self._guard:
            waiting = {one.launch_id or "": one for one in pending if one.state is State.REQUESTED}
            self._given = {launch: one for launch, one in self._given.items() if launch in waiting}
            seen = [one for one in pending if one.state in STARTING]
            self._ended &= {one.launch_id or "" for one in seen}
            starting = [one for one in seen if one.launch_id not in self._ended] + [*self._given.values()]
            in_line = line([one for launch, one in waiting.items() if launch not in self._given], starting)
            idle = self._idle_now(starting)
            turns = self._turns_of(in_line, starting, idle) if in_line or self._is_short else []
            self._given |= {one.launch_id or "": one for one in turns}
            self._starting = sum(one.launch_id not in idle for one in starting) + len(turns)
            self._held = frozenset(waiting) - self._given.keys()

    def _turns_of(self, in_line: Sequence[Server], starting: Sequence[Server], idle: frozenset[str]) -> list[Server]:
        """Return those in line whose turn it is now: as many as the machine has room for."""
        room, now = self._room_now(), self._clock.now()
        turns = next_turns(in_line, starting, self._paces, room, now, most=self._most, idle=idle) if in_line else []
        self._tell_of_memory(room, len(in_line) - len(turns))
        return turns

    def ended(self, server: Server, took: timedelta) -> None:
        with self._guard:
            self._given.pop(server.launch_id or "", None)
            self._ended.add(server.launch_id or "")
            if self._idle is not None and server.launch_id in self._idle[1]:
                return  # how long it waited for something else says nothing of the machine
            processors = self._room_now().processors
            pace = self._paces.get(server.profile, first_pace(processors))
            self._paces[server.profile] = pace.after(
                took, starting=self._starting, processors=processors, longest=self._longest
            )

    def position(self, server: Server) -> int:
        now = self._clock.now()
        if server.state is not State.REQUESTED:
            return self._servers.queue_position(server, now)
        if (known := self._line) is None or abs(now - known[0]) >= LOOK_EVERY:
            pending = self._servers.in_states({State.REQUESTED, *STARTING})
            waiting = [one for one in pending if one.state is State.REQUESTED]
            in_line = line(waiting, [one for one in pending if one.state in STARTING])
            self._line = known = now, {one.id: place for place, one in enumerate(in_line)}
        return known[1].get(server.id, len(known[1]))  # one that came after the look is the last

    def obstacle(self) -> Message | None:
        return WAITING_FOR_MEMORY if self._room_now().lacks_memory() else None

    def _room_now(self) -> Room:
        now = self._clock.now()
        if (known := self._room) is None or abs(now - known[0]) >= LOOK_EVERY:
            self._room = known = now, self._read_room()
        return known[1]

    def _idle_now(self, starting: Sequence[Server]) -> frozenset[str]:
        """Return which starts do nothing. Ask also while nobody waits: it takes two looks to know."""
        now = self._clock.now()
        if (known := self._idle) is None or abs(now - known[0]) >= LOOK_EVERY:
            launches = [one.launch_id for one in starting if one.launch_id]
            self._idle = known = now, frozenset(self._find_idle(launches))
        return known[1]

    def _tell_of_memory(self, room: Room, waiting: int) -> None:
        """Log when the machine becomes short of memory while servers wait, and when that has passed."""
        is_short = room.lacks_memory()
        if is_short and waiting and not self._is_short:
            logger.warning("no server starts: %s, and %d wait", in_words(room), waiting)
            self._is_short = True
        elif not is_short and self._is_short:
            logger.info("servers start again: %s", in_words(room))
            self._is_short = False


def in_words(room: Room) -> str:
    """Return what memory there is, for an operator."""
    if room.free is None:
        return "nobody says how much memory is free"
    stall = f"; programs wait for memory {room.stalled:.0%} of the time" if room.stalled else ""
    return f"{room.free // MIB:,} MB of memory are free, of which {room.kept // MIB:,} are kept for what runs{stall}"
