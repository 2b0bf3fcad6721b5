"""What Fargate asks for an hour on demand, in us-east-1: the numbers of operations/prices.toml, as a test compares.

Fargate Spot costs up to 70 % less, by a price that changes by the hour; nothing here knows it.
"""

from decimal import Decimal
from typing import Final

from hubless.domain.tariffs import Tariff, micros

CPU_HOUR: Final = {"X86_64": Decimal("0.04048"), "ARM64": Decimal("0.03238")}  # US dollars
GB_HOUR: Final = {"X86_64": Decimal("0.004445"), "ARM64": Decimal("0.00356")}


def tariff_of(architecture: str, currency: str) -> Tariff:
    """Return Fargate's prices for an *architecture*: `X86_64` or `ARM64`."""
    return Tariff(micros(CPU_HOUR[architecture]), micros(GB_HOUR[architecture]), 0, currency)
