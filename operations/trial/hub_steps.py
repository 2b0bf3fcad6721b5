"""Steps that use the hub as its people do."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime
from statistics import median
from typing import Any

from operations.aws import AwsCallError
from operations.doctor.hub_client import HubClient, NoResponseError
from operations.doctor.kernel import CODE, RESULT, open_kernel
from operations.doctor.steps import StepFailedError
from operations.errors import OperationsError
from operations.stage_cleanup import started_by
from operations.trial import servers
from operations.trial.context import Facts, MeasuredError, Trial
from operations.trial.stage_files import PROFILE, SLEEPER

FOLLOW_SECONDS = 120.0
ACCEPTED = frozenset({"201", "202"})
LONGEST_SILENCE = 30.0  # seconds, after which CloudFront gives an origin up
_DESCRIBE_TASKS_LIMIT = 100
_TASK_TIMES = ("createdAt", "connectivityAt", "pullStartedAt", "pullStoppedAt", "startedAt")


def use_admin_link(trial: Trial) -> Facts:
    """Make the trial's admin, who chooses a password at the link that `hubless admin` prints."""
    return trial.choose_password()


def log_in(trial: Trial) -> Facts:
    """Log in by the form, and create a token in the browser."""
    return trial.log_in() | trial.create_token()


def spawn(trial: Trial) -> Facts:
    """Start the admin's server. Tell how long each part took, and what ECS says of the task."""
    servers.stop(trial, trial.admin)  # a run before may have left it in any state
    asked = servers.request_start(trial.client, trial.admin, PROFILE)
    followed = servers.follow(trial, trial.admin, servers.READY_SECONDS)
    return {"asked": asked} | followed | {"tasks": tasks(trial)}


def open_server(trial: Trial) -> Facts:
    """Open the server's page as a browser does, after a request without a login, whose refusal must not be cached."""
    where = servers.reach(trial, trial.admin)
    files = f"{where}api/contents?content=0"
    stranger = trial.client.request("GET", files)
    if stranger.status == 200:  # noqa: PLR2004 HTTP
        raise StepFailedError("the server shows its files without a login")
    trial.log_in()
    page = trial.browser.get(where)
    answer = trial.browser.get(files)  # what the stranger was refused a moment ago
    if (page.status, answer.status) != (200, 200):
        raise StepFailedError(f"the browser got {page.summary} for the page and {answer.summary} for the API")
    return {"page": page.status, "API by cookie": answer.status, "without a login": stranger.status}


def run_cell(trial: Trial) -> Facts:
    """Run a cell in a new kernel over its WebSocket."""
    with open_kernel(trial.client, servers.reach(trial, trial.admin)) as kernel, kernel.channel() as channel:
        begun = trial.clock()
        result = channel.execute(CODE)
        if result != RESULT:
            raise StepFailedError(f"{CODE} returned {result}")
        return {"seconds of the cell": round(trial.clock() - begun, 2)}


def follow_progress(trial: Trial) -> Facts:
    """Hold one stream of a start's progress open for two minutes, as a script does.

    The server never answers, so the start lasts until its time-out.
    """
    user = trial.pupil(0)
    _add_users(trial, [user])
    servers.stop(trial, user)
    servers.request_start(trial.client, user, SLEEPER)
    begun, heard, silences, events = trial.clock(), trial.clock(), [0.0], 0
    for line in trial.client.stream(f"/hub/api/users/{user}/server/progress"):
        now = trial.clock()
        silences.append(now - heard)
        heard, events = now, events + line.startswith(b"data:")
        if now - begun >= FOLLOW_SECONDS:
            break
    held = trial.clock() - begun
    servers.stop(trial, user)
    _remove_users(trial, [user])
    facts = {"seconds held": round(held, 1), "longest silence": round(max(silences), 1), "events": events}
    if held < FOLLOW_SECONDS:
        raise MeasuredError(f"the stream ended after {held:.0f} seconds", facts)
    return facts | {"within CloudFront's time-out": max(silences) < LONGEST_SILENCE}


