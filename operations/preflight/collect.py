"""Collect facts of an account from AWS. Each function reads one fact, or raises AwsCallError."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from hubless.settings.stage import CERTIFICATES_REGION, OWN_KEY, Stage
from operations.aws import Aws, AwsCallError
from operations.deployed_stage import HUB_TAG, STACKS
from operations.preflight.evaluate import Certificate, FailedResource, Identity, Network, Quota, Stack, Zone

BOOTSTRAP = "/cdk-bootstrap/hnb659fds/version"
HIGH_THROUGHPUT = "/ssm/parameter-store/high-throughput-enabled"
SERVICES = ("lambda", "ecs", "efs", "dynamodb", "sqs", "apigatewayv2", "events")
TAGGED_AT_ONCE = 20  # load balancers whose tags one call reads
MAX_EVENT_PAGES = 30  # of 100 events each: a deployment of the largest stack has about 300
_BEGINNINGS = ("CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS", "DELETE_IN_PROGRESS")  # of a stack's operations
_CANCELLED = re.compile(r"^Resource (creation|update|deletion) cancelled", re.IGNORECASE)  # as another one failed
_ECR = re.compile(
    r"(?P<account>\d{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.amazonaws\.com/(?P<name>[^:@]+)(?::(?P<tag>[^@]+))?(?:@(?P<digest>.+))?"
)


def identity(aws: Aws) -> Identity:
    """Return the account and the ARN of the credentials."""
    answer = aws.call("sts", "get_caller_identity", region=CERTIFICATES_REGION)  # the stage's region may not exist
    return Identity(answer["Account"], answer["Arn"])


def regions(aws: Aws) -> dict[str, str]:
    """Return the opt-in status of each region."""
    # A region that does not exist cannot answer; every other region knows all of them.
    answer = aws.call("ec2", "describe_regions", region=CERTIFICATES_REGION, AllRegions=True)
    return {one["RegionName"]: one["OptInStatus"] for one in answer["Regions"]}


def has_services(aws: Aws) -> bool:
    """Return whether the region has the services that a hub needs, according to boto3."""
    return all(aws.region in aws.regions_of(service) for service in SERVICES)


def quota(aws: Aws, service: str, code: str) -> float:
    """Return a quota of this account, or AWS's default if it was never changed."""
    try:
        answer = aws.call("service-quotas", "get_service_quota", ServiceCode=service, QuotaCode=code)
    except AwsCallError as error:
        if error.error_code != "NoSuchResourceException":
            raise
        answer = aws.call("service-quotas", "get_aws_default_service_quota", ServiceCode=service, QuotaCode=code)
    return float(answer["Quota"]["Value"])


def concurrency(aws: Aws) -> Quota:
    """Return the limit of concurrent executions. Service Quotas shows too much for new accounts; Lambda is right."""
    limit = aws.call("lambda", "get_account_settings")["AccountLimit"]
    return Quota(float(limit["ConcurrentExecutions"]))


def vpcs(aws: Aws, stage: Stage) -> Quota:
    """Return the quota of VPCs, and how many others than the stage's there are."""
    found = aws.paginate("ec2", "describe_vpcs", "Vpcs")
    return Quota(quota(aws, "vpc", "L-F678F1CE"), sum(not _is_own(one.get("Tags", ()), stage) for one in found))


def addresses(aws: Aws, stage: Stage) -> Quota:
    """Return the quota of public addresses that stay allocated, and how many others than the stage's there are."""
    found = aws.call("ec2", "describe_addresses")["Addresses"]
    return Quota(quota(aws, "ec2", "L-0263D0A3"), sum(not _is_own(one.get("Tags", ()), stage) for one in found))


def balancers(aws: Aws, stage: Stage, kind: str) -> Quota:
    """Return the quota of load balancers of a *kind*, and how many others than the stage's there are."""
    code = {"application": "L-53DA6B97", "network": "L-69A177A2"}[kind]
    found = aws.paginate("elbv2", "describe_load_balancers", "LoadBalancers")
    arns = [one["LoadBalancerArn"] for one in found if one["Type"] == kind]
    others = 0
    for start in range(0, len(arns), TAGGED_AT_ONCE):
        some = arns[start : start + TAGGED_AT_ONCE]
        described = aws.call("elbv2", "describe_tags", ResourceArns=some)["TagDescriptions"]
        others += sum(not _is_own(one["Tags"], stage) for one in described)
    return Quota(quota(aws, "elasticloadbalancing", code), others)


def _is_own(tags: Iterable[Mapping[str, str]], stage: Stage) -> bool:
    """Say whether something with these *tags* is the stage's: a deployment keeps it, and needs no room for it."""
    return {"Key": HUB_TAG, "Value": stage.hub} in tags


