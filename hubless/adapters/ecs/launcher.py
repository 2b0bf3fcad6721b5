"""Starts servers as Fargate tasks, and finds the tasks that other processes started."""

import logging
import random
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import field
from datetime import datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError

from hubless.adapters.aws import Clients
from hubless.adapters.ecs import error_translation, naming
from hubless.adapters.ecs.access_points import AccessPoints
from hubless.adapters.ecs.config import Capacity, EcsConfig
from hubless.adapters.ecs.environment_files import EnvironmentFiles, can_hold
from hubless.adapters.ecs.error_translation import (
    DefinitionGoneError,
    NoCapacityError,
    RoleRefusedError,
    translate_errors,
)
from hubless.adapters.ecs.garbage_collection import DefinitionGarbageCollector
from hubless.adapters.ecs.task_definitions import SERVICE_URL, TaskDefinitions
from hubless.adapters.ecs.task_roles import TaskRoles
from hubless.adapters.ecs.task_status import should_run, status_of
from hubless.domain.errors import CapacityUnavailableError
from hubless.domain.profiles import Profile
from hubless.domain.values import value
from hubless.ports.clock import Clock
from hubless.ports.launcher import Launch, Preparation, Task, TaskPending, TaskStatus, TaskStopped
from hubless.ports.spares import SpareOrder

logger = logging.getLogger(__name__)

# ECS may not know a task yet that it has just started. Its documentation advises retries for up to five minutes.
UNKNOWN_FOR = timedelta(minutes=5)
PER_QUESTION = 100  # tasks
SECOND = timedelta(seconds=1)
HOMES_AHEAD = 8_000  # EFS has 10,000 access points in a file system: the others are for those who start
NEVER = TaskStopped("was never started")
FARGATE, SPOT = "FARGATE", "FARGATE_SPOT"


@value(eq=False)
class _Run:
    """What one call of RunTask is for. *launch_id* is a spare's id, if it is for a spare."""

    launch_id: str
    family: str
    environment: Mapping[str, str]  # that task descriptions may show
    tags: Mapping[str, str]
    overrides: Mapping[str, str] = field(default_factory=dict)  # of the task, beside its container's


