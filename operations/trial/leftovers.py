"""Search for what a removed stage left behind, by name and by tag, and remove what is safe to remove."""

import re
from collections.abc import Callable, Iterable
from typing import Any

from hubless.domain.values import value
from hubless.settings.stage import CERTIFICATES_REGION, Stage
from operations import stage_cleanup
from operations.aws import Aws, AwsCallError
from operations.deployed_stage import HUB_TAG, STACKS
from operations.trial import stacks
from operations.trial.context import Trial

SAID_BY_AWS_FOR_A_WHILE = frozenset({"tagged"})  # the tagging service lists what is deleted for hours
_GONE = frozenset({"terminated", "shutting-down"})


@value
class Leftover:
    """Something that carries the hub's name: what it is, and its name, id or ARN."""

    kind: str
    name: str


@value
class Findings:
    """What a search found.

    Attributes:
        left: what still exists.
        listed: what the tagging service lists, which may be deleted already.
        unsearched: why a search could not run, by its kind.
    """

    left: tuple[Leftover, ...]
    listed: tuple[str, ...]
    unsearched: tuple[tuple[str, str], ...]


def search(trial: Trial) -> Findings:
    """Search everything. A search that AWS refuses is reported, and the others run."""
    left: list[Leftover] = []
    listed: list[str] = []
    unsearched: list[tuple[str, str]] = []
    for kind, find in SEARCHES.items():
        if reason := trial.unsupported.get(kind):
            unsearched.append((kind, reason))
            continue
        try:
            names = find(trial.stage, trial.aws, trial.state.vpc)
        except AwsCallError as error:
            unsearched.append((kind, str(error)))
            continue
        if kind in SAID_BY_AWS_FOR_A_WHILE:
            listed += names
        else:
            left += [Leftover(kind, name) for name in names]
    return Findings(tuple(left), tuple(listed), tuple(unsearched))


def remove(trial: Trial) -> list[str]:
    """Remove what the trial's functions and launches made outside of stacks.

    That is log groups, task definitions, and the copies of images in ECR's cache.

    Returns:
        What was removed, as texts.

    Raises:
        AwsCallError: if AWS refuses a call.
    """
    stage, aws = trial.stage, trial.aws
    done: list[str] = []
    groups = [] if "log groups" in trial.unsupported else _log_groups(stage, aws, "")
    for group in groups:
        aws.call("logs", "delete_log_group", logGroupName=group)
    done += [f"log group {name}" for name in groups]
    cleanup = stage_cleanup.StageCleanup(stage.hub, "", aws, trial.say, trial.clock, trial.wait)
    if "task definitions" not in trial.unsupported and (count := cleanup.deregister_definitions()):
        done.append(f"{count} task definitions deregistered")
    copies = [] if "repositories" in trial.unsupported else _repositories(stage, aws, "")
    for name in copies:
        aws.call("ecr", "delete_repository", repositoryName=name, force=True)
    return done + [f"repository {name}" for name in copies]


# --- searches, each by kind. They return names, ids or ARNs ---


def _named(stage: Stage, names: Iterable[str], prefix: str = "") -> list[str]:
    """Return those of *names* that CloudFormation made for this stage, and for no stage with a longer name."""
    beginnings = tuple(f"{prefix}{stage.hub}-{part}-" for part in STACKS)
    return [name for name in names if name.startswith(beginnings)]


def _stacks(stage: Stage, aws: Aws, _vpc: str) -> list[str]:
    return [f"{stage.hub}-{part}: {status}" for part, status in stacks.existing(stage, aws).items()]


def _tagged(stage: Stage, aws: Aws, _vpc: str) -> list[str]:
    found: list[str] = []
    for region in dict.fromkeys((stage.settings.region, CERTIFICATES_REGION)):
        told = aws.paginate(
            "resourcegroupstaggingapi",
            "get_resources",
            "ResourceTagMappingList",
            region=region,
            TagFilters=[{"Key": HUB_TAG, "Values": [stage.hub]}],
        )
        found += [one["ResourceARN"] for one in told]
    return found


