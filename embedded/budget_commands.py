"""`hubless budget`: lists, sets and removes budgets while the hub runs or not."""
# ruff: noqa: PLC0415 a command loads what it needs

import json
from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path

import click

from embedded import opening
from embedded.audit_report import record
from hubless.domain.audit import Act
from hubless.domain.budgets import Budget, Standing
from operations import commands

_HOUR = 3600


@click.group()
def budget() -> None:
    """Limit how long servers run, what they cost, and how many run at once."""


@budget.command("list")
@opening.which_hub
@commands.JSON
def list_budgets(*, data: Path, file: Path | None, stage: str | None, as_json: bool) -> None:
    """List the budgets, and how much of each is used."""
    with opening.hub(data, file, stage) as hub:
        found = hub.budgets.overview()
        fixed = {one.name for one in hub.settings.budgets}
        if as_json:
            click.echo(json.dumps([_facts(*one, fixed=one[0].name in fixed) for one in found], ensure_ascii=False))
            return
        for one, standings in found:
            click.echo(f"{one.name}  ({_whose(one)}{', of the settings' if one.name in fixed else ''})")
            for line in _lines(one, standings, hub.currency):
                click.echo(f"  {line}")


@budget.command("set")
@click.argument("name")
@opening.which_hub
@click.option("--group", default="", help="The group whose members' servers it limits.  [default: everybody's]")
@click.option("--user", default="", help="The user whose servers it limits.")
@click.option(
    "--each-user", is_flag=True, help="Give everybody a budget of their own, instead of one for all together."
)
@click.option("--total", is_flag=True, help="Do not begin anew with each month.")
@click.option("--hours", type=click.FloatRange(0), help="Hours that servers may run, added up.")
@click.option("--money", metavar="AMOUNT", help="What they may cost.")
@click.option("--servers", type=click.IntRange(0), help="Servers that may be active at once.")
@click.option("--cpus", type=click.FloatRange(0), help="CPUs of servers that may be active at once.")
def set_budget(
    *,
    name: str,
    data: Path,
    file: Path | None,
    stage: str | None,
    group: str,
    user: str,
    each_user: bool,
    total: bool,
    hours: float | None,
    money: str | None,
    servers: int | None,
    cpus: float | None,
) -> None:
    """Set the budget NAME, in place of one of the same name.

    It counts at once, also for servers that run, and with what ended servers have used in this month.
    """
    from hubless.domain.tariffs import micros

    with opening.hub(data, file, stage) as hub:
        hub.budgets.put(
            Budget(
                name,
                group=group,
                user=user,
                is_each=each_user,
                is_monthly=not total,
                servers=servers,
                cpu_millis=None if cpus is None else round(cpus * 1000),
                seconds=None if hours is None else round(hours * _HOUR),
                cost_micros=None if money is None else micros(_decimal(money)),
            )
        )
        record(hub, Act.BUDGET_SET, name)
        click.echo(f"The budget {name} counts from now on.")


@budget.command("remove")
@click.argument("name")
@opening.which_hub
def remove_budget(*, name: str, data: Path, file: Path | None, stage: str | None) -> None:
    """Remove the budget NAME. Budgets of the settings are removed there."""
    with opening.hub(data, file, stage) as hub:
        hub.budgets.remove(name)
        record(hub, Act.BUDGET_REMOVED, name)
        click.echo(f"Removed the budget {name}.")


def _decimal(text: str) -> Decimal:
    from decimal import InvalidOperation

    try:
        amount = Decimal(text)
    except InvalidOperation:
        amount = Decimal("nan")
    if not amount.is_finite() or not 0 <= amount <= 10**9:
        raise click.BadParameter("give a number such as 250 or 99.50", param_hint="--money")
    return amount


def _whose(one: Budget) -> str:
    whose = f"the user {one.user}" if one.user else f"the group {one.group}" if one.group else "the hub"
    each = f"each member of {whose}" if one.group else "each user"
    return (each if one.is_each else whose) + (", by month" if one.is_monthly else ", in total")


def _lines(one: Budget, standings: Sequence[Standing], currency: str) -> Iterator[str]:
    for standing in standings:
        used, limit = standing.in_words(currency)
        yield f"{used} of {limit}"
    if not standings:
        for resource, most in _limits(one).items():
            yield f"{resource}: {most:g}"


def _limits(one: Budget) -> dict[str, float]:
    limits = {
        "servers": one.servers,
        "cpus": None if one.cpu_millis is None else one.cpu_millis / 1000,
        "hours": None if one.seconds is None else one.seconds / _HOUR,
        "money": None if one.cost_micros is None else one.cost_micros / 1_000_000,
    }
    return {name: limit for name, limit in limits.items() if limit is not None}


def _facts(one: Budget, standings: Sequence[Standing], *, fixed: bool) -> dict[str, object]:
    return {
        "name": one.name,
        "group": one.group,
        "user": one.user,
        "each_user": one.is_each,
        "period": "month" if one.is_monthly else "total",
        "from_settings": fixed,
        "limits": _limits(one),
        "used": {standing.resource.value: standing.used for standing in standings},
    }
