"""The stack `watch`: dashboard, alarms and budget."""

from typing import Any

from aws_cdk import Duration
from aws_cdk import aws_budgets as budgets
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from constructs import Construct

from hubless.settings.stage import Stage
from infra.stacks.base import HUB_TAG, HubStack
from infra.stacks.cluster import ClusterStack
from infra.stacks.control import ControlStack
from infra.stacks.state import StateStack
from infra.stacks.web import WebStack

NAMESPACE = "hubless"
LOG_BYTES_A_SERVER = 5_000_000  # in a quarter of an hour: more than a server with a limit can write
WARN_AT, FAILED_SPAWNS, STALE_MINUTES = 80, 5, 5  # per cent of the budget; within a quarter of an hour


class MonitoringStack(HubStack):
    """Dashboard, alarms and budget. Each alarm needs an action by an operator, and says which."""

    def __init__(
        self,
        scope: Construct,
        stage: Stage,
        *,
        state: StateStack,
        cluster: ClusterStack,
        control: ControlStack,
        web: WebStack,
        **more: Any,
    ) -> None:
        super().__init__(scope, "watch", stage, description="hubless: dashboard, alarms, spend", **more)
        self._state, self._cluster, self._control, self._web = state, cluster, control, web
        self._topic = self._alarm_topic()
        self._alarms()
        self._dashboard()
        self._budget()

    def _alarm_topic(self) -> sns.Topic | None:
        email = self.stage.settings.alarm_email
        if not email:
            return None
        topic = sns.Topic(self, "Alarms", display_name=self.stage.hub, enforce_ssl=True, master_key=self._state.key)
        topic.add_subscription(subscriptions.EmailSubscription(email))
        # enforce_ssl replaces SNS's default policy, which let the account's alarms publish.
        topic.add_to_resource_policy(
            iam.PolicyStatement(
                principals=[iam.ServicePrincipal("cloudwatch.amazonaws.com")],
                actions=["sns:Publish"],
                resources=[topic.topic_arn],
                conditions={"StringEquals": {"aws:SourceAccount": self.account}},
            )
        )
        return topic

    def _metric(self, name: str, statistic: str = "Sum", minutes: int = 5, **dimensions: str) -> cloudwatch.Metric:
        return cloudwatch.Metric(
            namespace=NAMESPACE,
            metric_name=name,
            dimensions_map={"hub": self.stage.hub, **dimensions},
            statistic=statistic,
            period=Duration.minutes(minutes),
        )

    def _alarm(self, name: str, metric: cloudwatch.IMetric, threshold: float, what_to_do: str, **more: Any) -> None:
        alarm = cloudwatch.Alarm(
            self,
            name,
            metric=metric,
            threshold=threshold,
            evaluation_periods=more.pop("periods", 1),
            comparison_operator=more.pop("operator", cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD),
            treat_missing_data=more.pop("missing", cloudwatch.TreatMissingData.NOT_BREACHING),
            alarm_description=f"{self.stage.hub}: {what_to_do}",
        )
        if self._topic:
            alarm.add_alarm_action(actions.SnsAction(self._topic))

    def _alarms(self) -> None:
        dead = self._control.dead.metric_approximate_number_of_messages_visible(
            period=Duration.minutes(5), statistic="Maximum"
        )
        self._alarm(
            "DeadLetters",
            dead,
            1,
            "messages failed too often. Read them in the dead-letter queue, fix the cause, and redrive them.",
        )
        self._alarm(
            "FailedSpawns",
            self._metric("Spawns", minutes=15, outcome="failed"),
            FAILED_SPAWNS,
            "servers do not start. Read the cause of each in the log of the function spawn.",
        )
        self._alarm(
            "Orphans",
            self._metric("Orphans", minutes=15),
            1,
            "the reaper stopped tasks that belong to no server. "
            "If this happens often, it is a bug: report it with the log of the function reaper.",
        )
        rounds = self._control.reaper.function.metric_invocations(
            period=Duration.minutes(STALE_MINUTES), statistic="Sum"
        )
        failed = self._control.reaper.function.metric_errors(period=Duration.minutes(STALE_MINUTES), statistic="Sum")
        swept = cloudwatch.MathExpression(
            expression="FILL(rounds, 0) - FILL(failed, 0)",
            using_metrics={"rounds": rounds, "failed": failed},
            period=Duration.minutes(STALE_MINUTES),
            label="rounds that ended well",
        )
        self._alarm(
            "NoSweep",
            swept,
            0,
            "the reaper does not finish its sweeps, so idle servers run on. Read the log of the function reaper.",
            operator=cloudwatch.ComparisonOperator.LESS_THAN_OR_EQUAL_TO_THRESHOLD,
            missing=cloudwatch.TreatMissingData.BREACHING,
            periods=2,
        )
        if self.stage.settings.edge == "economy":
            self._alarm(
                "EdgeRefused",
                self._metric("EdgeStartStopFailures"),
                1,
                "EC2 does not start or stop the edge, so users cannot reach servers. The hub retries each minute. "
                "If it lasts, choose another instance_type or edge.",
            )
        if (group := self._cluster.log_group) is not None and not self._cluster.has_own_images_only:
            written = cloudwatch.Metric(
                namespace="AWS/Logs",
                metric_name="IncomingBytes",
                dimensions_map={"LogGroupName": group.log_group_name},
                statistic="Sum",
                period=Duration.minutes(15),
            )
            self._alarm(
                "ServerLogs",
                written,
                LOG_BYTES_A_SERVER * self.stage.active_limit,
                "servers write very much to their log, at half a dollar a gigabyte. Find the largest log stream of the "
                "log group of servers, and stop that server; server_logs = false in the stage ends these logs.",
            )
        errors = self._control.api.function.metric_errors(period=Duration.minutes(5), statistic="Sum")
        self._alarm("ApiErrors", errors, 3, "requests fail. Read the cause of each in the log of the function api.")

    def _dashboard(self) -> None:
        control, minute = self._control, Duration.minutes(1)
        board = cloudwatch.Dashboard(self, "Dashboard", dashboard_name=f"{self.stage.hub}-{self.region}")
        board.add_widgets(
            _graph("Servers", self._metric("RunningServers", "Maximum", 1), self._metric("QueueLength", "Maximum", 1)),
            _graph("Spawns", *(self._metric("Spawns", outcome=outcome) for outcome in ("ready", "failed", "stopped"))),
            _graph(
                "Seconds from asked to ready",
                *(self._metric("SpawnDuration", statistic) for statistic in ("p50", "p95")),
            ),
        )
        board.add_widgets(
            _graph(
                "Stopped and removed",
                *(self._metric(name) for name in ("Culls", "ServerCrashes", "Orphans", "StaleRoutes", "Throttles")),
            ),
            _graph(
                "Requests",
                control.api.function.metric_invocations(period=minute),
                control.api.function.metric_errors(period=minute),
            ),
            _graph(
                "Request duration",
                *(control.api.function.metric_duration(period=minute, statistic=s) for s in ("p50", "p95")),
            ),
        )
        board.add_widgets(
            _graph("Dead letters", control.dead.metric_approximate_number_of_messages_visible()),
            _graph(
                "Spawn",
                control.spawn.function.metric_invocations(),
                control.spawn.function.metric_errors(),
                control.spawn.function.metric_throttles(),
            ),
            _graph("Reaper", control.reaper.function.metric_duration(), control.reaper.function.metric_errors()),
        )

    def _budget(self) -> None:
        given = self.stage.settings
        if not self.stage.has_budget:
            return
        mail = budgets.CfnBudget.SubscriberProperty(address=given.alarm_email, subscription_type="EMAIL")
        notes = [
            budgets.CfnBudget.NotificationWithSubscribersProperty(
                notification=budgets.CfnBudget.NotificationProperty(
                    comparison_operator="GREATER_THAN",
                    notification_type=kind,
                    threshold=threshold,
                    threshold_type="PERCENTAGE",
                ),
                subscribers=[mail],
            )
            for kind, threshold in (("ACTUAL", WARN_AT), ("FORECASTED", 100))
        ]
        budgets.CfnBudget(
            self,
            "Budget",
            budget=budgets.CfnBudget.BudgetDataProperty(
                budget_name=f"{self.stage.hub}-{self.region}",
                budget_type="COST",
                time_unit="MONTHLY",
                budget_limit=budgets.CfnBudget.SpendProperty(amount=given.monthly_budget, unit="USD"),
                cost_filters={"TagKeyValue": [f"user:{HUB_TAG}${self.stage.hub}"]},
            ),
            notifications_with_subscribers=notes,
        )


def _graph(title: str, *lines: cloudwatch.IMetric) -> cloudwatch.GraphWidget:
    return cloudwatch.GraphWidget(title=title, left=list(lines), width=8)
