"""A load balancer as the edge: ELB's rules equal the table, also after crashes and with concurrent callers.

On moto. It finds every target healthy and counts no limits; what ELB says then is scripted in tests/unit/alb.
"""

import re
from dataclasses import replace
from datetime import timedelta

import pytest
from botocore.exceptions import ClientError

from hubless.adapters.alb import naming
from hubless.adapters.alb.routes import AlbRouteStore
from hubless.adapters.sqlite.routes import SqliteRouteStore
from hubless.domain.lifecycle import State
from hubless.domain.routes import Route
from hubless.domain.users import Service
from hubless.services.routing import Routing
from operations.aws import Aws
from operations.stage_cleanup import StageCleanup
from tests.support.alb import a_balancer, alb, clients, contents
from tests.support.builders import NOW
from tests.support.concurrency import MANY, concurrently
from tests.support.dynamodb import REGION
from tests.support.fakes import StoppedClock
from tests.support.world import World

A = Route("/user/alice/", "10.0.0.1:8888", "l1")
LAB = Route("/user/alice/lab/", "10.0.0.2:8888", "l2")
AT_A = ("/user/alice/*", ["10.0.0.1:8888"])


@pytest.fixture
def hub(in_moto, tmp_path):
    made = alb(tmp_path / "hub.sqlite")
    yield made
    made.close()


def groups(hub):
    return sorted(hub.balancer.target_groups())


def test_a_route_is_a_rule_and_a_group_with_one_address(hub):
    hub.routes.put(A)
    assert contents(hub.balancer) == [AT_A]
    (arn,) = hub.balancer.target_groups().values()
    (group,) = clients().elbv2.describe_target_groups(TargetGroupArns=[arn])["TargetGroups"]
    assert (group["HealthCheckPath"], group["TargetType"], group["Matcher"]) == (
        "/user/alice/api",
        "ip",
        {"HttpCode": "200"},
    )
    attributes = clients().elbv2.describe_target_group_attributes(TargetGroupArn=arn)["Attributes"]
    assert {"Key": "deregistration_delay.timeout_seconds", "Value": "0"} in attributes
    assert list(hub.balancer.routes_of([arn])) == [(A.prefix, A.launch_id)]


def test_with_subdomains_a_rule_matches_the_owners_host_only(in_moto):
    below = alb(domain="hub.example.org")
    for route in (A, replace(A, address="10.0.0.9:8888", launch_id="l9"), replace(LAB, prefix="/services/x/")):
        sequence = below.routes.put(route)
        assert below.routes.is_applied(sequence, NOW)
    assert contents(below.balancer) == [
        ("alice.hub.example.org/user/alice/*", ["10.0.0.9:8888"]),
        ("x--service.hub.example.org/services/x/*", ["10.0.0.2:8888"]),
    ]
    below.routes.remove(A.prefix, "l9")
    assert [place for place, _ in contents(below.balancer)] == ["x--service.hub.example.org/services/x/*"]
    below.close()


def test_a_named_servers_rule_comes_before_the_default_servers(hub):
    for route in (
        A,
        LAB,
        replace(A, prefix="/services/x/"),
        replace(LAB, prefix="/user/bob/lab/"),
        replace(A, prefix="/user/bob/"),
    ):
        hub.routes.put(route)
    paths = [path for path, _ in contents(hub.balancer)]
    assert {*paths[:2]} == {"/user/alice/lab/*", "/user/bob/lab/*"}
    assert {*paths[2:]} == {"/user/alice/*", "/user/bob/*", "/services/x/*"}


def test_a_removed_route_leaves_nothing(hub):
    hub.routes.put(A)
    hub.routes.put(LAB)
    hub.routes.remove(A.prefix, "l1")
    assert contents(hub.balancer) == [("/user/alice/lab/*", ["10.0.0.2:8888"])]
    assert len(groups(hub)) == 1


def test_the_old_launchs_removal_keeps_the_new_launchs_rule(hub):
    hub.routes.put(A)
    hub.routes.put(replace(A, address="10.0.0.9:8888", launch_id="l9"))
    assert contents(hub.balancer) == [("/user/alice/*", ["10.0.0.9:8888"])]
    hub.routes.remove(A.prefix, "l1")
    assert contents(hub.balancer) == [("/user/alice/*", ["10.0.0.9:8888"])]
    assert len(groups(hub)) == 1


