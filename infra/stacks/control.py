"""The hub itself: its three functions, and what calls them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from aws_cdk import Duration, Fn, RemovalPolicy
from aws_cdk import aws_apigateway as rest
from aws_cdk import aws_apigatewayv2 as http
from aws_cdk import aws_apigatewayv2_integrations as integrations
from aws_cdk import aws_elasticloadbalancingv2 as balancers
from aws_cdk import aws_elasticloadbalancingv2_targets as balanced
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as event_targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda_event_sources as sources
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from hubless.settings.cloud import CloudSettings, to_environment
from hubless.settings.mail import MailSettings
from hubless.settings.stage import Stage
from infra import iam_policies
from infra.constructs.function import FunctionSpec, HubFunction, Target
from infra.constructs.reservations import Reservations
from infra.nag_exceptions import acknowledge
from infra.stacks.base import HubStack
from infra.stacks.cluster import ClusterStack
from infra.stacks.state import StateStack
from infra.stacks.web import BURST, NO_STREAM_LOG, RATE, STREAM_STAGE, WebStack

API_SECONDS, SPAWN_SECONDS, REAPER_SECONDS, STREAM_SECONDS = 29, 60, 120, 900
VISIBILITY_SECONDS = 6 * SPAWN_SECONDS  # AWS's recommendation for a queue with a function
TRIES = 1_000  # a message returns until the deadline of its launch, which only the hub knows
BATCH, MAX_CONCURRENCY = 10, 20
MEMORY_MIB = {"api": 1024, "stream": 256, "spawn": 512, "reaper": 512}
STREAM_VERSION = 1  # increase it with each change of the method
LAST_RULE = 50_000  # ELB's highest
HUB_AUTHENTICATES = "The hub authenticates each request by JupyterHub's tokens and cookies"
EXEC_WRAPPER = "/var/task/functions/api/stream/bootstrap"


@dataclass(frozen=True)
class Code:
    """The functions' bundles, and the platform that they run on."""

    api: Path
    spawn: Path
    reaper: Path
    target: Target