def _log_groups(stage: Stage, aws: Aws, _vpc: str) -> list[str]:
    found: list[str] = []
    for prefix in ("", "/aws/lambda/"):
        told = aws.paginate("logs", "describe_log_groups", "logGroups", logGroupNamePrefix=f"{prefix}{stage.hub}-")
        found += _named(stage, (one["logGroupName"] for one in told), prefix)
    return found


def _tables(stage: Stage, aws: Aws, _vpc: str) -> list[str]:
    return _named(stage, aws.paginate("dynamodb", "list_tables", "TableNames"))


def _buckets(stage: Stage, aws: Aws, _vpc: str) -> list[str]:
    return _named(stage, (one["Name"] for one in aws.call("s3", "list_buckets").get("Buckets", ())))


def _file_systems(stage: Stage, aws: Aws, _vpc: str) -> list[str]:
    told = aws.paginate("efs", "describe_file_systems", "FileSystems")
    return [one["FileSystemId"] for one in told if _has_tag(one.get("Tags", ()), stage)]


def _clusters(stage: Stage, aws: Aws, _vpc: str) -> list[str]:
    arns = aws.paginate("ecs", "list_clusters", "clusterArns")
    return _named(stage, (arn.rpartition("/")[2] for arn in arns))


def _definitions(stage: Stage, aws: Aws, _vpc: str) -> list[str]:
    every = aws.paginate(
        "ecs", "list_task_definition_families", "families", familyPrefix=f"{stage.hub}-", status="ACTIVE"
    )
    return stage_cleanup.families(every, stage.hub)


def _repositories(stage: Stage, aws: Aws, _vpc: str) -> list[str]:
    """Return the repositories that ECR's cache made when it pulled images. No stack has them, and they have no tag."""
    if stage.settings.egress == "public":
        return []  # no cache
    beginnings = tuple(f"{prefix}/" for prefix in stage.cache_prefixes.values())
    told = aws.paginate("ecr", "describe_repositories", "repositories")
    return [one["repositoryName"] for one in told if one["repositoryName"].startswith(beginnings)]


def _instances(stage: Stage, aws: Aws, _vpc: str) -> list[str]:
    told = aws.paginate("ec2", "describe_instances", "Reservations", Filters=_filters(stage))
    every = [one for reservation in told for one in reservation["Instances"]]
    return [one["InstanceId"] for one in every if one["State"]["Name"] not in _GONE]


def _volumes(stage: Stage, aws: Aws, _vpc: str) -> list[str]:
    told = aws.paginate("ec2", "describe_volumes", "Volumes", Filters=_filters(stage))
    return [one["VolumeId"] for one in told]


def _networks(stage: Stage, aws: Aws, _vpc: str) -> list[str]:
    return [one["VpcId"] for one in aws.paginate("ec2", "describe_vpcs", "Vpcs", Filters=_filters(stage))]


def _interfaces(_stage: Stage, aws: Aws, vpc: str) -> list[str]:
    if not vpc:
        return []
    filters = [{"Name": "vpc-id", "Values": [vpc]}]
    told = aws.paginate("ec2", "describe_network_interfaces", "NetworkInterfaces", Filters=filters)
    return [f"{one['NetworkInterfaceId']} ({one.get('Description', '')})" for one in told]


def _secrets(stage: Stage, aws: Aws, _vpc: str) -> list[str]:
    told = aws.paginate("secretsmanager", "list_secrets", "SecretList", IncludePlannedDeletion=True)
    return [one["Name"] for one in told if _has_tag(one.get("Tags", ()), stage)]


def _parameters(stage: Stage, aws: Aws, _vpc: str) -> list[str]:
    found: list[str] = []
    for region in dict.fromkeys((stage.settings.region, CERTIFICATES_REGION)):
        filters = [{"Key": "Name", "Option": "BeginsWith", "Values": [f"/cdk/exports/{stage.hub}-"]}]
        told = aws.paginate("ssm", "describe_parameters", "Parameters", region=region, ParameterFilters=filters)
        found += _named(stage, (f"{one['Name']}" for one in told), "/cdk/exports/")
    return found


