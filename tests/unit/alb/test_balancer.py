"""What ELB says that moto never does: no time, no room, targets that are not healthy, answers in pages."""

import boto3
import pytest
from botocore.stub import ANY, Stubber

from hubless.adapters.alb import naming
from hubless.adapters.alb.balancer import AlbConfig, Balancer
from hubless.adapters.alb.error_translation import TRIES
from hubless.adapters.alb.routes import AlbRouteStore
from hubless.adapters.aws import Clients
from hubless.adapters.sqlite.routes import SqliteRouteStore
from hubless.domain.errors import InvalidRequestError, QuotaExceededError, StoreUnavailableError
from hubless.domain.routes import Route
from tests.support.sqlite import InMemory

FACTS = AlbConfig("hub", "arn:listener", "vpc-1")
A = Route("/user/alice/", "10.0.0.1:8888", "l1")
RULES = {"ListenerArn": "arn:listener", "PageSize": 400}


@pytest.fixture(scope="module")
def clients():
    made = Clients("eu-central-1", boto3.Session("key", "secret"), attempts=1)
    assert made.elbv2
    return made


class Script:
    """What ELB is to be asked, in this order, and what it answers."""

    def __init__(self, clients):
        self.slept = []
        self.balancer = Balancer(FACTS, clients, sleep=self.slept.append)
        self.stub = Stubber(clients.elbv2)

    def answers(self, operation, answer, **asked):
        self.stub.add_response(operation, answer, asked or None)
        return self

    def refuses(self, operation, code, times=1):
        for _ in range(times):
            self.stub.add_client_error(operation, code, f"{code} it said")
        return self

    def holds(self, *rules):
        return self.answers("describe_rules", {"Rules": list(rules)}, **RULES)

    def makes_a_group(self, route=A):
        self.answers("create_target_group", {"TargetGroups": [{"TargetGroupArn": arn(route)}]})
        self.answers("modify_target_group_attributes", {})
        return self.answers(
            "register_targets", {}, TargetGroupArn=arn(route), Targets=[{"Id": "10.0.0.1", "Port": 8888}]
        )

    def finds(self, **states):
        received = [
            {"Target": {"Id": f"10.0.0.{n[1:]}", "Port": 8888}, "TargetHealth": {"State": state}}
            for n, state in states.items()
        ]
        return self.answers("describe_target_health", {"TargetHealthDescriptions": received})


@pytest.fixture
def script(clients):
    made = Script(clients)
    with made.stub:
        yield made
        made.stub.assert_no_pending_responses()


def arn(route):
    name = naming.name_of("hub", route.prefix, route.launch_id)
    return f"arn:aws:elasticloadbalancing:eu-central-1:1:targetgroup/{name}/0123"


def a_rule(route, number=1):
    return {
        "RuleArn": f"arn:rule/{number}",
        "Priority": str(number),
        "Conditions": [naming.condition_of(route.prefix)],
        "Actions": [{"Type": "forward", "TargetGroupArn": arn(route)}],
    }


@pytest.mark.parametrize(
    ("state", "is_healthy"),
    [
        ("initial", False),
        ("unused", False),
        ("unhealthy", False),
        ("unavailable", False),
        ("draining", False),
        ("healthy", True),
    ],
)
def test_only_a_healthy_target_is_served(script, state, is_healthy):
    script.holds(a_rule(A)).finds(n1=state)
    assert script.balancer.serve(A) == is_healthy
    script.holds(a_rule(A)).finds(n1=state)
    assert script.balancer.is_healthy(A.prefix, A.address) == is_healthy


@pytest.mark.parametrize(("other", "is_served"), [("healthy", False), ("unhealthy", False), ("draining", True)])
def test_while_another_target_gets_requests_it_is_not_served(script, other, is_served):
    script.holds(a_rule(A)).finds(n1="healthy", n2=other)
    assert script.balancer.is_healthy(A.prefix, A.address) == is_served


def test_while_another_rule_has_the_same_paths_it_is_not_served(script):
    script.holds(a_rule(A), a_rule(Route(A.prefix, A.address, "l0"), 2))
    assert not script.balancer.is_healthy(A.prefix, A.address)


def test_two_rules_to_the_same_group_serve_as_one_does(script):
    script.holds(a_rule(A), a_rule(A, 2)).finds(n1="healthy")
    assert script.balancer.is_healthy(A.prefix, A.address)


def test_where_elb_has_no_time_it_is_asked_again_later_and_later(script):
    script.refuses("describe_rules", "Throttling", TRIES - 1).holds(a_rule(A)).finds(n1="healthy")
    assert script.balancer.serve(A)
    assert len(script.slept) == TRIES - 1
    assert all(low <= slept <= 2 * low for low, slept in zip((0.1, 0.2, 0.4, 0.8, 1.5), script.slept, strict=True))


def test_where_elb_never_has_time_it_is_unavailable(script):
    script.refuses("describe_rules", "Throttling", TRIES)
    with pytest.raises(StoreUnavailableError, match="throttles"):
        script.balancer.serve(A)