def certificate(aws: Aws, arn: str) -> Certificate | None:
    """Return the certificate, or None if it does not exist. It is asked for in its own region."""
    region = arn.split(":")[3]
    try:
        answer = aws.call("acm", "describe_certificate", region=region, CertificateArn=arn)["Certificate"]
    except AwsCallError as error:
        if error.error_code in {"ResourceNotFoundException", "InvalidArnException"}:
            return None
        raise
    return Certificate(
        answer["Status"], tuple(dict.fromkeys([answer["DomainName"], *answer.get("SubjectAlternativeNames", [])]))
    )


def zone(aws: Aws, zone_id: str, name_servers: Any) -> Zone | None:
    """Return the hosted zone, or None if it does not exist. *name_servers* looks up a name in public DNS."""
    try:
        answer = aws.call("route53", "get_hosted_zone", Id=zone_id)
    except AwsCallError as error:
        if error.error_code in {"NoSuchHostedZone", "InvalidInput"}:
            return None
        raise
    name = answer["HostedZone"]["Name"].rstrip(".")
    is_private = bool(answer["HostedZone"].get("Config", {}).get("PrivateZone"))
    servers = tuple(one.rstrip(".").lower() for one in answer.get("DelegationSet", {}).get("NameServers", ()))
    return Zone(name, is_private, servers, None if is_private else name_servers(name))


def has_service_role(aws: Aws, name: str) -> bool:
    """Return whether a role exists."""
    return _exists(aws, "NoSuchEntity", "iam", "get_role", RoleName=name)


def create_service_role(aws: Aws, service: str) -> None:
    """Create the service-linked role of *service*."""
    aws.call("iam", "create_service_linked_role", AWSServiceName=f"{service}.amazonaws.com")


def bootstrap_version(aws: Aws, region: str) -> int | None:
    """Return the version of the CDK's bootstrap stack in a region, or None if there is none."""
    try:
        return int(aws.call("ssm", "get_parameter", region=region, Name=BOOTSTRAP)["Parameter"]["Value"])
    except AwsCallError as error:
        if error.error_code == "ParameterNotFound":
            return None
        raise


def stacks(aws: Aws, stage: Stage) -> dict[str, Stack]:
    """Return the stage's stacks by name."""
    found = {}
    names = {f"{stage.hub}-{part}" for part in STACKS}  # those of another stage may begin with this one's name
    for region in stage.regions:
        for one in aws.paginate("cloudformation", "describe_stacks", "Stacks", region=region):
            name, status = one["StackName"], one["StackStatus"]
            if name in names:
                failed = _failed_resource(aws, name, region) if "ROLLBACK" in status or "FAILED" in status else None
                found[name] = Stack(status, region, failed)
    return found


def _failed_resource(aws: Aws, name: str, region: str) -> FailedResource | None:
    """Return the resource at which the last operation of a stack failed first. CloudFormation lists newest first."""
    failed: FailedResource | None = None
    token: dict[str, str] = {}
    for _ in range(MAX_EVENT_PAGES):
        page = aws.call("cloudformation", "describe_stack_events", region=region, StackName=name, **token)
        for event in page["StackEvents"]:
            is_stack = event.get("PhysicalResourceId") == event["StackId"]
            status, reason = event["ResourceStatus"], event.get("ResourceStatusReason", "")
            if is_stack and status in _BEGINNINGS:
                return failed
            if not is_stack and status.endswith("_FAILED") and not _CANCELLED.search(reason):
                failed = FailedResource(event["LogicalResourceId"], event["ResourceType"], reason)
        if not page.get("NextToken"):
            return failed
        token = {"NextToken": page["NextToken"]}
    return failed


def distributions(aws: Aws) -> int:
    """Return how many distributions the account has; no more than one page of them."""
    answer = aws.call("cloudfront", "list_distributions", region=CERTIFICATES_REGION)
    return int(answer["DistributionList"]["Quantity"])


def homes_key(aws: Aws, stage: Stage) -> str | None:
    """Return the `kms_key` with which the stage's file system was deployed, or None if there is no file system yet.

    It is in the deployed template: a reference for a key that the deployment made.
    """
    try:
        found = aws.call("cloudformation", "get_template", StackName=f"{stage.hub}-cluster")["TemplateBody"]
    except AwsCallError as error:
        if error.error_code == "ValidationError":  # CloudFormation's code for a stack that does not exist
            return None
        raise
    template = json.loads(found) if isinstance(found, str) else found
    for one in template.get("Resources", {}).values():
        if one["Type"] == "AWS::EFS::FileSystem":
            key = one["Properties"].get("KmsKeyId", "")
            return key if isinstance(key, str) else OWN_KEY
    return None


