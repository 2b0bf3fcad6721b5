"""The commands `hubless import` and `hubless export`."""
# ruff: noqa: PLC0415 a command loads what it needs

import contextlib
import os
import stat
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import click

from embedded import opening
from embedded.import_progress import ProgressLine
from hubless.settings.environment import ENVIRON
from operations import commands

if TYPE_CHECKING:
    from hubless.bootstrap.hub import Hub
    from hubless.domain.archive import Archive, Remark
    from hubless.domain.import_plan import Plan
    from hubless.settings import Settings

MOST_BESIDE_A_HUB = 1000  # steps of a transaction beside a hub that runs: they take about 0.1 s, and its writes wait
WRITE_UNITS = 12  # of DynamoDB, about, for a step with its indexes and its mark


@click.command("export")
@click.argument("path", type=click.Path(dir_okay=False, path_type=Path))
@opening.which_hub
@click.option("--without-secrets", is_flag=True, help="Leave out passwords, tokens, second factors and auth_state.")
def export(*, path: Path, data: Path, file: Path | None, stage: str | None, without_secrets: bool) -> None:
    """Write everything that the hub knows to PATH (.jsonl), which `hubless import` reads.

    Servers' processes, sessions of browsers and users' files are not in it.
    """
    from hubless.adapters import archive_file

    if path.suffix != ".jsonl":
        raise click.UsageError("Give the file a name that ends with .jsonl: so `hubless import` knows it")
    with opening.hub(data, file, stage, needs_key=not without_secrets) as hub:
        progress = ProgressLine(is_terminal=sys.stderr.isatty())
        where = f"the stage {stage}" if stage else str(hub.settings.data)
        number = archive_file.write_records(
            hub.exporting.records(with_secrets=not without_secrets, progress=progress),
            path,
            hub.clock.now(),
            source=f"hubless {hub.version} in {where}",
            has_secrets=not without_secrets,
        )
        progress.end()
    _tell_remarks(hub.exporting.remarks)
    click.echo(f"Wrote {number} records to {path}.")
    if not without_secrets:
        click.echo(
            f"WARNING: {path} opens every account: it has password hashes, hashes of tokens, the secrets of\n"
            "authenticator apps and the auth_state of logins, the last two IN THE CLEAR. Only your system user can\n"
            "read it. Keep it like the hub's key, and remove it when it is not needed.",
            err=True,
        )


def _tell_remarks(remarks: "Iterable[Remark]") -> None:
    from embedded.import_report import shown

    for remark in remarks:
        click.echo(f"- {remark.kind} {shown(remark.subject)}: {remark.what}. {remark.to_do}", err=True)


