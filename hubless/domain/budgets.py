"""Budgets: how long servers of the hub, a group or a user may run, what they may cost, and how many may run at once.

What a budget has used grows with each second, so nothing stores it. A ledger stores what does not change by itself: the
sums of ended launches, the number of running ones, and the sum of the instants at which those began. From that the use
at any instant follows (`Ledger.used`). Ledgers change only in the transactions that start and end servers.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final

from hubless.domain.errors import InvalidRequestError
from hubless.domain.lifecycle import Server
from hubless.domain.metering import MICROS, Metering
from hubless.domain.translatable import Message, ngettext
from hubless.domain.translatable import gettext as _
from hubless.domain.usage import EPOCH, Totals, TotalsOf, month_of
from hubless.domain.users import User
from hubless.domain.values import value

_HOUR: Final = 3600  # seconds
_NAME: Final = re.compile(r"\w[\w .-]{0,63}")
_MOST: Final = 10**15
MOST_AMOUNT: Final = 10**9  # hours, units of money, servers or CPUs: what an admin may type
MOST_BUDGETS: Final = 200  # that admins set: each start reads them
WARN_AT: Final = (4, 5)  # of a budget, as a fraction: whoever has used as much is told


_MARK, _TOTAL, _MONTH = "#", "total", "month"  # in marks of alerts


class Alert(StrEnum):
    """What mails tell of a budget."""

    NEARLY_USED = "nearly"
    USED_UP = "used"


class Resource(StrEnum):
    """What a budget can limit."""

    SERVERS = "servers"
    CPUS = "cpus"
    HOURS = "hours"
    MONEY = "money"


@value
class Budget:
    """A budget; each of its limits counts, and None is no limit.

    Args:
        name: its name, unique in the hub.
        group: whose servers it limits; empty for all.
        user: the name of the user whose servers it limits; empty for all.
        is_each: whether it is a budget of each user, and not one of all together.
        is_monthly: whether hours and money begin anew with each month in UTC.
        servers: that are active at once.
        cpu_millis: thousandths of CPUs of servers that are active at once.
        seconds: that servers run.
        cost_micros: millionths of the currency that they cost.
    """

    name: str
    group: str = ""
    user: str = ""
    is_each: bool = False
    is_monthly: bool = True
    servers: int | None = None
    cpu_millis: int | None = None
    seconds: int | None = None
    cost_micros: int | None = None

    @property
    def limits(self) -> dict[Resource, int]:
        """Return the limits that it has, in servers, thousandths of CPUs, seconds and millionths of the currency."""
        found = {
            Resource.SERVERS: self.servers,
            Resource.CPUS: self.cpu_millis,
            Resource.HOURS: self.seconds,
            Resource.MONEY: self.cost_micros,
        }
        return {resource: limit for resource, limit in found.items() if limit is not None}

    def ledger_of(self, owner_id: str, owner_name: str, groups: Iterable[str]) -> str | None:
        """Return the key of the ledger that this budget has for a user's servers; None if it is not about them."""
        if (self.user and self.user != owner_name) or (self.group and self.group not in groups):
            return None
        if self.user or self.is_each:
            return f"{TotalsOf.USER}#{owner_id}"
        return f"{TotalsOf.GROUP}#{self.group}" if self.group else f"{TotalsOf.HUB}#"


