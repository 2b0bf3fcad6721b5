"""ECS's own news of tasks, as EventBridge delivers them: perhaps twice, late, out of order, or never.

Whoever hears of a task need not ask ECS how it is.
"""

from collections.abc import Mapping
from typing import Any

from hubless.adapters.ecs.config import EcsConfig
from hubless.adapters.ecs.naming import ids_of, task_name
from hubless.adapters.ecs.task_status import status_of
from hubless.ports.launcher import TaskEvent

KIND = "ECS Task State Change"


def read(event: Mapping[str, Any], config: EcsConfig) -> TaskEvent | None:
    """Return what *event* says of a task of this hub, or None when it is about something else.

    Its `version` is not needed: a task only ever goes forward, so an older event says nothing that a later step minds.
    """
    task = event.get("detail")
    if event.get("detail-type") != KIND or event.get("source") != "aws.ecs" or not isinstance(task, Mapping):
        return None
    launch_id, server_id = ids_of(task)
    if task.get("startedBy") != config.started_by or not launch_id or not task.get("taskArn"):
        return None
    return TaskEvent(task_name(launch_id, str(task["taskArn"])), server_id, launch_id, status_of(task, config.port))
