"""The command `hubless trial`."""
# ruff: noqa: PLC0415 `hubless up` loads this module, and needs none of what the command needs

import contextlib
import json
import secrets
import signal
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from operations.commands import JSON, SETTINGS, STAGE, errors_as_messages, settings_file, stage_of
from operations.errors import OperationsError

if TYPE_CHECKING:
    from hubless.settings.stage import Stage
    from operations.aws import Aws
    from operations.trial.context import Trial
    from operations.trial.records import State, StateFile
    from operations.trial.runner import Runner

FOLDER = "hubless-trial"
SIGNALS = (signal.SIGTERM, signal.SIGHUP)


def _dollars(given: Any) -> Decimal:
    with contextlib.suppress(InvalidOperation):
        if (number := Decimal(given)).is_finite() and number > 0:
            return number
    raise click.BadParameter(f"{given!r} is not a number of dollars above 0")


@click.command()
@STAGE
@SETTINGS
@click.option("--limit", type=_dollars, metavar="DOLLARS", default="5", show_default=True, help="Estimated dollars.")
@click.option("--account", metavar="ID", default="", help="The account's 12 digits, in place of the question.")
@click.option("--starts", type=click.IntRange(1, 100), default=20, show_default=True, help="Servers started at once.")
@click.option("--resume", is_flag=True, help="Continue a trial that was cut off.")
@click.option("--clean-up", is_flag=True, help="Remove what a trial left, and run no step.")
@click.option("--keep", is_flag=True, help="Leave the stage for a look if a step fails. It costs money.")
@click.option(
    "--folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=FOLDER,
    show_default=True,
    help="Folder for the trial's state and its report.",
)
@JSON
def trial(
    *,
    stage: str,
    file: Path | None,
    limit: Decimal,
    account: str,
    starts: int,
    resume: bool,
    clean_up: bool,
    keep: bool,
    folder: Path,
    as_json: bool,
) -> None:
    """Deploy a new stage, use it, disturb it, remove it, and report what AWS answered.

    It costs money, and is for an account in which nothing else runs. Exit with 1 unless all steps pass.
    """
    from operations.trial.cdk import Cdk
    from operations.trial.records import StateFile

    if resume and clean_up:
        raise click.UsageError("--resume continues the trial, --clean-up ends it: choose one")
    with errors_as_messages(), _signals_as_interrupt():
        Cdk.require()
        chosen = stage_of(file, stage)
        store = StateFile(folder / chosen.name / "state.json")
        with store.alone():
            state = _state(store, chosen, account, limit, resume=resume, clean_up=clean_up)
            running = _trial(chosen, settings_file(file), store, state, limit=limit, starts=starts, as_json=as_json)
            if not _run(running, store, only_clean_up=clean_up, keep=keep, as_json=as_json):
                raise SystemExit(1)


def _run(trial: "Trial", store: "StateFile", *, only_clean_up: bool, keep: bool, as_json: bool) -> bool:
    """Run the trial, or its clean-up alone, and write the report. Return whether all is well."""
    from operations.trial import report
    from operations.trial.runner import Runner

    def save() -> None:
        trial.state.saved_at = time.time()
        store.save(trial.state)

    runner, is_right = Runner(trial, save, keep=keep), False
    try:
        is_right = runner.clean_up() if only_clean_up else runner.run()
    except KeyboardInterrupt:
        trial.say("Interrupted")
    finally:
        found = report.data(trial, has_passed=runner.has_passed)
        written = report.write(found, store.path.parent)
    click.echo(json.dumps(found, indent=2) if as_json else _last_words(runner, written))
    return is_right


def _state(store: "StateFile", stage: "Stage", given: str, limit: Decimal, *, resume: bool, clean_up: bool) -> "State":
    """Return the state of the trial to continue, or of a new one that the operator has confirmed.

    Raises:
        OperationsError: if there is nothing to continue, or nothing may begin.
    """
    from operations.aws import Aws

    aws = Aws(stage.settings.region)
    account = _account_of(stage, aws)
    if resume or clean_up:
        return state_to_continue(store, stage, account, resume=resume)
    state = new_state(store, stage, aws, account)
    _confirm(account, given, stage, limit)
    return state


