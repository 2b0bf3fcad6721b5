"""The commands of `hubless` for a hub that is elsewhere: cost, preflight, doctor, empty, login."""

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
    from operations.aws import Aws
    from operations.stage_cleanup import StageCleanup

_GIB = 1024**3
EXTRA_PACKAGES = frozenset({"boto3", "botocore", "pynamodb", "websockets"})  # those of the extra `aws`


def _number(given: Any) -> Decimal:
    """Return a number exactly as typed. Amounts of money are never floats."""
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
            "Install the extra `aws`: pip install 'hubless[aws]' "
            "(in a checkout: pip install '.[aws]', or make deployer).",
            err=True,
        )
        raise SystemExit(exit_code) from None


def stage_of(file: Path | None, name: str) -> "Stage":
    """Return the stage *name*, or the only stage if *name* is empty.

    Raises:
        SettingsError: if there is no such stage.
    """
    from hubless.settings.stage import load_stage

    return load_stage(settings_file(file), name)


def settings_file(file: Path | None) -> Path | None:
    """Return *file*; without one, the default file if it exists."""
    default = Path(DEFAULT_FILE)
    return file or (default if default.exists() else None)


SETTINGS = click.option(
    "--settings",
    "file",
    type=click.Path(dir_okay=False, path_type=Path),
    help=f"Settings file.  [default: {DEFAULT_FILE}, if it exists]",
)
STAGE = click.option(
    "--stage",
    metavar="NAME",
    default="",
    help="The stage, from [stages.NAME] of the settings.  [default: the only one]",
)
JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.command()
@click.option("--users", type=click.IntRange(0), required=True, help="Number of users.")
@click.option(
    "--hours",
    type=_number,
    metavar="NUMBER",
    default="8",
    show_default=True,
    help="Hours a day that each user's server runs.",
)
@click.option(
    "--days", type=_number, metavar="NUMBER", default="20", show_default=True, help="Days a month on which users come."
)
@click.option("--edge", type=click.Choice(["economy", "fleet", "alb"]), help="Kind of edge.  [default: economy]")
@click.option(
    "--direct-hosts/--no-direct-hosts",
    default=None,
    help="Without CloudFront before users' hosts, with --edge fleet or alb.  [default: no]",
)
@click.option("--vcpu", type=_number, metavar="NUMBER", help="vCPUs of a server.  [default: 1]")
@click.option("--memory", type=_gigabytes, metavar="SIZE", help="Memory of a server.  [default: 4G]")
@click.option(
    "--architecture", type=click.Choice(["arm", "x86"]), help="Processor architecture of servers.  [default: arm]"
)
@click.option("--spot", type=click.IntRange(0, 100), help="Percentage of server hours on Fargate Spot.  [default: 0]")
@click.option("--home-gb", type=_number, metavar="NUMBER", help="GB of files of each user.  [default: 1]")
@click.option("--waf/--no-waf", default=None, help="With AWS WAF.  [default: no]")
@click.option("--stage", metavar="NAME", help="Take all other options from this stage of the settings.")
@SETTINGS
@JSON
def cost(*, users: int, stage: str | None, file: Path | None, as_json: bool, **given: Any) -> None:
    """Estimate the monthly costs of a hub in AWS, line by line."""
    from hubless.settings.cloud import profiles_in
    from operations.cost import report
    from operations.cost.amounts import Amounts
    from operations.cost.demand import demand_of
    from operations.cost.prices import known

    with errors_as_messages():
        chosen = None if stage is None else stage_of(file, stage).settings
        demand = demand_of(users, given, chosen, profiles_in(settings_file(file)) if chosen else ())
        report.require_prices(demand, known())
        if as_json:
            click.echo(json.dumps(report.as_json(demand, known(), Amounts()), indent=2))
        else:
            click.echo(report.text(demand, known(), Amounts()))


