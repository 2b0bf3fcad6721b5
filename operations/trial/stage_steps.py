"""Steps that deploy the stage, deploy it again and remove it."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from operations import stage_cleanup
from operations.check_results import Level, has_problem, summary
from operations.deployed_stage import CONTROL
from operations.doctor.hub_client import HubClient, NoResponseError
from operations.doctor.kernel import Channel, ChannelClosedError, Kernel, open_kernel
from operations.doctor.steps import StepFailedError
from operations.preflight.checks import Preflight, images_of
from operations.trial import leftovers, servers, stacks
from operations.trial.cdk import CdkError
from operations.trial.context import Facts, MeasuredError, Trial
from operations.trial.stage_files import SECOND

DESTROY_ATTEMPTS = 3
SETTLE_SECONDS = timedelta(minutes=60).total_seconds()
POLL_SECONDS = 2.0
ANSWER_SECONDS = 600.0  # for DNS to know a new name
LIVE_SECONDS = 120.0  # until every function runs the new version
REQUEST_SECONDS = 0.5  # between two requests during a deployment
_REMEMBERED, _REMEMBER, _RECALL = "42", "remembered = 6 * 7\nremembered", "remembered"


def preflight(trial: Trial) -> Facts:
    """Check what `hubless preflight` checks.

    Raises:
        StepFailedError: if a deployment would fail.
    """
    found = list(Preflight(trial.stage, trial.aws, images_of(trial.first), create_roles=True).results())
    facts = {"summary": summary(found), "not ok": [one.text() for one in found if one.level is not Level.OK]}
    if has_problem(found):
        raise StepFailedError("\n".join(facts["not ok"]))
    return facts


def deploy(trial: Trial) -> Facts:
    """Deploy all stacks. Tell how long each took.

    Raises:
        CdkError: if a stack fails; the message has CloudFormation's reasons.
    """
    _deploy(trial, trial.first, trial.wait)
    trial.state.vpc = stacks.vpc_of(trial.stage, trial.aws)
    return {
        "seconds by stack": stacks.durations(trial.stage, trial.aws),
        "reserved concurrency": stacks.output(trial.stage, trial.aws, CONTROL, "Reserved"),
        "seconds until the hub answered": round(_wait_until_it_answers(trial), 1),
    }


def _wait_until_it_answers(trial: Trial) -> float:
    """Return after how many seconds the new hub's name resolves and its API answers."""
    client, begun, last = HubClient(trial.url, "", trial.network), trial.clock(), ""
    while trial.clock() - begun < ANSWER_SECONDS:
        try:
            answer = client.request("GET", "/hub/api/")
        except NoResponseError as error:
            last = str(error)
        else:
            last = answer.summary
            if answer.status == 200:  # noqa: PLR2004 HTTP
                return trial.clock() - begun
        trial.wait(POLL_SECONDS)
    raise StepFailedError(f"the hub does not answer {ANSWER_SECONDS:.0f} seconds after its deployment: {last}")


def _deploy(trial: Trial, settings: Path, wait: Callable[[float], None]) -> None:
    try:
        trial.deployer.deploy(settings, wait)
    except CdkError as error:
        raise CdkError("\n".join([str(error), *_reasons(trial)])) from None


def _reasons(trial: Trial) -> list[str]:
    """Return why stacks failed, as `hubless preflight --after-failure` says it."""
    return [found.text() for found in Preflight(trial.stage, trial.aws, ()).failures() if found.level is not Level.OK]


