"""Start, follow and stop servers of the trial's users."""

from typing import Any
from urllib.parse import urljoin

from operations.doctor.hub_client import HubClient, NoResponseError
from operations.doctor.steps import StepFailedError
from operations.trial.context import Facts, Trial
from operations.trial.stage_files import PROFILE

POLL_SECONDS = 2.0
READY_SECONDS, STOP_SECONDS = 600.0, 300.0
GONE = (204, 404)


def request_start(client: HubClient, user: str, profile: str) -> int:
    """Ask for a server. Return the status.

    Raises:
        StepFailedError: if the hub refuses.
    """
    answer = client.request("POST", f"/hub/api/users/{user}/server", body={"profile": profile}, with_token=True)
    if answer.status not in {201, 202}:
        raise StepFailedError(f"cannot start the server of {user}: {answer.summary}")
    return answer.status


def model_of(client: HubClient, user: str) -> dict[str, Any]:
    """Return the API's model of a user's main server; empty if there is none, or nobody answers."""
    try:
        address = f"/hub/api/users/{user}?include_stopped_servers=true"  # a start that failed is a stopped server
        told = client.request("GET", address, with_token=True).json()
    except NoResponseError:
        return {}
    found = (told or {}).get("servers", {}).get("", {}) if isinstance(told, dict) else {}
    return found if isinstance(found, dict) else {}


def follow(trial: Trial, user: str, timeout_seconds: float) -> Facts:
    """Follow a start until the server is ready. Return each message with the second at which it came.

    Raises:
        StepFailedError: if the start fails, or takes longer.
    """
    begun, events, connections = trial.clock(), dict[str, float](), 0
    while trial.clock() - begun < timeout_seconds:
        connections += 1
        for event in trial.client.follow(f"/hub/api/users/{user}/server/progress"):
            message = str(event.get("message", ""))
            events.setdefault(message, round(trial.clock() - begun, 1))
            if event.get("ready"):
                return {"messages": events, "connections": connections}
            if event.get("failed"):
                raise StepFailedError(f"the start failed: {message}")
            if trial.clock() - begun >= timeout_seconds:
                break
        trial.wait(POLL_SECONDS)
    raise StepFailedError(f"not ready after {timeout_seconds:.0f} seconds; messages: {', '.join(events) or 'none'}")


def where(trial: Trial, user: str) -> str:
    """Return the whole address of a user's server, which ends in a slash."""
    model = model_of(trial.client, user)
    return urljoin(f"{trial.url}/", str(model.get("full_url") or model.get("url") or f"/user/{user}/"))


def reach(trial: Trial, user: str) -> str:
    """Return the address of a user's server that answers. Start it if it is stopped, and wait until its edge is there.

    A step before may have failed, and a resumed trial may find the server stopped.

    Raises:
        StepFailedError: if it does not answer in time.
    """
    begun, last = trial.clock(), ""
    while trial.clock() - begun < READY_SECONDS:
        model = model_of(trial.client, user)
        if not model or model.get("stopped"):
            request_start(trial.client, user, PROFILE)
        if not model.get("ready"):
            follow(trial, user, READY_SECONDS)
        address = where(trial, user)
        try:
            answer = trial.client.request("GET", f"{address}api/status", with_token=True)
        except NoResponseError as error:
            last = str(error)
        else:
            last = answer.summary
            if answer.status == 200:  # noqa: PLR2004 HTTP
                return address
        trial.wait(POLL_SECONDS)
    raise StepFailedError(f"the server of {user} did not answer within {READY_SECONDS:.0f} seconds: {last}")


def stop(trial: Trial, user: str) -> None:
    """Stop a server, and wait until it is stopped.

    Raises:
        StepFailedError: if it is not.
    """
    begun, last = trial.clock(), "no response"
    while trial.clock() - begun < STOP_SECONDS:
        try:
            answer = trial.client.request("DELETE", f"/hub/api/users/{user}/server", with_token=True)
        except NoResponseError as error:
            last = str(error)
        else:
            last = answer.summary
            if answer.status in GONE:
                return
            if answer.status not in {202, 400, 409}:  # pending, or another request is running
                break
        trial.wait(POLL_SECONDS)
    raise StepFailedError(f"the server of {user} was not stopped: {last}")