@click.command()
@STAGE
@SETTINGS
@click.option("--create-roles", is_flag=True, help="Create missing service-linked roles.")
@click.option("--after-failure", is_flag=True, help="Only say why the last deployment failed.")
@JSON
def preflight(*, stage: str, file: Path | None, create_roles: bool, after_failure: bool, as_json: bool) -> None:
    """Check an account before a stage is deployed. Exit with 1 if a deployment would fail."""
    from hubless.settings.cloud import profiles_in
    from operations import check_results
    from operations.aws import Aws
    from operations.preflight.checks import Preflight, images_of
    from operations.spare_needs import needs_of

    with errors_as_messages():
        chosen = stage_of(file, stage)
        looked = Preflight(
            chosen,
            Aws(chosen.settings.region),
            images_of(settings_file(file)),
            needs_of(profiles_in(settings_file(file)), chosen.settings),
            create_roles=create_roles,
        )
        found = []
        for finding in looked.failures() if after_failure else looked.results():
            found.append(finding)
            if not as_json:
                click.echo(finding.text())
        click.echo(
            json.dumps(check_results.as_json(found), indent=2) if as_json else f"\n{check_results.summary(found)}"
        )
        if check_results.has_problem(found):
            raise SystemExit(1)


@click.command()
@click.option("--url", help="Address of a hub, such as http://127.0.0.1:8000, in place of a stage.")
@STAGE
@SETTINGS
@click.option(
    "--token-env",
    metavar="VARIABLE",
    help="Variable with an admin's API token. With it, doctor starts a test server and removes it.",
)
@click.option("--profile", default="", help="Profile of the test server.  [default: the first profile]")
@click.option(
    "--timeout",
    "--patience",  # its name in 0.1.0
    "timeout_seconds",
    type=click.FloatRange(1),
    default=300,
    show_default=True,
    help="Seconds to wait until the test server is ready.",
)
@JSON
def doctor(
    *,
    url: str | None,
    stage: str,
    file: Path | None,
    token_env: str | None,
    profile: str,
    timeout_seconds: float,
    as_json: bool,
) -> None:
    """Check a live hub end to end, and say what to do. Exit with 1 if there is a problem."""
    from operations import check_results
    from operations.doctor import runner
    from operations.doctor.steps import Step

    def report(step: Step) -> None:
        if not as_json:
            click.echo(step.text())

    with errors_as_messages(), _sigterm_as_interrupt():
        token = _token(token_env)
        run = runner.for_url(url, token) if url else runner.for_stage(stage_of(file, stage), settings_file(file), token)
        try:
            run.run(report, profile=profile, timeout_seconds=timeout_seconds)
        finally:
            done = run.done
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
        f"The variable {variable} is not set. It must hold an admin's API token, which `hubless token` creates"
    )


