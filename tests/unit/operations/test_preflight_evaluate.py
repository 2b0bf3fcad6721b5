"""The rules of preflight."""

from dataclasses import replace
from decimal import Decimal

import pytest

from hubless.settings.stage import Stage, StageSettings
from operations import check_results
from operations.check_results import Level
from operations.preflight import evaluate
from operations.preflight.evaluate import Certificate, FailedResource, Identity, Network, Quota, Stack, Zone
from operations.spare_needs import SpareNeeds
from tests.support.cloudformation import UNVERIFIED

REGION = "eu-central-1"
ARN = "arn:aws:acm:us-east-1:123456789012:certificate/abc"
SERVERS = ("ns-1.awsdns-00.com", "ns-2.awsdns-00.net")
ZONE = Zone("example.org", is_private=False, servers=SERVERS, delegated_to=SERVERS)


KEY = "arn:aws:kms:eu-central-1:123456789012:key/0a1b2c3d-4e5f-6789-abcd-ef0123456789"


def stage(**settings):
    return Stage("prod", StageSettings(region=REGION, **settings))


GIVEN = stage(
    vpc_id="vpc-1", zones=("a", "b"), public_subnets=("subnet-1", "subnet-2"), private_subnets=("subnet-3", "subnet-4")
)
BOTH = frozenset({"dynamodb", "s3"})
NETWORK = Network(
    exists=True,
    zones={"subnet-1": "a", "subnet-2": "b", "subnet-3": "a", "subnet-4": "b"},
    internet_routes=frozenset({"subnet-1", "subnet-2"}),
    gateway_routes=frozenset({"subnet-1", "subnet-2"}),
    endpoints={"subnet-3": BOTH, "subnet-4": BOTH},
)


def matches(found, level, text):
    assert (found.level, found.message) == (level, found.message)
    assert text in found.message
    assert found.action or level is Level.OK
    return True


def test_credentials_of_another_account_are_a_problem():
    asked = Identity("111111111111", "arn:aws:iam::111111111111:user/ada")

    assert matches(evaluate.identity(asked, stage()), Level.OK, "account 111111111111, as user/ada")
    assert matches(
        evaluate.identity(asked, stage(account="222222222222")), Level.PROBLEM, "but the stage prod needs 222222222222"
    )


@pytest.mark.parametrize(
    ("states", "has_services", "level", "said"),
    [
        ({REGION: "opt-in-not-required"}, True, Level.OK, "is enabled"),
        ({REGION: "opted-in"}, True, Level.OK, "is enabled"),
        ({REGION: "not-opted-in"}, True, Level.PROBLEM, "is not enabled"),
        ({"us-east-1": "opted-in"}, True, Level.PROBLEM, "the region eu-central-1 does not exist"),
        ({REGION: "opted-in"}, False, Level.PROBLEM, "lacks services"),
    ],
)
def test_a_region_must_exist_be_enabled_and_have_the_services(states, has_services, level, said):
    assert matches(evaluate.region(states, stage(), has_services=has_services), level, said)


def test_a_quota_that_is_too_small_says_how_many_servers_would_start():
    found = evaluate.fargate(Quota(6), stage(expected_servers=20), spot=False)

    assert matches(found, Level.PROBLEM, "the quota is 6 vCPU; 20 servers of 0.5 need 10: only 12 would start")
    assert "Request 10 or more" in found.action


def test_spares_take_room_in_the_quota_cost_money_and_need_no_homes():
    cold, warm = stage(homes=False), SpareNeeds(4, Decimal(2), Decimal(2920), Decimal(1460), Decimal(5840))
    found = evaluate.fargate(Quota(11), cold, warm, spot=False)
    assert matches(found, Level.PROBLEM, "need 10, 4 spares 2: only 18 would start")
    assert matches(evaluate.fargate(Quota(12), cold, warm, spot=False), Level.OK, "the quota is 12 vCPU")

    assert matches(evaluate.spares(warm, cold), Level.OK, "up to 4 tasks wait for launches, for about $9")
    assert matches(evaluate.spares(warm, stage()), Level.PROBLEM, "names one user's home")


