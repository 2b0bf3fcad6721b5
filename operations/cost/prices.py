"""The prices of AWS, from operations/prices.toml."""

import tomllib
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from functools import lru_cache
from pathlib import Path

from hubless.domain.values import value

FILE = Path(__file__).parents[1] / "prices.toml"


@value(kw_only=True)
class Price:
    """A price in US dollars, and the source that says so, read on a day.

    A price that no source confirmed names what was *tried* instead.
    """

    usd: Decimal
    source: str = ""
    read: date | None = None
    tried: str = ""
    about: str = ""

    @property
    def is_sourced(self) -> bool:
        return bool(self.source and self.read)


@value
class Prices:
    """Prices by section and name, such as `dynamodb.million_reads`."""

    as_of: date
    region: str
    table: Mapping[str, Price]

    def usd(self, name: str) -> Decimal:
        """Return the price of one unit."""
        return self.table[name].usd

    def of_million(self, name: str, amount: Decimal) -> Decimal:
        """Return the price of *amount* units, for what is sold by the million."""
        return self.usd(name) * amount / 1_000_000


def parse(text: str) -> Prices:
    """Parse the prices of a TOML *text*, as exact decimals."""
    read = tomllib.loads(text, parse_float=Decimal)
    sections = {section: table for section, table in read.items() if isinstance(table, dict)}
    table = {
        f"{section}.{name}": Price(**facts) for section, prices in sections.items() for name, facts in prices.items()
    }
    return Prices(read["as_of"], read["region"], table)


@lru_cache(maxsize=1)
def known() -> Prices:
    """Return the prices that hubless ships."""
    return parse(FILE.read_text(encoding="utf-8"))
