"""Stages whose users' hosts lead to the edge's load balancer without CloudFront (ADR 37)."""

import json
import re

import pytest

from edge_proxy import haproxy_config
from edge_proxy.connection_limits import by_memory
from hubless.adapters.alb import naming
from hubless.settings.edge import EdgeSettings
from infra.constructs import alb_edge, edge, fleet_edge
from tests.infra.synthesis import linted, rights_of, synthesized

REGIONS = {"direct": "eu-central-1", "rules": "us-west-2"}
DOMAINS = {"direct": "hub.example.org", "rules": "jupyter.example.edu"}
SETTINGS = '[login]\nkind = "shared-password"\n'
BALANCER, LISTENER = "AWS::ElasticLoadBalancingV2::LoadBalancer", "AWS::ElasticLoadBalancingV2::Listener"
RULE, GROUP = "AWS::ElasticLoadBalancingV2::ListenerRule", "AWS::ElasticLoadBalancingV2::TargetGroup"
every_stage = pytest.mark.parametrize("name", list(REGIONS))


@pytest.fixture(scope="module")
def stage(tmp_path_factory):
    folder, bundles = str(tmp_path_factory.mktemp("stages")), str(tmp_path_factory.mktemp("bundles"))
    return lambda name: synthesized(name, SETTINGS, folder, bundles)


@every_stage
def test_linters_find_nothing(stage, name):
    assert linted(stage(name), REGIONS[name]) == []
    assert [rule for rule, _ in stage(name).findings if not rule.startswith("AwsSolutions-IAM5[")] == []


@every_stage
def test_cloudfront_serves_the_hubs_host_alone(stage, name):
    config = stage(name).one("AWS::CloudFront::Distribution", "web")["DistributionConfig"]
    leads = {one["PathPattern"]: one["TargetOriginId"] for one in config["CacheBehaviors"]}

    assert config["Aliases"] == [DOMAINS[name]]
    assert leads == {"/hub/static/*": "api", "/hub/api/users/*/progress": "stream"}
    assert {one["Id"] for one in config["Origins"]} == {"api", "stream"}
    assert not stage(name).all("AWS::CloudFront::VpcOrigin")


@every_stage
def test_browsers_reach_the_balancer_by_tls_and_nothing_else(stage, name):
    balancer, listener = stage(name).one(BALANCER), stage(name).one(LISTENER)
    web = stage(name).all("AWS::EC2::SecurityGroupIngress", "web").values()
    open_to_all = [(one["FromPort"], one["ToPort"], one["CidrIp"]) for one in web if "CidrIp" in one]

    assert balancer["Scheme"] == "internet-facing"
    assert (listener["Port"], listener["SslPolicy"]) == (443, "ELBSecurityPolicy-TLS13-1-2-2021-06")
    assert open_to_all == [(443, 443, "0.0.0.0/0")]
    (group,) = balancer["SecurityGroups"]
    assert [one["GroupId"] for one in web if "CidrIp" in one] == [group]
    assert "CloudFrontNetworks" not in json.dumps(stage(name).templates["web"])


@every_stage
def test_only_the_balancer_reaches_edges_and_edges_reach_servers(stage, name):
    within = [one for one in stage(name).all("AWS::EC2::SecurityGroupIngress").values() if "CidrIp" not in one]
    reached = {
        (one["GroupId"].rpartition(".")[0].strip("<"), one["SourceSecurityGroupId"], one["FromPort"]) for one in within
    }
    to_edges = {("cluster.EdgeGroup", "<FleetBalancerGroup.GroupId>", 8080)} if name == "direct" else set()

    homes = {one for one in reached if one[0] == "HomesGroup"}
    assert reached - homes == {("ServerGroup", "<EdgeGroup.GroupId>", 8888)} | to_edges


@every_stage
def test_the_balancer_is_where_an_internet_gateway_is(stage, name):
    subnets = {one.partition(".Vpc")[2].partition("Subnet")[0] for one in stage(name).one(BALANCER)["Subnets"]}

    assert subnets == ({"servers"} if name == "direct" else {"nat"})  # those of servers are behind the NAT
    masks = [
        int(one["CidrBlock"].rpartition("/")[2])
        for logical, one in stage(name).all("AWS::EC2::Subnet").items()
        if logical.startswith(f"Vpc{next(iter(subnets))}")
    ]
    assert len(masks) == 2
    assert max(masks) <= 27  # smaller ones refuse an Application Load Balancer


def test_the_zone_gets_a_certificate_and_records_for_users_hosts(stage):
    (here,) = stage("direct").all("AWS::CertificateManager::Certificate", "web").values()
    records = {(one["Name"], one["Type"]): one["AliasTarget"]["DNSName"] for one in _records(stage("direct"))}

    assert (here["DomainName"], here["ValidationMethod"]) == ("*.hub.example.org", "DNS")
    assert stage("direct").one(LISTENER)["Certificates"] == [{"CertificateArn": "<UsersCertificate>"}]
    assert set(records) == {("hub.example.org.", "A"), ("hub.example.org.", "AAAA"), ("*.hub.example.org.", "A")}
    assert "FleetDirectBalancer.DNSName" in records["*.hub.example.org.", "A"]  # IPv4, as its network