class EcsLauncher:
    """Runs servers on Fargate.

    A task's name is its launch id and its ARN. Launching is idempotent: the launch id is the client token of RunTask,
    and ECS answers the same token with the same task.
    """

    name = "ecs"

    def __init__(self, config: EcsConfig, clients: Clients, clock: Clock) -> None:
        self._config, self._clients, self._clock = config, clients, clock
        self._files = EnvironmentFiles(config, clients)
        self._definitions = TaskDefinitions(config, clients, clock)
        self._garbage_collector = DefinitionGarbageCollector(config, clients, clock)
        self._homes_ahead: set[str] = set()  # owners for whom `unprepared` has named one
        homes = config.homes
        self._homes = AccessPoints(config, homes, clients, clock) if homes else None
        self._roles = TaskRoles(config, homes, clients, clock) if homes and homes.role_boundary else None

    def is_prepared(self, wanted: Preparation) -> bool:
        try:
            with translate_errors("looking for the task definition"):
                return self._definitions.is_registered(wanted.profile, self._home_of(wanted.owner_id))
        except CapacityUnavailableError as busy:  # a class looks at once: not all of it looks again at one moment
            raise CapacityUnavailableError(str(busy), after=random.uniform(1, 5) * SECOND) from busy  # noqa: S311 no secret

    def unprepared(self, wanted: Iterable[Preparation]) -> list[Preparation]:
        with translate_errors("listing task definitions"):
            access_points = self._homes.all() if self._homes else None
            missing = self._definitions.unregistered(wanted, access_points)
            return list(missing if access_points is None else self._with_room(missing, access_points))

    def prepare(self, wanted: Preparation) -> None:
        with translate_errors("registering a task definition"):
            self._family_for(wanted.profile, wanted.owner_id, self._home_of(wanted.owner_id))

    def launch(self, launch: Launch) -> str:
        with translate_errors("launching"):
            access_point = self._home_of(launch.owner_id)
            family = self._family_for(launch.profile, launch.owner_id, access_point)
            self._files.put(launch.launch_id, {**_filed(launch), **launch.secrets})
            try:
                arn = self._run_registered(launch, family, access_point)
            except RoleRefusedError:
                if self._roles and access_point:
                    self._roles.wait_for(launch.owner_id, access_point)
                raise
            return naming.task_name(launch.launch_id, arn)

    def kind_of_spare(self, profile: Profile) -> str:
        config = self._config
        place = (config.capacity.value, config.platform_version, str(config.public_addresses))
        network = (str(config.subnets), str(config.security_groups))
        return naming.digest(self._definitions.kind_of_spare(profile), *place, *network)

    def start_spare(self, order: SpareOrder) -> str:
        with translate_errors("starting a spare"):
            run = _Run(
                order.spare_id,
                self._definitions.family_of_spares(order.profile),
                {naming.SPARE_URL: order.url, naming.SPARE: order.spare_id},
                {"hubless:hub": self._config.hub, "hubless:spare": order.spare_id},
            )
            self._files.put(order.spare_id, {naming.SPARE_SECRET: order.secret})
            try:
                arn = self._run(run)
            except DefinitionGoneError:  # the garbage collection removed it at this moment
                self._definitions.register_again(order.profile, None, waits=True)
                arn = self._run(run)
            return naming.task_name(order.spare_id, arn)

    def environment(self, launch: Launch) -> dict[str, str]:
        return {**_filed(launch), **launch.secrets, **self._environment(launch)}

    def describe(self, task: str) -> TaskStatus:
        arn = naming.arn_of(task)
        if arn is None:
            return NEVER
        with translate_errors("describing"):
            found = self._find(arn)
            return self._unknown(self._written_at(task)) if found is None else status_of(found, self._config.port)

    def describe_many(self, tasks: Iterable[str]) -> dict[str, TaskStatus]:
        names = {arn: task for task in tasks if (arn := naming.arn_of(task)) is not None}
        with translate_errors("describing"):
            found = {str(one["taskArn"]): one for one in self._described(list(names))}
            # One listing for all tasks that ECS does not know (yet, or any more).
            written = self._files.launches() if found.keys() < names.keys() else {}
        return {
            task: status_of(found[arn], self._config.port)
            if arn in found
            else self._unknown(written.get(naming.launch_of(task)))
            for arn, task in names.items()
        }

    def stop(self, task: str, *, force: bool = False) -> None:  # noqa: ARG002 ECS kills it after the stop time-out
        arn = naming.arn_of(task)
        if arn is None:
            return
        with translate_errors("stopping"):
            try:
                self._clients.ecs.stop_task(
                    cluster=self._config.cluster, task=arn, reason=f"requested by {self._config.started_by}"
                )
            except ClientError as error:
                if "task was not found" not in error_translation.message_of(error):
                    raise

    def tasks(self) -> list[Task]:
        with translate_errors("listing"):
            found = [self._task(task) for task in self._all() if naming.ids_of(task)[0]]
            known = {task.launch_id for task in found}
            left = sorted(self._files.launches().keys() - known)
            return found + [Task(naming.task_name(launch_id), launch_id, NEVER) for launch_id in left]

    def forget(self, task: str) -> None:
        arn = naming.arn_of(task)
        with translate_errors("forgetting"):
            if arn is not None:
                found = self._find(arn)
                if should_run(found) if found is not None else self._is_new(self._written_at(task)):
                    return
            if launch_id := naming.launch_of(task):
                self._files.remove(launch_id)

    def garbage_collect(self, offered: Iterable[Profile]) -> int:
        with translate_errors("collecting task definitions"):
            return self._garbage_collector.collect(self._definitions.kinds_of(offered))

    def remove_owners(self, existing: Callable[[Collection[str]], Collection[str]]) -> int:
        with translate_errors("removing roles and access points of users who are gone"):
            removed = self._roles.remove_unowned(existing) if self._roles else 0
            return removed + (self._homes.remove_unowned(existing) if self._homes else 0)

    # --- starting ---

    def _with_room(self, wanted: Iterable[Preparation], owners: Collection[str]) -> Iterator[Preparation]:
        """Yield *wanted*, without new homes beyond `HOMES_AHEAD`; *owners* have a home already."""
        counted = self._homes_ahead.union(owners)
        for one in wanted:
            if one.owner_id in counted or len(counted) < HOMES_AHEAD:
                counted.add(one.owner_id)
                self._homes_ahead.add(one.owner_id)
                yield one

    def _home_of(self, owner_id: str) -> str | None:
        """Return the owner's access point, which is made if it does not exist; None without homes."""
        return self._homes.of(owner_id) if self._homes else None

    def _family_for(self, profile: Profile, owner_id: str, access_point: str | None) -> str:
        """Return the family for launches with *profile* and that home; make its definition if it does not exist.

        The owner's role is made before: where the definition exists, the role has existed for a while.
        """
        if self._roles and access_point and not self._definitions.is_registered(profile, access_point):
            self._roles.make(owner_id, access_point)
        return self._definitions.family_for(profile, access_point)

    def _run_registered(self, launch: Launch, family: str, access_point: str | None) -> str:
        tags = {
            "hubless:hub": self._config.hub,
            "hubless:launch": launch.launch_id,
            "hubless:server": launch.server_id,
            "hubless:owner": launch.owner_id,
        }
        run = _Run(launch.launch_id, family, self._environment(launch), tags, self._role_override(launch))
        try:
            return self._run(run)
        except DefinitionGoneError:  # the garbage collection removed it at this moment
            self._definitions.register_again(launch.profile, access_point)
            return self._run(run)

    def _run(self, run: _Run) -> str:
        if self._config.capacity is Capacity.FARGATE:
            return self._run_on(FARGATE, run)
        if self._config.capacity is Capacity.SPOT:
            return self._run_on(SPOT, run)
        if not self._files.is_on_demand(run.launch_id):
            try:
                return self._run_on(SPOT, run)
            except NoCapacityError as full:
                logger.info("launch %s runs on demand because Spot has no capacity: %s", run.launch_id, full)
                # Recorded first: a retry after a crash must not start a second task on Spot.
                self._files.mark_on_demand(run.launch_id)
        return self._run_on(FARGATE, run)

    def _run_on(self, provider: str, run: _Run) -> str:
        try:
            answer = self._clients.ecs.run_task(**self._order(provider, run))
        except ClientError as error:
            if error_translation.code_of(error) == "ConflictException" and (arns := error.response.get("resourceIds")):
                return str(arns[0])  # it started before the settings changed
            raise error_translation.domain_error(error, "launching") from error
        if not answer.get("tasks"):
            raise error_translation.domain_error_of_failures(answer.get("failures") or ())
        return str(answer["tasks"][0]["taskArn"])

    def _order(self, provider: str, run: _Run) -> dict[str, Any]:
        config = self._config
        vpc = {
            "subnets": list(config.subnets),
            "securityGroups": list(config.security_groups),
            "assignPublicIp": "ENABLED" if config.public_addresses else "DISABLED",
        }
        server = {
            "name": naming.CONTAINER,
            "environment": _pairs(run.environment, "name", "value"),
            "environmentFiles": [{"type": "s3", "value": self._files.reference(run.launch_id)}],
        }
        return {
            "cluster": config.cluster,
            "taskDefinition": run.family,
            "count": 1,
            "clientToken": naming.digest("launch", config.hub, provider, run.launch_id),
            "startedBy": config.started_by,
            "capacityProviderStrategy": [{"capacityProvider": provider, "weight": 1}],
            "platformVersion": config.platform_version,
            "networkConfiguration": {"awsvpcConfiguration": vpc},
            "enableExecuteCommand": False,
            "enableECSManagedTags": True,
            "tags": _pairs(run.tags, "key", "value"),
            "overrides": {"containerOverrides": [server], **run.overrides},
        }

    def _role_override(self, launch: Launch) -> dict[str, str]:
        return {"taskRoleArn": self._roles.arn_of(launch.owner_id)} if self._roles else {}

    def _environment(self, launch: Launch) -> dict[str, str]:
        """Return the variables that task descriptions may show: those of the launch, and its ids.

        Also what the owner chose, if the file cannot hold it: a text with blanks.
        """
        shared, secret, filed = launch.profile.environment, launch.secrets, _filed(launch)
        more = {name: text for name, text in launch.chosen.items() if name not in filed}
        own = {
            name: text for name, text in launch.environment.items() if shared.get(name) != text and name not in secret
        }
        service = {SERVICE_URL: f"http://0.0.0.0:{self._config.port}{launch.prefix}"}
        return more | own | service | {naming.LAUNCH: launch.launch_id, naming.SERVER: launch.server_id}

    # --- reading ---

    def _find(self, arn: str) -> Mapping[str, Any] | None:
        return next(iter(self._described([arn])), None)

    def _described(self, arns: Sequence[str]) -> Iterator[Mapping[str, Any]]:
        for first in range(0, len(arns), PER_QUESTION):
            some = list(arns[first : first + PER_QUESTION])
            yield from self._clients.ecs.describe_tasks(cluster=self._config.cluster, tasks=some)["tasks"]

    def _all(self) -> Iterator[Mapping[str, Any]]:
        """Yield the tasks that should run, including those that have not started yet."""
        pages = self._clients.ecs.get_paginator("list_tasks").paginate(
            cluster=self._config.cluster, startedBy=self._config.started_by
        )
        return self._described([arn for page in pages for arn in page["taskArns"]])

    def _task(self, task: Mapping[str, Any]) -> Task:
        launch_id, _ = naming.ids_of(task)
        return Task(naming.task_name(launch_id, str(task["taskArn"])), launch_id, status_of(task, self._config.port))

    def _written_at(self, task: str) -> datetime | None:
        return self._files.written_at(naming.launch_of(task))

    def _is_new(self, written_at: datetime | None) -> bool:
        """Say whether ECS may not know the task yet; it forgets tasks only long after their start."""
        return written_at is not None and self._clock.now() - written_at < UNKNOWN_FOR

    def _unknown(self, written_at: datetime | None) -> TaskStatus:
        return TaskPending() if self._is_new(written_at) else TaskStopped("ended; ECS no longer knows why")


def _filed(launch: Launch) -> dict[str, str]:
    """Return what the owner chose, as far as the environment file can hold it: the overrides of a task are short."""
    return {name: text for name, text in launch.chosen.items() if can_hold(name, text)}


def _pairs(values: Mapping[str, str], key: str, value: str) -> list[dict[str, str]]:
    return [{key: name, value: text} for name, text in values.items()]
