"""Capacity units of load balancers: AWS bills the dimension of which an hour uses most.

Source of the dimensions: aws.amazon.com/elasticloadbalancing/pricing, as in handbook.vantage.sh (elb-pricing).
"""

from decimal import Decimal

from hubless.domain.values import value


@value(kw_only=True)
class Load:
    """The load in an average hour; *requests* and *new_connections* are those of a second."""

    new_connections: Decimal = Decimal(0)
    open_connections: Decimal = Decimal(0)
    gb: Decimal = Decimal(0)
    requests: Decimal = Decimal(0)
    rules: Decimal = Decimal(0)  # that a request looks at


@value(kw_only=True)
class Unit:
    """What one unit serves. A balancer without rules has no *evaluations*."""

    new_connections: Decimal  # a second
    open_connections: Decimal
    gb: Decimal  # an hour
    evaluations: Decimal | None = None  # of rules, a second
    free_rules: Decimal = Decimal(0)

    def hours(self, load: Load, hours: Decimal) -> Decimal:
        """Return the unit-hours of *hours* with this *load*."""
        used = [
            load.new_connections / self.new_connections,
            load.open_connections / self.open_connections,
            load.gb / self.gb,
        ]
        if self.evaluations:
            used.append(load.requests * max(Decimal(0), load.rules - self.free_rules) / self.evaluations)
        return max(used) * hours


ALB = Unit(
    new_connections=Decimal(25),
    open_connections=Decimal(3_000),
    gb=Decimal(1),
    evaluations=Decimal(1_000),
    free_rules=Decimal(10),
)
NLB = Unit(new_connections=Decimal(800), open_connections=Decimal(100_000), gb=Decimal(1))
NLB_TLS = Unit(new_connections=Decimal(50), open_connections=Decimal(3_000), gb=Decimal(1))
