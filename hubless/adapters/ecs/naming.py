"""How a launch and its task are named, and the marks by which a task says whose it is."""

import hashlib
from collections.abc import Mapping
from typing import Any

CONTAINER = "server"
# Tags are not in the events that ECS sends, and what a task was started with is.
LAUNCH, SERVER = "HUBLESS_LAUNCH_ID", "HUBLESS_SERVER_ID"


def task_name(launch_id: str, arn: str = "") -> str:
    """Return the launcher's name of a task: its launch, and ECS's name for it where there is one."""
    return f"{launch_id}/{arn}"


def launch_of(task: str) -> str:
    """Return the launch id in the launcher's name of a task; no launch id has a slash."""
    return task.partition("/")[0]


def arn_of(task: str) -> str | None:
    """Return ECS's name in the launcher's name of a task, or None where it has none."""
    arn = task.partition("/")[2]
    return arn if arn.startswith("arn:") else None


def ids_of(task: Mapping[str, Any]) -> tuple[str, str]:
    """Return launch and server id of *task* as ECS describes it, empty where it is not one of ours."""
    for override in (task.get("overrides") or {}).get("containerOverrides") or ():
        if override.get("name") == CONTAINER:
            given = {pair.get("name"): str(pair.get("value", "")) for pair in override.get("environment") or ()}
            return given.get(LAUNCH, ""), given.get(SERVER, "")
    return "", ""


def families_of(hub: str, kind: str) -> str:
    """Return how the families of all definitions of a kind begin; no other hub's begin so, as names of hubs are short."""
    return f"{hub}-{kind}-"


def digest(*parts: str) -> str:
    """Return 32 hex digits for *parts*; no two different lists of parts meet in one."""
    framed = "".join(f"{len(part.encode())}:{part}" for part in parts)
    return hashlib.sha256(framed.encode()).hexdigest()[:32]