def test_the_edges_of_a_fleet_count_too():
    asked = stage(expected_servers=12, edge="fleet", fleet_least=2)

    assert matches(evaluate.fargate(Quota(6), asked, spot=False), Level.PROBLEM, "and edges 0.5: only 11 would start")
    assert matches(evaluate.fargate(Quota(6), asked, spot=True), Level.OK, "the quota is 6 vCPU")
    assert matches(evaluate.fargate(Quota(6.5), asked, spot=False), Level.OK, "the quota is 6.5 vCPU")


def test_the_concurrency_of_a_new_account_is_a_warning():
    assert matches(evaluate.functions(Quota(10), stage()), Level.WARNING, "may run 10 executions at once")
    assert matches(evaluate.functions(Quota(1000), stage()), Level.OK, "may run 1000 executions at once")


def test_reservations_are_told_before_the_deployment():
    enough = evaluate.reservations(Quota(1000), stage(streams_at_once=848))
    over = evaluate.reservations(Quota(1000), stage(streams_at_once=849))
    new = evaluate.reservations(Quota(10), stage())

    assert matches(enough, Level.OK, "52 for launches and sweeps of 1000 concurrent executions")
    assert matches(over, Level.WARNING, "848 for streams of 1000 concurrent executions")
    assert "set it to 848 or less" in over.action
    assert matches(new, Level.WARNING, "none of 10 concurrent executions, of which Lambda keeps 100 unreserved")
    assert matches(evaluate.reservations(Quota(152), stage()), Level.OK, "52 for launches")


@pytest.mark.parametrize(
    ("version", "level", "said"),
    [
        (None, Level.WARNING, "not installed"),
        (20, Level.WARNING, "does not support version 20"),
        (22, Level.OK, "version 22"),
        (24, Level.OK, "version 24"),
    ],
)
def test_the_cdk_needs_a_supported_node(version, level, said):
    assert matches(evaluate.node(version), level, said)


def test_a_quota_needs_room_for_one_more():
    assert matches(evaluate.room("VPCs", Quota(5, 5), 1, "VPCs per Region"), Level.PROBLEM, "5 of 5 are used")
    assert matches(evaluate.room("VPCs", Quota(5, 4), 1, "VPCs per Region"), Level.OK, "4 of 5 are used")


def test_more_users_than_access_points_are_a_warning():
    assert evaluate.homes(stage(expected_servers=10_001)).level is Level.WARNING
    assert evaluate.homes(stage(expected_servers=10_000)).level is Level.OK


def test_more_users_than_an_account_has_roles_are_a_warning():
    found = evaluate.homes(stage(expected_servers=901, task_roles=True))
    assert matches(found, Level.WARNING, "1,000 IAM roles")
    assert evaluate.homes(stage(expected_servers=900, task_roles=True)).level is Level.OK
    assert evaluate.homes(stage(expected_servers=901)).level is Level.OK


@pytest.mark.parametrize(
    ("deployed", "wanted", "level"),
    [
        (None, "own", Level.OK),
        ("", "", Level.OK),
        ("own", "own", Level.OK),
        (KEY, KEY, Level.OK),
        ("", "own", Level.PROBLEM),
        ("own", "", Level.PROBLEM),
        ("own", KEY, Level.PROBLEM),
    ],
)
def test_another_key_would_empty_the_home_folders(deployed, wanted, level):
    found = evaluate.homes(stage(kms_key=wanted), deployed)

    assert found.level is level
    assert level is Level.OK or f'Set kms_key = "{deployed}" again' in found.action


@pytest.mark.parametrize(
    ("facts", "level", "said"),
    [
        (None, Level.PROBLEM, "has no certificate of that ARN"),
        (Certificate("PENDING_VALIDATION", ("hub.example.org",)), Level.PROBLEM, "its status is PENDING_VALIDATION"),
        (Certificate("ISSUED", ("hub.example.org",)), Level.PROBLEM, "but not *.hub.example.org"),
        (Certificate("ISSUED", ("*.hub.example.org",)), Level.PROBLEM, "but not hub.example.org"),
        (
            Certificate("ISSUED", ("hub.example.org", "*.hub.example.org")),
            Level.OK,
            "issued for hub.example.org and *.hub.example.org",
        ),
        (Certificate("ISSUED", ("*.example.org", "*.hub.example.org")), Level.OK, "issued for"),
    ],
)
def test_a_certificate_must_be_issued_for_all_names(facts, level, said):
    assert matches(certificate_found(facts, stage(domain="hub.example.org", certificate=ARN)), level, said)