@value
class Ledger:
    """What the servers of one user, one group or the hub use together.

    Args:
        key: what it is about, such as `group#physics`.
        servers: that are active.
        cpu_millis: of those, thousandths of CPUs.
        price_micros: of those, millionths of the currency for an hour.
        began: the sum of the instants at which those were requested, in seconds since 1970.
        price_began: the sum of the same, each times its price.
        seconds: that ended launches ran.
        cost: what ended launches cost, in millionths of the currency times 3600.
        month: the month in UTC of the last change, such as `2026-11`.
        seconds_before: what had been used when that month began.
        cost_before: the same of the cost, in the unit of *cost*.
        told: when a budget's notice began, by its name; and when mails told of it, by `mark_of`.
        changes: how often it was changed.
    """

    key: str
    month: str
    servers: int = 0
    cpu_millis: int = 0
    price_micros: int = 0
    began: int = 0
    price_began: int = 0
    seconds: int = 0
    cost: int = 0
    seconds_before: int = 0
    cost_before: int = 0
    told: Mapping[str, int] = field(default_factory=dict, hash=False)
    changes: int = 0

    def used(self, now: datetime, *, in_month: bool) -> tuple[int, int]:
        """Return the seconds and the cost (in the unit of *cost*) until *now*, of the month or in total."""
        at = in_seconds(now)
        seconds = self.seconds + self.servers * at - self.began
        cost = self.cost + self.price_micros * at - self.price_began
        return (seconds - self.seconds_before, cost - self.cost_before) if in_month else (seconds, cost)

    def in_month_of(self, now: datetime) -> "Ledger":
        """Return the ledger as it is in the month of *now*: what was used before no longer counts for the month.

        All its servers began before the new month, because the first change in a month comes after this one.
        """
        month = month_of(now)
        if month <= self.month:  # a clock that is behind changes nothing
            return self
        first = now.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        seconds, cost = self.used(first, in_month=False)
        told = {mark: at for mark, at in self.told.items() if mark.split(_MARK)[2:3] == [_TOTAL]}
        return replace(self, month=month, seconds_before=seconds, cost_before=cost, told=told, changes=self.changes + 1)

    def joined(self, server: Server) -> "Ledger":
        """Return the ledger with an active *server* more."""
        return self._with(server, 1)

    def left(self, server: Server, used: Totals) -> "Ledger":
        """Return the ledger without a *server* that has ended, and with what its launch used."""
        less, price = self._with(server, -1), _metering(server).price_micros
        return replace(less, seconds=less.seconds + used.seconds, cost=less.cost + used.seconds * price)

    def _with(self, server: Server, number: int) -> "Ledger":
        metering, at = _metering(server), begin_of(server)
        return replace(
            self,
            servers=self.servers + number,
            cpu_millis=self.cpu_millis + number * metering.cpu_millis,
            price_micros=self.price_micros + number * metering.price_micros,
            began=self.began + number * at,
            price_began=self.price_began + number * at * metering.price_micros,
            changes=self.changes + 1,
        )


@value
class Claim:
    """Under which condition a server that starts may join a ledger; None is no limit.

    Launches that join or leave at the same moment change none of these numbers: they begin with a use of 0, and end
    with what they had. So a store needs no look at the clock.
    """

    key: str
    month: str
    servers: int | None = None  # active with this one
    cpu_millis: int | None = None
    price_micros: int | None = None

    def admits(self, ledger: Ledger) -> bool:
        """Say whether *ledger*, with the new server in it, is within the limits."""
        return (
            ledger.month == self.month
            and (self.servers is None or ledger.servers <= self.servers)
            and (self.cpu_millis is None or ledger.cpu_millis <= self.cpu_millis)
            and (self.price_micros is None or ledger.price_micros <= self.price_micros)
        )


@value
class Standing:
    """How much of one limit of a budget is used.

    Args:
        budget: the budget.
        resource: the limit.
        used: in the unit of *limit*: servers, thousandths of CPUs, seconds or millionths of the currency.
        limit: the most.
    """

    budget: Budget
    resource: Resource
    used: int
    limit: int

    @property
    def is_nearly_used(self) -> bool:
        """Say whether its people are told: hours or money are used to four fifths."""
        part, of = WARN_AT
        return self.adds_up and self.used * of >= self.limit * part

    @property
    def adds_up(self) -> bool:
        """Say whether what ended launches used counts too."""
        return self.resource in {Resource.HOURS, Resource.MONEY}

    @property
    def is_used_up(self) -> bool:
        """Say whether nothing is left."""
        return self.used >= self.limit

    def sentence(self, currency: str) -> Message:
        """Return how much is used, for people."""
        used, limit = self.in_words(currency)
        if self.budget.is_monthly:
            return _(
                "%(used)s of %(limit)s of the budget %(name)s are used in this month.",
                used=used,
                limit=limit,
                name=self.budget.name,
            )
        return _(
            "%(used)s of %(limit)s of the budget %(name)s are used.", used=used, limit=limit, name=self.budget.name
        )

    def in_words(self, currency: str) -> tuple[str, Message | str]:
        """Return the use and the limit, such as "34.5" and "40 hours"."""
        match self.resource:
            case Resource.HOURS:
                return f"{self.used / _HOUR:.1f}", _("%(count)s hours", count=f"{self.limit / _HOUR:g}")
            case Resource.MONEY:
                return f"{currency}{self.used / MICROS:.2f}", f"{currency}{self.limit / MICROS:.2f}"
            case Resource.CPUS:
                return f"{self.used / 1000:g}", _("%(count)s CPUs", count=f"{self.limit / 1000:g}")
            case Resource.SERVERS:
                return str(self.used), ngettext("%(count)s server", "%(count)s servers", self.limit)


