"""How servers and the `economy` edge reach the internet, by the stage's `egress`: only the stacks that it changes."""

from datetime import timedelta

import pytest
from aws_cdk import App

from hubless.settings.stage import load_stage
from infra.constructs.economy_edge import EconomyEdge
from infra.stacks.base import HubStack
from infra.stacks.cluster import ClusterStack
from infra.stacks.state import StateStack
from tests.infra.synthesis import read_back, rights_of

OWN_VPC = """
vpc_id = "vpc-1"
zones = ["eu-central-1a", "eu-central-1b"]
public_subnets = ["subnet-1", "subnet-2"]
private_subnets = ["subnet-3", "subnet-4"]
"""
IMAGE = 'image = "quay.io/jupyter/scipy-notebook:2026-11-01"\n'


@pytest.fixture
def made(tmp_path):
    def make(keys, images=()):
        file = tmp_path / "hubless.toml"
        file.write_text(f'[stages.prod]\nregion = "eu-central-1"\n{IMAGE}{keys}')
        (tmp_path / "edge").mkdir()
        app, stage = App(outdir=str(tmp_path / "out")), load_stage(file)
        state = StateStack(app, stage)
        cluster = ClusterStack(app, stage, state=state, images=images)
        web = HubStack(app, "web", stage, description="the edge alone")
        EconomyEdge(
            web, cluster=cluster, state=state, code=tmp_path / "edge", report_interval=timedelta(minutes=5)
        ).edge()
        app.synth()
        return cluster, read_back(tmp_path / "out")

    return make


def routes_of(synthesis):
    """Return where the default route of each subnet's table leads: to the internet gateway, a NAT, or nowhere."""
    found = {}
    for route in synthesis.all("AWS::EC2::Route", "cluster").values():
        assert route["DestinationCidrBlock"] == "0.0.0.0/0"
        group = route["RouteTableId"].removeprefix("<Vpc").partition("Subnet")[0]
        found.setdefault(group, set()).add("nat" if "NatGatewayId" in route else "internet")
    return found


def networks_of(synthesis):
    return {
        name.partition("Subnet")[0] + name.partition("Subnet")[2][:1]: one["CidrBlock"]
        for name, one in synthesis.all("AWS::EC2::Subnet", "cluster").items()
        if not name.startswith("Vpcnat")
    }


def test_servers_have_public_addresses_and_no_nat_by_default(made):
    cluster, synthesis = made("")

    assert routes_of(synthesis) == {"servers": {"internet"}}
    assert (cluster.has_public_addresses, cluster.image_caches) == (True, {})
    assert not synthesis.all("AWS::EC2::NatGateway")
    assert not synthesis.all("AWS::ECR::PullThroughCacheRule")


def test_with_a_nat_servers_and_the_edge_have_no_public_address(made):
    cluster, synthesis = made('egress = "nat"\n')

    assert routes_of(synthesis) == {"servers": {"nat"}, "edge": {"nat"}, "nat": {"internet"}}
    assert not cluster.has_public_addresses
    assert len(synthesis.all("AWS::EC2::NatGateway")) == 1
    assert not any(one.get("MapPublicIpOnLaunch") for one in synthesis.all("AWS::EC2::Subnet").values())


def test_another_egress_changes_no_network_of_servers_and_edges(made, tmp_path_factory, monkeypatch):
    _, public = made("")
    before = networks_of(public)
    for name in ("out", "edge"):
        (public.folder.parent / name).rename(public.folder.parent / f"{name}-before")
    _, behind_nat = made('egress = "nat"\n')

    assert len(before) == 4
    assert networks_of(behind_nat) == before


@pytest.mark.parametrize("egress", ["public", "nat"])
def test_layers_and_the_table_are_reached_without_a_nat(made, egress):
    _, synthesis = made(f'egress = "{egress}"\n')
    endpoints = synthesis.all("AWS::EC2::VPCEndpoint", "cluster").values()
    tables = {f"<{name[:-8]}>" for name in synthesis.all("AWS::EC2::RouteTable", "cluster")}

    assert {one["ServiceName"] for one in endpoints} == {
        f"com.amazonaws.<AWS::Region>.{service}" for service in ("dynamodb", "s3")
    }
    assert all({*one["RouteTableIds"]} == tables for one in endpoints)


def test_behind_a_nat_images_come_from_a_cache_in_ecr(made):
    cluster, synthesis = made('egress = "nat"\n', images=("public.ecr.aws/x/y:1", "docker.io/x/y:1"))
    rules = {
        (one["EcrRepositoryPrefix"], one["UpstreamRegistryUrl"])
        for one in synthesis.all("AWS::ECR::PullThroughCacheRule").values()
    }
    imported = [
        right
        for right in rights_of(synthesis, "ExecutionRole", "cluster")
        if right[0] == "ecr:BatchImportUpstreamImage ecr:CreateRepository"
    ]

    assert rules == {("prod-quay", "quay.io"), ("prod-ecr", "public.ecr.aws")}  # Docker Hub wants a password
    assert set(cluster.image_caches) == {"quay.io", "public.ecr.aws"}
    assert cluster.image_caches["quay.io"].endswith("/prod-quay")
    assert [one.rpartition(":")[2] for one in imported[0][1].split()] == [
        "repository/prod-ecr/*",
        "repository/prod-quay/*",
    ]


def test_without_an_egress_of_its_own_a_stage_uses_its_vpcs(made):
    cluster, synthesis = made(f'egress = "none"\n{OWN_VPC}')

    assert not cluster.has_public_addresses
    assert [one.subnet_id for one in cluster.server_subnets] == ["subnet-1", "subnet-2"]
    assert set(cluster.image_caches) == {"quay.io"}
    assert synthesis.one("AWS::EC2::Instance")["SubnetId"] == "subnet-3"


def test_session_manager_is_an_option(made):
    _, synthesis = made('egress = "nat"\nsession_manager = true\n')
    granted = {right[0]: right[1] for right in rights_of(synthesis, "EconomyRole", "web")}
    wanted = " ".join(
        [
            "ssm:UpdateInstanceInformation",
            *(f"ssmmessages:{verb}{kind}Channel" for verb in ("Create", "Open") for kind in ("Control", "Data")),
        ]
    )

    assert granted[" ".join(sorted(wanted.split()))] == "*"


@pytest.mark.parametrize(
    ("keys", "tag"),
    [("", "s3://<state.Logs>/edge"), ('egress = "nat"\n', "<EconomyJournal>")],
)
def test_the_edges_journal_goes_where_its_network_leads(made, keys, tag):
    _, synthesis = made(keys)
    tags = {one["Key"]: one["Value"] for one in synthesis.one("AWS::EC2::Instance")["Tags"]}
    granted = dict(right[:2] for right in rights_of(synthesis, "EconomyRole", "web"))

    assert tags["hubless-journal"] == tag
    assert granted.get("logs:CreateLogStream logs:PutLogEvents") == ("<EconomyJournal.Arn>" if keys else None)
    assert granted.get("s3:PutObject") == (None if keys else "<state.Logs.Arn>/edge/*")