def redeploy(trial: Trial) -> Facts:
    """Deploy other settings while requests run and a kernel is open.

    Raises:
        StepFailedError: if a request failed, the kernel lost its memory, or the old version stays.
    """
    with open_kernel(trial.client, servers.reach(trial, trial.admin)) as kernel, kernel.channel() as channel:
        if (told := channel.execute(_REMEMBER)) != _REMEMBERED:
            raise StepFailedError(f"the kernel returned {told}")
        answers: list[str] = []
        send = _send_while_waiting(trial, answers)
        _deploy(trial, trial.second, send)
        live = _wait_for_second(trial, send)
        kept = _recall(kernel, channel)
    statuses = {text: answers.count(text) for text in sorted(set(answers))}
    facts = {"requests during it": statuses, "seconds until the new version": round(live, 1), "the WebSocket": kept}
    if set(statuses) != {"200"}:
        raise MeasuredError("requests failed during the deployment", facts)
    return facts


def _send_while_waiting(trial: Trial, answers: list[str]) -> Callable[[float], None]:
    """Return a `wait` that sends requests to the API meanwhile, and adds their statuses to *answers*."""
    client = trial.client

    def wait(seconds: float) -> None:
        until = trial.clock() + seconds
        while True:
            try:
                answers.append(str(client.request("GET", "/hub/api/user", with_token=True).status))
            except NoResponseError as error:
                answers.append(str(error))
            trial.wait(REQUEST_SECONDS)
            if trial.clock() >= until:
                return

    return wait


def _wait_for_second(trial: Trial, wait: Callable[[float], None]) -> float:
    """Return after how many seconds the login page shows the second deployment's name."""
    begun = trial.clock()
    while SECOND not in trial.client.request("GET", "/hub/login").text:
        if trial.clock() - begun > LIVE_SECONDS:
            raise StepFailedError(f"the hub still runs the first deployment after {LIVE_SECONDS:.0f} seconds")
        wait(1.0)
    return trial.clock() - begun


def _recall(kernel: Kernel, channel: Channel) -> str:
    """Return what became of the kernel's WebSocket.

    Raises:
        StepFailedError: if the kernel lost its memory.
    """
    try:
        told, kept = channel.execute(_RECALL), "stayed open"
    except ChannelClosedError as closed:
        with kernel.channel() as again:
            told, kept = again.execute(_RECALL), f"was closed ({closed}), and opened again"
    if told != _REMEMBERED:
        raise StepFailedError(f"the kernel lost its memory: it returned {told}")
    return kept


# --- removal ---


def stop_servers(trial: Trial) -> Facts:
    """Stop all servers of the stage.

    Raises:
        StepFailedError: if servers are left.
    """
    found = stage_cleanup.of_stage(trial.stage, trial.aws, trial.say)
    if found is None:
        return {"cluster": "none"}
    cleanup = replace(found, clock=trial.clock, sleep=trial.wait)
    left = cleanup.stop_servers()
    groups = cleanup.remove_target_groups() if trial.stage.settings.edge == "alb" else 0
    trial.spend.servers = left.count
    if left.count or groups:
        raise StepFailedError(f"{left.text()}; {groups} target groups are in use")
    if trial.stage.settings.task_roles:
        cleanup.remove_roles(trial.stage.role_path)
    return {"servers": left.text()}


def destroy(trial: Trial) -> Facts:
    """Remove the stage: its servers, its stacks, and what else carries its name.

    Raises:
        OperationsError: if a stack stays.
    """
    attempts, left = list[str](), dict[str, str]()
    for _ in range(DESTROY_ATTEMPTS):
        stacks.wait_until_settled(trial.stage, trial.aws, trial.clock, trial.wait, SETTLE_SECONDS)
        stop_servers(trial)  # people, and queued launches, may start more until the functions are gone
        try:
            trial.deployer.destroy(trial.first, trial.wait)
        except CdkError as error:
            attempts += _reasons(trial) or [str(error)]
        if not (left := stacks.existing(trial.stage, trial.aws)):
            return {"failed attempts": attempts, "removed besides": leftovers.remove(trial)}
        attempts += stacks.unblock(trial.stage, trial.aws, trial.state.vpc)
    raise StepFailedError(f"these stacks stay: {', '.join(sorted(left))}; {'; '.join(attempts)}")