@value
class AlertRequest:
    """A mail about a budget that a sweep asks a worker to send.

    Args:
        alert: what the mail tells.
        budget: the budget's name.
        ledger: the key of the ledger that it is about.
        to: the address of an admin; empty for the user of the ledger.
    """

    alert: Alert
    budget: str
    ledger: str
    to: str = ""

    @property
    def text(self) -> str:
        """Return it as a text, for a message."""
        return json.dumps([self.alert, self.budget, self.ledger, self.to])

    @classmethod
    def of_text(cls, text: str) -> "AlertRequest":
        """Return the request that has this *text*.

        Raises:
            ValueError: when there is none.
        """
        alert, budget, ledger, to = map(str, json.loads(text))
        return cls(Alert(alert), budget, ledger, to)


def check(budget: Budget) -> None:
    """Check a budget that somebody wants to set.

    Raises:
        InvalidRequestError: when its name is not allowed, it is about two things, or limits nothing.
    """
    if not _NAME.fullmatch(budget.name):
        raise InvalidRequestError("A budget's name is 1 to 64 letters, digits, blanks, `.`, `_` or `-`")
    if budget.user and (budget.group or budget.is_each):
        raise InvalidRequestError("A budget of one user is neither a group's nor each user's")
    limits = (budget.servers, budget.cpu_millis, budget.seconds, budget.cost_micros)
    if all(limit is None for limit in limits):
        raise InvalidRequestError("The budget limits nothing: give hours, money, servers or CPUs")
    if any(limit is not None and not 0 <= limit <= _MOST for limit in limits):
        raise InvalidRequestError("A limit of a budget is a number of at least 0, and not beyond all bounds")


