"""What facts mean for a stage."""

from dataclasses import replace

import pytest

from hubless.settings.stage import Stage, StageSettings
from operations import check_results
from operations.check_results import Level
from operations.preflight import evaluate
from operations.preflight.evaluate import Certificate, Identity, Network, Quota, Zone

REGION = "eu-central-1"
ARN = "arn:aws:acm:us-east-1:123456789012:certificate/abc"
SERVERS = ("ns-1.awsdns-00.com", "ns-2.awsdns-00.net")
ZONE = Zone("example.org", is_private=False, servers=SERVERS, answering=SERVERS)


def stage(**settings):
    return Stage("prod", StageSettings(region=REGION, **settings))


GIVEN = stage(
    vpc_id="vpc-1", zones=("a", "b"), public_subnets=("subnet-1", "subnet-2"), private_subnets=("subnet-3", "subnet-4")
)
BOTH = frozenset({"dynamodb", "s3"})
NETWORK = Network(
    exists=True,
    zones={"subnet-1": "a", "subnet-2": "b", "subnet-3": "a", "subnet-4": "b"},
    to_the_internet=frozenset({"subnet-1", "subnet-2"}),
    to_services={"subnet-3": BOTH, "subnet-4": BOTH},
)


def judged(found, level, said):
    assert (found.level, found.message) == (level, found.message)
    assert said in found.message
    assert found.action or level is Level.OK
    return True


def test_credentials_of_another_account_are_a_problem():
    asked = Identity("111111111111", "arn:aws:iam::111111111111:user/ada")

    assert judged(evaluate.identity(asked, stage()), Level.OK, "account 111111111111, as user/ada")
    assert judged(
        evaluate.identity(asked, stage(account="222222222222")), Level.PROBLEM, "but the stage prod is for 222222222222"
    )


@pytest.mark.parametrize(
    ("states", "has_services", "level", "said"),
    [
        ({REGION: "opt-in-not-required"}, True, Level.OK, "is enabled"),
        ({REGION: "opted-in"}, True, Level.OK, "is enabled"),
        ({REGION: "not-opted-in"}, True, Level.PROBLEM, "is not enabled"),
        ({"us-east-1": "opted-in"}, True, Level.PROBLEM, "there is no region eu-central-1"),
        ({REGION: "opted-in"}, False, Level.PROBLEM, "has not all services"),
    ],
)
def test_a_region_is_there_enabled_and_complete(states, has_services, level, said):
    assert judged(evaluate.region(states, stage(), has_services=has_services), level, said)


def test_six_vcpus_of_a_new_account_are_too_few_for_a_class_and_it_says_for_how_many_they_are_enough():
    found = evaluate.fargate(Quota(6), stage(expected_servers=20), spot=False)

    assert judged(found, Level.PROBLEM, "6 vCPU are allowed; 20 servers of 0.5 need 10: no more than 12 would start")
    assert "Ask for 10 or more" in found.action


def test_a_fleet_needs_processors_too():
    asked = stage(expected_servers=12, edge="fleet", fleet_least=2)

    assert judged(
        evaluate.fargate(Quota(6), asked, spot=False), Level.PROBLEM, "and edges 0.5: no more than 11 would start"
    )
    assert judged(evaluate.fargate(Quota(6), asked, spot=True), Level.OK, "6 vCPU are allowed")
    assert judged(evaluate.fargate(Quota(6.5), asked, spot=False), Level.OK, "6.5 vCPU are allowed")


def test_ten_functions_at_once_are_a_warning():
    assert judged(evaluate.functions(Quota(10), stage()), Level.WARNING, "runs 10 functions at once")
    assert judged(evaluate.functions(Quota(1000), stage()), Level.OK, "runs 1000 functions at once")


def test_streams_are_kept_no_more_than_lambda_leaves():
    assert evaluate.streams(Quota(10), stage()) == []
    assert judged(evaluate.streams(Quota(1000), stage(streams_at_once=900))[0], Level.OK, "900 of 1000 functions")

    (over,) = evaluate.streams(Quota(1000), stage(streams_at_once=901))
    (new,) = evaluate.streams(Quota(10), stage(streams_at_once=1))

    assert judged(
        over, Level.PROBLEM, "901 functions at once cannot be kept for them: of 1000, Lambda leaves 100 to all others"
    )
    assert "Set stages.prod.streams_at_once to 900 or less" in over.action
    assert judged(new, Level.PROBLEM, "of 10, Lambda leaves 100")
    assert "Set stages.prod.streams_at_once = 0" in new.action


