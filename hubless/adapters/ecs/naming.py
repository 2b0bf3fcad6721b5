"""Names of tasks, task definitions and launches, and the variables that link a task to its launch."""

import hashlib
from collections.abc import Mapping
from typing import Any

CONTAINER = "server"
# Events of ECS contain the overrides of a task, but not its tags.
LAUNCH, SERVER = "HUBLESS_LAUNCH_ID", "HUBLESS_SERVER_ID"
# As waiting_task.py reads them. A spare's overrides name no launch: a hubless that knows no spares would not find it,
# and take a server that was a spare for an orphan.
SPARE, SPARE_URL, SPARE_SECRET = "HUBLESS_SPARE_ID", "HUBLESS_SPARE_URL", "HUBLESS_SPARE_TOKEN"
# A role's tag with the ARN of the access point that it may mount. The file system's policy names it.
ACCESS_POINT_TAG = "hubless-access-point"


def task_name(launch_id: str, arn: str = "") -> str:
    """Return the launcher's name of a task: the launch id and, if known, the ARN."""
    return f"{launch_id}/{arn}"


def launch_of(task: str) -> str:
    """Return the launch id from the launcher's name of a task. Launch ids contain no slash."""
    return task.partition("/")[0]


def arn_of(task: str) -> str | None:
    """Return the ARN from the launcher's name of a task, or None."""
    arn = task.partition("/")[2]
    return arn if arn.startswith("arn:") else None


def ids_of(task: Mapping[str, Any]) -> tuple[str, str]:
    """Return launch id and server id of *task* as ECS describes it; empty if it is not a task of a hub.

    The launch id is the spare's id if the task was started as a spare, which has no server id.
    """
    for override in (task.get("overrides") or {}).get("containerOverrides") or ():
        if override.get("name") == CONTAINER:
            given = {pair.get("name"): str(pair.get("value", "")) for pair in override.get("environment") or ()}
            return given.get(LAUNCH) or given.get(SPARE, ""), given.get(SERVER, "")
    return "", ""


def families_of(hub: str, kind: str) -> str:
    """Return the common prefix of the families of a kind. Hub names are short, so no other hub's families have it."""
    return f"{hub}-{kind}-"


def role_path(hub: str, region: str) -> str:
    """Return the path of the roles of owners. Roles are not of a region: hubs of one name in two have two paths."""
    return f"/hubless/{hub}/{region}/"


def digest(*parts: str) -> str:
    """Return 32 hex digits for *parts*; different lists of parts have different digests."""
    framed = "".join(f"{len(part.encode())}:{part}" for part in parts)
    return hashlib.sha256(framed.encode()).hexdigest()[:32]