def state_to_continue(store: "StateFile", stage: "Stage", account: str, *, resume: bool) -> "State":
    """Return the state of the trial to resume, or to clean up.

    Raises:
        OperationsError: if there is none, if it belongs to another account, region or stage, or if it is to be resumed
            and its stage is removed in part.
    """
    from operations.trial.runner import DESTROY

    state = store.load()
    if state is None or state.is_clean:
        raise OperationsError(f"No trial of the stage {stage.name} is unfinished: {store.path} says so")
    if (state.account, state.region, state.stage) != (account, stage.settings.region, stage.name):
        raise OperationsError(
            f"{store.path} is of the stage {state.stage} in {state.region} of account {state.account}: "
            "choose its credentials with AWS_PROFILE"
        )
    if resume and state.has_begun(DESTROY):
        raise OperationsError("The removal of the stage has begun: end it with --clean-up, and begin a new trial")
    return state


def new_state(store: "StateFile", stage: "Stage", aws: "Aws", account: str) -> "State":
    """Return the state of a new trial.

    Raises:
        OperationsError: if a trial is unfinished, or the stage exists.
    """
    from operations.trial import stacks
    from operations.trial.records import State

    before = store.load()
    if before is not None and not before.is_clean:
        raise OperationsError(
            f"A trial of the stage {stage.name} is unfinished: add --resume to continue it, --clean-up to remove it"
        )
    if found := stacks.existing(stage, aws):
        raise OperationsError(
            f"The stage {stage.name} exists already ({', '.join(sorted(found))}), and a trial removes its stage: "
            "name another one in hubless.toml, such as [stages.trial]"
        )
    now = datetime.fromtimestamp(time.time(), UTC)
    return State(stage.name, stage.settings.region, account, secrets.token_hex(3), now.isoformat(timespec="seconds"))


def _account_of(stage: "Stage", aws: "Aws") -> str:
    """Return the account of the credentials.

    Raises:
        OperationsError: if the stage names another one, or AWS does not answer.
    """
    from operations import stage_cleanup
    from operations.preflight import collect

    stage_cleanup.check_account(stage, aws)
    return collect.identity(aws).account


def _confirm(account: str, given: str, stage: "Stage", limit: Decimal) -> None:
    """Ask for the account's number, unless it was given.

    Raises:
        OperationsError: if the number is another one.
    """
    if not given:
        click.echo(
            f"This deploys the stage {stage.name} into {stage.settings.region} of the account {account}, "
            f"and removes it after about two hours. It stops at an estimate of ${limit}."
        )
        given = click.prompt("Type the account's number to continue")
    if given.strip() != account:
        raise OperationsError(f"The credentials belong to account {account}, not {given}. Nothing was deployed")


def _trial(
    stage: "Stage",
    source: Path | None,
    store: "StateFile",
    state: "State",
    *,
    limit: Decimal,
    starts: int,
    as_json: bool,
) -> "Trial":
    """Return the trial of *stage*. What it spent since its state was written is counted."""
    from hubless.settings.stage import load_stage
    from operations.aws import Aws
    from operations.network import Network
    from operations.trial import stage_files
    from operations.trial.cdk import Cdk
    from operations.trial.context import Trial
    from operations.trial.spend import Spend, rates_of

    folder = store.path.parent
    first, second = stage_files.write(stage, source, state.account, folder)
    deployed = load_stage(first, stage.name)
    spend = Spend(rates_of(deployed.settings), limit, time.monotonic, Decimal(state.spent_usd))
    if state.saved_at:
        spend.count_pause(time.time() - state.saved_at, state.servers)
    return Trial(
        stage=deployed,
        first=first,
        second=second,
        state=state,
        aws=Aws(stage.settings.region),
        deployer=Cdk(stage.name, folder / "cdk.log"),
        network=Network(),
        spend=spend,
        say=lambda line: click.echo(line, err=as_json),
        clock=time.monotonic,
        sleep=time.sleep,
        starts=starts,
    )


def _last_words(runner: "Runner", written: tuple[Path, Path]) -> str:
    left = "Nothing is left." if runner.trial.state.is_clean else "SOMETHING IS LEFT: run `hubless trial --clean-up`."
    passed = "All steps passed." if runner.has_passed else "Not all steps passed."
    reports = " and ".join(str(one) for one in written)
    return (
        f"\n{passed} {left}\nThe report is in {reports}. Read it before you send it: it should name nothing of yours."
    )


@contextlib.contextmanager
def _signals_as_interrupt() -> Iterator[None]:
    """Handle SIGTERM and SIGHUP like Ctrl-C, so that the command cleans up."""
    before = {one: signal.signal(one, signal.default_int_handler) for one in SIGNALS}
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
