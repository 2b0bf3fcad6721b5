"""Remove what the hub itself created in a stage, before `cdk destroy`.

CloudFormation does not know these tasks, target groups and task definitions, and cannot delete what they use.
"""

import re
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import field
from typing import Any

from hubless.domain.values import value
from hubless.settings.stage import Stage
from operations import deployed_stage
from operations.aws import Aws, AwsCallError
from operations.check_results import Level
from operations.errors import OperationsError
from operations.preflight import collect, evaluate

POLL_SECONDS, TIMEOUT_SECONDS = 5.0, 300.0
EMPTY_POLLS = 2  # in a row: ECS's lists are eventually consistent, and a queued launch may still start
STOP_REASON = "The hub is being removed"
DEREGISTER_SECONDS = 1.0  # ECS accepts one change of a task definition a second
_DESCRIBE_TASKS_LIMIT, _DESCRIBE_TAGS_LIMIT = 100, 20  # AWS's limits for one call
_TARGET_GROUP_PREFIX = "hl-"
_NOT_FOUND = frozenset({"TargetGroupNotFound", "RuleNotFound"})


@value
class StageServers:
    """A hub's tasks: those that run or start, and the number of those that are stopping."""

    running: tuple[str, ...] = ()
    stopping: int = 0

    @property
    def count(self) -> int:
        """Return how many tasks keep the cluster from being deleted."""
        return len(self.running) + self.stopping

    def text(self) -> str:
        """Return the numbers as text for the operator."""
        return f"{len(self.running)} servers are running, {self.stopping} are stopping"


def started_by(hub: str) -> str:
    """Return the `startedBy` of the tasks of *hub*."""
    return f"hubless/{hub}"


def stopping_count(tasks: Iterable[Mapping[str, Any]], hub: str) -> int:
    """Return how many of *tasks* belong to *hub* and have not stopped yet. The desired status of each is STOPPED."""
    return sum(task.get("startedBy") == started_by(hub) and task.get("lastStatus") != "STOPPED" for task in tasks)


def families(names: Iterable[str], hub: str) -> list[str]:
    """Return the families of task definitions of *hub*, without those of a hub whose name only begins the same."""
    own = re.compile(rf"{re.escape(hub)}-[0-9a-f]{{32}}-[0-9a-f]{{32}}")
    return [name for name in names if own.fullmatch(name)]


def check_account(stage: Stage, aws: Aws) -> None:
    """Check that the credentials belong to the account of the stage. Does nothing if the stage names no account.

    Raises:
        OperationsError: if they belong to another account, or AWS does not answer.
    """
    if stage.settings.account:
        found = evaluate.identity(collect.identity(aws), stage)
        if found.level is Level.PROBLEM:
            raise OperationsError(f"These are not the stage's credentials: {found.message}. {found.action}")