@click.command("import")
@click.argument("source")
@opening.which_hub
@click.option("--origin", default="", metavar="NAME", help="The old hub's name, if you import several.")
@click.option("--rename", "renames", multiple=True, metavar="OLD=NEW", help="Give a user another name; repeat it.")
@click.option(
    "--join", "joined", multiple=True, metavar="NAME", help="Make a user of SOURCE the one of here; repeat it."
)
@click.option("--join-all", "joins_all", is_flag=True, help="Do so with all users of the same names but admins.")
@click.option(
    "--since",
    type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"]),
    metavar="INSTANT",
    help="Leave out what was made and used before INSTANT (UTC), such as 2026-11-27T18:00.",
)
@click.option("--delete", is_flag=True, help="Remove what an earlier import brought and the source has no more.")
@click.option("--passwords", type=click.Path(path_type=Path), help="The password file of FirstUseAuthenticator.")
@click.option("--crypt-key-env", metavar="VARIABLE", help="The variable that has the old hub's JUPYTERHUB_CRYPT_KEY.")
@click.option("--provider", default="", metavar="NAME", help="The provider here of OAuthenticator's users.")
@click.option("--homes", metavar="TEMPLATE", help="Where users' files are, such as '/home/jupyter-{username}'.")
@click.option("--homes-back", metavar="TEMPLATE", help="The same for the way back: where users' files came from.")
@click.option(
    "--write-settings",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write the roles and services that the settings lack to FILE.",
)
@click.option("--report", "report_only", is_flag=True, help="Only say what the import would do.")
@click.option("--report-file", type=click.Path(dir_okay=False, path_type=Path), help="Write the full report here.")
@click.option("--yes", is_flag=True, help="Import without asking.")
@click.option(
    "--config",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="OLD",
    help="The old hub's jupyterhub_config.py or config.yaml, whose settings go into that file too.",
)
@click.option("--run-config", is_flag=True, help="Run OLD, a program: for a few seconds, and without network.")
def import_(
    *,
    source: str,
    data: Path,
    file: Path | None,
    stage: str | None,
    origin: str,
    renames: Sequence[str],
    joined: Sequence[str],
    joins_all: bool,
    since: datetime | None,
    delete: bool,
    passwords: Path | None,
    crypt_key_env: str | None,
    provider: str,
    homes: str | None,
    homes_back: str | None,
    write_settings: Path | None,
    report_only: bool,
    report_file: Path | None,
    yes: bool,
    config: Path | None,
    run_config: bool,
) -> None:
    """Bring users, groups, tokens, passwords and more from SOURCE into this hub; the source stays as it is.

    SOURCE is the file jupyterhub.sqlite, the folder that has it, a database's URL, or an archive (.jsonl) that
    `hubless export` wrote. The command says what it would do, and asks. Import again to bring what has changed since.
    """
    from embedded import import_report, import_sources
    from hubless.domain.import_choices import Choices

    if report_only and yes:
        raise click.UsageError("--report and --yes exclude each other")
    _check_settings_options(write_settings, config, run_config=run_config)
    names = _renames(renames)
    beside = import_sources.Surroundings(_secret(crypt_key_env), passwords, provider)
    with _target(data, file, stage, report_only=report_only) as hub:
        progress = ProgressLine(is_terminal=sys.stderr.isatty())
        archive = import_sources.read(source, beside, hub.settings.providers, hub.clock.now())
        choices = Choices(
            names,
            None if since is None else since.replace(tzinfo=UTC),
            delete,
            hub.settings.login.auth_state,
            frozenset(service.name for service in hub.settings.services),
            hub.profiles,
            joined=frozenset(joined),
            joins_all=joins_all,
            users_of_settings=_users_of(hub.settings),
            budgets=frozenset(one.name for one in hub.settings.budgets),
            schedules=frozenset(one.name for one in hub.settings.schedules),
        )
        plan = hub.moving.plan(archive, origin, choices)
        progress.end()
        told = _write_settings(write_settings, hub, archive, config, run_config=run_config)
        roles = _missing_roles(hub, archive)
        if report_file is not None:
            _write_report(report_file, import_report.report(plan, roles, delete=delete, most=None) + told)
        click.echo(import_report.report(plan, roles, delete=delete) + told)
        if stage is not None:
            click.echo(_costs(plan))
        if not report_only:
            _carry_out(hub, plan, origin, beside=stage is None, yes=yes)
        for template, back in ((homes, False), (homes_back, True)):
            if template is not None:
                from embedded import homes_report

                for line in homes_report.lines(hub, archive, plan.names, template, in_aws=stage is not None, back=back):
                    click.echo(line)


@contextlib.contextmanager
def _target(data: Path, file: Path | None, stage: str | None, *, report_only: bool) -> "Iterator[Hub]":
    """Open the hub; for a report about one that is not there yet, an empty one that is gone afterwards."""
    with contextlib.ExitStack() as stack:
        with commands.errors_as_messages():
            is_new = stage is None and not opening.settings_of(data, file).database.exists()
        if report_only and is_new:
            data = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hubless-"))) / "data"
        yield stack.enter_context(opening.hub(data, file, stage, new=True, needs_key=True))


def _check_settings_options(write_settings: Path | None, config: Path | None, *, run_config: bool) -> None:
    if config is not None and write_settings is None:
        raise click.UsageError("--config needs --write-settings FILE, which says where its settings go")
    if run_config and config is None:
        raise click.UsageError("--run-config needs --config OLD, the program to run")


