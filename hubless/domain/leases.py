"""Leases: of each key at most so many at a time. A lease ends at its instant, or when its holder gives it back.

A holder that crashes holds nothing for ever. Each process has its own clock: a lease may end early or late by as much
as two clocks differ.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta

from hubless.domain.values import value

# Clocks differ by milliseconds, at times by seconds. A wrong clock wrote a lease that ends a minute after any new one.
WRONG_CLOCK = timedelta(minutes=1)


@value
class Lease:
    """One lease of *key*, until an instant."""

    key: str
    id: str
    until: datetime


@value
class NoLease:
    """Each lease of the key has a holder; the next one ends at *until*."""

    until: datetime


def live(ends: Mapping[str, datetime], now: datetime, latest: datetime) -> dict[str, datetime]:
    """Return the leases of *ends* (ends by id) that count at *now*; *latest* is the last end of a new one."""
    return {held: end for held, end in ends.items() if now < end <= latest + WRONG_CLOCK}


def answer(ends: Mapping[str, datetime], key: str, limit: int, lease_id: str) -> Lease | NoLease | None:
    """Return the lease if it is held already, or when there is one again; None if one can be given now.

    Args:
        ends: when the leases of *key* end that count, by their ids.
        key: of the leases.
        limit: how many there may be.
        lease_id: which lease somebody claims.
    """
    if lease_id in ends:
        return Lease(key, lease_id, ends[lease_id])
    if len(ends) < limit:
        return None
    return NoLease(sorted(ends.values())[len(ends) - max(limit, 1)])
