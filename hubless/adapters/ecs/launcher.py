"""Starts servers as Fargate tasks, and knows of them whoever started them."""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError

from hubless.adapters.aws import Clients
from hubless.adapters.ecs import naming, translation
from hubless.adapters.ecs.definitions import SERVICE_URL, Definitions
from hubless.adapters.ecs.disused import DisusedDefinitions
from hubless.adapters.ecs.facts import Capacity, Facts
from hubless.adapters.ecs.files import LaunchFiles
from hubless.adapters.ecs.homes import AccessPoints
from hubless.adapters.ecs.reading import is_to_run, status_of
from hubless.adapters.ecs.translation import NoDefinitionError, NoPlaceError, in_words
from hubless.domain.profiles import Profile
from hubless.ports.clock import Clock
from hubless.ports.launcher import Launch, Task, TaskPending, TaskStatus, TaskStopped

logger = logging.getLogger(__name__)

# For so long may ECS not know yet of a task that it has just started: its own advice is to ask again for five minutes.
UNKNOWN_FOR = timedelta(minutes=5)
PER_QUESTION = 100  # tasks
NEVER = TaskStopped("was never started")
FARGATE, SPOT = "FARGATE", "FARGATE_SPOT"


class EcsLauncher:
    """Runs servers on Fargate.

    A task's name is its launch id and its ARN. A launch is started at most once, by whomever and however often: the launch
    id is the client token of RunTask, and ECS answers the same token with the same task.
    """

    name = "ecs"

    def __init__(self, facts: Facts, clients: Clients, clock: Clock) -> None:
        self._facts, self._clients, self._clock = facts, clients, clock
        self._files = LaunchFiles(facts, clients)
        self._definitions = Definitions(facts, clients, clock)
        self._disused = DisusedDefinitions(facts, clients, clock)
        self._homes = AccessPoints(facts, facts.homes, clients) if facts.homes else None

    def launch(self, launch: Launch) -> str:
        with in_words("launching"):
            access_point = self._homes.of(launch.owner_id) if self._homes else None
            family = self._definitions.family_for(launch, access_point)
            self._files.put(launch.launch_id, launch.secrets)
            try:
                arn = self._run(launch, family)
            except NoDefinitionError:  # it was put away as unused at this very moment
                self._definitions.register_again(launch, access_point)
                arn = self._run(launch, family)
            return naming.task_name(launch.launch_id, arn)

    def describe(self, task: str) -> TaskStatus:
        arn = naming.arn_of(task)
        if arn is None:
            return NEVER
        with in_words("describing"):
            found = self._find(arn)
            return self._unknown(self._written_at(task)) if found is None else status_of(found, self._facts.port)

    def describe_many(self, tasks: Iterable[str]) -> dict[str, TaskStatus]:
        names = {arn: task for task in tasks if (arn := naming.arn_of(task)) is not None}
        with in_words("describing"):
            found = {str(one["taskArn"]): one for one in self._described(list(names))}
            # One listing for all that ECS does not know (yet, or any more).
            written = self._files.launches() if found.keys() < names.keys() else {}
        return {
            task: status_of(found[arn], self._facts.port)
            if arn in found
            else self._unknown(written.get(naming.launch_of(task)))
            for arn, task in names.items()
        }

    def stop(self, task: str, *, force: bool = False) -> None:  # noqa: ARG002 ECS asks first and then kills by itself
        arn = naming.arn_of(task)
        if arn is None:
            return
        with in_words("stopping"):
            try:
                self._clients.ecs.stop_task(
                    cluster=self._facts.cluster, task=arn, reason=f"asked by {self._facts.started_by}"
                )
            except ClientError as error:
                if "task was not found" not in translation.said_by(error):
                    raise

    def tasks(self) -> list[Task]:
        with in_words("listing"):
            found = [self._task(task) for task in self._all() if naming.marks_of(task)[0]]
            known = {task.launch_id for task in found}
            left = sorted(self._files.launches().keys() - known)
            return found + [Task(naming.task_name(launch_id), launch_id, NEVER) for launch_id in left]

    def forget(self, task: str) -> None:
        arn = naming.arn_of(task)
        with in_words("forgetting"):
            if arn is not None:
                found = self._find(arn)
                if is_to_run(found) if found is not None else self._is_new(self._written_at(task)):
                    return
            if launch_id := naming.launch_of(task):
                self._files.remove(launch_id)

    def garbage_collect(self, offered: Iterable[Profile]) -> int:
        with in_words("discarding definitions"):
            return self._disused.discard(self._definitions.kinds_of(offered))

    # --- starting ---

    def _run(self, launch: Launch, family: str) -> str:
        if self._facts.capacity is Capacity.FARGATE:
            return self._run_on(FARGATE, launch, family)
        if self._facts.capacity is Capacity.SPOT:
            return self._run_on(SPOT, launch, family)
        if not self._files.is_on_demand(launch.launch_id):
            try:
                return self._run_on(SPOT, launch, family)
            except NoPlaceError as full:
                logger.info("launch %s runs on demand: %s", launch.launch_id, full)
                # Noted first: a second try after a crash must not find a place on Spot beside what runs on demand.
                self._files.turn_to_demand(launch.launch_id)
        return self._run_on(FARGATE, launch, family)

    def _run_on(self, provider: str, launch: Launch, family: str) -> str:
        try:
            answer = self._clients.ecs.run_task(**self._order(provider, launch, family))
        except ClientError as error:
            if translation.code_of(error) == "ConflictException" and (arns := error.response.get("resourceIds")):
                return str(arns[0])  # started already, before the settings changed
            raise translation.meaning_of(error, "launching") from error
        if not answer.get("tasks"):
            raise translation.meaning_of_failures(answer.get("failures") or ())
        return str(answer["tasks"][0]["taskArn"])

    def _order(self, provider: str, launch: Launch, family: str) -> dict[str, Any]:
        facts = self._facts
        tags = {
            "hubless:hub": facts.hub,
            "hubless:launch": launch.launch_id,
            "hubless:server": launch.server_id,
            "hubless:owner": launch.owner_id,
        }
        vpc = {
            "subnets": list(facts.subnets),
            "securityGroups": list(facts.security_groups),
            "assignPublicIp": "ENABLED" if facts.public_addresses else "DISABLED",
        }
        server = {
            "name": naming.CONTAINER,
            "environment": _pairs(self._environment(launch), "name", "value"),
            "environmentFiles": [{"type": "s3", "value": self._files.reference(launch.launch_id)}],
        }
        return {
            "cluster": facts.cluster,
            "taskDefinition": family,
            "count": 1,
            "clientToken": naming.digest("launch", facts.hub, provider, launch.launch_id),
            "startedBy": facts.started_by,
            "capacityProviderStrategy": [{"capacityProvider": provider, "weight": 1}],
            "platformVersion": facts.platform_version,
            "networkConfiguration": {"awsvpcConfiguration": vpc},
            "enableExecuteCommand": False,
            "enableECSManagedTags": True,
            "tags": _pairs(tags, "key", "value"),
            "overrides": {"containerOverrides": [server]},
        }

    def _environment(self, launch: Launch) -> dict[str, str]:
        """Return what the task's description may show: the launch's own variables, and whose they are."""
        shared, secret = launch.profile.environment, launch.secrets
        own = {
            name: text for name, text in launch.environment.items() if shared.get(name) != text and name not in secret
        }
        service = {SERVICE_URL: f"http://0.0.0.0:{self._facts.port}{launch.prefix}"}
        return own | service | {naming.LAUNCH: launch.launch_id, naming.SERVER: launch.server_id}

    # --- asking ---

    def _find(self, arn: str) -> Mapping[str, Any] | None:
        return next(iter(self._described([arn])), None)

    def _described(self, arns: Sequence[str]) -> Iterator[Mapping[str, Any]]:
        for first in range(0, len(arns), PER_QUESTION):
            some = list(arns[first : first + PER_QUESTION])
            yield from self._clients.ecs.describe_tasks(cluster=self._facts.cluster, tasks=some)["tasks"]

    def _all(self) -> Iterator[Mapping[str, Any]]:
        """Go through the tasks that are to run, those included that have not come up yet."""
        pages = self._clients.ecs.get_paginator("list_tasks").paginate(
            cluster=self._facts.cluster, startedBy=self._facts.started_by
        )
        return self._described([arn for page in pages for arn in page["taskArns"]])

    def _task(self, task: Mapping[str, Any]) -> Task:
        launch_id, _ = naming.marks_of(task)
        return Task(naming.task_name(launch_id, str(task["taskArn"])), launch_id, status_of(task, self._facts.port))

    def _written_at(self, task: str) -> datetime | None:
        return self._files.written_at(naming.launch_of(task))

    def _is_new(self, written_at: datetime | None) -> bool:
        """Say whether ECS may only not know yet of a task; one that it no longer knows was started long ago."""
        return written_at is not None and self._clock.now() - written_at < UNKNOWN_FOR

    def _unknown(self, written_at: datetime | None) -> TaskStatus:
        return TaskPending() if self._is_new(written_at) else TaskStopped("ended; ECS no longer knows how")


def _pairs(values: Mapping[str, str], key: str, value: str) -> list[dict[str, str]]:
    return [{key: name, value: text} for name, text in values.items()]
