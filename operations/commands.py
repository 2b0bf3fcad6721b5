"""The operator's commands, for `hubless` to offer beside those of a hub on one machine."""

import contextlib
import json
import signal
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hubless.domain.errors import HublessError
from hubless.settings import DEFAULT_FILE, SettingsError
from hubless.settings.environment import ENVIRON
from hubless.settings.types import SIZE

if TYPE_CHECKING:
    from hubless.settings.stage import Stage

_GIB = 1024**3
EXTRA_PACKAGES = frozenset({"boto3", "botocore", "pynamodb", "websockets"})  # those of the extra `aws`


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
def errors_as_messages(exit_code: int = 1) -> Iterator[None]:
    """Print an anticipated error as one sentence, and exit with *exit_code*."""
    try:
        yield
    except (HublessError, SettingsError) as error:
        click.echo(f"hubless: {error}", err=True)
        raise SystemExit(exit_code) from None
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in EXTRA_PACKAGES:
            raise
        click.echo(
            f"hubless: a hub in AWS needs the Python package {error.name}, which is not installed. "
            "Install the extra `aws`: pip install 'hubless[aws]' (in a checkout: pip install '.[aws]', or make deployer).",
            err=True,
        )
        raise SystemExit(exit_code) from None


def stage_of(file: Path | None, name: str) -> "Stage":
    """Return the stage of that name, or the only one.

    Raises:
        SettingsError: when there is none.
    """
    from hubless.settings.stage import load_stage

    return load_stage(_file(file), name)


def _file(file: Path | None) -> Path | None:
    default = Path(DEFAULT_FILE)
    return file or (default if default.exists() else None)


SETTINGS = click.option(
    "--settings",
    "file",
    type=click.Path(dir_okay=False, path_type=Path),
    help=f"Settings file.  [default: {DEFAULT_FILE}, where there is one]",
)
STAGE = click.option(
    "--stage", metavar="NAME", default="", help="Which of the settings' [stages].  [default: the only one]"
)
JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.command()
@click.option("--users", type=click.IntRange(0), required=True, help="People who use the hub.")
@click.option(
    "--hours",
    type=_number,
    metavar="NUMBER",
    default="8",
    show_default=True,
    help="Hours a day for which each has a server.",
)
@click.option(
    "--days", type=_number, metavar="NUMBER", default="20", show_default=True, help="Days a month on which they come."
)
@click.option(
    "--edge", type=click.Choice(["economy", "fleet", "alb"]), help="What leads to servers.  [default: economy]"
)
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
    from operations.cost import report
    from operations.cost.amounts import Amounts
    from operations.cost.demand import demand_of
    from operations.cost.prices import known

    with errors_as_messages():
        demand = demand_of(users, given, None if stage is None else stage_of(file, stage).settings)
        report.require_prices(demand, known())
        if as_json:
            click.echo(json.dumps(report.as_json(demand, known(), Amounts()), indent=2))
        else:
            click.echo(report.text(demand, known(), Amounts()))


@click.command()
@STAGE
@SETTINGS
@click.option("--create-roles", is_flag=True, help="Make service-linked roles that are missing.")
@JSON
def preflight(*, stage: str, file: Path | None, create_roles: bool, as_json: bool) -> None:
    """Say what would keep a stage from being deployed, before it is; 1 where anything would."""
    from operations import check_results
    from operations.aws import Aws
    from operations.preflight.checks import Preflight, images_of

    with errors_as_messages():
        chosen = stage_of(file, stage)
        looked = Preflight(chosen, Aws(chosen.settings.region), images_of(_file(file)), create_roles=create_roles)
        found = []
        for finding in looked.results():
            found.append(finding)
            if not as_json:
                click.echo(finding.text())
        click.echo(
            json.dumps(check_results.as_json(found), indent=2) if as_json else f"\n{check_results.summary(found)}"
        )
        if check_results.has_problem(found):
            raise SystemExit(1)


@click.command()
@click.option("--url", help="A hub's address, such as http://127.0.0.1:8000, rather than that of a stage.")
@STAGE
@SETTINGS
@click.option(
    "--token-env", metavar="VARIABLE", help="Where an admin's API token is: then a server is started and removed again."
)
@click.option("--profile", default="", help="The profile that is started.  [default: the hub's first]")
@click.option(
    "--patience", type=click.FloatRange(1), default=300, show_default=True, help="Seconds in which a server is ready."
)
@JSON
def doctor(
    *,
    url: str | None,
    stage: str,
    file: Path | None,
    token_env: str | None,
    profile: str,
    patience: float,
    as_json: bool,
) -> None:
    """Try a live hub end to end, and say what is wrong and what to do; 1 where anything is."""
    from operations import check_results
    from operations.doctor import runner
    from operations.doctor.steps import Step

    def report(step: Step) -> None:
        if not as_json:
            click.echo(step.text())

    with errors_as_messages(), _ending_as_ctrl_c():
        token = _token(token_env)
        visit = runner.for_url(url, token) if url else runner.for_stage(stage_of(file, stage), _file(file), token)
        try:
            visit.look(report, profile=profile, patience=patience)
        finally:
            done = visit.done
            click.echo(
                json.dumps([step.data() for step in done], indent=2)
                if as_json
                else f"\n{check_results.summary(step.result for step in done)}"
            )
        if check_results.has_problem(step.result for step in done):
            raise SystemExit(1)


def _token(variable: str | None) -> str:
    if variable is None:
        return ""
    if token := ENVIRON.get(variable, ""):
        return token
    raise SettingsError(
        f"{variable}, which is to hold an admin's token, is not in the environment. `hubless token` makes one"
    )


@contextlib.contextmanager
def _ending_as_ctrl_c() -> Iterator[None]:
    """Have whoever ends this process politely be heard as Ctrl-C is, so that nothing is left behind."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@click.command()
@STAGE
@SETTINGS
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option(
    "--definitions",
    is_flag=True,
    help="Deregister the hub's task definitions, too: they cost nothing, and it takes a second each.",
)
def empty(*, stage: str, file: Path | None, yes: bool, definitions: bool) -> None:
    """Stop all servers of a stage, so that `cdk destroy` can take it away; 1 where any is left."""
    from operations import stage_cleanup
    from operations.aws import Aws

    with errors_as_messages(), _ending_as_ctrl_c():
        chosen = stage_of(file, stage)
        found = stage_cleanup.of_stage(chosen, Aws(chosen.settings.region), click.echo)
        if found is None:
            click.echo(
                f"The stage {chosen.name} has no cluster in {chosen.settings.region} of this account: nothing of it runs"
            )
            return
        if not yes:
            click.echo(f"{found.look().text()}. All are stopped, and what is not saved in them is lost")
            if click.prompt("The stage's name, to go on") != chosen.name:
                raise SettingsError(f"That is not {chosen.name}: nothing was stopped")
        try:
            left = found.stop_servers()
        except KeyboardInterrupt:
            click.echo("Servers may still run, and are paid for: run it again")
            raise
        groups = found.remove_target_groups() if chosen.settings.edge == "alb" else 0
        if definitions:
            found.deregister_definitions()
        if left.count or groups:
            click.echo(
                f"{left.text()}. {groups} target groups are in use. Run it again: the hub may have started more meanwhile",
                err=True,
            )
            raise SystemExit(1)
        click.echo(
            f"Nothing of {chosen.hub} runs. People can start servers until its functions are gone: take it away now"
        )


ALL = (cost, preflight, doctor, empty)