class ControlStack(HubStack):
    """The functions, their queues and their schedule, with the resources of the other stacks."""

    def __init__(
        self,
        scope: Construct,
        stage: Stage,
        *,
        state: StateStack,
        cluster: ClusterStack,
        web: WebStack,
        code: Code,
        mail: MailSettings,
        has_spares: bool = False,
        **more: Any,
    ) -> None:
        super().__init__(scope, "control", stage, description="hubless: the hub's functions", **more)
        self._state, self._cluster, self._web, self._code = state, cluster, web, code
        self.dead = self._queue("Dead", kept=Duration.days(14))
        self.queue, self.launches = self._queue("Queue", dead=self.dead), self._queue("Launches", dead=self.dead)
        self._targets = iam_policies.GrantTargets(
            state,
            cluster,
            (self.queue.queue_arn, self.launches.queue_arn),
            listener=web.edge.function_settings.get("alb_listener", ""),
            balancer=web.edge.balancer,
            instance=self._instance_arn(),
            mail=mail,
            has_spares=has_spares,
        )
        self._cloud = self._cloud_settings()
        everyone = iam_policies.shared_statements(self._targets)
        mails = iam_policies.mail_statements(self._targets)
        self.api = self._function(
            "api",
            code.api,
            API_SECONDS,
            [*everyone, *mails, *iam_policies.api_statements(self._targets)],
            is_in_front=True,
        )
        self.stream = self._function(
            "stream",
            code.api,
            STREAM_SECONDS,
            [*everyone, *iam_policies.api_statements(self._targets)],
            is_in_front=True,
        )
        self.spawn = self._function(
            "spawn", code.spawn, SPAWN_SECONDS, [*everyone, *mails, *iam_policies.spawn_statements(self._targets)]
        )
        self.reaper = self._function(
            "reaper", code.reaper, REAPER_SECONDS, [*everyone, *iam_policies.reaper_statements(self._targets)]
        )
        self._deploy_readers_first()
        given = self.stage.settings
        reserved = Reservations(
            self,
            {"reaper": self.reaper, "spawn": self.spawn, "stream": self.stream},
            streams=given.streams_at_once,
            log_days=given.log_days,
            python=code.target.python,
            key=self._state.key,
        )
        self.add_output("Reserved", reserved.told, "Concurrent executions that functions have for themselves")
        self._route_http_api()
        self._route_stream_api()
        self._add_event_sources()
        self.add_output(
            "Functions",
            self.api.function.function_name,
            "The function api; `hubless admin` reads its variables",
        )

    def _deploy_readers_first(self) -> None:
        """Replace spawn's code last: it writes states of servers, such as `preparing`, that older code cannot read."""
        last = self.spawn.alias.node.find_child("Resource")
        last.node.add_dependency(
            *(reader.alias.node.find_child("Resource") for reader in (self.api, self.stream, self.reaper))
        )

    def _cloud_settings(self) -> CloudSettings:
        given, cluster, state = self.stage.settings, self._cluster, self._state
        return CloudSettings(
            url=self._web.url,
            hub=self.stage.hub,
            table=state.table.table_name,
            queue=self.queue.queue_url,
            launches_queue=self.launches.queue_url,
            secrets=_by_ssm(state.secrets.secret_name),
            cluster=cluster.cluster.cluster_name,
            image=cluster.image,
            bucket=state.launches.bucket_name,
            bucket_key=state.key.key_arn if state.key else "",
            execution_role=cluster.execution_role.role_arn,
            task_role=cluster.task_role.role_arn,
            subnets=tuple(subnet.subnet_id for subnet in cluster.server_subnets),
            security_groups=(cluster.server_group.security_group_id,),
            log_group=cluster.log_group.log_group_name if cluster.log_group else "",
            own_image=not given.image,
            public_addresses=cluster.has_public_addresses,
            image_caches=tuple(f"{registry}={address}" for registry, address in cluster.image_caches.items()),
            active_limit=self.stage.active_limit,
            capacity=given.capacity,
            architecture=given.architecture,
            cpus=given.cpus,
            memory=given.memory,
            file_system=cluster.file_system.file_system_id if cluster.file_system else "",
            role_boundary=cluster.role_boundary.managed_policy_arn if cluster.role_boundary else "",
            subdomains=self.stage.has_subdomains,
            **self._web.edge.function_settings,
        )

    def _instance_arn(self) -> str:
        instance = self._web.edge.function_settings.get("economy_instance", "")
        return f"arn:{self.partition}:ec2:{self.region}:{self.account}:instance/{instance}" if instance else ""

    def _queue(self, name: str, *, dead: sqs.Queue | None = None, kept: Duration | None = None) -> sqs.Queue:
        queue = sqs.Queue(
            self,
            name,
            visibility_timeout=Duration.seconds(VISIBILITY_SECONDS),
            retention_period=kept or Duration.days(4),
            **self._queue_encryption(),
            enforce_ssl=True,
            dead_letter_queue=sqs.DeadLetterQueue(queue=dead, max_receive_count=TRIES) if dead else None,
            removal_policy=RemovalPolicy.DESTROY,
        )
        if dead is None:
            acknowledge(queue, {"AwsSolutions-SQS3": "It is the dead-letter queue of the others"})
        return queue

    def _queue_encryption(self) -> dict[str, Any]:
        """Return how a queue is encrypted. SQS keeps a data key for an hour, so that it rarely calls KMS."""
        if self._state.key is None:
            return {"encryption": sqs.QueueEncryption.SQS_MANAGED}
        return {
            "encryption": sqs.QueueEncryption.KMS,
            "encryption_master_key": self._state.key,
            "data_key_reuse": Duration.hours(1),
        }

    def _function(
        self,
        name: str,
        code: Path,
        seconds: int,
        statements: Sequence[iam.PolicyStatement],
        *,
        is_in_front: bool = False,
    ) -> HubFunction:
        plan = FunctionSpec(
            name=name,
            code=code,
            handler=f"functions.{'api.stream' if name == 'stream' else name}.handler.handler",
            memory_mib=MEMORY_MIB[name],
            seconds=seconds,
            target=self._code.target,
            log_days=self.stage.settings.log_days,
            key=self._state.key,
            snap_start=self.stage.settings.snap_start and name == "api",
        )
        front = _by_ssm(self._state.front.secret_name) if is_in_front else ""
        variables = to_environment(replace(self._cloud, front=front))
        if name == "stream":
            variables |= {"AWS_LAMBDA_EXEC_WRAPPER": EXEC_WRAPPER}
        return HubFunction(self, plan, variables=variables, statements=statements)

    # --- event sources ---

    def _route_http_api(self) -> None:
        """Route the HTTP API to the function api, and with `edge = "alb"` also requests without a rule."""
        proxied = integrations.HttpLambdaIntegration(
            "Integration", self.api.alias, timeout=Duration.seconds(API_SECONDS)
        )
        route = http.HttpRoute(
            self, "Route", http_api=self._web.api, route_key=http.HttpRouteKey.DEFAULT, integration=proxied
        )
        acknowledge(route, {"AwsSolutions-APIG4": HUB_AUTHENTICATES})
        if (listener := self._web.edge.listener) is not None:
            group = balancers.ApplicationTargetGroup(
                self,
                "Unrouted",
                target_type=balancers.TargetType.LAMBDA,
                targets=[balanced.LambdaTarget(self.api.alias)],
            )
            group.set_attribute("lambda.multi_value_headers.enabled", "true")
            balancers.ApplicationListenerRule(
                self,
                "Last",
                listener=listener,
                priority=LAST_RULE,
                conditions=[balancers.ListenerCondition.path_patterns(["/*"])],
                target_groups=[group],
            )

    def _route_stream_api(self) -> None:
        """Route the REST API to the function stream, whose responses last minutes (ADR 20)."""
        api, alias = self._web.stream, self.stream.alias
        path = rest.CfnResource(
            self, "StreamPath", rest_api_id=api.ref, parent_id=api.attr_root_resource_id, path_part="{proxy+}"
        )
        uri = Fn.sub(
            "arn:${AWS::Partition}:apigateway:${AWS::Region}:lambda:path/2021-11-15/functions/${Alias}/response-streaming-invocations",
            {"Alias": alias.function_arn},
        )
        method = rest.CfnMethod(
            self,
            "StreamMethod",
            rest_api_id=api.ref,
            resource_id=path.ref,
            http_method="ANY",
            authorization_type="NONE",
            integration=rest.CfnMethod.IntegrationProperty(
                type="AWS_PROXY",
                integration_http_method="POST",
                uri=uri,
                response_transfer_mode="STREAM",
                timeout_in_millis=STREAM_SECONDS * 1000,
            ),
        )
        # A stage serves the deployment that it names, so a changed method needs a new deployment.
        deployment = rest.CfnDeployment(self, f"StreamDeployment{STREAM_VERSION}", rest_api_id=api.ref)
        deployment.add_resource_dependency(method)
        stage = rest.CfnStage(
            self,
            "StreamStage",
            rest_api_id=api.ref,
            deployment_id=deployment.ref,
            stage_name=STREAM_STAGE,
            # All methods of all paths. A class of 2,000 that waits in its browsers asks 667 times a second.
            method_settings=[
                rest.CfnStage.MethodSettingProperty(
                    http_method="*", resource_path="/*", throttling_rate_limit=RATE, throttling_burst_limit=BURST
                )
            ],
        )
        alias.add_permission(
            "Stream",
            principal=iam.ServicePrincipal("apigateway.amazonaws.com"),
            source_arn=f"arn:{self.partition}:execute-api:{self.region}:{self.account}:{api.ref}/*",
        )
        acknowledge(
            method,
            {
                "AwsSolutions-APIG4": HUB_AUTHENTICATES,
                "AwsSolutions-COG4": HUB_AUTHENTICATES,
            },
        )
        acknowledge(
            stage,
            {
                "AwsSolutions-APIG1": NO_STREAM_LOG,
                "AwsSolutions-APIG3": "WAF is an option of the stage (waf) at CloudFront; this API refuses all others",
                "AwsSolutions-APIG6": NO_STREAM_LOG,
            },
        )

    def _add_event_sources(self) -> None:
        """Send messages and task events to spawn, and call the reaper each minute."""
        for queue, batch in ((self.queue, BATCH), (self.launches, 1)):
            source = sources.SqsEventSource(
                queue, batch_size=batch, report_batch_item_failures=True, max_concurrency=MAX_CONCURRENCY
            )
            self.spawn.alias.add_event_source(source)
        to_spawn = event_targets.LambdaFunction(
            self.spawn.alias, dead_letter_queue=self.dead, retry_attempts=10, max_event_age=Duration.hours(1)
        )
        events.Rule(
            self,
            "Tasks",
            description=f"{self.stage.hub}: what becomes of tasks",
            event_pattern=events.EventPattern(
                source=["aws.ecs"],
                detail_type=["ECS Task State Change"],
                detail={"clusterArn": [self._cluster.cluster.cluster_arn], "startedBy": [f"hubless/{self.stage.hub}"]},
            ),
            targets=[to_spawn],
        )
        events.Rule(
            self,
            "Minute",
            description=f"{self.stage.hub}: the reaper's round",
            schedule=events.Schedule.rate(Duration.minutes(1)),
            # No retry: the next sweep runs in a minute.
            targets=[event_targets.LambdaFunction(self.reaper.alias, retry_attempts=0)],
        )


def _by_ssm(secret: str) -> str:
    """Return the name of the SSM parameter that refers to *secret* of Secrets Manager."""
    return f"/aws/reference/secretsmanager/{secret}"
