"""The base class of a stage's stacks."""

from typing import Any

from aws_cdk import Aws, CfnOutput, Environment, Fn, RemovalPolicy, Stack, Tags
from aws_cdk import aws_logs as logs
from constructs import Construct

from hubless.settings.stage import Stage

ZONES = 2
HUB_TAG = "hubless:hub"
_KEPT = logs.RetentionDays
_RETENTIONS = {
    1: _KEPT.ONE_DAY,
    3: _KEPT.THREE_DAYS,
    5: _KEPT.FIVE_DAYS,
    7: _KEPT.ONE_WEEK,
    14: _KEPT.TWO_WEEKS,
    30: _KEPT.ONE_MONTH,
    60: _KEPT.TWO_MONTHS,
    90: _KEPT.THREE_MONTHS,
    180: _KEPT.SIX_MONTHS,
    365: _KEPT.ONE_YEAR,
    731: _KEPT.TWO_YEARS,
}


class HubStack(Stack):
    """A stack of one stage."""

    def __init__(
        self,
        scope: Construct,
        part: str,
        stage: Stage,
        *,
        region: str = "",
        is_protected: bool = False,
        **more: Any,
    ) -> None:
        given, self.stage = stage.settings, stage
        super().__init__(
            scope,
            f"{stage.hub}-{part}",
            env=Environment(region=region or given.region, account=given.account or None),
            termination_protection=is_protected,
            **more,
        )
        Tags.of(self).add("hubless:stage", stage.name)
        Tags.of(self).add(HUB_TAG, stage.hub)  # the same tag as the tasks and access points that the hub creates

    @property
    def availability_zones(self) -> list[str]:
        """Return the stage's zones, or the first of the region, which CloudFormation resolves without a lookup."""
        if self.stage.settings.zones:
            return list(self.stage.settings.zones)
        return [Fn.select(number, Fn.get_azs(Aws.REGION)) for number in range(ZONES)]

    @property
    def data_removal_policy(self) -> RemovalPolicy:
        """Return what happens to users' data if the stack is destroyed."""
        return RemovalPolicy.RETAIN if self.stage.settings.keep_data else RemovalPolicy.DESTROY

    def add_output(self, name: str, value: str, description: str) -> None:
        """Add an output of the stack, which `cdk deploy` prints."""
        CfnOutput(self, f"Told{name}", value=value, description=description).override_logical_id(name)


def retention(days: int) -> logs.RetentionDays:
    """Return the CDK's constant for a log retention of *days*."""
    return _RETENTIONS[days]
