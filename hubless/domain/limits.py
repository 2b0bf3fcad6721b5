"""Limits of a launch: which resources they bound, and that a launch reached one."""

import re
import sys
from collections.abc import Iterable
from datetime import datetime, timedelta
from enum import StrEnum

from hubless.domain.translatable import gettext as _
from hubless.domain.values import value

_SIZE = re.compile(r"([0-9]{1,400}(?:\.[0-9]{1,400})?)([KMGT]?)")
_SIZES = {"": 1, "K": 1024, "M": 1024**2, "G": 1024**3, "T": 1024**4}
NOTICE_INTERVAL = timedelta(minutes=1)
"""How often a record notes at most that its launch reached a limit again: each note is a write."""


class Resource(StrEnum):
    """What a limit bounds."""

    MEMORY = "memory"
    CPUS = "cpus"
    PROCESSES = "processes"


@value
class LimitReached:
    """How often a launch has reached one of its limits.

    Args:
        resource: what the limit bounds.
        limit: bytes of memory, or a number of processes and threads.
        count: how often, since the launch began.
        at: when the hub noticed the last time; None while nobody has noted it.
    """

    resource: Resource
    limit: int
    count: int
    at: datetime | None = None


def noted(
    known: tuple[LimitReached, ...], seen: Iterable[LimitReached], now: datetime
) -> tuple[LimitReached, ...] | None:
    """Return what a record should hold after *seen* was read from a launch; None if that is what it holds already.

    A count that grew is noted with the time *now*, once in `NOTICE_INTERVAL` for each resource.
    """
    by_resource = {one.resource: one for one in known}
    grown = {one.resource: _at(one, now) for one in seen if _is_news(one, by_resource.get(one.resource), now)}
    return tuple((by_resource | grown)[resource] for resource in sorted(by_resource | grown)) if grown else None


def _is_news(seen: LimitReached, known: LimitReached | None, now: datetime) -> bool:
    if known is None or known.at is None:
        return seen.count > 0
    # A clock that was set back must not silence the notices until it has caught up.
    return seen.count > known.count and not timedelta() <= now - known.at < NOTICE_INTERVAL


def _at(seen: LimitReached, now: datetime) -> LimitReached:
    return LimitReached(seen.resource, seen.limit, seen.count, now)


def size(number: int) -> str:
    """Return *number* of bytes in words, such as `1.5 GiB`; below one MiB, `0 MiB`."""
    for unit, name in ((2**40, "TiB"), (2**30, "GiB")):
        if number >= unit:
            return f"{round(number / unit, 2):g} {name}"
    return f"{number // 2**20} MiB"


def size_of(text: str) -> int:
    """Return the bytes of a size as people write it, such as `512M` or `1.5G`.

    Raises:
        ValueError: when it is none, or nothing.
    """
    matched = _SIZE.fullmatch(text)
    found = float(matched[1]) * _SIZES[matched[2]] if matched else 0.0
    if not 0 < found <= sys.float_info.max:  # hundreds of digits become infinity
        raise ValueError
    return int(found)


def as_typed(number: int) -> str:
    """Return *number* of bytes as `size_of` reads it, in the largest unit of which it is a whole number."""
    unit = next(name for name in reversed(_SIZES) if number % _SIZES[name] == 0)
    return f"{number // _SIZES[unit]}{unit}"


def limit_in_words(resource: Resource, limit: int) -> str:
    """Return a limit as people say it, such as `memory limit of 1 GiB`."""
    if resource is Resource.MEMORY:
        return _("memory limit of %(size)s", size=size(limit))
    return _("limit of %(limit)s processes and threads", limit=limit)