def certificate_found(facts, asked, number=0):
    check, key, wanted = evaluate.certificates(asked)[number]
    return evaluate.certificate(facts, asked, check=check, key=key, wanted=wanted)


def test_without_subdomains_no_wildcard_is_needed():
    asked = stage(domain="hub.example.org", certificate=ARN, subdomains=False)

    assert certificate_found(Certificate("ISSUED", ("hub.example.org",)), asked).level is Level.OK


def test_with_direct_hosts_each_certificate_covers_its_own_names():
    here = ARN.replace("us-east-1", "eu-central-1")
    asked = stage(domain="hub.example.org", certificate=ARN, direct_certificate=here, direct_hosts=True, edge="fleet")
    hubs, users = Certificate("ISSUED", ("hub.example.org",)), Certificate("ISSUED", ("*.hub.example.org",))

    assert (certificate_found(hubs, asked).level, certificate_found(users, asked, 1).level) == (Level.OK, Level.OK)
    swapped = certificate_found(hubs, asked, 1)
    assert (swapped.level, swapped.check) == (Level.PROBLEM, "certificate of users' hosts")
    assert swapped.action == "Request one for *.hub.example.org from ACM in eu-central-1"


def test_a_wildcard_covers_one_label():
    assert evaluate.covers(["*.example.org"], "hub.example.org")
    assert not evaluate.covers(["*.example.org"], "a.hub.example.org")
    assert not evaluate.covers(["*.example.org"], "example.org")
    assert not evaluate.covers(["*.org"], "*.example.org")


@pytest.mark.parametrize(
    ("facts", "level", "said"),
    [
        (None, Level.PROBLEM, "this account has no zone Z1234567890"),
        (replace(ZONE, name="example.com"), Level.PROBLEM, "is example.com, not example.org"),
        (replace(ZONE, is_private=True), Level.PROBLEM, "is a private zone"),
        (replace(ZONE, delegated_to=None), Level.WARNING, "could not check"),
        (replace(ZONE, delegated_to=()), Level.PROBLEM, "delegated to no server"),
        (replace(ZONE, delegated_to=("ns.other.net",)), Level.PROBLEM, "delegated to ns.other.net"),
        (ZONE, Level.OK, "public DNS uses example.org"),
    ],
)
def test_the_zone_must_be_the_domains_and_in_public_dns(facts, level, said):
    asked = stage(domain="hub.example.org", zone_id="Z1234567890", zone_name="example.org")

    assert matches(evaluate.zone(facts, asked), level, said)


def test_a_missing_service_linked_role_is_a_warning():
    assert evaluate.service_role("ecs", exists=False).level is Level.WARNING
    assert evaluate.service_role("ecs", exists=True).level is Level.OK


@pytest.mark.parametrize(
    ("version", "level"), [(None, Level.PROBLEM), (5, Level.PROBLEM), (6, Level.OK), (28, Level.OK)]
)
def test_the_bootstrap_must_exist_and_be_new_enough(version, level):
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
def test_a_stack_of_an_earlier_deployment_may_block(state, level):
    assert evaluate.stacks({"hubless-prod-web": Stack(state, REGION)}).level is level


REFUSED = FailedResource("Tried", "AWS::CloudFront::Distribution", UNVERIFIED)


@pytest.mark.parametrize(
    ("reason", "meaning", "action"),
    [
        (UNVERIFIED, "has not verified this account for CloudFront", "Open a case with AWS Support"),
        (
            "You have requested more vCPU capacity than your current vCPU limit of 0 allows",
            "edge's instance",
            "Request",
        ),
        ("One or more of the CNAMEs you provided are already associated with a different resource", "domain", "Remove"),
        ("No export named x found", "", "Remove the cause"),
    ],
)
def test_a_failed_stack_says_why_and_what_to_do(reason, meaning, action):
    found = evaluate.failed_stack(
        "hubless-prod-account", Stack("ROLLBACK_COMPLETE", REGION, replace(REFUSED, reason=reason))
    )

    assert matches(found, Level.PROBLEM, "hubless-prod-account is ROLLBACK_COMPLETE because of Tried")
    assert reason in found.message
    assert meaning in found.message.partition("That means: ")[2]
    assert found.action.startswith(action)
    assert found.action.endswith(f"delete-stack --region {REGION} --stack-name hubless-prod-account")


