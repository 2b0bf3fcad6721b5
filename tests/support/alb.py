"""A load balancer in moto, which neither checks health nor counts what there is room for.

Requests that ELB refuses and moto accepts are refused here.

Facts: ELB-2, ELB-3, ELB-5, ELB-7, ELB-8, ELB-9, ELB-10.
"""

import itertools
import re
from operator import itemgetter
from types import SimpleNamespace

from botocore.exceptions import ClientError

from hubless.adapters.alb.balancer import AlbConfig, Balancer
from hubless.adapters.alb.naming import values_of, values_of_all
from hubless.adapters.alb.routes import AlbRouteStore
from hubless.adapters.aws import Clients
from hubless.adapters.sqlite.database import Database
from hubless.adapters.sqlite.routes import SqliteRouteStore
from tests.support.dynamodb import REGION, one_at_a_time
from tests.support.sqlite import InMemory, with_tables

_clients, _numbers = {}, itertools.count(1)
PATTERN = re.compile(r"""[A-Za-z0-9_.$/~"'@:+&*?-]*""")


def clients():
    """Return clients of moto; made once, as loading them takes longer than a test."""
    if not _clients:
        take_expressions()
        made = Clients(REGION)
        one_at_a_time(made.elbv2)
        refuse_what_elb_refuses(made.elbv2)
        _clients["elbv2"] = made
    return _clients["elbv2"]


def refuse_what_elb_refuses(client):
    """Check what neither botocore nor moto checks: priorities, characters of patterns, and numbers of items."""

    def check(operation, is_right):
        def refuse(params, **_):
            if not is_right(params):
                raise ClientError({"Error": {"Code": "ValidationError", "Message": "ELB would refuse it"}}, operation)

        client.meta.events.register(f"provide-client-params.elastic-load-balancing-v2.{operation}", refuse)

    def is_rule(params):
        paths = [one.get("PathPatternConfig", {}).get("Values", ()) for one in params["Conditions"]]
        return (
            1 <= params["Priority"] <= 50_000
            and all(PATTERN.fullmatch(path) for some in paths for path in some)
            and len(values_of_all(params["Conditions"])) <= 5
        )

    check("CreateRule", is_rule)
    check("DescribeTags", lambda params: len(params["ResourceArns"]) <= 20)


def take_expressions():
    """Have moto take `RegexValues`, which it refuses without `Values`; ELB has them since 2025."""
    from moto.elbv2.models import ELBv2Backend

    check = ELBv2Backend._validate_path_pattern_condition

    def checked(backend, condition):
        config = condition.get("PathPatternConfig", {})
        given = [*config.get("Values", ()), *config.get("RegexValues", ())]
        check(backend, {"Field": "path-pattern", "PathPatternConfig": {"Values": given}} if config else condition)

    ELBv2Backend._validate_path_pattern_condition = checked


def a_balancer(**facts):
    """Return a balancer with a listener of its own; within moto."""
    from moto.core import DEFAULT_ACCOUNT_ID
    from moto.ec2.models import ec2_backends

    number, elb = next(_numbers), clients().elbv2
    subnet = next(iter(next(iter(ec2_backends[DEFAULT_ACCOUNT_ID][REGION].subnets.values())).values()))
    balancer = elb.create_load_balancer(Name=f"alb-{number}", Subnets=[subnet.id], Scheme="internal")["LoadBalancers"][
        0
    ]
    listener = elb.create_listener(
        LoadBalancerArn=balancer["LoadBalancerArn"],
        Protocol="HTTP",
        Port=80,
        DefaultActions=[{"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "404"}}],
    )["Listeners"][0]
    return Balancer(
        AlbConfig(f"hub-{number}", listener["ListenerArn"], subnet.vpc_id, **facts), clients(), sleep=lambda _: None
    )


def alb(file=None, **facts):
    """Return the route store of a hub whose edge is a balancer in moto; several at once need a *file* for the table."""
    database, balancer = Database(with_tables(file)) if file else InMemory(), a_balancer(**facts)
    table = SqliteRouteStore(database)
    return SimpleNamespace(
        routes=AlbRouteStore(table, balancer), table=table, balancer=balancer, database=database, close=database.close
    )


def contents(balancer):
    """Return what ELB holds for the hub: each rule's hosts, paths and targets, in the order of evaluation."""
    elb = clients().elbv2
    rules = [r for r in elb.describe_rules(ListenerArn=balancer.config.listener)["Rules"] if r["Priority"] != "default"]
    found = []
    for rule in sorted(rules, key=lambda rule: int(rule["Priority"])):
        group = rule["Actions"][0]["TargetGroupArn"]
        health = elb.describe_target_health(TargetGroupArn=group)["TargetHealthDescriptions"]
        places = [next(iter(values_of(condition))) for condition in sorted(rule["Conditions"], key=itemgetter("Field"))]
        found.append(("".join(places), ["{Id}:{Port}".format(**one["Target"]) for one in health]))
    return found