def has_image(aws: Aws, name: str) -> bool | None:
    """Return whether an image exists in ECR. None if it is in another registry."""
    matched = _ECR.fullmatch(name)
    if matched is None:
        return None
    wanted = {"imageDigest": matched["digest"]} if matched["digest"] else {"imageTag": matched["tag"] or "latest"}
    where = {"registryId": matched["account"], "repositoryName": matched["name"], "imageIds": [wanted]}
    try:
        aws.call("ecr", "describe_images", region=matched["region"], **where)
    except AwsCallError as error:
        if error.error_code in {"ImageNotFoundException", "RepositoryNotFoundException"}:
            return False
        raise
    return True


def has_high_throughput(aws: Aws) -> bool:
    """Return whether SSM's higher throughput is on."""
    answer = aws.call("ssm", "get_service_setting", SettingId=HIGH_THROUGHPUT)
    return str(answer["ServiceSetting"]["SettingValue"]).lower() == "true"


def zone_ids(aws: Aws) -> dict[str, str]:
    """Return the ids of the availability zones by this account's names for them."""
    found = aws.call("ec2", "describe_availability_zones")["AvailabilityZones"]
    return {
        one["ZoneName"]: one["ZoneId"]
        for one in found
        if one.get("ZoneType", "availability-zone") == "availability-zone"
    }


def offered(aws: Aws, instance_type: str) -> list[str]:
    """Return the availability zones that offer an instance type."""
    wanted = [{"Name": "instance-type", "Values": [instance_type]}]
    answer = aws.call("ec2", "describe_instance_type_offerings", LocationType="availability-zone", Filters=wanted)
    return [one["Location"] for one in answer["InstanceTypeOfferings"]]


def network(aws: Aws, stage: Stage) -> Network:
    """Return the VPC of the stage with its subnets."""
    of_vpc = [{"Name": "vpc-id", "Values": [stage.settings.vpc_id]}]
    if not _exists(aws, "InvalidVpcID.NotFound", "ec2", "describe_vpcs", VpcIds=[stage.settings.vpc_id]):
        return Network(exists=False)
    subnets = aws.paginate("ec2", "describe_subnets", "Subnets", Filters=of_vpc)
    tables = _route_tables(
        aws.paginate("ec2", "describe_route_tables", "RouteTables", Filters=of_vpc),
        [one["SubnetId"] for one in subnets],
    )
    endpoints = aws.paginate("ec2", "describe_vpc_endpoints", "VpcEndpoints", Filters=of_vpc)
    wanted = {*stage.settings.public_subnets, *stage.settings.private_subnets}
    return Network(
        exists=True,
        zones={one["SubnetId"]: one["AvailabilityZone"] for one in subnets if one["SubnetId"] in wanted},
        internet_routes=frozenset(subnet for subnet, table in tables.items() if _has_internet_route(table)),
        gateway_routes=frozenset(subnet for subnet, table in tables.items() if _has_internet_gateway(table)),
        endpoints={subnet: _endpoint_services(table, endpoints) for subnet, table in tables.items()},
    )


def _route_tables(tables: Sequence[Mapping[str, Any]], subnets: Sequence[str]) -> dict[str, Mapping[str, Any]]:
    """Return the route table of each subnet: its own, or the main table of the VPC."""
    by_subnet: dict[str, Mapping[str, Any]] = {}
    main = None
    for table in tables:
        for association in table.get("Associations", ()):
            if association.get("Main"):
                main = table
            if "SubnetId" in association:
                by_subnet[association["SubnetId"]] = table
    return {subnet: found for subnet in subnets if (found := by_subnet.get(subnet, main)) is not None}


def _has_internet_route(table: Mapping[str, Any]) -> bool:
    others = any(route.get("NatGatewayId") or route.get("TransitGatewayId") for route in _default_routes(table))
    return others or _has_internet_gateway(table)


def _has_internet_gateway(table: Mapping[str, Any]) -> bool:
    return any(route.get("GatewayId", "").startswith("igw-") for route in _default_routes(table))


def _default_routes(table: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [route for route in table.get("Routes", ()) if route.get("DestinationCidrBlock") == "0.0.0.0/0"]


def _endpoint_services(table: Mapping[str, Any], endpoints: Sequence[Mapping[str, Any]]) -> frozenset[str]:
    here = [one for one in endpoints if table["RouteTableId"] in one.get("RouteTableIds", ())]
    return frozenset(str(one["ServiceName"]).rpartition(".")[2] for one in here)


def _exists(aws: Aws, absent: str, service: str, operation: str, **arguments: Any) -> bool:
    try:
        aws.call(service, operation, **arguments)
    except AwsCallError as error:
        if error.error_code == absent:
            return False
        raise
    return True
