"""The bill as text and as JSON."""

from collections.abc import Iterator
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from operations.cost.amounts import Amounts, Demand
from operations.cost.bill import Bill, Goal, Group, bill, free_of_cloudfront, goals, idle, of_the_goals
from operations.cost.prices import Prices
from operations.errors import OperationsError

_CENT = Decimal("0.01")


def require_prices(demand: Demand, prices: Prices) -> None:
    """Check that the table has the price of each part of the hub.

    Raises:
        OperationsError: naming the part without a price.
    """
    if demand.edge == "economy" and f"ec2_hour.{demand.instance_type}" not in prices.table:
        raise OperationsError(
            f"The price of {demand.instance_type} is unknown. Add it to [ec2_hour] in operations/prices.toml"
        )


def text(demand: Demand, prices: Prices, amounts: Amounts) -> str:
    """Return the bill as a table."""
    full, empty = bill(demand, prices, amounts), idle(demand, prices, amounts)
    return "\n".join(
        [
            f"One month: {demand.users} users, {demand.hours} hours a day on {demand.days} days; edge: {demand.edge}.",
            f"Prices of {prices.region} on {prices.as_of}, for a stage in any region; without free tiers.",
            *_table(full),
            "",
            _row("Total", full.total(), ""),
            _row("Total without users", empty.total(), ""),
            "",
            *map(_goal, goals(demand, prices, amounts)),
            *_beside_the_goals(demand, prices, amounts),
            f"CloudFront's free tier reduces the total by ${_cents(free_of_cloudfront(demand, prices, amounts))}.",
            _unsourced(prices),
        ]
    )


def as_json(demand: Demand, prices: Prices, amounts: Amounts) -> dict[str, Any]:
    """Return the bill as data for JSON. Amounts of money are strings, exact to the cent."""
    full, empty = bill(demand, prices, amounts), idle(demand, prices, amounts)
    return {
        "region": prices.region,
        "prices_as_of": prices.as_of.isoformat(),
        "users": demand.users,
        "edge": demand.edge,
        "lines": [
            {"group": line.group, "part": line.part, "usd": _cents(line.usd), "what": line.what} for line in full.lines
        ],
        "totals": {group.value: _cents(full.total(group)) for group in Group}
        | {"all": _cents(full.total()), "idle": _cents(empty.total())},
        "goals": [
            {"what": goal.what, "usd": _cents(goal.usd), "at_most": _cents(goal.at_most), "met": goal.is_met}
            for goal in goals(demand, prices, amounts)
        ],
    }


def _table(full: Bill) -> Iterator[str]:
    for group in Group:
        lines = [line for line in full.lines if line.group is group]
        if lines:
            yield ""
            yield _row(group.capitalize(), full.total(group), "")
            yield from (
                _row(f"  {line.part}", line.usd, line.what) for line in sorted(lines, key=lambda line: -line.usd)
            )


def _row(name: str, usd: Decimal, what: str) -> str:
    return f"{name:<26}{_cents(usd):>12}  {what}".rstrip()


def _goal(goal: Goal) -> str:
    return f"Goal, {goal.what}: ${_cents(goal.usd)} of at most ${goal.at_most}: {'met' if goal.is_met else 'NOT met'}"


def _beside_the_goals(demand: Demand, prices: Prices, amounts: Amounts) -> Iterator[str]:
    if demand.edge != "economy":
        yield "The goals are those of the economy edge."
    if demand.edge == "alb":
        usd = of_the_goals(demand, prices, amounts)
        yield f"Control plane and JupyterLab's requests of these {demand.users:,} users: ${_cents(usd)}."
        yield "There are goals for 200 and 2,000 users, which is more than the rules of a load balancer serve."
    if not demand.polls_less:
        yield "The tabs of this image ask five times as often as those of images/singleuser (docs/images.md)."


def _cents(usd: Decimal) -> str:
    return str(usd.quantize(_CENT, ROUND_HALF_UP))


def _unsourced(prices: Prices) -> str:
    unsourced = [name for name, price in prices.table.items() if not price.is_sourced]
    told = f"no source confirms that of {', '.join(unsourced)}" if unsourced else "each has a source"
    return f"{len(prices.table)} prices: {told} (operations/prices.toml)."
