"""StageCleanup a stage before it is taken away: what the hub itself made is in the way of what deletes the stacks, which know nothing of it."""

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

LOOK_EVERY, LONGEST = 5.0, 300.0  # seconds
CALM = 2  # looks in a row that see nothing: ECS's lists lag, and a launch that waited may come after one
REASON = "The hub is being taken away"
EVERY_DEFINITION = 1.0  # seconds: ECS takes one change of definitions in each
_DESCRIBED, _TAGGED = 100, 20  # tasks and target groups that may be asked about at once
_GROUPS = "hl-"  # how names of the hub's target groups begin
_GONE = frozenset({"TargetGroupNotFound", "RuleNotFound"})


@value
class StageServers:
    """Tasks of a hub: those that run or are about to, and how many were told to end and have not yet."""

    running: tuple[str, ...] = ()
    ending: int = 0

    @property
    def count(self) -> int:
        """Return how many are in the cluster's way."""
        return len(self.running) + self.ending

    def text(self) -> str:
        """Return it in words."""
        return f"{len(self.running)} servers run, {self.ending} are ending"


def started_by(hub: str) -> str:
    """Return by whom the tasks of *hub* say that they were started."""
    return f"hubless/{hub}"


def ending(tasks: Iterable[Mapping[str, Any]], hub: str) -> int:
    """Return how many of *tasks*, none of which is to run any more, are of *hub* and not at their end."""
    return sum(task.get("startedBy") == started_by(hub) and task.get("lastStatus") != "STOPPED" for task in tasks)


def families(names: Iterable[str], hub: str) -> list[str]:
    """Return those families of task definitions that are of *hub*, and not of one whose name begins with it."""
    own = re.compile(rf"{re.escape(hub)}-[0-9a-f]{{32}}-[0-9a-f]{{32}}")
    return [name for name in names if own.fullmatch(name)]


def check_account(stage: Stage, aws: Aws) -> None:
    """Make sure that *aws* is the account that the stage names, where it names one.

    Raises:
        OperationsError: when it is another, or nobody may know.
    """
    if stage.settings.account:
        found = evaluate.identity(collect.identity(aws), stage)
        if found.level is Level.PROBLEM:
            raise OperationsError(f"The credentials are not the stage's: {found.message}. {found.action}")


@value
class StageCleanup:
    """Removes what *hub* made in *cluster* and behind load balancers. *say* is told how it gets on."""

    hub: str
    cluster: str
    aws: Aws
    say: Callable[[str], None]
    clock: Callable[[], float] = field(default=time.monotonic)
    sleep: Callable[[float], None] = field(default=time.sleep)

    def look(self) -> StageServers:
        """Return which servers there are.

        Raises:
            AwsCallError: when AWS does not tell.
        """
        running = self._listed(startedBy=started_by(self.hub))
        stopped = self._listed(
            desiredStatus="STOPPED"
        )  # ECS lists them for an hour, ended or not, and by no other mark
        count = 0
        for start in range(0, len(stopped), _DESCRIBED):
            told = self.aws.call(
                "ecs", "describe_tasks", cluster=self.cluster, tasks=stopped[start : start + _DESCRIBED]
            )
            count += ending(told["tasks"], self.hub)
        return StageServers(tuple(running), count)

    def stop_servers(self) -> StageServers:
        """Stop them again and again until there are none, and return those that are left after all that time.

        Raises:
            AwsCallError: when AWS does not do it.
        """
        begun, calm, before = self.clock(), 0, None
        while True:
            seen = self.look()
            if seen != before:
                self.say(seen.text())
            before, calm = seen, 0 if seen.count else calm + 1
            if calm == CALM or self.clock() - begun >= LONGEST:
                return seen
            for task in seen.running:
                self._stop(task)
            self.sleep(LOOK_EVERY)

    def _listed(self, **which: str) -> list[str]:
        try:
            return self.aws.paginate("ecs", "list_tasks", "taskArns", cluster=self.cluster, **which)
        except AwsCallError as error:
            if error.error_code == "ClusterNotFoundException":
                return []
            raise

    def _stop(self, task: str) -> None:
        """Stop one; what ECS would not hear just now, or knows no more, the next look tells."""
        try:
            self.aws.call("ecs", "stop_task", cluster=self.cluster, task=task, reason=REASON)
        except AwsCallError as error:
            if error.missing_permission:
                raise

    def remove_target_groups(self) -> int:
        """Remove the hub's rules and target groups, and return how many groups are left.

        Raises:
            AwsCallError: when AWS does not do it.
        """
        groups = self._target_groups()
        rules = self._rules_of({arn for one in groups for arn in one.get("LoadBalancerArns", ())})
        left = 0
        for group in (one["TargetGroupArn"] for one in groups):
            for rule in rules.get(group, ()):
                self._removed("delete_rule", RuleArn=rule)
            left += not self._removed("delete_target_group", TargetGroupArn=group)
        self.say(f"{len(groups) - left} target groups are removed" + (f", {left} are still in use" if left else ""))
        return left

    def _target_groups(self) -> list[Mapping[str, Any]]:
        every = self.aws.paginate("elbv2", "describe_target_groups", "TargetGroups")
        named = {one["TargetGroupArn"]: one for one in every if one["TargetGroupName"].startswith(_GROUPS)}
        arns, found = list(named), []
        for start in range(0, len(arns), _TAGGED):
            told = self.aws.call("elbv2", "describe_tags", ResourceArns=arns[start : start + _TAGGED])
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
            return error.error_code in _GONE
        return True

    def deregister_definitions(self) -> int:
        """Deregister the hub's task definitions, one after the other, and return how many.

        Raises:
            AwsCallError: when AWS does not do it.
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
                self.sleep(EVERY_DEFINITION)
            if turn % 20 == 0:
                self.say(f"{turn} of {len(own)} families of task definitions are done")
        self.say(f"{count} task definitions are deregistered")
        return count


def of_stage(stage: Stage, aws: Aws, say: Callable[[str], None]) -> StageCleanup | None:
    """Return what empties *stage*; None where it has no cluster, and so no servers.

    Raises:
        OperationsError: when the credentials are of another account than the stage's, or nobody may know.
    """
    check_account(stage, aws)
    cluster = deployed_stage.cluster_of(stage, aws)
    return StageCleanup(stage.hub, cluster, aws, say) if cluster else None