def test_a_new_address_of_a_launch_replaces_the_old_one(hub):
    hub.routes.put(A)
    hub.routes.put(replace(A, address="10.0.0.9:8888"))
    assert contents(hub.balancer) == [("/user/alice/*", ["10.0.0.9:8888"])]


@pytest.mark.parametrize("name", ["zoë", "ann smith", "50%", "a*b", "q?", 'x"y', "学生"])
def test_any_name_is_routed(hub, name):
    route = replace(A, prefix=f"/user/{name}/")
    hub.routes.put(route)
    assert hub.routes.is_applied(1, NOW)
    hub.routes.remove(route.prefix, "l1")
    assert contents(hub.balancer) == []


def test_a_service_with_a_host_name_is_in_the_table_only(hub):
    hub.routes.put(replace(A, address="grader.example.org:443"))
    assert contents(hub.balancer) == []
    assert not hub.routes.is_applied(1, NOW)
    assert hub.routes.remove(A.prefix, "l1")


def test_a_change_is_applied_when_its_own_target_is_healthy(hub):
    routing = Routing(hub.routes, StoppedClock(NOW))
    sequence = routing.add(A.prefix, A.address, A.launch_id)
    assert routing.is_served(sequence)  # as `put` saw it
    assert routing.is_served(sequence)  # as ELB says
    routing.add(A.prefix, "10.0.0.9:8888", A.launch_id)
    routing.add(LAB.prefix, LAB.address, LAB.launch_id)
    assert not routing.is_served(sequence)  # ELB leads elsewhere
    routing.remove(LAB.prefix, LAB.launch_id)
    assert not routing.is_served(3)
    assert not routing.is_served(4)  # a removal serves nothing
    assert not routing.is_served(99)


def test_two_hubs_on_one_balancer_do_not_see_each_other(hub):
    from hubless.adapters.alb.balancer import Balancer
    from hubless.adapters.sqlite.database import Database

    other = AlbRouteStore(SqliteRouteStore(Database()), Balancer(replace(hub.balancer.config, hub="other"), clients()))
    hub.routes.put(A)
    other.put(LAB)
    assert [route.launch_id for route in hub.routes.all()] == ["l1"]
    assert [route.launch_id for route in other.all()] == ["l2"]


def test_servers_start_and_stop_and_the_sweep_removes_lost_ones(in_moto):
    """The services as they are, over a load balancer."""
    balancer = a_balancer()
    world = World(around=lambda port: AlbRouteStore(port, balancer) if isinstance(port, SqliteRouteStore) else port)
    server = world.running()
    assert server.state is State.READY
    assert contents(balancer) == [("/user/alice/*", [server.address])]
    world.stopping.request(server)
    world.launcher.dies(server.task)
    world.turn()
    assert contents(balancer) == []

    again = world.running()
    world.routes._table.remove("/user/alice/", again.launch_id)  # it dies in the middle of a stop …
    world.launcher.dies(again.task)
    world.stores.database.write(
        "UPDATE servers SET state = 'failed', launch_id = NULL"
    )  # … of which nothing else is left
    world.sweep(2)
    assert contents(balancer) == []
    assert balancer.target_groups() == {}


def test_the_sweep_restores_a_deleted_rule(in_moto):
    balancer = a_balancer()
    world = World(around=lambda port: AlbRouteStore(port, balancer) if isinstance(port, SqliteRouteStore) else port)
    server = world.running()
    elbv2 = clients().elbv2
    for rule in elbv2.describe_rules(ListenerArn=balancer.config.listener)["Rules"]:
        if not rule["IsDefault"]:
            elbv2.delete_rule(RuleArn=rule["RuleArn"])
    assert contents(balancer) == []

    world.sweep()

    assert contents(balancer) == [("/user/alice/*", [server.address])]
    assert world.server().state is State.READY


# --- crashes ---


class SimulatedCrash(BaseException):
    """The process dies here."""