@pytest.mark.parametrize(
    ("version", "level", "said"),
    [
        (None, Level.WARNING, "there is none here"),
        (20, Level.WARNING, "20 is here"),
        (22, Level.OK, "22 runs"),
        (24, Level.OK, "24 runs"),
    ],
)
def test_the_cdk_runs_on_a_node_that_is_new_enough(version, level, said):
    assert judged(evaluate.node(version), level, said)


def test_there_must_be_room_for_one_more():
    assert judged(evaluate.room("VPCs", Quota(5, 5), 1, "VPCs per Region"), Level.PROBLEM, "5 of 5 are there")
    assert judged(evaluate.room("VPCs", Quota(5, 4), 1, "VPCs per Region"), Level.OK, "4 of 5 are there")


def test_more_users_than_access_points_are_a_warning():
    assert evaluate.homes(stage(expected_servers=10_001)).level is Level.WARNING
    assert evaluate.homes(stage(expected_servers=10_000)).level is Level.OK


@pytest.mark.parametrize(
    ("facts", "level", "said"),
    [
        (None, Level.PROBLEM, "there is none of that ARN"),
        (Certificate("PENDING_VALIDATION", ("hub.example.org",)), Level.PROBLEM, "not issued: PENDING_VALIDATION"),
        (Certificate("ISSUED", ("hub.example.org",)), Level.PROBLEM, "but not for *.hub.example.org"),
        (Certificate("ISSUED", ("*.hub.example.org",)), Level.PROBLEM, "but not for hub.example.org"),
        (
            Certificate("ISSUED", ("hub.example.org", "*.hub.example.org")),
            Level.OK,
            "issued for hub.example.org and *.hub.example.org",
        ),
        (Certificate("ISSUED", ("*.example.org", "*.hub.example.org")), Level.OK, "issued for"),
    ],
)
def test_a_certificate_is_issued_for_all_names(facts, level, said):
    assert judged(evaluate.certificate(facts, stage(domain="hub.example.org", certificate=ARN)), level, said)


def test_one_origin_for_all_needs_no_star():
    asked = stage(domain="hub.example.org", certificate=ARN, subdomains=False)

    assert evaluate.certificate(Certificate("ISSUED", ("hub.example.org",)), asked).level is Level.OK


def test_a_star_stands_for_one_label():
    assert evaluate.covers(["*.example.org"], "hub.example.org")
    assert not evaluate.covers(["*.example.org"], "a.hub.example.org")
    assert not evaluate.covers(["*.example.org"], "example.org")
    assert not evaluate.covers(["*.org"], "*.example.org")


@pytest.mark.parametrize(
    ("facts", "level", "said"),
    [
        (None, Level.PROBLEM, "there is no Z1234567890 in this account"),
        (replace(ZONE, name="example.com"), Level.PROBLEM, "is example.com, not example.org"),
        (replace(ZONE, is_private=True), Level.PROBLEM, "is private"),
        (replace(ZONE, answering=None), Level.WARNING, "could not be looked at"),
        (replace(ZONE, answering=()), Level.PROBLEM, "answered for by nobody"),
        (replace(ZONE, answering=("ns.other.net",)), Level.PROBLEM, "answered for by ns.other.net"),
        (ZONE, Level.OK, "example.org answers for the domain"),
    ],
)
def test_a_zone_is_the_domains_and_the_internet_asks_it(facts, level, said):
    asked = stage(domain="hub.example.org", zone_id="Z1234567890", zone_name="example.org")

    assert judged(evaluate.zone(facts, asked), level, said)


def test_a_role_that_is_missing_is_made_by_the_first_use():
    assert evaluate.service_role("ecs", exists=False).level is Level.WARNING
    assert evaluate.service_role("ecs", exists=True).level is Level.OK


@pytest.mark.parametrize(
    ("version", "level"), [(None, Level.PROBLEM), (5, Level.PROBLEM), (6, Level.OK), (28, Level.OK)]
)
def test_cdk_is_bootstrapped_and_new_enough(version, level):
    assert evaluate.bootstrap(version, REGION, "1").level is level


@pytest.mark.parametrize(
    ("state", "level"),
    [
        ("CREATE_COMPLETE", Level.OK),
        ("UPDATE_ROLLBACK_COMPLETE", Level.OK),
        ("ROLLBACK_COMPLETE", Level.PROBLEM),
        ("DELETE_FAILED", Level.PROBLEM),
        ("UPDATE_ROLLBACK_FAILED", Level.PROBLEM),
        ("UPDATE_IN_PROGRESS", Level.PROBLEM),
    ],
)
def test_a_stack_of_an_earlier_deploy_may_be_in_the_way(state, level):
    assert evaluate.stacks({"hubless-prod": state}).level is level