@value
class StageCleanup:
    """Removes what *hub* created in *cluster* and on load balancers. *report* receives lines about the progress."""

    hub: str
    cluster: str
    aws: Aws
    report: Callable[[str], None]
    clock: Callable[[], float] = field(default=time.monotonic)
    sleep: Callable[[float], None] = field(default=time.sleep)

    def servers(self) -> StageServers:
        """Return the servers that are running or stopping.

        Raises:
            AwsCallError: if AWS does not answer.
        """
        running = self._listed(startedBy=started_by(self.hub))
        stopped = self._listed(
            desiredStatus="STOPPED"
        )  # ECS lists stopped tasks for an hour; this filter excludes startedBy
        count = 0
        for start in range(0, len(stopped), _DESCRIBE_TASKS_LIMIT):
            told = self.aws.call(
                "ecs", "describe_tasks", cluster=self.cluster, tasks=stopped[start : start + _DESCRIBE_TASKS_LIMIT]
            )
            count += stopping_count(told["tasks"], self.hub)
        return StageServers(tuple(running), count)

    def stop_servers(self) -> StageServers:
        """Stop all servers, and repeat until none is left or the time-out is over. Return those that are left.

        Raises:
            AwsCallError: if AWS refuses a call.
        """
        started, empty_polls, before = self.clock(), 0, None
        while True:
            seen = self.servers()
            if seen != before:
                self.report(seen.text())
            before, empty_polls = seen, 0 if seen.count else empty_polls + 1
            if empty_polls == EMPTY_POLLS or self.clock() - started >= TIMEOUT_SECONDS:
                return seen
            for task in seen.running:
                self._stop(task)
            self.sleep(POLL_SECONDS)

    def _listed(self, **which: str) -> list[str]:
        try:
            return self.aws.paginate("ecs", "list_tasks", "taskArns", cluster=self.cluster, **which)
        except AwsCallError as error:
            if error.error_code == "ClusterNotFoundException":
                return []
            raise

    def _stop(self, task: str) -> None:
        """Stop one task. The next poll shows whether ECS refused, or does not know the task any more."""
        try:
            self.aws.call("ecs", "stop_task", cluster=self.cluster, task=task, reason=STOP_REASON)
        except AwsCallError as error:
            if error.missing_permission:
                raise

    def remove_target_groups(self) -> int:
        """Delete the hub's listener rules and target groups. Return how many groups are still in use.

        Raises:
            AwsCallError: if AWS refuses a call.
        """
        groups = self._target_groups()
        rules = self._rules_of({arn for one in groups for arn in one.get("LoadBalancerArns", ())})
        left = 0
        for group in (one["TargetGroupArn"] for one in groups):
            for rule in rules.get(group, ()):
                self._removed("delete_rule", RuleArn=rule)
            left += not self._removed("delete_target_group", TargetGroupArn=group)
        self.report(f"{len(groups) - left} target groups deleted" + (f", {left} still in use" if left else ""))
        return left

    def _target_groups(self) -> list[Mapping[str, Any]]:
        every = self.aws.paginate("elbv2", "describe_target_groups", "TargetGroups")
        named = {one["TargetGroupArn"]: one for one in every if one["TargetGroupName"].startswith(_TARGET_GROUP_PREFIX)}
        arns, found = list(named), []
        for start in range(0, len(arns), _DESCRIBE_TAGS_LIMIT):
            told = self.aws.call("elbv2", "describe_tags", ResourceArns=arns[start : start + _DESCRIBE_TAGS_LIMIT])
            found += [
                named[one["ResourceArn"]]
                for one in told["TagDescriptions"]
                if {"Key": "hubless:hub", "Value": self.hub} in one["Tags"]
            ]
        return found

    def _rules_of(self, balancers: Collection[str]) -> dict[str, list[str]]:
        """Return the rules of *balancers* by the group that each forwards to."""
        found: dict[str, list[str]] = {}
        for balancer in sorted(balancers):
            for listener in self.aws.paginate("elbv2", "describe_listeners", "Listeners", LoadBalancerArn=balancer):
                for rule in self.aws.paginate("elbv2", "describe_rules", "Rules", ListenerArn=listener["ListenerArn"]):
                    for group in {action["TargetGroupArn"] for action in rule["Actions"] if "TargetGroupArn" in action}:
                        found.setdefault(group, []).append(rule["RuleArn"])
        return found

    def _removed(self, operation: str, **which: str) -> bool:
        try:
            if operation == "delete_rule":
                self.aws.call("elbv2", "delete_rule", **which)
            else:
                self.aws.call("elbv2", "delete_target_group", **which)
        except AwsCallError as error:
            if error.missing_permission:
                raise
            return error.error_code in _NOT_FOUND
        return True

    def deregister_definitions(self) -> int:
        """Deregister the hub's task definitions, one a second. Return how many.

        Raises:
            AwsCallError: if AWS refuses a call.
        """
        every = self.aws.paginate(
            "ecs", "list_task_definition_families", "families", familyPrefix=f"{self.hub}-", status="ACTIVE"
        )
        own, count = families(every, self.hub), 0
        for turn, family in enumerate(own, 1):
            for arn in self.aws.paginate(
                "ecs", "list_task_definitions", "taskDefinitionArns", familyPrefix=family, status="ACTIVE"
            ):
                self.aws.call("ecs", "deregister_task_definition", taskDefinition=arn)
                count += 1
                self.sleep(DEREGISTER_SECONDS)
            if turn % 20 == 0:
                self.report(f"{turn} of {len(own)} families of task definitions done")
        self.report(f"{count} task definitions deregistered")
        return count

    def remove_roles(self, path: str) -> int:
        """Delete the roles that the hub made below *path*: CloudFormation cannot delete their boundary before.

        Return how many.

        Raises:
            AwsCallError: if AWS refuses a call.
        """
        found = [one["RoleName"] for one in self.aws.paginate("iam", "list_roles", "Roles", PathPrefix=path)]
        for name in found:
            try:
                self.aws.call("iam", "delete_role", RoleName=name)
            except AwsCallError as error:
                if error.error_code != "NoSuchEntity":  # the hub removes roles as well
                    raise
        self.report(f"{len(found)} roles of users deleted")
        return len(found)


def unprotect(stage: Stage, aws: Aws) -> bool:
    """Turn the termination protection of the stack `state` off. Return whether there is such a stack.

    The deployment turns it on where the stage keeps its data, and CloudFormation then refuses `cdk destroy`. The next
    deployment turns it on again.

    Raises:
        OperationsError: if the credentials belong to another account, or AWS does not answer.
    """
    check_account(stage, aws)
    try:
        aws.call(
            "cloudformation",
            "update_termination_protection",
            StackName=f"{stage.hub}-{deployed_stage.STATE}",
            EnableTerminationProtection=False,
        )
    except AwsCallError as error:
        if error.error_code == "ValidationError":  # CloudFormation's code for a stack that does not exist
            return False
        raise
    return True


def of_stage(stage: Stage, aws: Aws, report: Callable[[str], None]) -> StageCleanup | None:
    """Return the clean-up of *stage*. None if it has no cluster, and so no servers.

    Raises:
        OperationsError: if the credentials belong to another account, or AWS does not answer.
    """
    check_account(stage, aws)
    cluster = deployed_stage.cluster_of(stage, aws)
    return StageCleanup(stage.hub, cluster, aws, report) if cluster else None