@pytest.mark.parametrize("code", ["TooManyTargetGroups", "TooManyUniqueTargetGroupsPerLoadBalancer", "TooManyRules"])
def test_where_there_is_no_room_waiting_helps_and_is_said(script, code):
    if code == "TooManyTargetGroups":
        script.holds().refuses("create_target_group", code)
    else:
        script.holds().makes_a_group().refuses("create_rule", code)
    with pytest.raises(QuotaExceededError, match="is full") as refused:
        script.balancer.serve(A)
    assert (refused.value.retry, refused.value.limit) == (True, 96)


def test_an_address_that_elb_cannot_reach_is_said(script):
    script.holds().answers("create_target_group", {"TargetGroups": [{"TargetGroupArn": arn(A)}]})
    script.answers("modify_target_group_attributes", {}).refuses("register_targets", "InvalidTarget")
    with pytest.raises(InvalidRequestError, match="refused the address"):
        script.balancer.serve(A)


@pytest.mark.parametrize(
    ("code", "remedy"),
    [("AccessDenied", "grant it"), ("ListenerNotFound", "HUBLESS_ALB_LISTENER"), ("Unheard", "Unheard it said")],
)
def test_what_else_elb_refuses_is_said_with_its_words(script, code, remedy):
    script.refuses("describe_rules", code)
    with pytest.raises(StoreUnavailableError, match=remedy):
        script.balancer.serve(A)


def test_a_priority_that_another_has_is_passed_over(script):
    first, second, *_ = naming.priorities_of(A.prefix, A.launch_id)
    stranger = Route("/user/bob/", "10.0.0.2:8888", "l2")
    script.holds().makes_a_group().refuses("create_rule", "PriorityInUse").holds(a_rule(stranger))
    script.answers(
        "create_rule",
        {"Rules": []},
        ListenerArn="arn:listener",
        Conditions=[naming.condition_of(A.prefix)],
        Priority=second,
        Actions=[{"Type": "forward", "TargetGroupArn": arn(A)}],
        Tags=ANY,
    ).finds(n1="initial")
    assert not script.balancer.serve(A)
    assert first != second


def test_a_rule_that_somebody_else_just_made_is_ours(script):
    script.holds().makes_a_group().refuses("create_rule", "PriorityInUse").holds(a_rule(A)).finds(n1="healthy")
    assert script.balancer.serve(A)


def test_a_group_that_is_there_is_used(script):
    script.holds().refuses("create_target_group", "DuplicateTargetGroupName")
    script.answers("describe_target_groups", {"TargetGroups": [{"TargetGroupArn": arn(A)}]})
    script.answers("modify_target_group_attributes", {}).answers("register_targets", {}).answers(
        "create_rule", {"Rules": []}
    )
    script.finds(n1="healthy")
    assert script.balancer.serve(A)


def test_a_group_whose_rule_is_still_seen_is_removed_in_the_end(script):
    script.answers("describe_target_groups", {"TargetGroups": [{"TargetGroupArn": arn(A)}]})
    script.holds(a_rule(A)).refuses("delete_rule", "RuleNotFound").refuses("delete_target_group", "ResourceInUse", 2)
    script.answers("delete_target_group", {})
    script.balancer.remove(A.prefix, A.launch_id)
    assert len(script.slept) == 2


def test_what_is_gone_is_no_error(script):
    script.refuses("describe_target_groups", "TargetGroupNotFound")
    script.balancer.remove(A.prefix, A.launch_id)
    script.answers("describe_target_groups", {"TargetGroups": [{"TargetGroupArn": arn(A)}]})
    script.holds().refuses("delete_target_group", "TargetGroupNotFound")
    script.balancer.remove(A.prefix, A.launch_id)


def test_rules_come_in_pages(script):
    script.answers("describe_rules", {"Rules": [], "NextMarker": "m"}, **RULES)
    script.answers("describe_rules", {"Rules": [a_rule(A)]}, **RULES, Marker="m")
    script.finds(n1="healthy")
    assert script.balancer.serve(A)


@pytest.mark.parametrize("fails_at", ["describe_target_groups", "describe_rules", "describe_tags"])
def test_while_elb_has_no_time_the_table_is_listed_without_orphans(script, fails_at):
    table = SqliteRouteStore(InMemory())
    table.put(A)
    if fails_at != "describe_target_groups":
        orphan = {"TargetGroupName": naming.family_of("hub") + "0", "TargetGroupArn": "arn:0"}
        script.answers("describe_target_groups", {"TargetGroups": [orphan]})
    if fails_at == "describe_tags":
        script.holds(a_rule(A))
    script.refuses(fails_at, "Throttling", TRIES)
    assert list(AlbRouteStore(table, script.balancer).all()) == [A]


def test_an_elb_that_cannot_be_reached_is_unavailable(clients):
    elsewhere = Clients("eu-central-1", clients._session, endpoint_url="http://127.0.0.1:9", attempts=1)
    with pytest.raises(StoreUnavailableError, match="Cannot reach the API"):
        Balancer(FACTS, elsewhere, sleep=lambda _: None).serve(A)