def test_an_update_that_was_undone_blocks_nothing_and_is_explained():
    undone = {
        "hubless-prod-web": Stack("UPDATE_ROLLBACK_COMPLETE", REGION, REFUSED),
        "b": Stack("CREATE_COMPLETE", REGION),
    }

    (found,) = evaluate.last_failures(undone)
    assert evaluate.stacks(undone).level is Level.OK
    assert found.action.endswith("Then run the same command again")
    assert [one.level for one in evaluate.last_failures({"b": undone["b"]})] == [Level.OK]


def test_an_account_without_a_distribution_may_be_unverified():
    assert matches(evaluate.distributions(0), Level.WARNING, "the deployment tries first")
    assert matches(evaluate.distributions(2), Level.OK, "has 2 distributions")


def test_without_stacks_nothing_blocks():
    assert matches(evaluate.stacks({}), Level.OK, "none exists yet")


def test_a_network_that_has_all_is_well():
    assert [found.level for found in evaluate.network(NETWORK, GIVEN)] == [Level.OK]


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        (Network(exists=False), "eu-central-1 has no VPC vpc-1"),
        (replace(NETWORK, zones={**NETWORK.zones, "subnet-2": "a"}), "subnet-2 is in a, not in b"),
        (
            replace(NETWORK, zones={k: v for k, v in NETWORK.zones.items() if k != "subnet-3"}),
            "subnet-3 does not belong to vpc-1",
        ),
        (replace(NETWORK, internet_routes=frozenset({"subnet-1"})), "subnet-2 has no route to the internet"),
        (
            replace(NETWORK, endpoints={"subnet-3": BOTH, "subnet-4": frozenset({"s3"})}),
            "subnet-4 has no gateway endpoint for dynamodb",
        ),
    ],
)
def test_a_network_problem_names_what_is_missing(facts, said):
    found = evaluate.network(facts, GIVEN)

    assert matches(found[0], Level.PROBLEM, said)


def test_behind_a_nat_a_missing_route_is_one_to_a_nat_gateway():
    shut = replace(NETWORK, internet_routes=frozenset())

    (first, *_) = evaluate.network(shut, Stage("prod", replace(GIVEN.settings, egress="nat")))

    assert first.action == "Add a route to a NAT gateway"


def test_a_load_balancer_for_browsers_needs_an_internet_gateway():
    outbound_only = replace(NETWORK, gateway_routes=frozenset({"subnet-1"}))
    direct = Stage("prod", replace(GIVEN.settings, direct_hosts=True, edge="fleet", domain="hub.example.org"))

    (found,) = evaluate.network(outbound_only, direct)

    assert matches(found, Level.PROBLEM, "subnet-2 has no route to an internet gateway")
    assert [one.level for one in evaluate.network(outbound_only, GIVEN)] == [Level.OK]
    assert [one.level for one in evaluate.network(NETWORK, direct)] == [Level.OK]


def test_with_a_way_out_of_its_own_a_network_needs_no_internet_route():
    shut = replace(NETWORK, internet_routes=frozenset())

    found = evaluate.network(shut, Stage("prod", replace(GIVEN.settings, egress="none")))

    assert [one.level for one in found] == [Level.OK]


def test_servers_in_one_zone_are_a_warning():
    one = stage(vpc_id="vpc-1", zones=("a",), public_subnets=("subnet-1",), private_subnets=("subnet-3",))

    assert [found.level for found in evaluate.network(NETWORK, one)] == [Level.WARNING]


