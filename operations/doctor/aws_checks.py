"""Checks of a deployed hub in AWS: queues, functions, sweeps and edges."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from hubless.domain.errors import HublessError
from hubless.domain.routes import EdgeReport
from hubless.domain.spares import Spare
from hubless.domain.values import value
from hubless.services.name_checks import Glance
from hubless.settings.stage import Stage
from operations.aws import Aws, AwsCallError
from operations.check_results import CheckResult, ok, problem, warning
from operations.deployed_stage import Deployment
from operations.doctor.steps import Steps
from operations.preflight import collect, evaluate

HOUR = timedelta(hours=1)
SWEEP_WINDOW = timedelta(minutes=10)  # one a minute; metrics are some minutes late
MAX_MESSAGE_AGE = 300  # seconds
EDGE_LOST_AFTER = timedelta(seconds=10)  # as in routing
LOGS_LINK = "https://console.aws.amazon.com/cloudwatch/home#logsV2:log-groups"


@value
class Queue:
    """The depth of a queue, and the age of its oldest message."""

    waiting: int
    in_flight: int
    oldest_seconds: float


@value
class AwsChecks:
    """Checks *deployment* of *stage* with the operator's own credentials."""

    stage: Stage
    deployment: Deployment
    aws: Aws
    edges: Callable[[], tuple[Sequence[EdgeReport], int, int]]  # reports, newest route change, active servers
    names: Callable[[], Glance]
    now: Callable[[], datetime]
    spares: Callable[[], Sequence[Spare]] = tuple
    wanted_spares: Mapping[str, int] = field(default_factory=dict)  # by profile

    def run(self, steps: Steps) -> None:
        """Run the checks one by one."""
        variables = self.deployment.variables
        for check, url in (
            ("queue", variables.get("HUBLESS_QUEUE")),
            ("launches", variables.get("HUBLESS_LAUNCHES_QUEUE")),
        ):
            if url:
                self._run(steps, check, partial(self._queue, check, url))
        for url in self.deployment.dead_letters:
            self._run(steps, "dead letters", partial(self._dead_letters, url))
        for kind, function in self.deployment.functions.items():
            self._run(steps, f"function {kind}", partial(self._function, kind, function))
        if reaper := self.deployment.functions.get("reaper"):
            self._run(steps, "sweeps", partial(self._sweeps, reaper))
        if self.stage.settings.edge != "alb":
            steps.run(
                "edges",
                lambda: evaluate_edges(*self.edges(), self.now(), may_sleep=self.stage.settings.edge == "economy"),
            )
        if any(self.wanted_spares.values()):
            steps.run("spares", lambda: evaluate_spares(self.spares, self.wanted_spares))
        self._run(steps, "SSM", self._throughput)
        steps.run("names", lambda: evaluate_names(self.names, self.stage.name))

    def _run(self, steps: Steps, check: str, run: Callable[[], CheckResult]) -> None:
        """Run one check as a step. A call that AWS refuses is a warning: other checks may still work."""

        def step() -> CheckResult:
            try:
                return run()
            except AwsCallError as error:
                permissions = "docs/operations.md lists the permissions that doctor needs"
                action = permissions if error.missing_permission else "Try again"
                return warning(check, f"could not be checked: {error}", action)

        steps.run(check, step)

    def _queue(self, check: str, url: str) -> CheckResult:
        waiting, in_flight = self._depth(url)
        name = url.rpartition("/")[2]
        ages = self._metric("AWS/SQS", "ApproximateAgeOfOldestMessage", "Maximum", SWEEP_WINDOW, QueueName=name)
        return evaluate_queue(check, Queue(waiting, in_flight, max(ages, default=0.0)))

    def _dead_letters(self, url: str) -> CheckResult:
        return evaluate_dead_letters(url.rpartition("/")[2], self._depth(url)[0])

    def _throughput(self) -> CheckResult:
        return evaluate.throughput(self.stage, is_high=collect.has_high_throughput(self.aws))

    def _depth(self, url: str) -> tuple[int, int]:
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        told = self.aws.call("sqs", "get_queue_attributes", QueueUrl=url, AttributeNames=names)["Attributes"]
        return int(told[names[0]]), int(told[names[1]])

    def _function(self, kind: str, function: str) -> CheckResult:
        errors = sum(self._metric("AWS/Lambda", "Errors", "Sum", HOUR, FunctionName=function))
        throttles = sum(self._metric("AWS/Lambda", "Throttles", "Sum", HOUR, FunctionName=function))
        return evaluate_function(kind, function, errors, throttles)

    def _sweeps(self, function: str) -> CheckResult:
        runs = sum(self._metric("AWS/Lambda", "Invocations", "Sum", SWEEP_WINDOW, FunctionName=function))
        errors = sum(self._metric("AWS/Lambda", "Errors", "Sum", SWEEP_WINDOW, FunctionName=function))
        return evaluate_sweeps(function, runs, errors)

    def _metric(self, namespace: str, metric: str, statistic: str, since: timedelta, **dimensions: str) -> list[float]:
        told = self.aws.call(
            "cloudwatch",
            "get_metric_statistics",
            Namespace=namespace,
            MetricName=metric,
            Statistics=[statistic],
            Period=60,
            StartTime=self.now() - since,
            EndTime=self.now(),
            Dimensions=_dimensions(dimensions),
        )
        return [float(point[statistic]) for point in told.get("Datapoints", ())]


