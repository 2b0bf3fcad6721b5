"""Sleeps until somebody writes the database, so that nobody has to look many times a second."""

import ctypes
import os
import select
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

SHORTEST_SECONDS = 0.04  # between two looks
LONGEST_SECONDS = 1.0  # for what the kernel does not tell: a write over the network
_SLOWER = 3  # times as long as the last sleep, while nobody writes
_MODIFIED, _CLOEXEC_NONBLOCK = 0x2, 0o2004000  # of inotify, the same on all processors
_EVENTS_BYTES = 65_536


class WriteWatch:
    """Sleeps of one thread, which then looks whether the database has changed.

    The kernel tells of each write to the database's folder (inotify). That is a moment before SQLite shows it to
    readers: so after a write a sleep is short, and then each is longer than the one before. Where the kernel tells
    nothing, each sleep is as short.
    """

    def __init__(self, database: Path) -> None:
        """Watch the files of *database*, which need not exist yet; its folder must."""
        self._writes = _watch(database.parent)
        self._bell = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._name = database.name.encode()
        self._next = SHORTEST_SECONDS
        self._woke_at = 0.0

    @property
    def is_told(self) -> bool:
        """Say whether the kernel tells of writes."""
        return self._writes is not None

    def wake(self) -> None:
        """End the sleep of now, or the next one."""
        os.eventfd_write(self._bell, 1)

    def sleep(self, seconds: float | None = None, beside: Sequence[int] = ()) -> None:
        """Sleep *seconds*, or as long as makes sense; less if somebody writes, or calls `wake`, or *beside* has news.

        *beside* are descriptors that become readable. Writes end no sleep sooner than `SHORTEST_SECONDS` after the last
        one: many of them must not keep a processor busy.
        """
        poll = select.poll()
        for descriptor in (self._bell, *beside, *([self._writes] if self._writes is not None else [])):
            poll.register(descriptor, select.POLLIN)
        found = {descriptor for descriptor, _ in poll.poll(1000 * (self._next if seconds is None else seconds))}
        if self._bell in found:
            with suppress(BlockingIOError):
                os.eventfd_read(self._bell)
        elif found and (early := self._woke_at + SHORTEST_SECONDS - time.monotonic()) > 0:
            time.sleep(min(early, SHORTEST_SECONDS))
        self._woke_at = time.monotonic()
        self._next = SHORTEST_SECONDS if self._take() else min(self._next * _SLOWER, self._longest)

    def seen(self) -> None:
        """Take note that the caller has seen the last write, so that the next sleep may be long."""
        self._next = self._longest

    @property
    def _longest(self) -> float:
        return LONGEST_SECONDS if self.is_told else SHORTEST_SECONDS

    def _take(self) -> bool:
        """Say whether the database was written since the last call."""
        if self._writes is None:
            return False
        try:
            return self._name in os.read(self._writes, _EVENTS_BYTES)
        except BlockingIOError:
            return False

    def close(self) -> None:
        """Stop watching."""
        for descriptor in (self._bell, self._writes):
            if descriptor is not None:
                os.close(descriptor)


def _watch(folder: Path) -> int | None:
    """Return a descriptor that is readable after a write to a file in *folder*; None where the kernel has none."""
    libc = ctypes.CDLL(None, use_errno=True)
    try:
        descriptor = int(libc.inotify_init1(_CLOEXEC_NONBLOCK))
    except AttributeError:  # no Linux
        return None
    if descriptor < 0:
        return None
    if libc.inotify_add_watch(descriptor, os.fsencode(folder), _MODIFIED) < 0:
        os.close(descriptor)
        return None
    return descriptor
