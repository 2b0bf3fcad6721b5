"""Reads the status of a task from an answer or an event of ECS, which differ in details."""

from collections.abc import Iterator, Mapping
from typing import Any

from hubless.adapters.ecs.naming import CONTAINER
from hubless.ports.launcher import TaskPending, TaskRunning, TaskStatus, TaskStopped

# From DEPROVISIONING on, ECS only removes the network interface.
_OVER = frozenset({"DEPROVISIONING", "STOPPED", "DELETED"})
_UP = frozenset({"RUNNING", "DEACTIVATING", "STOPPING"})
_PLAIN = "Essential container in task exited"


def status_of(task: Mapping[str, Any], port: int) -> TaskStatus:
    """Return the status of *task*. It counts as stopped once its container has stopped, before Fargate cleans up."""
    status = task.get("lastStatus")
    if status in _OVER or (task.get("desiredStatus") == "STOPPED" and _container(task).get("lastStatus") == "STOPPED"):
        return TaskStopped(_why(task))
    address = next(_addresses(task), None)
    return TaskRunning(f"{address}:{port}") if status in _UP and address else TaskPending()


def should_run(task: Mapping[str, Any]) -> bool:
    """Say whether *task* should run: no one stopped it, and it has not ended by itself."""
    return task.get("desiredStatus") != "STOPPED" and task.get("lastStatus") not in _OVER


def _container(task: Mapping[str, Any]) -> Mapping[str, Any]:
    containers: list[Mapping[str, Any]] = task.get("containers") or []
    return next((one for one in containers if one.get("name") == CONTAINER), {})


def _addresses(task: Mapping[str, Any]) -> Iterator[str]:
    for attachment in task.get("attachments") or ():
        for detail in attachment.get("details") or ():
            if str(detail.get("name", "")).lower() == "privateipv4address" and detail.get("value"):
                yield str(detail["value"])
    for interface in _container(task).get("networkInterfaces") or ():
        if interface.get("privateIpv4Address"):
            yield str(interface["privateIpv4Address"])


def _why(task: Mapping[str, Any]) -> str:
    """Return why the task stopped, to follow the words "The server"."""
    container = _container(task)
    code, reason = container.get("exitCode"), str(container.get("reason") or "")
    stopped, kind = str(task.get("stoppedReason") or ""), task.get("stopCode")
    told = "; ".join(dict.fromkeys(filter(None, (reason, stopped if stopped != _PLAIN else ""))))
    if kind == "SpotInterruption":
        return f"was stopped because AWS reclaimed its Spot capacity ({stopped})"
    if kind == "UserInitiated":
        return f"was stopped ({stopped})"
    if code is None:
        return f"could not be started: {told or 'ECS gave no reason'}"
    return f"exited with code {code}" + (f" ({told})" if told else "")
