"""How a route is written for a load balancer: conditions, priorities, names and tags.

All functions are pure. So a retry after a crash, or another process at the same time, uses the same names.
"""

import base64
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from hubless.domain.errors import InvalidRequestError
from hubless.domain.origins import host_of_route

LONGEST_PATTERN = 128  # characters (ELB's)
PRIORITIES = 50_000  # ELB's highest
OF_DEPLOYMENT = 100  # of them, the last ones, are for rules of the deployment, which come after all of the hub's
# Characters that ELB allows in a pattern.
_PLAIN = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-.$/~\"'@:+")
# ELB checks rules in the order of their priorities. Longer prefixes come first, so that the longest match wins.
_BANDS = (range(1, 20_001), range(20_001, 40_001), range(40_001, PRIORITIES - OF_DEPLOYMENT + 1))
_NAMED_SERVER, _SERVER = 3, 2  # segments of their prefixes
HUB, LAUNCH, PREFIX = "hubless:hub", "hubless:launch", "hubless:prefix"


def path_of(prefix: str) -> str:
    """Return the decoded *prefix* with JupyterHub's percent-encoding, as browsers send it."""
    return quote(prefix, safe="/@~")


def condition_of(prefix: str) -> Mapping[str, Any]:
    """Return the condition for paths that begin with *prefix*.

    ELB allows no per cent sign in a pattern. So a regular expression matches names with encoded characters; it accepts
    hex digits in either case if it stays short enough.

    Raises:
        InvalidRequestError: if it is longer than ELB allows.
    """
    path = path_of(prefix)
    if set(path) <= _PLAIN:
        values = {"Values": [f"{path}*"]}
    else:
        either, upper = (f"^{_expression(path, either_case=either_case)}.*$" for either_case in (True, False))
        values = {"RegexValues": [either if len(either) <= LONGEST_PATTERN else upper]}
    if any(len(value) > LONGEST_PATTERN for some in values.values() for value in some):
        raise InvalidRequestError(
            f"The address {path[:60]}… is too long for a rule of the load balancer ({LONGEST_PATTERN} characters):"
            " give the server or its owner a shorter name"
        )
    return {"Field": "path-pattern", "PathPatternConfig": values}


def conditions_of(prefix: str, domain: str) -> list[Mapping[str, Any]]:
    """Return all conditions of the rule for *prefix*: the path and, if *domain* is set, the host.

    Raises:
        InvalidRequestError: if one is longer than ELB allows.
    """
    host = host_of_route(prefix, domain)
    if len(host) > LONGEST_PATTERN:
        raise InvalidRequestError(
            f"The host {host[:60]}… is too long for a rule of the load balancer ({LONGEST_PATTERN} characters)"
        )
    return [condition_of(prefix), *([{"Field": "host-header", "HostHeaderConfig": {"Values": [host]}}] if host else [])]


def values_of(condition: Mapping[str, Any]) -> frozenset[str]:
    """Return the patterns of a condition, in each of the forms in which ELB writes them."""
    places = (condition, condition.get("PathPatternConfig") or {}, condition.get("HostHeaderConfig") or {})
    return frozenset(value for where in places for name in ("Values", "RegexValues") for value in where.get(name) or ())


def values_of_all(conditions: Iterable[Mapping[str, Any]]) -> frozenset[str]:
    """Return the patterns of all *conditions*."""
    return frozenset(value for condition in conditions for value in values_of(condition))


def priorities_of(prefix: str, launch_id: str) -> Iterator[int]:
    """Yield the priorities to try for a launch's rule, in an order that depends on the launch.

    Two processes that create the same rule at once try the same priority first, and ELB accepts one of them.
    """
    parts = len(prefix.strip("/").split("/"))
    band = _BANDS[0 if parts >= _NAMED_SERVER else 1 if parts == _SERVER else 2]
    start = int(_digest(prefix, launch_id)[:12], 16)
    return (band[(start + step) % len(band)] for step in range(len(band)))


def family_of(hub: str) -> str:
    """Return the common prefix of the names of *hub*'s target groups."""
    return f"hl-{_digest(hub)[:6]}-"


def name_of(hub: str, prefix: str, launch_id: str) -> str:
    """Return the name of a launch's target group: at most 32 letters, digits and hyphens (ELB's)."""
    return family_of(hub) + _digest(hub, prefix, launch_id)[:22]


def name_in(arn: str) -> str:
    """Return the name of the target group from its *arn*, or ""."""
    return (arn.split(":targetgroup/")[1:] or [""])[0].partition("/")[0]


def tags_of(hub: str, prefix: str, launch_id: str) -> list[dict[str, str]]:
    """Return the tags of a target group; the prefix is base64, because tags allow few characters."""
    coded = base64.urlsafe_b64encode(prefix.encode()).decode()
    return [{"Key": key, "Value": value} for key, value in ((HUB, hub), (LAUNCH, launch_id), (PREFIX, coded))]


def route_of(hub: str, tags: Sequence[Mapping[str, str]]) -> tuple[str, str] | None:
    """Return prefix and launch id from the *tags* of a target group; None if it is not *hub*'s."""
    told = {tag["Key"]: tag["Value"] for tag in tags}
    if told.get(HUB) != hub or not told.get(LAUNCH) or PREFIX not in told:
        return None
    return base64.urlsafe_b64decode(told[PREFIX]).decode(), told[LAUNCH]


def _expression(path: str, *, either_case: bool) -> str:
    """Return a regular expression for *path*, with special characters in brackets, where they are literal."""
    written, left = [], path
    while left:
        if left[0] == "%":
            written.append("%" + "".join(_digit(digit, either_case=either_case) for digit in left[1:3]))
            left = left[3:]
        else:
            written.append(left[0] if left[0].isalnum() or left[0] in "/-_@~" else f"[{left[0]}]")
            left = left[1:]
    return "".join(written)


def _digit(digit: str, *, either_case: bool) -> str:
    return f"[{digit}{digit.lower()}]" if either_case and digit.isalpha() else digit


def _digest(*parts: str) -> str:
    framed = "".join(f"{len(part.encode())}:{part}" for part in parts)
    return hashlib.sha256(framed.encode()).hexdigest()