def _records(synthesis):
    return synthesis.all("AWS::Route53::RecordSet").values()


def test_without_a_zone_the_operator_names_a_certificate(stage):
    ((certificate,),) = [one["Certificates"] for one in stage("rules").all(LISTENER).values()]

    assert certificate["CertificateArn"].startswith("arn:aws:acm:us-west-2:")
    assert not _records(stage("rules"))
    assert stage("rules").templates["web"]["Outputs"]["UsersName"]


def test_edges_learn_the_clients_address_from_the_balancer(stage):
    attributes = {one["Key"]: one["Value"] for one in stage("direct").one(GROUP)["TargetGroupAttributes"]}
    ((container,),) = [one["ContainerDefinitions"] for one in stage("direct").all("AWS::ECS::TaskDefinition").values()]
    variables = {pair["Name"]: pair["Value"] for pair in container["Environment"]}
    received = EdgeSettings.from_environment({name: re.sub("<.*>", "made", text) for name, text in variables.items()})

    assert (received.direct, received.domain, received.host_header) == (True, "hub.example.org", "")
    assert attributes["proxy_protocol_v2.enabled"] == "true"
    assert attributes["preserve_client_ip.enabled"] == "false"
    assert stage("direct").one(GROUP)["Protocol"] == "TCP"  # TLS ends at the balancer


def test_an_edge_knows_no_secret_and_reads_no_more_than_behind_cloudfront(stage):
    granted = rights_of(stage("direct"), "FleetTaskRole", "web")

    assert {action.partition(":")[0] for actions, _, _ in granted for action in actions.split()} == {"dynamodb"}
    (definition,) = stage("direct").all("AWS::ECS::TaskDefinition").values()
    assert "resolve:" not in json.dumps(definition)
    assert "Secrets" not in json.dumps(definition)


@pytest.mark.parametrize(
    ("memory", "flows"),
    [(fleet_edge.MEMORY_MIB, fleet_edge.FLOWS), (fleet_edge.DIRECT_MEMORY_MIB, fleet_edge.DIRECT_FLOWS)],
)
def test_another_edge_starts_before_the_memory_of_one_ends(memory, flows):
    assert flows <= by_memory(memory * 1024 * 1024) * 3 // 4


def test_with_rules_the_balancer_leads_people_to_the_hub_and_no_function(stage):
    own = {one["Priority"]: one for one in stage("rules").all(RULE).values()}
    default = stage("rules").one(LISTENER)["DefaultActions"][0]["RedirectConfig"]

    assert (default["Host"], default["Path"], default["Protocol"]) == (DOMAINS["rules"], "/hub/#{path}", "HTTPS")
    assert set(own) == {alb_edge.NOT_RUNNING, alb_edge.HUBS_OWN}
    answered = own[alb_edge.NOT_RUNNING]["Actions"][0]["FixedResponseConfig"]
    assert (answered["StatusCode"], json.loads(answered["MessageBody"])["status"]) == ("424", 424)
    redirect = own[alb_edge.HUBS_OWN]["Actions"][0]["RedirectConfig"]
    assert (redirect["Host"], redirect["Path"]) == (DOMAINS["rules"], "/#{path}")
    assert not stage("rules").all(GROUP)
    permitted = stage("rules").all("AWS::Lambda::Permission").values()
    assert not [one for one in permitted if one["Principal"].startswith("elasticloadbalancing")]


@pytest.mark.parametrize("prefix", ["/user/maria/", "/user/maria/lab/", "/services/grades/", "/other/"])
def test_rules_of_the_deployment_come_after_those_of_servers(prefix):
    assert max(naming.priorities_of(prefix, "l1")) < min(alb_edge.NOT_RUNNING, alb_edge.HUBS_OWN)
    assert alb_edge.HUBS_OWN <= naming.PRIORITIES


def test_answers_tell_browsers_the_same_as_behind_cloudfront(stage):
    policy = stage("direct").one("AWS::CloudFront::ResponseHeadersPolicy")["ResponseHeadersPolicyConfig"]
    hsts = policy["SecurityHeadersConfig"]["StrictTransportSecurity"]
    attributes = {one["Key"]: one["Value"] for one in stage("rules").one(LISTENER)["ListenerAttributes"]}

    assert edge.SECURITY_HEADERS == haproxy_config.SECURITY_HEADERS
    told = f"max-age={hsts['AccessControlMaxAgeSec']}; includeSubDomains"
    assert hsts["IncludeSubdomains"] is True
    assert edge.SECURITY_HEADERS["Strict-Transport-Security"] == told
    assert attributes == {
        "routing.http.response.strict_transport_security.header_value": told,
        "routing.http.response.x_content_type_options.header_value": "nosniff",
    }
