"""The operator's commands, for `hubless` to offer beside those of a hub on one machine."""

import contextlib
import json
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import click

from hubless.domain.errors import HublessError
from hubless.settings import DEFAULT_FILE, SettingsError
from hubless.settings.kinds import SIZE

_GIB = 1024**3


class _Number(click.ParamType):
    """A number as it is typed: money is no float."""

    name = "number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Decimal:
        with contextlib.suppress(InvalidOperation):
            if (number := Decimal(str(value))).is_finite() and number >= 0:
                return number
        self.fail(f"{value!r} is not a number of at least 0", param, ctx)


class _Size(click.ParamType):
    """A size in GB."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Decimal:
        with contextlib.suppress(SettingsError):
            if size := SIZE.value(value, "--memory"):
                return Decimal(size) / _GIB
        self.fail(f"{value!r} is not a size such as 512M or 4G", param, ctx)


@contextlib.contextmanager
def in_words() -> Iterator[None]:
    """Show an anticipated failure as the sentence that it is, and leave with 1."""
    try:
        yield
    except (HublessError, SettingsError) as error:
        click.echo(f"hubless: {error}", err=True)
        raise SystemExit(1) from None


SETTINGS = click.option(
    "--settings",
    "file",
    type=click.Path(dir_okay=False, path_type=Path),
    help=f"Settings file.  [default: {DEFAULT_FILE}, where there is one]",
)
STAGE = click.option("--stage", metavar="NAME", default="", help="Which of the settings' [stages].  [default: the only one]")
JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.command()
@click.option("--users", type=click.IntRange(0), required=True, help="People who use the hub.")
@click.option("--hours", type=_Number(), default="8", show_default=True, help="Hours a day for which each has a server.")
@click.option("--days", type=_Number(), default="20", show_default=True, help="Days a month on which they come.")
@click.option("--edge", type=click.Choice(["economy", "fleet", "alb"]), help="What leads to servers.  [default: economy]")
@click.option("--vcpu", type=_Number(), help="Processors of a server.  [default: 1]")
@click.option("--memory", type=_Size(), help="Memory of a server.  [default: 4G]")
@click.option("--architecture", type=click.Choice(["arm", "x86"]), help="What servers run on.  [default: arm]")
@click.option("--spot", type=click.IntRange(0, 100), help="Percent of servers' hours on Fargate Spot.  [default: 0]")
@click.option("--home-gb", type=_Number(), default="1", show_default=True, help="GB of files a user.")
@click.option("--waf/--no-waf", default=None, help="Whether AWS WAF is on.  [default: no]")
@click.option("--stage", metavar="NAME", help="Take what is not given from this one of the settings' [stages].")
@SETTINGS
@JSON
def cost(*, users: int, stage: str | None, file: Path | None, as_json: bool, **given: Any) -> None:
    """Say what a hub in AWS costs a month, part by part."""
    from operations.cost import showing
    from operations.cost.amounts import Amounts
    from operations.cost.demand import demand_of
    from operations.cost.prices import known

    with in_words():
        demand = demand_of(users, given, _stage(file, stage) if stage is not None else None)
        showing.check(demand, known())
        if as_json:
            click.echo(json.dumps(showing.as_json(demand, known(), Amounts()), indent=2))
        else:
            click.echo(showing.text(demand, known(), Amounts()))
