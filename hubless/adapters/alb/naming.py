"""How a route is written for a load balancer: its condition, the order of rules, names and tags. Pure, and always the same:
whoever comes again after a crash, or at the same time, names the same things.
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
_PLAIN = frozenset(
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-.$/~\"'@:+"
)  # what ELB takes in a pattern
# Rules are asked in the order of their priorities: those of longer prefixes come first, so that the longest one wins.
_BANDS = (range(1, 20_001), range(20_001, 40_001), range(40_001, PRIORITIES + 1))
_NAMED_SERVER, _SERVER = 3, 2  # parts of their prefixes
HUB, LAUNCH, PREFIX = "hubless:hub", "hubless:launch", "hubless:prefix"


def path_of(prefix: str) -> str:
    """Return the decoded *prefix* as it is sent: JupyterHub's encoding, which browsers keep."""
    return quote(prefix, safe="/@~")


def condition_of(prefix: str) -> Mapping[str, Any]:
    """Return the condition that holds for what begins with *prefix*.

    A pattern may hold no per cent sign, so that names with other than plain characters are matched by an expression, in
    which the digits of an encoding may be of either case where there is room for it.

    Raises:
        InvalidRequestError: when it is longer than ELB takes.
    """
    path = path_of(prefix)
    if set(path) <= _PLAIN:
        values = {"Values": [f"{path}*"]}
    else:
        either, upper = (f"^{_expression(path, either_case=either_case)}.*$" for either_case in (True, False))
        values = {"RegexValues": [either if len(either) <= LONGEST_PATTERN else upper]}
    if any(len(value) > LONGEST_PATTERN for some in values.values() for value in some):
        raise InvalidRequestError(
            f"The address {path[:60]}… is longer than a load balancer's rules can hold ({LONGEST_PATTERN} characters):"
            " give the server or its owner a shorter name"
        )
    return {"Field": "path-pattern", "PathPatternConfig": values}


def conditions_of(prefix: str, domain: str) -> list[Mapping[str, Any]]:
    """Return all that must hold for a request to be led by *prefix*: with the hub's *domain*, its host besides.

    Raises:
        InvalidRequestError: when one is longer than ELB takes.
    """
    host = host_of_route(prefix, domain)
    if len(host) > LONGEST_PATTERN:
        raise InvalidRequestError(
            f"The host {host[:60]}… is longer than a load balancer's rules can hold ({LONGEST_PATTERN} characters)"
        )
    return [condition_of(prefix), *([{"Field": "host-header", "HostHeaderConfig": {"Values": [host]}}] if host else [])]


def values_of(condition: Mapping[str, Any]) -> frozenset[str]:
    """Return what a condition compares paths or hosts with, however ELB writes it."""
    places = (condition, condition.get("PathPatternConfig") or {}, condition.get("HostHeaderConfig") or {})
    return frozenset(value for where in places for name in ("Values", "RegexValues") for value in where.get(name) or ())


def values_of_all(conditions: Iterable[Mapping[str, Any]]) -> frozenset[str]:
    """Return what all of *conditions* compare with."""
    return frozenset(value for condition in conditions for value in values_of(condition))


def priorities_of(prefix: str, launch_id: str) -> Iterator[int]:
    """Yield the priorities to try for a launch's rule, in an order of its own.

    Two who make the same rule at once try the same one first, which ELB gives to one of them.
    """
    parts = len(prefix.strip("/").split("/"))
    band = _BANDS[0 if parts >= _NAMED_SERVER else 1 if parts == _SERVER else 2]
    start = int(_digest(prefix, launch_id)[:12], 16)
    return (band[(start + step) % len(band)] for step in range(len(band)))


def family_of(hub: str) -> str:
    """Return how the names of all target groups of *hub* begin."""
    return f"hl-{_digest(hub)[:6]}-"


def name_of(hub: str, prefix: str, launch_id: str) -> str:
    """Return the name of a launch's target group: at most 32 letters, digits and hyphens (ELB's)."""
    return family_of(hub) + _digest(hub, prefix, launch_id)[:22]


def name_in(arn: str) -> str:
    """Return the name of the target group that ELB knows by *arn*."""
    return (arn.split(":targetgroup/")[1:] or [""])[0].partition("/")[0]


def tags_of(hub: str, prefix: str, launch_id: str) -> list[dict[str, str]]:
    """Return the tags that say whose a target group is; the prefix is encoded, as tags take few characters."""
    coded = base64.urlsafe_b64encode(prefix.encode()).decode()
    return [{"Key": key, "Value": value} for key, value in ((HUB, hub), (LAUNCH, launch_id), (PREFIX, coded))]


def route_of(hub: str, tags: Sequence[Mapping[str, str]]) -> tuple[str, str] | None:
    """Return prefix and launch id that *tags* of a target group tell; None where it is not one of *hub*'s."""
    told = {tag["Key"]: tag["Value"] for tag in tags}
    if told.get(HUB) != hub or not told.get(LAUNCH) or PREFIX not in told:
        return None
    return base64.urlsafe_b64decode(told[PREFIX]).decode(), told[LAUNCH]


def _expression(path: str, *, either_case: bool) -> str:
    """Return a regular expression for *path*: every special character within brackets, where none is special."""
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
