"""The bill knows each resource of the templates: by a part of the bill, or as free, with the reason."""

from collections import Counter

import pytest

from hubless.settings.stage import load_stage
from operations.cost.amounts import Amounts
from operations.cost.bill import bill
from operations.cost.demand import demand_of
from operations.cost.prices import known
from tests.infra.synthesis import synthesized

SETTINGS = """
[login]
kind = "shared-password"
"""
STAGES = ("prod", "fleet", "alb", "direct", "rules")
# The parts of the bill that a resource causes, in each stage that has it.
BILLED = {
    "AWS::ApiGateway::RestApi": ("API Gateway",),
    "AWS::ApiGatewayV2::Api": ("API Gateway",),
    "AWS::CloudFront::Distribution": ("CloudFront to the hub",),
    "AWS::CloudFront::Distribution of servers": ("CloudFront to servers", "CloudFront data"),
    "AWS::CloudFront::Function": ("CloudFront to the hub",),
    "AWS::CloudWatch::Alarm": ("CloudWatch alarms",),
    "AWS::DynamoDB::Table": ("DynamoDB", "DynamoDB storage"),
    "AWS::EC2::FlowLog": ("VPC flow logs", "S3 storage"),
    "AWS::EC2::Instance": ("Edge instance", "Edge disk"),
    "AWS::ECS::Cluster": ("Fargate",),
    "AWS::ECS::Service": ("Edge fleet",),
    "AWS::ECS::Service with public addresses": ("Edge addresses",),
    "AWS::EFS::FileSystem": ("Home folders (EFS)",),
    "AWS::EFS::FileSystem with backups": ("Backups of homes",),
    "AWS::EC2::NatGateway": ("NAT gateway", "NAT data"),
    "AWS::ElasticLoadBalancingV2::LoadBalancer application": ("Load balancer (ALB)",),
    "AWS::ElasticLoadBalancingV2::LoadBalancer network": ("Load balancer (NLB)",),
    "AWS::ElasticLoadBalancingV2::LoadBalancer of browsers": ("Balancer addresses", "Data out"),
    "AWS::Events::Rule": ("EventBridge",),
    "AWS::Lambda::Function": ("Lambda", "CloudWatch metrics"),
    "AWS::Lambda::Function with public addresses of servers": ("Addresses",),
    "AWS::Lambda::Function with snapshots": ("Lambda snapshots",),
    "AWS::KMS::Key": ("KMS",),
    "AWS::Logs::Delivery": ("S3 storage",),
    "AWS::Logs::LogGroup": ("CloudWatch logs",),
    "AWS::S3::Bucket": ("S3", "S3 storage"),
    "AWS::SQS::Queue": ("SQS",),
    "AWS::SecretsManager::Secret": ("Secrets Manager", "KMS", "Parameters"),
    "AWS::WAFv2::WebACL": ("WAF",),
    "AWS::Route53::RecordSet": ("Route 53",),
}
IN_ITS_API = "billed with the API that it belongs to"
IN_ITS_BALANCER = "billed with its load balancer, by units"
IN_ITS_FUNCTION = "billed with the function's runs"
NO_PRICE = "AWS has no price for it"
FREE = {
    "AWS::ApiGateway::Deployment": IN_ITS_API,
    "AWS::ApiGateway::Method": IN_ITS_API,
    "AWS::ApiGateway::Resource": IN_ITS_API,
    "AWS::ApiGateway::Stage": IN_ITS_API + "; it has no cache, which would be billed by the hour",
    "AWS::ApiGatewayV2::Integration": IN_ITS_API,
    "AWS::ApiGatewayV2::Route": IN_ITS_API,
    "AWS::ApiGatewayV2::Stage": IN_ITS_API,
    "AWS::ApplicationAutoScaling::ScalableTarget": NO_PRICE + ": its alarms are billed",
    "AWS::ApplicationAutoScaling::ScalingPolicy": NO_PRICE + ": its alarms are in the template (no target tracking)",
    "AWS::Budgets::Budget": "a budget without actions is free",
    "AWS::CertificateManager::Certificate": "public certificates are free",
    "AWS::CloudFormation::WaitCondition": NO_PRICE,
    "AWS::CloudFormation::WaitConditionHandle": NO_PRICE,
    "AWS::CloudFront::CachePolicy": NO_PRICE,
    "AWS::CloudFront::ResponseHeadersPolicy": NO_PRICE,
    "AWS::CloudFront::VpcOrigin": NO_PRICE,
    "AWS::CloudWatch::Dashboard": "an account's first three are free",
    "AWS::EC2::EIP": "billed with the NAT gateway that it belongs to",
    "AWS::EC2::InternetGateway": NO_PRICE,
    "AWS::EC2::LaunchTemplate": NO_PRICE,
    "AWS::EC2::Route": NO_PRICE,
    "AWS::EC2::RouteTable": NO_PRICE,
    "AWS::EC2::SecurityGroup": NO_PRICE,
    "AWS::EC2::SecurityGroupEgress": NO_PRICE,
    "AWS::EC2::SecurityGroupIngress": NO_PRICE,
    "AWS::EC2::Subnet": NO_PRICE,
    "AWS::EC2::SubnetRouteTableAssociation": NO_PRICE,
    "AWS::EC2::VPC": NO_PRICE,
    "AWS::EC2::VPCEndpoint Gateway": "gateway endpoints are free; interface endpoints are not",
    "AWS::EC2::VPCGatewayAttachment": NO_PRICE,
    "AWS::ECR::PullThroughCacheRule": NO_PRICE + ": what it keeps is billed as images",
    "AWS::ECS::ClusterCapacityProviderAssociations": NO_PRICE,
    "AWS::ECS::TaskDefinition": NO_PRICE,
    "AWS::EFS::MountTarget": NO_PRICE,
    "AWS::ElasticLoadBalancingV2::Listener": IN_ITS_BALANCER,
    "AWS::ElasticLoadBalancingV2::ListenerRule": IN_ITS_BALANCER,
    "AWS::ElasticLoadBalancingV2::TargetGroup": IN_ITS_BALANCER,
    "AWS::IAM::InstanceProfile": NO_PRICE,
    "AWS::IAM::ManagedPolicy": NO_PRICE,
    "AWS::IAM::Policy": NO_PRICE,
    "AWS::IAM::Role": NO_PRICE,
    "AWS::Lambda::Alias": IN_ITS_FUNCTION,
    "AWS::Lambda::EventSourceMapping": "its polls are billed as SQS's requests; it has no provisioned pollers",
    "AWS::Lambda::Permission": NO_PRICE,
    "AWS::Logs::DeliveryDestination": NO_PRICE + ": CloudFront's delivery to S3 is free, and the bucket is billed",
    "AWS::Logs::DeliverySource": NO_PRICE,
    "AWS::Lambda::Version": "its code is within the 75 GB of an account",
    "AWS::S3::BucketPolicy": NO_PRICE,
    "AWS::SNS::Subscription": NO_PRICE,
    "AWS::SNS::Topic": "the mail of an alarm costs a 500th of a cent",
    "AWS::SNS::TopicPolicy": NO_PRICE,
    "AWS::SQS::QueuePolicy": NO_PRICE,
}
# Of the CDK or CloudFormation, and nothing in AWS.
NOTHING = ("AWS::CDK::Metadata", "Custom::")