def _queues(stage: Stage, aws: Aws, _vpc: str) -> list[str]:
    urls = aws.paginate("sqs", "list_queues", "QueueUrls", QueueNamePrefix=f"{stage.hub}-")
    return _named(stage, (url.rpartition("/")[2] for url in urls))


def _functions(stage: Stage, aws: Aws, _vpc: str) -> list[str]:
    return _named(stage, (one["FunctionName"] for one in aws.paginate("lambda", "list_functions", "Functions")))


def _distributions(stage: Stage, aws: Aws, _vpc: str) -> list[str]:
    told = _of_cloudfront("DistributionList", lambda **page: aws.call("cloudfront", "list_distributions", **page))
    return [one["Id"] for one in told if _first_word(one.get("Comment", "")) == stage.hub]


def _vpc_origins(stage: Stage, aws: Aws, _vpc: str) -> list[str]:
    told = _of_cloudfront("VpcOriginList", lambda **page: aws.call("cloudfront", "list_vpc_origins", **page))
    of_cdk = f"{stage.hub}-web".replace("-", "")  # the CDK names those of load balancers, without hyphens
    return [one["Id"] for one in told if one["Name"] == f"{stage.hub}-edge" or one["Name"].startswith(of_cdk)]


def _of_cloudfront(key: str, ask: Callable[..., dict[str, Any]]) -> list[Any]:
    """Return the items of all pages of one of CloudFront's lists, which are nested."""
    found: list[Any] = []
    marker: dict[str, str] = {}
    while True:
        told = ask(**marker)[key]
        found += told.get("Items", ())
        if not told.get("NextMarker"):
            return found
        marker = {"Marker": told["NextMarker"]}


def _addresses(stage: Stage, aws: Aws, _vpc: str) -> list[str]:
    told = aws.call("ec2", "describe_addresses", Filters=_filters(stage))["Addresses"]
    return [f"{one['AllocationId']} ({one['PublicIp']})" for one in told]


def _first_word(comment: str) -> str:
    return re.split(r"[ :]", comment, maxsplit=1)[0]


def _alarms(stage: Stage, aws: Aws, _vpc: str) -> list[str]:
    told = aws.paginate("cloudwatch", "describe_alarms", "MetricAlarms", AlarmNamePrefix=f"{stage.hub}-")
    return _named(stage, (one["AlarmName"] for one in told))


def _roles(stage: Stage, aws: Aws, _vpc: str) -> list[str]:
    told = aws.paginate("iam", "list_roles", "Roles")
    of_users = [one["RoleName"] for one in told if one["Path"] == stage.role_path]
    return _named(stage, (one["RoleName"] for one in told)) + of_users


def _filters(stage: Stage) -> list[dict[str, Any]]:
    return [{"Name": f"tag:{HUB_TAG}", "Values": [stage.hub]}]


def _has_tag(tags: Iterable[Any], stage: Stage) -> bool:
    return any(one["Key"] == HUB_TAG and one["Value"] == stage.hub for one in tags)


SEARCHES: dict[str, Callable[[Stage, Aws, str], list[str]]] = {
    "stacks": _stacks,
    "log groups": _log_groups,
    "tables": _tables,
    "buckets": _buckets,
    "file systems": _file_systems,
    "clusters": _clusters,
    "task definitions": _definitions,
    "repositories": _repositories,
    "instances": _instances,
    "volumes": _volumes,
    "networks": _networks,
    "network interfaces": _interfaces,
    "secrets": _secrets,
    "parameters": _parameters,
    "queues": _queues,
    "functions": _functions,
    "distributions": _distributions,
    "VPC origins": _vpc_origins,
    "addresses": _addresses,
    "alarms": _alarms,
    "roles": _roles,
    "tagged": _tagged,
}