class Calls:
    """Counts the calls to ELB, and dies at one of them."""

    def __init__(self, dies_at=None):
        self._dies_at, self.made = dies_at, []

    def __enter__(self):
        events = clients().elbv2.meta.events
        events.register("before-call.elastic-load-balancing-v2", self._before)
        events.register("after-call.elastic-load-balancing-v2", self._after)
        return self

    def __exit__(self, *_):
        events = clients().elbv2.meta.events
        events.unregister("before-call.elastic-load-balancing-v2", self._before)
        events.unregister("after-call.elastic-load-balancing-v2", self._after)

    def _before(self, model, **_):
        self.made.append(model.name)
        self._die("before")

    def _after(self, **_):
        self._die("after")

    def _die(self, when):
        if self._dies_at == (len(self.made), when):
            raise SimulatedCrash


def put(hub):
    hub.routes.put(A)


def replaced(hub):
    hub.routes.put(replace(A, launch_id="l0", address="10.0.0.7:8888"))


def remove(hub):
    hub.routes.remove(A.prefix, "l1")


CASES = {"put": (lambda _: None, put, [AT_A]), "put over another": (replaced, put, [AT_A]), "remove": (put, remove, [])}


def crashes(case):
    """Yield a hub that died at each call of *case*'s act, before it and after it."""
    prepare, act, _ = CASES[case]
    whole = alb()
    prepare(whole)
    with Calls() as calls:
        act(whole)
    for number in range(1, len(calls.made) + 1):
        for when in ("before", "after"):
            hub = alb()
            prepare(hub)
            with Calls((number, when)), pytest.raises(SimulatedCrash):
                act(hub)
            yield hub
            hub.close()
    whole.close()


def drop_stale(hub, listed, live):
    """Remove what the sweep finds stale of *listed*, and return how many that are."""
    routing = Routing(hub.routes, StoppedClock(NOW))
    stale = routing.stale(listed, frozenset(live))
    for route in stale:
        routing.remove(route.prefix, route.launch_id)
    return len(stale)


@pytest.mark.parametrize("case", CASES)
def test_a_retry_after_a_crash_at_any_call_has_the_same_result(in_moto, case):
    _, act, expected = CASES[case]
    for hub in crashes(case):
        act(hub)
        assert contents(hub.balancer) == expected
        # A group that no rule forwards to may be left of what was replaced; it serves nobody, and the sweep finds it.
        drop_stale(hub, list(hub.routes.all()), {"l1"})
        assert contents(hub.balancer) == expected
        assert len(groups(hub)) == len(expected)


@pytest.mark.parametrize("case", CASES)
def test_the_sweep_after_a_crash_at_any_call_keeps_live_routes(in_moto, case):
    for hub in crashes(case):
        drop_stale(hub, list(hub.routes.all()), set())  # the launch came to nothing
        assert contents(hub.balancer) == []
        assert groups(hub) == []
        assert list(hub.routes.all()) == []


def test_an_orphan_rule_is_listed_and_live_rules_stay(hub):
    hub.routes.put(A)
    hub.routes.put(LAB)
    hub.table.remove(LAB.prefix, "l2")  # and then came a crash
    listed = list(hub.routes.all())
    assert [(route.prefix, route.launch_id) for route in listed] == [(A.prefix, "l1"), (LAB.prefix, "l2")]
    assert drop_stale(hub, listed, {"l1"}) == 1
    assert contents(hub.balancer) == [AT_A]


