"""What CloudFormation says of a stage's stacks, and what keeps it from deleting them (docs/deploy.md)."""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any

from hubless.settings.stage import CERTIFICATES_REGION, Stage
from operations.aws import Aws, AwsCallError
from operations.deployed_stage import STACKS
from operations.errors import OperationsError

POLL_SECONDS = 10.0
CLOUDFRONT_GROUP = "CloudFront-VPCOrigins-Service-SG"  # CloudFront makes it in the VPC of a VPC origin
_DELETE_LIMIT = 1000  # objects in one call


def region_of(stage: Stage, part: str) -> str:
    """Return the region of one of the stage's stacks."""
    return CERTIFICATES_REGION if part in {"certificates", "access"} else stage.settings.region


def existing(stage: Stage, aws: Aws) -> dict[str, str]:
    """Return the status of each stack that exists, by its part.

    Raises:
        AwsCallError: if CloudFormation does not answer.
    """
    return {part: str(told["StackStatus"]) for part, told in _descriptions(stage, aws)}


def _descriptions(stage: Stage, aws: Aws) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for part in STACKS:
        try:
            told = aws.call(
                "cloudformation", "describe_stacks", region=region_of(stage, part), StackName=f"{stage.hub}-{part}"
            )
        except AwsCallError as error:
            if error.error_code != "ValidationError":
                raise
            continue
        for one in told["Stacks"]:
            if one["StackStatus"] != "DELETE_COMPLETE":
                yield part, one


def output(stage: Stage, aws: Aws, part: str, name: str) -> str:
    """Return an output of one of the stage's stacks. An empty string if it has none of this name.

    Raises:
        AwsCallError: if CloudFormation does not answer.
    """
    outputs = (one for found, told in _descriptions(stage, aws) if found == part for one in told.get("Outputs", ()))
    return next((str(one["OutputValue"]) for one in outputs if one["OutputKey"] == name), "")


def wait_until_settled(
    stage: Stage, aws: Aws, clock: Callable[[], float], wait: Callable[[float], None], timeout_seconds: float
) -> None:
    """Wait until CloudFormation works on no stack: one that is being changed cannot be deleted.

    Raises:
        OperationsError: if it still does after *timeout_seconds*.
    """
    begun = clock()
    while busy := [part for part, status in existing(stage, aws).items() if _is_busy(status)]:
        if clock() - begun > timeout_seconds:
            raise OperationsError(f"CloudFormation still changes the stacks {', '.join(busy)}")
        wait(POLL_SECONDS)


def _is_busy(status: str) -> bool:
    """Return whether CloudFormation works on a stack. One under review waits for its change set, perhaps for ever."""
    return status.endswith("_IN_PROGRESS") and status != "REVIEW_IN_PROGRESS"


def durations(stage: Stage, aws: Aws) -> dict[str, float]:
    """Return the seconds from the first to the last event of each stack whose events CloudFormation tells."""
    found: dict[str, float] = {}
    for part, _ in _descriptions(stage, aws):
        times = [one["Timestamp"] for one in _events(stage, part, aws) if isinstance(one["Timestamp"], datetime)]
        if times:
            found[part] = round((max(times) - min(times)).total_seconds(), 1)
    return found


def _events(stage: Stage, part: str, aws: Aws) -> list[Any]:
    try:
        return aws.paginate(
            "cloudformation",
            "describe_stack_events",
            "StackEvents",
            region=region_of(stage, part),
            StackName=f"{stage.hub}-{part}",
        )
    except AwsCallError:  # it tells more of what is known already, and must not fail a step
        return []


def vpc_of(stage: Stage, aws: Aws) -> str:
    """Return the id of the VPC that the stage made. An empty string if it made none."""
    return next((one["PhysicalResourceId"] for one in _resources(stage, "cluster", aws, "AWS::EC2::VPC")), "")


def _resources(stage: Stage, part: str, aws: Aws, kind: str) -> list[Mapping[str, Any]]:
    found = aws.paginate(
        "cloudformation", "list_stack_resources", "StackResourceSummaries", StackName=f"{stage.hub}-{part}"
    )
    return [one for one in found if one["ResourceType"] == kind and one["ResourceStatus"] != "DELETE_COMPLETE"]


def unblock(stage: Stage, aws: Aws, vpc: str) -> list[str]:
    """Remove what keeps stacks from being deleted: late logs in buckets, and CloudFront's security group.

    Args:
        stage: the stage.
        aws: calls to AWS.
        vpc: the id of the stage's VPC, or an empty string.

    Returns:
        What was removed, as texts.

    Raises:
        AwsCallError: if AWS refuses a call.
    """
    done: list[str] = []
    if "state" in existing(stage, aws):
        for bucket in _resources(stage, "state", aws, "AWS::S3::Bucket"):
            done += _emptied(bucket["PhysicalResourceId"], aws)
    if vpc:
        filters = [{"Name": "group-name", "Values": [CLOUDFRONT_GROUP]}, {"Name": "vpc-id", "Values": [vpc]}]
        for group in aws.paginate("ec2", "describe_security_groups", "SecurityGroups", Filters=filters):
            aws.call("ec2", "delete_security_group", GroupId=group["GroupId"])
            done.append(f"deleted {CLOUDFRONT_GROUP}")
    return done


def _emptied(bucket: str, aws: Aws) -> list[str]:
    keys = [{"Key": one["Key"]} for one in aws.paginate("s3", "list_objects_v2", "Contents", Bucket=bucket)]
    for start in range(0, len(keys), _DELETE_LIMIT):
        aws.call("s3", "delete_objects", Bucket=bucket, Delete={"Objects": keys[start : start + _DELETE_LIMIT]})
    return [f"deleted {len(keys)} objects of {bucket}"] if keys else []
