"""Task events of ECS. EventBridge may deliver them twice, late, out of order or never.

An event contains the status of its task, so it needs no request to ECS.
"""

from collections.abc import Mapping
from typing import Any

from hubless.adapters.ecs.config import EcsConfig
from hubless.adapters.ecs.naming import ids_of, task_name
from hubless.adapters.ecs.task_status import status_of
from hubless.ports.launcher import TaskEvent

KIND = "ECS Task State Change"


def read(event: Mapping[str, Any], config: EcsConfig) -> TaskEvent | None:
    """Return the task event in *event*, or None if it is not about a task of this hub.

    Its `version` is not needed: a task only moves forward, so an old event changes nothing.
    """
    task = event.get("detail")
    if event.get("detail-type") != KIND or event.get("source") != "aws.ecs" or not isinstance(task, Mapping):
        return None
    launch_id, server_id = ids_of(task)
    if task.get("startedBy") != config.started_by or not launch_id or not task.get("taskArn"):
        return None
    return TaskEvent(task_name(launch_id, str(task["taskArn"])), server_id, launch_id, status_of(task, config.port))