def _dimensions(given: Mapping[str, str]) -> list[dict[str, Any]]:
    return [{"Name": name, "Value": text} for name, text in given.items()]


def evaluate_queue(check: str, queue: Queue) -> CheckResult:
    """Check that the messages of a queue are handled in time."""
    said = f"{queue.waiting} messages waiting, {queue.in_flight} in flight"
    if queue.oldest_seconds > MAX_MESSAGE_AGE:
        return problem(
            check,
            f"{said}; the oldest is {queue.oldest_seconds:.0f} seconds old",
            "Read the log of the function spawn",
            LOGS_LINK,
        )
    return ok(check, said)


def evaluate_dead_letters(name: str, count: int) -> CheckResult:
    """Check that the dead-letter queue is empty."""
    if count:
        return problem(
            "dead letters",
            f"{count} messages in {name} failed too often",
            "Read the log of the function spawn for the cause. Then redrive the queue, or purge it: "
            "sweeps have already settled the servers of these messages",
            LOGS_LINK,
        )
    return ok("dead letters", f"none in {name}")


def evaluate_function(kind: str, function: str, errors: float, throttles: float) -> CheckResult:
    """Check the errors and throttles of a function."""
    if errors or throttles:
        return warning(
            f"function {kind}",
            f"{errors:.0f} errors and {throttles:.0f} throttles in the last hour",
            f"Read /aws/lambda/{function}{'; request more concurrent executions' if throttles else ''}",
            LOGS_LINK,
        )
    return ok(f"function {kind}", "no errors in the last hour")


def evaluate_sweeps(function: str, runs: float, errors: float) -> CheckResult:
    """Check that the reaper sweeps."""
    within = f"in the last {SWEEP_WINDOW.total_seconds() / 60:.0f} minutes"
    if not runs:
        return problem(
            "sweeps",
            f"the reaper did not run {within}: idle servers run on, and orphans stay",
            f"Check that the schedule of {function} is enabled",
        )
    if errors >= runs:
        return problem("sweeps", f"all {runs:.0f} sweeps {within} failed", f"Read /aws/lambda/{function}", LOGS_LINK)
    return ok("sweeps", f"{runs:.0f} {within}")


def evaluate_names(names: Callable[[], Glance], stage: str) -> CheckResult:
    """Check that logins find users; a table that cannot be read keeps no other check from running."""
    try:
        found = names()
    except HublessError as error:
        return warning("names", f"could not be checked: {error}", "Try again")
    if not found.lost:
        return ok("names", found.in_words)
    action = f"Run hubless user check-names --stage {stage}: it names them, and with --mend renames those whom it can"
    return warning("names", found.in_words, action)


def evaluate_spares(spares: Callable[[], Sequence[Spare]], wanted: Mapping[str, int]) -> CheckResult:
    """Check that as many tasks wait for launches as the profiles want now, by name in *wanted*."""
    try:
        found = spares()
    except HublessError as error:
        return warning("spares", f"could not be checked: {error}", "Try again")
    waiting = Counter(spare.profile for spare in found if spare.can_be_claimed)
    said = ", ".join(f"{waiting[name]} of {count} wait for {name}" for name, count in wanted.items() if count)
    failed = {spare.profile: spare.failure for spare in found if spare.failure}
    if failed:
        profile, why = next(iter(failed.items()))
        return warning(
            "spares",
            f"{said}; one of {profile} failed: it {why}",
            "The sweep starts another ten minutes after a failure. Check the profile's image and the servers' log",
        )
    return ok("spares", f"{said}. The sweep starts missing ones")


def evaluate_edges(
    reports: Sequence[EdgeReport], newest: int, running: int, now: datetime, *, may_sleep: bool
) -> CheckResult:
    """Check that edges have applied the newest route change."""
    live = [report for report in reports if now - report.seen_at <= EDGE_LOST_AFTER]
    if not live and may_sleep and not running:
        return ok("edges", "stopped, because no server runs")
    if not live:
        return problem(
            "edges",
            f"no edge reported in the last {EDGE_LOST_AFTER.seconds} seconds, and {running} servers are active"
            if running
            else "no edge reports",
            "No server gets ready without an edge: read its log (docs/edge.md), and check its clock",
        )
    behind = [report for report in live if report.sequence < newest]
    if behind:
        return warning(
            "edges",
            f"{len(behind)} of {len(live)} have not applied the newest route change",
            "Run doctor again: edges need a second or two",
        )
    return ok("edges", f"{len(live)} have applied the newest route change")