@pytest.fixture(scope="module")
def stage(tmp_path_factory):
    folder, bundles = str(tmp_path_factory.mktemp("stages")), str(tmp_path_factory.mktemp("bundles"))
    return lambda name: synthesized(name, SETTINGS, folder, bundles, with_nag=False)


every_stage = pytest.mark.parametrize("name", STAGES)


def kinds(kind, properties):  # noqa: PLR0911 one for each kind
    """Return what a resource is in the tables above: its type, and what of its properties is billed apart."""
    match kind:
        case "AWS::EC2::VPCEndpoint":
            return {f"{kind} {properties.get('VpcEndpointType', 'Gateway')}"}
        case "AWS::ElasticLoadBalancingV2::LoadBalancer":
            public = {f"{kind} of browsers"} if properties["Scheme"] == "internet-facing" else set()
            return {f"{kind} {properties['Type']}", *public}
        case "AWS::CloudFront::Distribution":
            paths = {one["PathPattern"] for one in properties["DistributionConfig"].get("CacheBehaviors", ())}
            return {kind, f"{kind} of servers"} if "/user/*" in paths else {kind}
        case "AWS::ECS::Service":
            public = properties["NetworkConfiguration"]["AwsvpcConfiguration"]["AssignPublicIp"] == "ENABLED"
            return {kind, f"{kind} with public addresses"} if public else {kind}
        case "AWS::EFS::FileSystem":
            backed_up = properties.get("BackupPolicy", {}).get("Status") == "ENABLED"
            return {kind, f"{kind} with backups"} if backed_up else {kind}
        case "AWS::Lambda::Function":
            variables = properties.get("Environment", {}).get("Variables", {})
            is_public = variables.get("HUBLESS_PUBLIC_ADDRESSES") == "true"
            found = {"snapshots": "SnapStart" in properties, "public addresses of servers": is_public}
            return {kind, *(f"{kind} with {what}" for what, is_so in found.items() if is_so)}
    return {kind}