def _write_settings(path: Path | None, hub: "Hub", archive: "Archive", config: Path | None, *, run_config: bool) -> str:
    """Write roles, services and the settings in *config* to a new file, if *path* names one; return what to tell of it.

    Raises:
        SettingsError: when the file is there already, or cannot be written, or *config* cannot be read.
    """
    if path is None:
        return ""
    from embedded import archived_settings_file

    old = archived_settings_file.old_settings(config, run=run_config)
    return "\n" + archived_settings_file.write(path, archive, old, hub.settings) + "\n"


def _carry_out(hub: "Hub", plan: "Plan", origin: str, *, beside: bool, yes: bool) -> None:
    from hubless.domain.errors import HublessError, InvalidRequestError

    if not plan.steps:
        return
    if beside:
        _refuse_beside_a_hub(hub, plan)
    if plan.changes and not yes:
        if not sys.stdin.isatty():
            raise InvalidRequestError("Nothing was written. Add --yes to import without being asked.")
        click.confirm("Import this?", abort=True)
    progress = ProgressLine(is_terminal=sys.stderr.isatty())
    try:
        hub.moving.carry_out(plan, origin, progress)
    except (HublessError, KeyboardInterrupt):
        progress.end()
        what = (
            "Nothing was written." if beside else "What it wrote before stays. Import again, and it goes on from there."
        )
        click.echo(f"The import broke off. {what}", err=True)
        raise
    progress.end()
    click.echo(f"Done: {plan.changes} changes.")


def _refuse_beside_a_hub(hub: "Hub", plan: "Plan") -> None:
    """Refuse a long transaction beside a hub that runs: its writes would wait.

    Raises:
        InvalidRequestError: saying what to do.
    """
    from embedded import data_folder
    from hubless.domain.errors import InvalidRequestError

    if len(plan.steps) > MOST_BESIDE_A_HUB and data_folder.running_hub(hub.settings.data) is not None:
        raise InvalidRequestError(
            f"The hub in {hub.settings.data} runs, and its users would wait for the {len(plan.steps)} writes of this"
            f" import; at most {MOST_BESIDE_A_HUB} go beside a hub. Stop the hub, import, and start it again."
        )


def _missing_roles(hub: "Hub", source: "Archive") -> list[str]:
    """Return the names of the roles that the settings lack, and that no hub has by itself."""
    from embedded.settings_import.archived import is_told

    known = {role.name for role in hub.settings.roles}
    return [role.name for role in source.roles if role.name not in known and is_told(role)]


def _users_of(settings: "Settings") -> frozenset[str]:
    """Return the names of the users whom settings make."""
    return frozenset((*settings.login.admins, *(user for group in settings.groups.values() for user in group.users)))


def _costs(plan: "Plan") -> str:
    from operations.cost.prices import known

    units = WRITE_UNITS * len(plan.steps)
    price = known().of_million("dynamodb.million_writes", Decimal(units))
    return f"The import writes about {units:,} units to DynamoDB, for about {price:.2f} USD."


def _renames(given: Sequence[str]) -> dict[str, str]:
    pairs = [one.partition("=") for one in given]
    for old, equals, new in pairs:
        if not (old and equals and new):
            raise click.UsageError(f"--rename {old!r}: write OLD=NEW")
    if twice := [old for old, times in Counter(old for old, _, _ in pairs).items() if times > 1]:
        raise click.UsageError(f"--rename names {twice[0]!r} twice: which name shall the user have?")
    return {old: new for old, _, new in pairs}


def _secret(variable: str | None) -> str:
    if variable is None:
        return ""
    found = ENVIRON.get(variable, "")
    if not found:
        raise click.UsageError(f"The variable {variable} of --crypt-key-env is not set")
    return found


def _write_report(path: Path, text: str) -> None:
    from hubless.domain.errors import InvalidRequestError

    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)  # it names people
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            if stat.S_ISREG(os.fstat(descriptor).st_mode):  # an earlier one may be open to others
                os.fchmod(descriptor, 0o600)
            file.write(text)
    except OSError as failed:
        raise InvalidRequestError(f"The report {path} cannot be written: {failed.strerror}") from failed