def test_no_stack_is_in_nobodys_way():
    assert judged(evaluate.stacks({}), Level.OK, "none are there yet")


def test_a_network_that_has_all_is_well():
    assert [found.level for found in evaluate.network(NETWORK, GIVEN)] == [Level.OK]


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        (Network(exists=False), "there is no vpc-1"),
        (replace(NETWORK, zones={**NETWORK.zones, "subnet-2": "a"}), "subnet-2 is in a, not in b"),
        (
            replace(NETWORK, zones={k: v for k, v in NETWORK.zones.items() if k != "subnet-3"}),
            "subnet-3 is not in vpc-1",
        ),
        (replace(NETWORK, to_the_internet=frozenset({"subnet-1"})), "subnet-2 has no way to the internet"),
        (
            replace(NETWORK, to_services={"subnet-3": BOTH, "subnet-4": frozenset({"s3"})}),
            "subnet-4 has no gateway endpoint of dynamodb",
        ),
    ],
)
def test_what_a_network_lacks_is_named(facts, said):
    found = evaluate.network(facts, GIVEN)

    assert judged(found[0], Level.PROBLEM, said)


def test_one_zone_is_a_warning():
    one = stage(vpc_id="vpc-1", zones=("a",), public_subnets=("subnet-1",), private_subnets=("subnet-3",))

    assert [found.level for found in evaluate.network(NETWORK, one)] == [Level.WARNING]


def test_cloudfront_does_not_reach_into_all_zones():
    ids = {"us-east-1a": "use1-az1", "us-east-1b": "use1-az3"}
    given = stage(vpc_id="vpc-1", zones=("us-east-1b",), public_subnets=("subnet-1",), private_subnets=("subnet-2",))

    assert judged(evaluate.origins(ids, given), Level.PROBLEM, "does not reach into us-east-1b (use1-az3)")
    assert judged(evaluate.origins(ids, stage()), Level.PROBLEM, "does not reach into us-east-1b (use1-az3)")
    assert "Name subnets of stages.prod.vpc_id in other zones: us-east-1a" in evaluate.origins(ids, given).action
    assert 'Set stages.prod.zones = ["us-east-1a"]; ' in evaluate.origins(ids, stage()).action
    assert "Change stages.prod.region" in evaluate.origins(ids, stage(edge="fleet")).action  # one zone is not enough
    more = evaluate.origins({**ids, "us-east-1c": "use1-az2", "us-east-1d": "use1-az4"}, stage())
    assert (
        more.action == 'Set stages.prod.zones = ["us-east-1a", "us-east-1c"]; '
        "CloudFront reaches into us-east-1a, us-east-1c, us-east-1d"
    )
    assert (
        evaluate.origins({"a": "use1-az3", "b": "use1-az1", "c": "use1-az2"}, stage(zones=("b", "c"))).level is Level.OK
    )
    assert judged(
        evaluate.origins({"a": "use1-az1", "b": "use1-az2", "c": "use1-az3"}, stage()), Level.OK, "reaches into a, b"
    )
    assert judged(evaluate.origins({"a": "euc1-az1"}, stage()), Level.OK, "reaches into a")


def test_an_instance_must_be_on_offer():
    assert judged(evaluate.instance([], stage()), Level.PROBLEM, "there is no t4g.nano in eu-central-1")
    assert judged(evaluate.instance(["b"], GIVEN), Level.OK, "t4g.nano is in b")
    assert judged(evaluate.instance(["c"], GIVEN), Level.PROBLEM, "there is no t4g.nano in a, b")


def test_an_image_elsewhere_is_not_looked_for():
    assert judged(evaluate.image("quay.io/jupyter/base", found=None), Level.OK, "was not looked for")
    assert evaluate.image("x", found=False).level is Level.PROBLEM


def test_docker_is_needed_where_images_are_built():
    assert evaluate.docker(works=False).level is Level.PROBLEM


def test_parameters_are_read_often_when_many_come_at_once():
    assert evaluate.throughput(stage(expected_servers=200), is_high=False).level is Level.WARNING
    assert evaluate.throughput(stage(expected_servers=20), is_high=False).level is Level.OK
    assert evaluate.throughput(stage(expected_servers=200), is_high=True).level is Level.OK


def test_a_finding_is_a_line_and_what_to_do_is_below_it():
    found = check_results.problem("region", "there is none", "Choose one", "https://example.org")

    assert found.text() == "problem  region: there is none\n         Choose one\n         https://example.org"
    assert check_results.ok("region", "is there").text() == "ok       region: is there"
    assert check_results.summary([found, found]) == "0 well, 0 warnings, 2 problems"
