"""The operator's commands, for `hubless` to offer beside those of a hub on one machine."""

import contextlib
import json
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hubless.domain.errors import HublessError
from hubless.settings import DEFAULT_FILE, SettingsError
from hubless.settings.kinds import SIZE

if TYPE_CHECKING:
    from hubless.settings.stage import Stage

_GIB = 1024**3


def _number(given: Any) -> Decimal:
    """Return a number as it is typed: money is no float."""
    with contextlib.suppress(InvalidOperation):
        if (number := Decimal(given)).is_finite() and number >= 0:
            return number
    raise click.BadParameter(f"{given!r} is not a number of at least 0")


def _gigabytes(given: Any) -> Decimal:
    with contextlib.suppress(SettingsError):
        if size := SIZE.value(given, ""):
            return Decimal(size) / _GIB
    raise click.BadParameter(f"{given!r} is not a size such as 512M or 4G")


@contextlib.contextmanager
def in_words() -> Iterator[None]:
    """Show an anticipated failure as the sentence that it is, and leave with 1."""
    try:
        yield
    except (HublessError, SettingsError) as error:
        click.echo(f"hubless: {error}", err=True)
        raise SystemExit(1) from None


def stage_of(file: Path | None, name: str) -> "Stage":
    """Return the stage of that name, or the only one.

    Raises:
        SettingsError: when there is none.
    """
    from hubless.settings.stage import load_stage

    default = Path(DEFAULT_FILE)
    return load_stage(file or (default if default.exists() else None), name)


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
@click.option("--hours", type=_number, metavar="NUMBER", default="8", show_default=True, help="Hours a day for which each has a server.")
@click.option("--days", type=_number, metavar="NUMBER", default="20", show_default=True, help="Days a month on which they come.")
@click.option("--edge", type=click.Choice(["economy", "fleet", "alb"]), help="What leads to servers.  [default: economy]")
@click.option("--vcpu", type=_number, metavar="NUMBER", help="Processors of a server.  [default: 1]")
@click.option("--memory", type=_gigabytes, metavar="SIZE", help="Memory of a server.  [default: 4G]")
@click.option("--architecture", type=click.Choice(["arm", "x86"]), help="What servers run on.  [default: arm]")
@click.option("--spot", type=click.IntRange(0, 100), help="Percent of servers' hours on Fargate Spot.  [default: 0]")
@click.option("--home-gb", type=_number, metavar="NUMBER", help="GB of files a user.  [default: 1]")
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
        demand = demand_of(users, given, None if stage is None else stage_of(file, stage).settings)
        showing.check(demand, known())
        if as_json:
            click.echo(json.dumps(showing.as_json(demand, known(), Amounts()), indent=2))
        else:
            click.echo(showing.text(demand, known(), Amounts()))


ALL = (cost,)
