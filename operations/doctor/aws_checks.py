"""What AWS knows of a deployed hub: what waits, what failed, who sweeps, which edges follow."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from hubless.domain.routes import EdgeReport
from hubless.domain.values import value
from hubless.settings.stage import Stage
from operations.aws import Aws, AwsCallError
from operations.check_results import CheckResult, ok, problem, warning
from operations.deployed_stage import Deployment
from operations.doctor.steps import Steps
from operations.preflight import collect, evaluate

HOUR = timedelta(hours=1)
SWEEPS_WITHIN = timedelta(minutes=10)  # one a minute, and metrics are some minutes late
LONGEST_WAIT = 300  # seconds that a message may wait
SILENT_AFTER = timedelta(seconds=10)  # as routing takes edges for lost
LOGS_LINK = "https://console.aws.amazon.com/cloudwatch/home#logsV2:log-groups"


@value
class Queue:
    """What waits in a queue, and for how long the oldest of it has."""

    waiting: int
    in_hand: int
    oldest_seconds: float


@value
class AwsChecks:
    """Looks at *deployment* of *stage* with the operator's own credentials."""

    stage: Stage
    deployment: Deployment
    aws: Aws
    edges: Callable[[], tuple[Sequence[EdgeReport], int, int]]  # reports, the newest change of routes, servers that run
    now: Callable[[], datetime]

    def look(self, steps: Steps) -> None:
        """Look at one thing after the other."""
        variables = self.deployment.variables
        for check, url in (
            ("queue", variables.get("HUBLESS_QUEUE")),
            ("launches", variables.get("HUBLESS_LAUNCHES_QUEUE")),
        ):
            if url:
                steps.run(
                    check,
                    lambda check=check, url=url: self._seen(check, lambda: evaluate_queue(check, self._queue(url))),  # type: ignore[misc]
                )
        for url in self.deployment.dead_letters:
            name = url.rpartition("/")[2]
            steps.run(
                "dead letters",
                lambda name=name, url=url: self._seen(  # type: ignore[misc]
                    "dead letters", lambda: evaluate_dead_letters(name, self._depth(url)[0])
                ),
            )
        for kind, function in self.deployment.functions.items():
            steps.run(
                f"function {kind}",
                lambda kind=kind, function=function: self._seen(  # type: ignore[misc]
                    f"function {kind}", lambda: self._function(kind, function)
                ),
            )
        if reaper := self.deployment.functions.get("reaper"):
            steps.run("sweeps", lambda: self._seen("sweeps", lambda: self._sweeps(reaper)))
        if self.stage.settings.edge != "alb":
            steps.run(
                "edges",
                lambda: evaluate_edges(*self.edges(), self.now(), may_sleep=self.stage.settings.edge == "economy"),
            )
        steps.run(
            "SSM",
            lambda: self._seen(
                "SSM", lambda: evaluate.throughput(self.stage, is_high=collect.has_high_throughput(self.aws))
            ),
        )

    def _seen(self, check: str, look: Callable[[], CheckResult]) -> CheckResult:
        try:
            return look()
        except AwsCallError as error:
            return warning(
                check,
                f"could not look: {error}",
                "docs/operations.md has the rights that doctor needs" if error.missing_permission else "Try again",
            )

    def _queue(self, url: str) -> Queue:
        waiting, in_hand = self._depth(url)
        name = url.rpartition("/")[2]
        return Queue(
            waiting,
            in_hand,
            max(
                self._metric("AWS/SQS", "ApproximateAgeOfOldestMessage", "Maximum", SWEEPS_WITHIN, QueueName=name),
                default=0.0,
            ),
        )

    def _depth(self, url: str) -> tuple[int, int]:
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        told = self.aws.call("sqs", "get_queue_attributes", QueueUrl=url, AttributeNames=names)["Attributes"]
        return int(told[names[0]]), int(told[names[1]])

    def _function(self, kind: str, function: str) -> CheckResult:
        errors = sum(self._metric("AWS/Lambda", "Errors", "Sum", HOUR, FunctionName=function))
        throttles = sum(self._metric("AWS/Lambda", "Throttles", "Sum", HOUR, FunctionName=function))
        return evaluate_function(kind, function, errors, throttles)

    def _sweeps(self, function: str) -> CheckResult:
        runs = sum(self._metric("AWS/Lambda", "Invocations", "Sum", SWEEPS_WITHIN, FunctionName=function))
        errors = sum(self._metric("AWS/Lambda", "Errors", "Sum", SWEEPS_WITHIN, FunctionName=function))
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
    """Say whether what waits gets its turn."""
    said = f"{queue.waiting} wait, {queue.in_hand} are in hand"
    if queue.oldest_seconds > LONGEST_WAIT:
        return problem(
            check,
            f"{said}; the oldest has waited for {queue.oldest_seconds:.0f} seconds",
            "See the log of the function spawn",
            LOGS_LINK,
        )
    return ok(check, said)


def evaluate_dead_letters(name: str, count: int) -> CheckResult:
    """Say whether anything was given up."""
    if count:
        return problem(
            "dead letters",
            f"{count} messages in {name} were given up",
            "See why in the log of the function spawn; then start the redrive of that queue, or purge it: the sweep has settled their servers",
            LOGS_LINK,
        )
    return ok("dead letters", f"none in {name}")


def evaluate_function(kind: str, function: str, errors: float, throttles: float) -> CheckResult:
    """Say whether a function fails."""
    if errors or throttles:
        return warning(
            f"function {kind}",
            f"{errors:.0f} errors and {throttles:.0f} throttles within an hour",
            f"See /aws/lambda/{function}{'; ask for more concurrent executions' if throttles else ''}",
            LOGS_LINK,
        )
    return ok(f"function {kind}", "no errors within an hour")


def evaluate_sweeps(function: str, runs: float, errors: float) -> CheckResult:
    """Say whether the reaper looks after what runs."""
    within = f"within {SWEEPS_WITHIN.total_seconds() / 60:.0f} minutes"
    if not runs:
        return problem(
            "sweeps",
            f"the reaper did not run {within}: nothing is culled, and what is lost stays",
            f"Is the schedule of {function} enabled?",
        )
    if errors >= runs:
        return problem("sweeps", f"all {runs:.0f} sweeps {within} failed", f"See /aws/lambda/{function}", LOGS_LINK)
    return ok("sweeps", f"{runs:.0f} {within}")


def evaluate_edges(
    reports: Sequence[EdgeReport], newest: int, running: int, now: datetime, *, may_sleep: bool
) -> CheckResult:
    """Say whether edges follow the route table."""
    live = [report for report in reports if now - report.seen_at <= SILENT_AFTER]
    if not live and may_sleep and not running:
        return ok("edges", "asleep, as no server runs")
    if not live:
        return problem(
            "edges",
            f"none has reported within {SILENT_AFTER.total_seconds():.0f} seconds, and {running} servers run"
            if running
            else "none reports",
            "No start gets ready without one: see the edge's log, and whether its clock is right",
        )
    behind = [report for report in live if report.sequence < newest]
    if behind:
        return warning(
            "edges",
            f"{len(behind)} of {len(live)} are behind the route table",
            "Look again: they follow within a second or two",
        )
    return ok("edges", f"{len(live)} follow the route table")