@contextlib.contextmanager
def _sigterm_as_interrupt() -> Iterator[None]:
    """Handle SIGTERM like Ctrl-C, so that the command cleans up."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@click.command()
@STAGE
@SETTINGS
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@click.option(
    "--definitions",
    is_flag=True,
    help="Also deregister the hub's task definitions. They cost nothing; each takes a second.",
)
@click.option(
    "--unprotect",
    is_flag=True,
    help="Also turn the termination protection of the stack `state` off, so that `cdk destroy` can delete it.",
)
def empty(*, stage: str, file: Path | None, yes: bool, definitions: bool, unprotect: bool) -> None:
    """Stop all servers of a stage before `cdk destroy`. Exit with 1 if any is left."""
    from operations import stage_cleanup
    from operations.aws import Aws

    with errors_as_messages(), _sigterm_as_interrupt():
        chosen = stage_of(file, stage)
        aws = Aws(chosen.settings.region)
        found = stage_cleanup.of_stage(chosen, aws, click.echo)
        if found is None:
            click.echo(
                f"The stage {chosen.name} has no cluster in {chosen.settings.region} of this account: "
                "there is nothing to stop"
            )
            if unprotect:
                _unprotect(chosen, aws, yes=yes)
            return
        if not yes:
            click.echo(f"{found.servers().text()}. This stops all of them; unsaved work is lost")
            _confirm(chosen, "No server was stopped")
        try:
            left = found.stop_servers()
        except KeyboardInterrupt:
            click.echo("Interrupted. Servers may still be running, and cost money: run `hubless empty` again")
            raise
        groups = found.remove_target_groups() if chosen.settings.edge == "alb" else 0
        _remove_unused(found, chosen, roles=not left.count, definitions=definitions)
        if left.count or groups:
            click.echo(
                f"{left.text()}. {groups} target groups are still in use. "
                "Run `hubless empty` again: the hub may have started more servers",
                err=True,
            )
            raise SystemExit(1)
        if unprotect:
            _unprotect(chosen, aws, yes=yes)
        click.echo(f"No server of {chosen.hub} is running. Destroy the stage now: until then users can start servers")


def _remove_unused(found: "StageCleanup", stage: "Stage", *, roles: bool, definitions: bool) -> None:
    """Remove what no server needs any more: roles of users if there are any, and task definitions if asked."""
    if roles and stage.settings.task_roles:
        found.remove_roles(stage.role_path)
    if definitions:
        found.deregister_definitions()


def _confirm(stage: "Stage", otherwise: str) -> None:
    """Ask for the name of *stage*.

    Raises:
        SettingsError: if another name was typed. It ends with *otherwise*.
    """
    if click.prompt("Type the stage's name to continue") != stage.name:
        raise SettingsError(f"The name is not {stage.name}. {otherwise}")


def _unprotect(stage: "Stage", aws: "Aws", *, yes: bool) -> None:
    """Turn the protection of the stage's data off, after a question unless *yes*.

    `make destroy` removes all stacks after that, and the CDK asks nothing.
    """
    from operations import stage_cleanup

    if not yes and not click.confirm(f"Shall CloudFormation be able to delete all stacks of {stage.hub}?"):
        raise SettingsError(f"The stack {stage.hub}-state stays protected. No stack was removed")
    if stage_cleanup.unprotect(stage, aws):
        click.echo(f"CloudFormation may delete the stack {stage.hub}-state now. The next deployment protects it again")


@click.command()
@click.argument("hub", metavar="ADDRESS")
@click.option(
    "--workload",
    type=click.Choice(["github", "kubernetes", "aws"]),
    required=True,
    help="What proves who this job is: GitHub Actions, a file of Kubernetes, or AWS credentials.",
)
@click.option("--scope", multiple=True, help="A scope of the token; more than once for several.  [default: the rule's]")
@click.option("--rule", default="", help="The rule of [[workloads]] that is meant.  [default: the first that holds]")
@click.option("--audience", default="", help="What the proof is made for, if the rule names an audience.")
@click.option("--region", default="us-east-1", show_default=True, help="The AWS region whose STS the hub asks.")
@click.option(
    "--token-file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The file with the pod's token.  [default: /var/run/secrets/hubless/token]",
)
def login(
    *, hub: str, workload: str, scope: tuple[str, ...], rule: str, audience: str, region: str, token_file: Path | None
) -> None:
    """Print a short-lived token of the hub at ADDRESS, for a job that proves who it is without a secret of the hub.

    The hub gives it by a rule in its [[workloads]]. See docs/login-workloads.md.
    """
    from operations import workload_login

    with errors_as_messages():
        try:
            meant = audience or workload_login.address_of(hub)
            if workload == "github":
                proof, kind = workload_login.github_proof(meant, ENVIRON)
            elif workload == "kubernetes":
                proof, kind = workload_login.kubernetes_proof(token_file or workload_login.TOKEN_FILE)
            else:
                proof, kind = workload_login.aws_proof(meant, region)
            said = workload_login.token_for(hub, proof, kind, scopes=" ".join(scope), rule=rule)
        except workload_login.WorkloadLoginError as refused:
            click.echo(f"hubless: {refused}", err=True)
            raise SystemExit(1) from None
    click.echo(said["access_token"])


ALL = (cost, preflight, doctor, empty, login)