def start_many(trial: Trial) -> Facts:
    """Start a server for each of many users at the same moment. Tell when each was ready."""
    users = [trial.pupil(number) for number in range(1, trial.starts + 1)]
    _add_users(trial, users)
    client, begun = trial.client, trial.clock()
    with ThreadPoolExecutor(len(users)) as pool:
        asked = list(pool.map(lambda user: _answer_to_start(client, user), users))
    all_asked = trial.clock() - begun
    accepted = [user for user, text in zip(users, asked, strict=True) if text in ACCEPTED]
    ready = _wait_for_all(trial, accepted)
    started = tasks(trial)
    for user in users:
        with suppress(NoResponseError):
            client.request("DELETE", f"/hub/api/users/{user}/server", with_token=True)
    for user in users:
        servers.stop(trial, user)
    _remove_users(trial, users)
    facts = {
        "asked": {text: asked.count(text) for text in sorted(set(asked))},
        "seconds until all were answered": round(all_asked, 1),
        "seconds until ready": _spread(list(ready.values())),
        "lost": len(users) - len(ready),
        "tasks": started,
    }
    if len(ready) < len(users):
        raise MeasuredError(f"{len(users) - len(ready)} of {len(users)} servers did not get ready", facts)
    return facts


def _answer_to_start(client: HubClient, user: str) -> str:
    """Return the status with which the hub answered the request for a server, or why there is none."""
    try:
        return str(servers.request_start(client, user, PROFILE))
    except OperationsError as error:
        return str(error).replace(user, "a user")


def _wait_for_all(trial: Trial, users: Sequence[str]) -> dict[str, float]:
    """Return the second at which each server was ready. Those that failed, or were not in time, are not in it."""
    begun, ready, pending = trial.clock(), dict[str, float](), set(users)
    while pending and trial.clock() - begun < servers.READY_SECONDS:
        for user in sorted(pending):
            model = servers.model_of(trial.client, user)
            if model.get("ready"):
                ready[user] = trial.clock() - begun
            if model.get("ready") or model.get("stopped"):
                pending.discard(user)
        if pending:
            trial.wait(servers.POLL_SECONDS)
    return ready


def _spread(seconds: Sequence[float]) -> Mapping[str, float]:
    if not seconds:
        return {}
    return {name: round(of(seconds), 1) for name, of in (("first", min), ("median", median), ("last", max))}


def tasks(trial: Trial) -> list[Facts]:
    """Return the seconds from each running task's creation to each of its times, as ECS tells them."""
    cluster = trial.deployment.variables["HUBLESS_CLUSTER"]
    try:
        arns = trial.aws.paginate(
            "ecs", "list_tasks", "taskArns", cluster=cluster, startedBy=started_by(trial.stage.hub)
        )
        if not arns:
            return []
        told = trial.aws.call("ecs", "describe_tasks", cluster=cluster, tasks=arns[:_DESCRIBE_TASKS_LIMIT])
    except AwsCallError as error:
        return [{"not told": str(error)}]
    return [_times(task) for task in told["tasks"]]


def _times(task: Mapping[str, Any]) -> Facts:
    given = {name: when for name in _TASK_TIMES if isinstance(when := task.get(name), datetime)}
    begun = given.get("createdAt")
    return {name: round((when - begun).total_seconds(), 1) for name, when in given.items()} if begun else {}


def _add_users(trial: Trial, users: Sequence[str]) -> None:
    answer = trial.client.request("POST", "/hub/api/users", body={"usernames": list(users)}, with_token=True)
    if answer.status not in {201, 409}:  # created, or there from a run before
        raise StepFailedError(f"cannot add users: {answer.summary}")


def _remove_users(trial: Trial, users: Sequence[str]) -> None:
    for user in users:
        answer = trial.client.request("DELETE", f"/hub/api/users/{user}", with_token=True)
        if answer.status not in servers.GONE:
            raise StepFailedError(f"cannot remove the user {user}: {answer.summary}")
