"""Watchers: the streams of one process that stay open as long as somebody looks at a page.

Each holds a connection and a place for requests, and reads the store now and then. So there are only so many, and only
so many of one user; whoever finds no place asks now and then instead. They end when the process ends.
"""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

ALL_PLACES = 800  # of the 2,000 requests that the edge passes to the API at once, in all processes
OF_EACH = 2  # of one user in one process: browsers open six connections to a hub without HTTP/2


@dataclass(slots=True)
class Watchers:
    """Counts the watchers of this process."""

    most: int
    of_each: int = OF_EACH
    _of: Counter[str] = field(default_factory=Counter)
    _ends: set[asyncio.Event] = field(default_factory=set)
    has_ended: bool = False  # the process ends: nobody waits any longer for what may take seconds

    def has_place(self, user_id: str) -> bool:
        """Say whether this user may watch once more."""
        return not self.has_ended and self._of.total() < self.most and self._of[user_id] < self.of_each

    @contextmanager
    def place(self, user_id: str) -> Iterator[asyncio.Event]:
        """Take a place meanwhile; yield what is set when the process ends."""
        self._of[user_id] += 1
        try:
            with self.told_of_the_end() as end:
                yield end
        finally:
            self._of[user_id] -= 1
            if not self._of[user_id]:
                del self._of[user_id]

    @contextmanager
    def told_of_the_end(self) -> Iterator[asyncio.Event]:
        """Yield what is set when the process ends, to a stream that takes no place: something else bounds it."""
        end = asyncio.Event()
        if self.has_ended:
            end.set()
        self._ends.add(end)
        try:
            yield end
        finally:
            self._ends.discard(end)

    def end(self) -> None:
        """End all streams, and let no watcher begin: the process ends. Call it where their loop runs."""
        self.has_ended = True
        for end in self._ends:
            end.set()


async def is_over_within(seconds: float, end: asyncio.Event) -> bool:
    """Wait, and say whether *end* was set meanwhile."""
    with suppress(TimeoutError):
        await asyncio.wait_for(end.wait(), seconds)
    return end.is_set()
