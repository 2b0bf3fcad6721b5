"""Estimate what a trial spends, from what runs and the prices of `hubless cost`.

It is an estimate: AWS's own figures come a day late, so an AWS Budget cannot stop a trial in time.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from hubless.domain.values import value
from hubless.settings.stage import StageSettings
from operations.cost.amounts import HOURS, Amounts
from operations.cost.bill import bill, idle
from operations.cost.demand import demand_of
from operations.cost.prices import Prices, known
from operations.cost.report import require_prices
from operations.errors import OperationsError

CLEAN_UP = timedelta(minutes=45)  # CloudFront takes most of it


_NOTHING = Decimal(0)


class SpendLimitError(OperationsError):
    """Raised when a trial would spend more than its limit."""


@value
class Rates:
    """Dollars an hour: of the stage with its edge running, and of one server."""

    stage: Decimal
    server: Decimal

    def of(self, servers: int) -> Decimal:
        """Return the dollars an hour with *servers*."""
        return self.stage + servers * self.server


def rates_of(settings: StageSettings, prices: Prices | None = None, amounts: Amounts | None = None) -> Rates:
    """Return the rates of a stage. An edge that autosuspends counts as running, and a server counts with its launch.

    Raises:
        OperationsError: if the price of the edge's instance is unknown.
    """
    prices, amounts = prices or known(), amounts or Amounts()
    demand = demand_of(0, {}, settings)
    require_prices(demand, prices)
    standing = idle(demand, prices, amounts).total()
    one_hour = replace(
        demand, users=1, hours=Decimal(1), days=Decimal(1), home_gb=Decimal(0)
    )  # files of an hour cost nothing
    instance = prices.usd(f"ec2_hour.{demand.instance_type}") if demand.edge == "economy" else Decimal(0)
    return Rates(standing / HOURS + instance, bill(one_hour, prices, amounts).total() - standing)


class Spend:
    """The dollars of one trial.

    Args:
        rates: what an hour costs.
        limit: dollars that the trial must not exceed.
        clock: returns seconds.
        spent: dollars before this run of the command.
    """

    def __init__(self, rates: Rates, limit: Decimal, clock: Callable[[], float], spent: Decimal = _NOTHING) -> None:
        self.limit, self.spent, self.servers = limit, spent, 0
        self._rates, self._clock, self._counted_until = rates, clock, clock()

    def count(self) -> Decimal:
        """Add what was spent since the last count. Return the sum."""
        now = self._clock()
        self.spent += _usd(self._rates.of(self.servers), timedelta(seconds=now - self._counted_until))
        self._counted_until = now
        return self.spent

    def count_pause(self, seconds: float, servers: int) -> None:
        """Add what a stage with *servers* spent while no command ran, after one was killed."""
        self.spent += _usd(self._rates.of(servers), timedelta(seconds=max(0.0, seconds)))

    def require_room(self, longest: timedelta, servers: int) -> None:
        """Check that *longest* with *servers*, and the clean-up after it, stay within the limit.

        Raises:
            SpendLimitError: if they may not.
        """
        rate = self._rates.of(max(servers, self.servers))
        at_worst = self.count() + _usd(rate, longest) + _usd(rate, CLEAN_UP)
        if at_worst > self.limit:
            raise SpendLimitError(
                f"The next step may bring the estimate to ${at_worst:.2f}, and the limit is ${self.limit:.2f}"
            )

    def check(self) -> None:
        """Count, and check that the clean-up still fits.

        Raises:
            SpendLimitError: if it does not.
        """
        self.require_room(timedelta(0), self.servers)


def _usd(rate: Decimal, duration: timedelta) -> Decimal:
    return rate * Decimal(duration.total_seconds()) / 3600
