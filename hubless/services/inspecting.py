"""Inspecting: asks servers whether they work, many at once and each only now and then (ADR 29)."""

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

from hubless.domain import idleness, names, tokens
from hubless.domain.errors import StoreUnavailableError
from hubless.domain.idle_policies import IdlePolicies
from hubless.domain.idleness import NoAnswer, ServerWork
from hubless.domain.lifecycle import Server, State
from hubless.domain.users import User
from hubless.domain.values import value
from hubless.ports.clock import Clock
from hubless.ports.inspector import ServerInspector
from hubless.ports.servers import ServerStore

logger = logging.getLogger(__name__)

AT_ONCE = 16  # servers that are asked at the same time
LONGEST_ROUND = timedelta(seconds=20)  # a sweep has other things to do
RESOLUTION = timedelta(seconds=1)  # of a server's `Date`: one and the same work is dated differently by less
TOLERATED_SILENCE = 2  # rounds: an overloaded server may miss some


@value
class Finding:
    """What asking a server showed."""

    worked_at: datetime | None = None
    is_open: bool = False  # whether the next sweep has to ask again before the server may be stopped


class _Launch:
    """What is remembered of one launch. A new process knows nothing and asks again."""

    def __init__(self) -> None:
        self.looked_at: datetime | None = None
        self.silent_rounds = 0


class Inspecting:
    """Asks servers for their work and stores it as activity."""

    def __init__(
        self,
        servers: ServerStore,
        inspector: ServerInspector,
        clock: Clock,
        key: Callable[[], bytes],
        idle_policies: IdlePolicies,
        *,
        count_busy: bool = True,
    ) -> None:
        """Create the service; *key* is read only when a server is asked."""
        self._servers = servers
        self._inspector = inspector
        self._clock = clock
        self._key = key
        self._idle_policies = idle_policies
        self._count_busy = count_busy
        self._launches: dict[str, _Launch] = {}

    def look(self, running: Iterable[tuple[Server, User]], until: datetime | None = None) -> Mapping[str, Finding]:
        """Ask the servers of which a look is due, and return what it showed, by server id.

        Args:
            running: servers whose tasks run, with their owners.
            until: when the caller's time ends; the look takes half of what is left, and 20 seconds at most.
        """
        now = self._clock.now()
        ready = [(server, owner) for server, owner in running if server.state is State.READY and server.launch_id]
        self._launches = {s.launch_id: self._launches.get(s.launch_id) or _Launch() for s, _ in ready if s.launch_id}
        due = [one for one in ready if self._is_due(one[0], one[1], now)]
        if not due:
            return {}
        due.sort(key=lambda one: self._seen_at(one[0]))
        give_up_at = now + min(LONGEST_ROUND, (until - now) / 2 if until else LONGEST_ROUND)
        key = self._key()
        with ThreadPoolExecutor(min(AT_ONCE, len(due)), thread_name_prefix="inspect") as pool:
            answers = list(pool.map(lambda one: self._ask(one[0], one[1], key, give_up_at), due))
        self._log(Counter(answer for answer in answers if isinstance(answer, NoAnswer)), len(due))
        return {server.id: self._finding(server, answer) for (server, _), answer in zip(due, answers, strict=True)}

    def _is_due(self, server: Server, owner: User, now: datetime) -> bool:
        limits = self._idle_policies.of(server.profile, owner.name)
        return idleness.is_look_due(server, limits, now, self._launches[server.launch_id or ""].looked_at)

    def _seen_at(self, server: Server) -> float:
        """Return a number by which servers that were asked longest ago come first."""
        looked_at = self._launches[server.launch_id or ""].looked_at
        return looked_at.timestamp() if looked_at else 0.0

    def _ask(
        self, server: Server, owner: User, key: bytes, give_up_at: datetime
    ) -> tuple[datetime, ServerWork] | NoAnswer:
        if self._clock.now() >= give_up_at:
            return NoAnswer.NOT_ASKED
        prefix = names.server_prefix(owner.name, server.name)
        said = self._inspector.inspect(server, prefix, tokens.launch_secret(key, server.launch_id or ""))
        return said if isinstance(said, NoAnswer) else (self._clock.now(), said)

    def _finding(self, server: Server, answer: tuple[datetime, ServerWork] | NoAnswer) -> Finding:
        launch = self._launches[server.launch_id or ""]
        if answer is NoAnswer.NOT_ASKED:
            return Finding(is_open=True)
        launch.looked_at = self._clock.now()
        if answer is NoAnswer.SILENT:
            launch.silent_rounds += 1
            return Finding(is_open=launch.silent_rounds <= TOLERATED_SILENCE)
        launch.silent_rounds = 0
        if isinstance(answer, NoAnswer):
            return Finding()
        asked_at, work = answer
        worked_at = work.last_worked_at(asked_at, count_busy=self._count_busy)
        self._store(server, worked_at)
        return Finding(worked_at)

    def _store(self, server: Server, worked_at: datetime | None) -> None:
        known = server.last_activity_at or server.started_at
        if worked_at is None or (known is not None and worked_at <= known + RESOLUTION):
            return
        try:
            self._servers.touch(server.id, worked_at, owner_id=server.owner_id)
        except StoreUnavailableError as away:  # the verdict of this sweep knows it, and the next look tells it again
            logger.warning("server %s: cannot store that it worked: %s", server.id, away)

    @staticmethod
    def _log(unknown: Counter[NoAnswer], asked: int) -> None:
        if unknown[NoAnswer.NOT_ASKED]:
            logger.warning("%d servers were not asked for their work in time", unknown[NoAnswer.NOT_ASKED])
        if unknown[NoAnswer.SILENT] == asked:
            logger.warning(
                "none of %d servers that the hub asked for their kernels answered; they are judged by the activity that"
                " was seen. If this persists, look at culling.ask_servers in docs/idleness.md",
                asked,
            )
