"""The stack `access`, in us-east-1 like all that concerns CloudFront's logs: who asked CloudFront for what."""

from typing import Any

from aws_cdk import aws_logs as logs
from constructs import Construct

from hubless.settings.stage import CERTIFICATES_REGION, Stage
from infra.stacks.base import HubStack
from infra.stacks.state import StateStack
from infra.stacks.web import WebStack

# CloudFront's names. Without cs-uri-query, cs(Cookie) and cs(Referer), which may hold tokens, and without cs-uri-stem:
# a path has names of files, and in one of JupyterHub's older calls a token.
FIELDS = (
    "date",
    "time",
    "x-edge-request-id",
    "c-ip",
    "cs-protocol",
    "ssl-protocol",
    "x-host-header",
    "cs-method",
    "cache-behavior-path-pattern",
    "sc-status",
    "x-edge-result-type",
    "x-edge-detailed-result-type",
    "cs-bytes",
    "sc-bytes",
    "time-taken",
)
FOLDERS = "{DistributionId}/{yyyy}/{MM}/{dd}"


class AccessLogsStack(HubStack):
    """The delivery of CloudFront's access log (standard logging v2) to the bucket of logs."""

    def __init__(self, scope: Construct, stage: Stage, *, state: StateStack, web: WebStack, **more: Any) -> None:
        super().__init__(
            scope, "access", stage, region=CERTIFICATES_REGION, description="hubless: CloudFront's access log", **more
        )
        name = f"{stage.hub}-{stage.settings.region}"  # the hub's name is unique in its region only
        source = logs.CfnDeliverySource(
            self,
            "Source",
            name=name,
            resource_arn=web.distribution.distribution_arn,
            log_type="ACCESS_LOGS",
        )
        destination = logs.CfnDeliveryDestination(
            self,
            "Destination",
            name=name,
            destination_resource_arn=state.logs.bucket_arn,
            output_format="json",
        )
        delivery = logs.CfnDelivery(
            self,
            "Delivery",
            delivery_source_name=source.name,
            delivery_destination_arn=destination.attr_arn,
            record_fields=list(FIELDS),
            s3_suffix_path=FOLDERS,
        )
        delivery.add_resource_dependency(source)  # it names the source, but does not refer to it
