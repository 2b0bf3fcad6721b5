"""Downtime: time in which nobody could report to the hub. It counts for no idleness and for no deadline (ADR 66).

The sweeps of a hub say when it was up. Where one comes much later than the one before, the hub was down in between, or
its store, or the clock has jumped. A clock that jumps looks the same as a hub that was down, and is treated alike.
"""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from hubless.domain.values import value

MOST_SPANS = 16  # that a record keeps: the last one and the longest
FIRST_REPORTS = timedelta(seconds=5)  # after a downtime, until edges have reported what they saw meanwhile
CLOCK_DOUBT = timedelta(hours=1)  # after a downtime, until nobody will set the clock back any more
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@value
class Span:
    """A downtime."""

    began_at: datetime
    ended_at: datetime

    def overlap(self, since: datetime, until: datetime) -> timedelta:
        """Return how much of the time between *since* and *until* is in this span."""
        return max(min(self.ended_at, until) - max(self.began_at, since), timedelta())


@value
class Uptime:
    """When something was up: at *up_at* for the last time that is known, and before, except in *downtimes*."""

    up_at: datetime | None = None
    downtimes: tuple[Span, ...] = ()  # in order; they do not overlap

    def seen(self, now: datetime, longest_pause: timedelta, *, is_start: bool = False) -> "Uptime":
        """Return the record after it was seen up at *now*.

        Args:
            now: by the hub's clock; an instant before *up_at* says that the clock was set back.
            longest_pause: between two sights, that is no downtime.
            is_start: whether the process is new: then it was down, however short the time.
        """
        if self.up_at is None:
            return Uptime(now, (Span(now, now),))
        known = tuple(Span(min(one.began_at, now), min(one.ended_at, now)) for one in self.downtimes)
        if is_start or now - self.up_at > longest_pause:
            known = _bounded((*known, Span(min(self.up_at, now), now)))
        return Uptime(now, known)

    def down_between(self, since: datetime, now: datetime, longest_pause: timedelta | None = None) -> timedelta:
        """Return how long it was down between *since* and *now*.

        With *longest_pause* that includes a downtime whose end nobody has noted yet.
        """
        spans = self.downtimes
        if longest_pause is not None and self.up_at is not None and now - self.up_at > longest_pause:
            spans = (*spans, Span(self.up_at, now))
        return sum((span.overlap(since, now) for span in spans), timedelta())

    def knows(self, now: datetime, report_interval: timedelta) -> bool:
        """Say whether at *now* everything was reported that happened in the last downtime."""
        return not self.downtimes or now >= self.downtimes[-1].ended_at + report_interval + FIRST_REPORTS


@value
class Uptimes:
    """When the hub was up, and when its edges could report what they see."""

    hub: Uptime = Uptime()
    edges: Uptime = Uptime()

    def seen(self, now: datetime, longest_pause: timedelta, *, edges_report: bool, is_start: bool = False) -> "Uptimes":
        """Return the records after the hub was seen up at *now*, and its edges if *edges_report*.

        Edges that did not report the last time have come back, and were down for however short a time.
        """
        is_back = is_start or not self.edges_report
        edges = self.edges.seen(now, longest_pause, is_start=is_back) if edges_report else self.edges
        return Uptimes(self.hub.seen(now, longest_pause, is_start=is_start), edges)

    def sure_at(self, now: datetime, longest_pause: timedelta) -> datetime:
        """Return the instant by which to remove what has expired, or grown too old, at *now*.

        A clock that has jumped is set back soon. Until then what has expired by the jump alone is kept.
        """
        doubted = (
            span.began_at
            for span in self.hub.downtimes
            if span.ended_at - span.began_at > longest_pause and now - span.ended_at < CLOCK_DOUBT
        )
        return min(doubted, default=now)

    @property
    def edges_report(self) -> bool:
        """Say whether edges could report when the hub was seen up last."""
        return self.edges.up_at is not None and self.edges.up_at == self.hub.up_at


def encode(uptimes: Uptimes) -> str:
    """Return *uptimes* as a text for a store."""
    return json.dumps([_facts(uptimes.hub), _facts(uptimes.edges)], separators=(",", ":"))


def decode(text: str) -> Uptimes:
    """Return what `encode` wrote as *text*; nothing was ever seen up if it is empty."""
    if not text:
        return Uptimes()
    hub, edges = json.loads(text)
    return Uptimes(_uptime(hub), _uptime(edges))


def _facts(uptime: Uptime) -> list[int]:
    """Return all instants in microseconds: when it was up, then each downtime's begin and end."""
    instants = [] if uptime.up_at is None else [uptime.up_at]
    instants += [at for span in uptime.downtimes for at in (span.began_at, span.ended_at)]
    return [(at - _EPOCH) // _MICROSECOND for at in instants]


def _uptime(facts: Sequence[int]) -> Uptime:
    if not facts:
        return Uptime()
    up_at, *ends = (_EPOCH + _MICROSECOND * at for at in facts)
    return Uptime(up_at, tuple(Span(*pair) for pair in zip(ends[::2], ends[1::2], strict=True)))


def _bounded(spans: Sequence[Span]) -> tuple[Span, ...]:
    """Return *spans* without the shortest of those that are too many; the last one stays."""
    *others, last = spans
    longest = sorted(others, key=lambda span: span.ended_at - span.began_at)[-(MOST_SPANS - 1) :]
    return (*(span for span in others if span in longest), last)