def resources(synthesis):
    return [
        (one["Type"], one.get("Properties", {}))
        for template in synthesis.templates.values()
        for one in template["Resources"].values()
        if not one["Type"].startswith(NOTHING)
    ]


def kinds_of(synthesis):
    return {kind for type_, properties in resources(synthesis) for kind in kinds(type_, properties)}


def bill_of(synthesis, name, users=200):
    settings = load_stage(synthesis.folder.parent / "hubless.toml", name).settings
    return bill(demand_of(users, {}, settings), known(), Amounts())


@every_stage
def test_each_resource_is_in_the_bill_or_free_for_a_reason(stage, name):
    unknown = kinds_of(stage(name)) - set(BILLED) - set(FREE)

    assert unknown == set()


@every_stage
def test_the_bill_has_a_line_for_each_resource_that_costs(stage, name):
    made = bill_of(stage(name), name)

    missing = [
        (kind, part)
        for kind in sorted(kinds_of(stage(name)) & set(BILLED))
        for part in BILLED[kind]
        if not made.usd(part)
    ]

    assert missing == []


@every_stage
def test_each_line_of_the_bill_has_a_resource(stage, name):
    """A line that no resource causes would be billed although the stage does not have it."""
    caused = {part for kind in kinds_of(stage(name)) & set(BILLED) for part in BILLED[kind]}
    # Bytes between zones, images in the CDK's repository, and the log of users' servers have no resource of their own.
    of_all = {"Between zones", "ECR", "Server logs"}

    assert {line.part for line in bill_of(stage(name), name).lines} - of_all <= caused


def test_each_entry_of_the_tables_is_a_resource_of_a_stage(stage):
    found = {kind for name in STAGES for kind in kinds_of(stage(name))}

    assert sorted((set(BILLED) | set(FREE)) - found) == []


@every_stage
def test_alarms_are_billed_by_their_metrics(stage, name):
    alarms = [properties for type_, properties in resources(stage(name)) if type_ == "AWS::CloudWatch::Alarm"]
    metrics = sum(sum("MetricStat" in one for one in alarm["Metrics"]) if "Metrics" in alarm else 1 for alarm in alarms)

    assert bill_of(stage(name), name).usd("CloudWatch alarms") == metrics * known().usd("cloudwatch.alarm_metric")


@every_stage
def test_a_balancer_of_browsers_has_an_address_in_each_zone_of_the_bill(stage, name):
    for kind, properties in resources(stage(name)):
        if kind == "AWS::ElasticLoadBalancingV2::LoadBalancer":
            assert len(properties["Subnets"]) == Amounts().balancer_zones


@every_stage
def test_the_memory_of_a_fleets_edges_is_the_bills(stage, name):
    amounts, edges = Amounts(), [one for kind, one in resources(stage(name)) if kind == "AWS::ECS::TaskDefinition"]
    memory_gb = amounts.direct_edge_memory_gb if name == "direct" else amounts.edge_memory_gb

    assert [int(one["Memory"]) / 1024 for one in edges] in ([], [memory_gb])


@every_stage
def test_standing_resources_are_as_many_as_the_bill_says(stage, name):
    amounts, count = Amounts(), Counter(type_ for type_, _ in resources(stage(name)))
    rules = [len(p["Rules"]) for type_, p in resources(stage(name)) if type_ == "AWS::WAFv2::WebACL"]

    assert count["AWS::SecretsManager::Secret"] == amounts.secrets
    assert count["AWS::Lambda::EventSourceMapping"] == amounts.queues
    assert rules in ([], [amounts.waf_rules])