@pytest.mark.parametrize("what", ["its rule", "its rule and its group", "what a late one put in its place"])
def test_a_route_without_a_rule_is_listed_without_address(hub, what):
    hub.routes.put(A)
    hub.routes.put(LAB)
    elb, rules = clients().elbv2, {}
    for rule in clients().elbv2.describe_rules(ListenerArn=hub.balancer.config.listener)["Rules"]:
        if rule["Priority"] != "default":
            rules[rule["Actions"][0]["TargetGroupArn"]] = rule["RuleArn"]
    group = hub.balancer.target_groups()[naming.name_of(hub.balancer.config.hub, A.prefix, "l1")]
    if what == "what a late one put in its place":
        hub.balancer.serve(replace(A, launch_id="l0", address="10.0.0.7:8888"))
    else:
        elb.delete_rule(RuleArn=rules[group])
    if what == "its rule and its group":
        elb.delete_target_group(TargetGroupArn=group)

    listed = list(hub.routes.all())
    drop_stale(hub, listed, {"l1", "l2"})

    assert Route(A.prefix, "", "l1") in listed
    assert LAB in listed
    hub.routes.put(A)
    assert {*hub.routes.all()} == {A, LAB}
    assert AT_A in contents(hub.balancer)
    assert drop_stale(hub, list(hub.routes.all()), {"l2"}) == 1


def test_a_route_without_address_is_removed_with_its_launch(hub):
    hub.routes.put(A)
    hub.balancer.remove(A.prefix, "l1")
    assert drop_stale(hub, list(hub.routes.all()), set()) == 1
    assert list(hub.routes.all()) == []


def test_the_sweep_restores_a_services_rule_except_for_host_names(hub):
    routing = Routing(hub.routes, StoppedClock(NOW))
    services = [Service("grader", url="http://10.0.0.3:80"), Service("named", url="http://grader.example.org:80")]
    routing.sync_services(services)
    grader = next(route for route in hub.table.all() if "grader" in route.prefix)
    hub.balancer.remove(grader.prefix, grader.launch_id)
    routing.sync_services(services)
    assert contents(hub.balancer) == [("/services/grader/*", ["10.0.0.3:80"])]
    with Calls() as calls:
        routing.sync_services(services)
    assert calls.made == ["DescribeTargetGroups", "DescribeRules"]


def test_eight_concurrent_puts_make_one_rule(hub):
    assert concurrently(lambda _: hub.routes.put(A)) == [1] * MANY
    assert contents(hub.balancer) == [AT_A]
    assert len(groups(hub)) == 1


def test_a_repeated_put_costs_two_requests(hub):
    hub.routes.put(A)
    with Calls() as calls:
        sequence = hub.routes.put(A)
        assert hub.routes.is_applied(sequence, NOW - timedelta(seconds=10))
    assert calls.made == ["DescribeRules", "DescribeTargetHealth"]


def test_names_fit_elbs_limits(hub):
    hub.routes.put(replace(A, prefix="/user/" + "x" * 100 + "/"))
    for name in groups(hub):
        assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9-]{0,30}[A-Za-z0-9]", name)
        assert name.startswith(naming.family_of(hub.balancer.config.hub))


def test_removing_a_hub_removes_its_rules_and_groups_only(in_moto, tmp_path):
    mine, other = (alb(tmp_path / f"{number}.sqlite") for number in (1, 2))
    for hub in (mine, other):
        for route in (A, LAB):
            hub.routes.put(route)
    said = []

    left = StageCleanup(mine.balancer.config.hub, "cluster", Aws(REGION), said.append).remove_target_groups()

    assert (left, said) == (0, ["2 target groups deleted"])
    assert (contents(mine.balancer), groups(mine)) == ([], [])
    assert (len(contents(other.balancer)), len(groups(other))) == (2, 2)
    mine.close()
    other.close()


@pytest.mark.parametrize("wrong", [{"Priority": 50_001}, {"path": "/a%20b*"}, {"path": ["/a"] * 2 + list("bcdef")}])
def test_what_elb_refuses_is_refused_here(hub, wrong):
    paths = wrong.pop("path", "/a*")
    conditions = [
        {"Field": "path-pattern", "PathPatternConfig": {"Values": [paths] if isinstance(paths, str) else paths}}
    ]
    rule = {"Priority": 7, "Actions": [{"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "404"}}]}

    with pytest.raises(ClientError, match="ValidationError"):
        clients().elbv2.create_rule(ListenerArn=hub.balancer.config.listener, Conditions=conditions, **(rule | wrong))


def test_tags_of_21_resources_are_refused_here(hub):
    with pytest.raises(ClientError, match="ValidationError"):
        clients().elbv2.describe_tags(ResourceArns=[hub.balancer.config.listener] * 21)
