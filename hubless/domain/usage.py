"""Usage: how long each launch ran, to the second, and the totals of days and months that are kept of it.

Days and months are those of UTC. A launch counts in each day for the part that it ran on it. Totals are integers, so
that no order of additions changes them; the days of a month sum to the month, and the parts of a launch to the launch.
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Final

from hubless.domain.lifecycle import Server
from hubless.domain.metering import MICROS, NOTHING, Metering
from hubless.domain.values import value

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_HOUR: Final = 3600  # seconds
_SECOND: Final = timedelta(seconds=1)
_DAY: Final = timedelta(days=1)


@value
class Usage:
    """One launch, written once when it ends."""

    launch_id: str
    server_id: str
    owner_id: str
    profile: str
    started_at: datetime
    ended_at: datetime
    outcome: str  # "stopped", or the failure as a sentence
    metering: Metering = NOTHING

    @property
    def seconds(self) -> float:
        """Return how many seconds it ran."""
        return (self.ended_at - self.started_at).total_seconds()


@value
class Totals:
    """Sums over launches, or over parts of them."""

    launches: int = 0  # that began
    seconds: int = 0
    cpu_millis: int = 0  # thousandths of CPU-seconds
    mib_seconds: int = 0
    gpu_seconds: int = 0
    cost_micros: int = 0

    def __add__(self, other: "Totals") -> "Totals":
        """Return the sum of both."""
        return Totals(
            self.launches + other.launches,
            self.seconds + other.seconds,
            self.cpu_millis + other.cpu_millis,
            self.mib_seconds + other.mib_seconds,
            self.gpu_seconds + other.gpu_seconds,
            self.cost_micros + other.cost_micros,
        )

    @property
    def hours(self) -> float:
        """Return the hours that servers ran."""
        return self.seconds / _HOUR

    @property
    def cpu_hours(self) -> float:
        """Return the hours of CPUs."""
        return self.cpu_millis / 1000 / _HOUR

    @property
    def gib_hours(self) -> float:
        """Return the hours of GiB of memory."""
        return self.mib_seconds / 1024 / _HOUR

    @property
    def gpu_hours(self) -> float:
        """Return the hours of GPUs."""
        return self.gpu_seconds / _HOUR

    @property
    def cost(self) -> Decimal:
        """Return the cost, exact, in the hub's currency."""
        return Decimal(self.cost_micros) / MICROS


class TotalsOf(StrEnum):
    """What totals are kept of: the whole hub, or each profile, group or user."""

    HUB = "hub"
    PROFILE = "profile"
    GROUP = "group"
    USER = "user"


@value
class TotalsRow:
    """The totals of one day or month.

    Args:
        of: what kind of thing the subject is.
        subject: a profile's or group's name, or a user's id; empty for the hub.
        period: a day as `2026-11-28`, or a month as `2026-11`.
        totals: the sums.
    """

    of: TotalsOf
    subject: str
    period: str
    totals: Totals


def usage_of(server: Server, ended_at: datetime) -> Usage | None:
    """Return what the launch of *server* has used by *ended_at*; None if it has no task.

    It counts since it was ready, or since its request if it never was.
    """
    if server.task is None or not server.launch_id:
        return None
    return Usage(
        launch_id=server.launch_id,
        server_id=server.id,
        owner_id=server.owner_id,
        profile=server.profile,
        started_at=server.started_at or server.requested_at or server.entered_at,
        ended_at=ended_at,
        outcome=server.failure or "stopped",
        metering=server.metering or NOTHING,
    )


def month_of(at: datetime) -> str:
    """Return the month of *at* in UTC, as `2026-11`."""
    return f"{at.astimezone(UTC):%Y-%m}"


def days_of(month: str) -> list[str]:
    """Return the days of *month*, as `2026-11-28`.

    Raises:
        ValueError: when it is no month such as `2026-11`.
    """
    year, number = _year_and_month(month)
    first = date(year, number, 1)
    next_first = (first + 31 * _DAY).replace(day=1)
    return [(first + n * _DAY).isoformat() for n in range((next_first - first).days)]


def shifted(month: str, by: int) -> str:
    """Return the month that is *by* months after *month*, or before it.

    Raises:
        ValueError: when it is no month such as `2026-11`, or beyond the years 1 to 9999.
    """
    year, number = _year_and_month(month)
    count = year * 12 + number - 1 + by
    return f"{date(count // 12, count % 12 + 1, 1):%Y-%m}".rjust(7, "0")


def _year_and_month(month: str) -> tuple[int, int]:
    year, dash, number = month.partition("-")
    if dash and len(year) == 4 and len(number) == 2 and (year + number).isascii() and (year + number).isdigit():  # noqa: PLR2004 digits
        return date(int(year), int(number), 1).year, int(number)
    raise ValueError(f"{month[:20]!r} is no month: write it as 2026-11")


def rows_of(usage: Usage) -> list[TotalsRow]:
    """Return what *usage* adds to the totals: to those of each day and month, for each thing that totals are kept of.

    The same usage always makes the same rows in the same order.
    """
    subjects = [(TotalsOf.HUB, ""), (TotalsOf.PROFILE, usage.profile), (TotalsOf.USER, usage.owner_id)]
    subjects += [(TotalsOf.GROUP, group) for group in usage.metering.groups]
    of_period = dict[str, Totals]()
    for day, totals in _parts(usage):
        for period in (day, day[:7]):
            of_period[period] = of_period.get(period, Totals()) + totals
    return [TotalsRow(of, subject, period, totals) for period, totals in of_period.items() for of, subject in subjects]


def _parts(usage: Usage) -> Iterator[tuple[str, Totals]]:
    """Yield each day on which it ran, and what it used on it; whole seconds, begun ones counted, as AWS bills them."""
    began = usage.started_at.astimezone(UTC).replace(microsecond=0)
    length = max(0, -((began - usage.ended_at) // _SECOND))  # a clock may have gone back
    metering, passed = usage.metering, 0
    while True:
        at = began + passed * _SECOND
        midnight = at.replace(hour=0, minute=0, second=0) + _DAY
        until = min(length, passed + (midnight - at) // _SECOND)
        seconds = until - passed
        yield (
            at.date().isoformat(),
            Totals(
                int(passed == 0),
                seconds,
                metering.cpu_millis * seconds,
                metering.memory_mib * seconds,
                metering.gpus * seconds,
                metering.price_micros * until // _HOUR - metering.price_micros * passed // _HOUR,
            ),
        )
        if until >= length:
            return
        passed = until


def sum_of(usage: Usage) -> Totals:
    """Return all that a launch used."""
    return sum((totals for _day, totals in _parts(usage)), Totals())


def summed(rows: Iterable[TotalsRow]) -> dict[str, Totals]:
    """Return the totals of *rows* by subject."""
    found = dict[str, Totals]()
    for row in rows:
        found[row.subject] = found.get(row.subject, Totals()) + row.totals
    return found
