"""The list `[[budgets]]`."""

from collections.abc import Iterable
from decimal import Decimal

from hubless.domain.budgets import Budget
from hubless.domain.tariffs import micros
from hubless.domain.values import value
from hubless.settings.profiles import PRICE
from hubless.settings.types import CPUS, FLAG, NAME, TEXT, SettingsError, choice, count, setting

_HOUR = 3600


@value
class BudgetSettings:
    """One of `[[budgets]]`: how long servers may run, what they may cost, and how many may run at once."""

    name: str = setting(None, NAME, "The budget's name, which its people read")
    group: str = setting("", TEXT, "The group whose members' servers it limits; empty for everybody's")
    user: str = setting("", TEXT, "The user whose servers it limits, instead of a group's")
    each_user: bool = setting(
        False, FLAG, "Whether everybody has a budget of their own, instead of one for all of them together"
    )
    period: str = setting(
        "month", choice("month", "total"), "Whether hours and money begin anew with each month in UTC"
    )
    hours: float | None = setting("", PRICE, "Hours that servers may run, added up; empty for no limit")
    money: float | None = setting("", PRICE, "What they may cost, in `hub.currency`; empty for no limit")
    servers: int = setting(0, count(0), "Servers that may be active at once; 0 for no limit")
    cpus: float | None = setting(0, CPUS, "CPUs of servers that may be active at once; 0 for no limit")


def budgets_of(given: Iterable[BudgetSettings]) -> tuple[Budget, ...]:
    """Return the budgets of the settings.

    Raises:
        SettingsError: naming the key that is missing, or has no effect.
    """
    return tuple(map(_budget, given))


def _budget(given: BudgetSettings) -> Budget:
    where = f"budgets.{given.name}"
    if given.user and (given.group or given.each_user):
        raise SettingsError(f"{where}.user is one user: remove group and each_user")
    if given.hours is None and given.money is None and not given.servers and not given.cpus:
        raise SettingsError(f"{where} limits nothing: set hours, money, servers or cpus")
    return Budget(
        given.name,
        group=given.group,
        user=given.user,
        is_each=given.each_user,
        is_monthly=given.period == "month",
        servers=given.servers or None,
        cpu_millis=round(given.cpus * 1000) if given.cpus else None,
        seconds=None if given.hours is None else round(given.hours * _HOUR),
        cost_micros=None if given.money is None else micros(Decimal(str(given.money))),
    )