def test_vpc_origins_do_not_exist_in_all_zones():
    ids = {"us-east-1a": "use1-az1", "us-east-1b": "use1-az3"}
    given = stage(vpc_id="vpc-1", zones=("us-east-1b",), public_subnets=("subnet-1",), private_subnets=("subnet-2",))

    assert matches(evaluate.origins(ids, given), Level.PROBLEM, "cannot reach edges in us-east-1b (use1-az3)")
    assert matches(evaluate.origins(ids, stage()), Level.PROBLEM, "cannot reach edges in us-east-1b (use1-az3)")
    assert "Choose subnets of stages.prod.vpc_id in other zones: us-east-1a" in evaluate.origins(ids, given).action
    assert 'Set stages.prod.zones = ["us-east-1a"]; ' in evaluate.origins(ids, stage()).action
    assert "Change stages.prod.region" in evaluate.origins(ids, stage(edge="fleet")).action  # one zone is not enough
    more = evaluate.origins({**ids, "us-east-1c": "use1-az2", "us-east-1d": "use1-az4"}, stage())
    assert (
        more.action == 'Set stages.prod.zones = ["us-east-1a", "us-east-1c"]; '
        "CloudFront reaches us-east-1a, us-east-1c, us-east-1d"
    )
    assert (
        evaluate.origins({"a": "use1-az3", "b": "use1-az1", "c": "use1-az2"}, stage(zones=("b", "c"))).level is Level.OK
    )
    assert matches(
        evaluate.origins({"a": "use1-az1", "b": "use1-az2", "c": "use1-az3"}, stage()), Level.OK, "reaches a, b"
    )
    assert matches(evaluate.origins({"a": "euc1-az1"}, stage()), Level.OK, "reaches a")


def test_the_instance_type_must_be_offered():
    assert matches(evaluate.instance([], stage()), Level.PROBLEM, "AWS offers no t4g.nano in eu-central-1")
    assert matches(evaluate.instance(["b"], GIVEN), Level.OK, "t4g.nano is offered in b")
    assert matches(evaluate.instance(["c"], GIVEN), Level.PROBLEM, "AWS offers no t4g.nano in a, b")


def test_an_image_outside_ecr_is_not_checked():
    assert matches(evaluate.image("quay.io/jupyter/base", found=None), Level.OK, "was not checked")
    assert evaluate.image("x", found=False).level is Level.PROBLEM


def test_docker_is_needed_to_build_images():
    assert evaluate.docker(works=False).level is Level.PROBLEM


def test_a_large_class_needs_higher_throughput_of_ssm():
    assert evaluate.throughput(stage(expected_servers=200), is_high=False).level is Level.WARNING
    assert evaluate.throughput(stage(expected_servers=20), is_high=False).level is Level.OK
    assert evaluate.throughput(stage(expected_servers=200), is_high=True).level is Level.OK


def test_a_result_is_a_line_with_the_action_below_it():
    found = check_results.problem("region", "does not exist", "Choose one", "https://example.org")

    assert found.text() == "problem  region: does not exist\n         Choose one\n         https://example.org"
    assert check_results.ok("region", "exists").text() == "ok       region: exists"
    assert check_results.summary([found, found]) == "0 ok, 0 warnings, 2 problems"
    assert check_results.summary([found, check_results.warning("a", "b", "c")]) == "0 ok, 1 warning, 1 problem"


def test_nobody_is_told_of_costs_without_an_address():
    mute, off = evaluate.spending(stage()), stage(alarm_email="ops@example.org", monthly_budget=0)
    told = evaluate.spending(stage(alarm_email="ops@example.org"))

    assert (mute.level, told.level, evaluate.spending(off).level) == (Level.WARNING, Level.OK, Level.OK)
    assert mute.message.startswith("no mail is sent")
    assert "stages.prod.alarm_email" in mute.action
    assert told.message.startswith("ops@example.org gets a mail at 80 % of $100 a month")
    assert evaluate.spending(off).message == "ops@example.org gets alarms; monthly_budget is off"


def test_images_whose_entrypoint_has_the_log_open_are_named():
    assert evaluate.server_logs(stage(), ()) == []
    assert evaluate.server_logs(stage(image="r:1", server_logs=False), ("q:1",)) == []
    (found,) = evaluate.server_logs(stage(image="r:1"), ("q:1", ""))

    assert (found.level, found.message.split(" can ")[0]) == (Level.WARNING, "users of q:1, r:1")
    assert "stages.prod.server_logs = false" in found.action
