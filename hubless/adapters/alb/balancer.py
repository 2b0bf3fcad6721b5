"""One listener of a load balancer: adds and removes routes.

A route is a target group with one address, and a rule that forwards to it. The rule is created last and removed first,
so a rule always has its group. Every step is idempotent, also when two processes do it at once.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from botocore.exceptions import ClientError

from hubless.adapters.alb import naming
from hubless.adapters.alb.error_translation import ask, code_of, domain_error
from hubless.adapters.aws import Clients
from hubless.domain.errors import StoreUnavailableError
from hubless.domain.routes import Route
from hubless.domain.values import value

TARGET_GROUPS = 100  # per load balancer; AWS does not raise it
RULES = 100  # per load balancer, unless AWS has raised it
SPARE = 4  # rules left for the API and for services
PRIORITIES_TRIED = 10
PAGE, TAGS_PAGE = 400, 20  # ELB's
HEALTH: Mapping[str, Any] = {
    "HealthCheckProtocol": "HTTP",
    "HealthCheckIntervalSeconds": 5,
    "HealthCheckTimeoutSeconds": 4,
    "HealthyThresholdCount": 2,
    "UnhealthyThresholdCount": 5,
    "Matcher": {"HttpCode": "200"},
}
# AWS may give the address of a stopped task to another one, so no connection may outlive its route.
ATTRIBUTES = [{"Key": "deregistration_delay.timeout_seconds", "Value": "0"}]
_GONE = frozenset({"RuleNotFound", "TargetGroupNotFound"})


@value
class AlbConfig:
    """The load balancer, and its limits."""

    hub: str  # separates the hubs of one account
    listener: str  # its ARN
    vpc: str
    rules: int = RULES
    spare: int = SPARE
    domain: str = ""  # host of the hub, with a subdomain for each user and service; "" without subdomains

    @property
    def capacity(self) -> int:
        """Return how many servers can have a route at once."""
        return max(0, min(TARGET_GROUPS, self.rules) - self.spare)


class Balancer:
    """The listener of one load balancer."""

    def __init__(self, config: AlbConfig, clients: Clients, *, sleep: Callable[[float], None] = time.sleep) -> None:
        """Use ELB through *clients*; *sleep* waits between retries."""
        self.config = config
        self._clients = clients
        self._sleep = sleep

    def serve(self, route: Route) -> bool:
        """Serve *route* instead of other routes of its prefix; tell whether ELB finds its target healthy.

        Raises:
            InvalidRequestError: if the prefix is too long for a rule, or the address is not private.
            QuotaExceededError: if the load balancer is full.
            StoreUnavailableError: if ELB does not answer.
        """
        conditions = naming.conditions_of(route.prefix, self.config.domain)
        name = naming.name_of(self.config.hub, route.prefix, route.launch_id)
        with self._translate_errors():
            rules = self._rules()
            own = next((group for rule in rules if naming.name_in(group := _group_of(rule)) == name), None)
            if own is None:
                own = self._make(route, name, conditions)
            is_healthy = self._set_target(own, route.address)
            self._remove_others(rules, name, conditions)
        return is_healthy

    def is_healthy(self, prefix: str, address: str) -> bool:
        """Say whether ELB routes *prefix* to *address* only, and finds it healthy."""
        wanted = naming.values_of_all(naming.conditions_of(prefix, self.config.domain))
        with self._translate_errors():
            groups = {_group_of(rule) for rule in self._rules() if _values_of(rule) == wanted}
            return len(groups) == 1 and _is_only_target(self._health(groups.pop()), address)

    def remove(self, prefix: str, launch_id: str) -> None:
        """Remove the route of the launch. Idempotent.

        Raises:
            StoreUnavailableError: if ELB does not answer; retry.
        """
        name = naming.name_of(self.config.hub, prefix, launch_id)
        with self._translate_errors():
            group = self._group_named(name)
            if group is not None:
                self._remove([rule for rule in self._rules() if _group_of(rule) == group], group)

    def target_groups(self) -> dict[str, str]:
        """Return the ARNs of this hub's target groups, by name."""
        family = naming.family_of(self.config.hub)
        with self._translate_errors():
            groups = self._pages("describe_target_groups", "TargetGroups", PageSize=PAGE)
            return {
                g["TargetGroupName"]: g["TargetGroupArn"] for g in groups if g["TargetGroupName"].startswith(family)
            }

    def groups_with_rule(self) -> frozenset[str]:
        """Return the names of this hub's target groups that a rule forwards to."""
        family = naming.family_of(self.config.hub)
        with self._translate_errors():
            names = (naming.name_in(_group_of(rule)) for rule in self._rules())
            return frozenset(name for name in names if name.startswith(family))

    def routes_of(self, groups: Sequence[str]) -> Iterator[tuple[str, str]]:
        """Yield prefix and launch id of those *groups* (ARNs) that have this hub's tags."""
        for start in range(0, len(groups), TAGS_PAGE):
            with self._translate_errors():
                told = self._ask("describe_tags", ResourceArns=list(groups[start : start + TAGS_PAGE]))
            for one in told["TagDescriptions"]:
                if (marks := naming.route_of(self.config.hub, one["Tags"])) is not None:
                    yield marks

    # --- steps ---

    def _make(self, route: Route, name: str, conditions: list[Mapping[str, Any]]) -> str:
        group = self._group(route, name)
        self._ask("modify_target_group_attributes", TargetGroupArn=group, Attributes=ATTRIBUTES)
        self._ask("register_targets", TargetGroupArn=group, Targets=[_target(route.address)])
        self._make_rule(route, group, conditions)
        return group

    def _group(self, route: Route, name: str) -> str:
        try:
            made = self._ask(
                "create_target_group",
                Name=name,
                Protocol="HTTP",
                Port=int(route.address.rpartition(":")[2]),
                VpcId=self.config.vpc,
                TargetType="ip",
                HealthCheckPath=f"{naming.path_of(route.prefix)}api",
                Tags=naming.tags_of(self.config.hub, route.prefix, route.launch_id),
                **HEALTH,
            )
        except ClientError as error:
            there = self._group_named(name) if code_of(error) == "DuplicateTargetGroupName" else None
            if there is None:
                raise
            return there
        return str(made["TargetGroups"][0]["TargetGroupArn"])

    def _make_rule(self, route: Route, group: str, conditions: list[Mapping[str, Any]]) -> None:
        """Create the rule at the first free priority, unless another process just did."""
        for _, priority in zip(
            range(PRIORITIES_TRIED), naming.priorities_of(route.prefix, route.launch_id), strict=False
        ):
            try:
                self._ask(
                    "create_rule",
                    ListenerArn=self.config.listener,
                    Conditions=conditions,
                    Priority=priority,
                    Actions=[{"Type": "forward", "TargetGroupArn": group}],
                    Tags=naming.tags_of(self.config.hub, route.prefix, route.launch_id),
                )
            except ClientError as error:
                if code_of(error) != "PriorityInUse":
                    raise
                if any(_group_of(rule) == group for rule in self._rules()):
                    return
            else:
                return
        raise StoreUnavailableError(
            f"Cannot create the rule for {route.prefix}: other rules have its priorities; retry"
        )

    def _set_target(self, group: str, address: str) -> bool:
        """Make *address* the only target of the group, and tell whether it is healthy."""
        health = self._health(group)
        if address not in health:
            self._ask("register_targets", TargetGroupArn=group, Targets=[_target(address)])
        if others := [_target(other) for other, state in health.items() if other != address and state != "draining"]:
            self._ask("deregister_targets", TargetGroupArn=group, Targets=others)
        return _is_only_target(health, address)

    def _remove_others(
        self, rules: Sequence[Mapping[str, Any]], name: str, conditions: Sequence[Mapping[str, Any]]
    ) -> None:
        """Remove routes of other launches at the same prefix: they would still get requests."""
        wanted, family = naming.values_of_all(conditions), naming.family_of(self.config.hub)
        for rule in rules:
            other = naming.name_in(_group_of(rule))
            if other.startswith(family) and other != name and _values_of(rule) == wanted:
                self._remove([rule], _group_of(rule))

    def _remove(self, rules: Sequence[Mapping[str, Any]], group: str) -> None:
        for rule in rules:
            with _unless_gone():
                self._ask("delete_rule", RuleArn=rule["RuleArn"])
        with _unless_gone():
            # ELB may still see the rule for a moment and refuse: `_ask` retries.
            self._ask("delete_target_group", TargetGroupArn=group)

    # --- reading ---

    def _rules(self) -> list[Mapping[str, Any]]:
        return list(self._pages("describe_rules", "Rules", ListenerArn=self.config.listener, PageSize=PAGE))

    def _group_named(self, name: str) -> str | None:
        try:
            found = self._ask("describe_target_groups", Names=[name])["TargetGroups"]
        except ClientError as error:
            if code_of(error) != "TargetGroupNotFound":
                raise
            return None
        return str(found[0]["TargetGroupArn"]) if found else None

    def _health(self, group: str) -> dict[str, str]:
        """Return the state of each address of *group*, in ELB's words."""
        told = self._ask("describe_target_health", TargetGroupArn=group)
        return {
            f"{one['Target']['Id']}:{one['Target']['Port']}": one["TargetHealth"]["State"]
            for one in told["TargetHealthDescriptions"]
        }

    def _pages(self, operation: str, what: str, **arguments: Any) -> Iterator[Mapping[str, Any]]:
        while True:
            told = self._ask(operation, **arguments)
            yield from told[what]
            if not told.get("NextMarker"):
                return
            arguments["Marker"] = told["NextMarker"]

    def _ask(self, operation: str, **arguments: Any) -> Mapping[str, Any]:
        return ask(lambda: getattr(self._clients.elbv2, operation)(**arguments), self._sleep)

    @contextmanager
    def _translate_errors(self) -> Iterator[None]:
        try:
            yield
        except ClientError as error:
            raise domain_error(error, self.config.capacity) from error


@contextmanager
def _unless_gone() -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        if code_of(error) not in _GONE:
            raise


def _group_of(rule: Mapping[str, Any]) -> str:
    """Return the ARN of the target group that *rule* forwards to, or ""."""
    for action in rule.get("Actions", ()):
        groups = [
            action.get("TargetGroupArn"),
            *(g["TargetGroupArn"] for g in action.get("ForwardConfig", {}).get("TargetGroups", ())),
        ]
        if found := next(filter(None, groups), None):
            return str(found)
    return ""


def _values_of(rule: Mapping[str, Any]) -> frozenset[str]:
    return naming.values_of_all(rule.get("Conditions", ()))


def _is_only_target(health: Mapping[str, str], address: str) -> bool:
    """Say whether *address* is healthy and gets all new requests."""
    return health.get(address) == "healthy" and all(
        state == "draining" for other, state in health.items() if other != address
    )


def _target(address: str) -> dict[str, Any]:
    host, _, port = address.rpartition(":")
    return {"Id": host, "Port": int(port)}