def standings(budget: Budget, ledger: Ledger, now: datetime) -> list[Standing]:
    """Return how much of each limit of *budget* is used at *now*; *ledger* is in the month of *now*."""
    seconds, cost = ledger.used(now, in_month=budget.is_monthly)
    amounts = (
        (Resource.SERVERS, ledger.servers, budget.servers),
        (Resource.CPUS, ledger.cpu_millis, budget.cpu_millis),
        (Resource.HOURS, seconds, budget.seconds),
        (Resource.MONEY, cost // _HOUR, budget.cost_micros),
    )
    return [Standing(budget, resource, used, limit) for resource, used, limit in amounts if limit is not None]


def claim(budgets: Sequence[Budget], ledger: Ledger, now: datetime, notice: timedelta) -> Claim:
    """Return the condition for one server more in *ledger*, which is in the month of *now*.

    Hours and money must last for the *notice* of all servers that run then, because those may run so long before the
    hub stops them. So a class that starts at once cannot use more than there is.
    """
    servers, cpu_millis, price = _Least(), _Least(), _Least()
    length = max(1, int(notice.total_seconds()))
    for budget in budgets:
        seconds, cost = ledger.used(now, in_month=budget.is_monthly)
        servers.add(budget.servers)
        cpu_millis.add(budget.cpu_millis)
        if budget.seconds is not None:
            servers.add(max(0, budget.seconds - seconds) // length)
        if budget.cost_micros is not None:
            left = max(0, budget.cost_micros * _HOUR - cost)
            price.add(left // length if left else -1)  # what costs nothing does not start either when nothing is left
    return Claim(ledger.key, ledger.month, servers.number, cpu_millis.number, price.number)


def refusal(
    budgets: Sequence[Budget], ledger: Ledger, server: Server, now: datetime, notice: timedelta
) -> Standing | None:
    """Return which limit one *server* more would exceed in *ledger*; None if it fits."""
    for budget in budgets:
        if claim([budget], ledger, now, notice).admits(ledger.joined(server)):
            continue
        found = {one.resource: one for one in standings(budget, ledger, now)}
        for resource in Resource:
            only = _only(budget, resource)
            if resource in found and not claim([only], ledger, now, notice).admits(ledger.joined(server)):
                return found[resource]
    return None


def alerts_of(found: Iterable[Standing]) -> frozenset[Alert]:
    """Return what mails tell of a budget whose limits are used as *found* says."""
    nearly = [one for one in found if one.is_nearly_used]
    if not nearly:
        return frozenset()
    return frozenset(Alert) if any(one.is_used_up for one in nearly) else frozenset({Alert.NEARLY_USED})


def mark_of(alert: Alert, budget: Budget) -> str:
    """Return under which key of `Ledger.told` a mail is noted; a budget with other limits has another one."""
    period = _MONTH if budget.is_monthly else _TOTAL
    return _MARK.join(("", alert, period, str(budget.seconds), str(budget.cost_micros), budget.name))


def with_alerts(
    told: Mapping[str, int], budget: Budget, reached: Iterable[Alert], known: Iterable[Budget], at: int
) -> dict[str, int]:
    """Return *told* with a mark of each alert of *budget* that is *reached*, since *at* if it is new.

    Marks of budgets that are not *known* any more, or had other limits, go.
    """
    marks = {mark_of(alert, one) for one in known for alert in Alert}
    kept = {mark: since for mark, since in told.items() if not mark.startswith(_MARK) or mark in marks}
    return {mark_of(alert, budget): at for alert in sorted(reached)} | kept


def ends_at(budget: Budget, ledger: Ledger, now: datetime) -> datetime | None:
    """Return when hours or money of *budget* end if all servers of *ledger* run on; None for never."""
    seconds, cost = ledger.used(now, in_month=budget.is_monthly)
    left = list[int]()
    if budget.seconds is not None and ledger.servers:
        left.append((budget.seconds - seconds) // ledger.servers)
    if budget.cost_micros is not None and ledger.price_micros:
        left.append((budget.cost_micros * _HOUR - cost) // ledger.price_micros)
    return now + timedelta(seconds=max(0, min(left))) if left else None


def in_seconds(at: datetime) -> int:
    """Return *at* as whole seconds since 1970."""
    return (at - EPOCH) // timedelta(seconds=1)


def begin_of(server: Server) -> int:
    """Return from when a server's launch counts in ledgers, in seconds since 1970: from its request."""
    return in_seconds(server.requested_at or server.entered_at)


def keys_of(budgets: Iterable[Budget], owner: User, groups: Iterable[str]) -> dict[str, list[Budget]]:
    """Return the budgets of an owner's servers, by the keys of their ledgers."""
    found: dict[str, list[Budget]] = {}
    known = frozenset(groups)
    for budget in budgets:
        key = budget.ledger_of(owner.id, owner.name, known)
        if key is not None:
            found.setdefault(key, []).append(budget)
    return found


def _metering(server: Server) -> Metering:
    return server.metering or Metering()


def _only(budget: Budget, resource: Resource) -> Budget:
    return replace(
        budget,
        servers=budget.servers if resource is Resource.SERVERS else None,
        cpu_millis=budget.cpu_millis if resource is Resource.CPUS else None,
        seconds=budget.seconds if resource is Resource.HOURS else None,
        cost_micros=budget.cost_micros if resource is Resource.MONEY else None,
    )


class _Least:
    """The least of the limits that were added; None without any."""

    def __init__(self) -> None:
        self.number: int | None = None

    def add(self, number: int | None) -> None:
        if number is not None:
            self.number = number if self.number is None else min(self.number, number)
