"""Workloads: programs that run elsewhere, prove who they are without a secret of the hub, and get a short-lived token.

A rule says which workloads get a token, by conditions on what their platform says of them (claims). All conditions of a
rule must hold.
"""

import re
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from hubless.domain.bounds import MAX_NOTE
from hubless.domain.claims import value_of
from hubless.domain.values import value

MAX_LIFETIME: Final = timedelta(hours=12)
MAX_PATTERN: Final = 1024
_MANY, _ONE = "*", "?"
_WILD = re.compile(r"[*?]")
# The beginnings of a `sub` at GitHub that say whose repository it is. An organisation may have others, such as
# `environment:prod`, which anybody's may have too (GitHub: "Customizing the subject claims").
_OWNED_SUBJECT = re.compile(
    r"(?:repo|repository):[^*?:/]+/.*"
    r"|(?:repository_owner|repository_owner_id|repository_id|enterprise|enterprise_id):[^*?:/]+(?::.*)?",
    re.DOTALL,
)
_ASSUMED_ROLE = re.compile(r"(arn:[a-z-]+):sts::([0-9]{12}):assumed-role/([^/]+)/(.+)")


class WorkloadKind(StrEnum):
    """Who vouches for a workload."""

    GITHUB = "github"
    KUBERNETES = "kubernetes"
    AWS = "aws"
    OIDC = "oidc"


# At these anybody may run workloads, so a rule must name whose. A reusable workflow (`job_workflow_ref`) says whose
# steps run, and not who runs them.
_OWNERS: Mapping[WorkloadKind, tuple[str, ...]] = {
    WorkloadKind.GITHUB: (
        *("sub", "repository", "repository_id", "repository_owner", "repository_owner_id"),
        *("enterprise", "enterprise_id"),
    ),
    WorkloadKind.AWS: ("account", "arn", "role"),
}


@value
class WorkloadRule:
    """Which workloads get a token, and which token. One of *user* and *service* owns it.

    Each of *conditions* has texts by a claim's name, path or expression: one of the texts must be the claim's value, or
    match it (`*` stands for any characters, `?` for one).
    """

    name: str
    kind: WorkloadKind
    issuer: str  # "" for AWS, which has none
    audience: str
    conditions: Mapping[str, tuple[str, ...]]
    user: str = ""
    service: str = ""
    scopes: tuple[str, ...] = ()
    lifetime: timedelta = timedelta(hours=1)
    single_use: bool = True  # whether each proof with an id counts once

    def holds_for(self, workload: "Workload") -> bool:
        """Say whether *workload* fulfils this rule."""
        return (
            (self.kind is WorkloadKind.AWS) == workload.is_of_aws
            and workload.issuer == self.issuer
            and self.audience in workload.audiences
            and all(_holds(workload.claims, claim, wanted) for claim, wanted in self.conditions.items())
        )

    def note(self, workload: "Workload") -> str:
        """Return what the token's list says about it."""
        return f"Workload {self.name}: {workload.subject}"[:MAX_NOTE]


@value
class Workload:
    """A workload that has proved who it is. *claims* is what its platform says of it."""

    issuer: str
    subject: str
    audiences: tuple[str, ...]
    claims: Mapping[str, Any]
    proof_id: str  # "" where proofs have none: then they count as often as they are shown
    valid_until: datetime
    is_of_aws: bool = False


def check_rule(rule: WorkloadRule) -> None:
    """Refuse a rule that holds for more workloads than anybody can mean.

    Raises:
        ValueError: saying what is wrong.
    """
    wanted = [pattern for patterns in rule.conditions.values() for pattern in patterns]
    if not rule.conditions or not all(rule.conditions.values()):
        raise ValueError("it needs at least one condition, each with a text: without one every workload would hold")
    if any(len(pattern) > MAX_PATTERN for pattern in wanted):
        raise ValueError(f"a condition has more than {MAX_PATTERN} characters")
    owners = _OWNERS.get(rule.kind)
    if owners is None:
        if all(pattern[:1] in {_MANY, _ONE, ""} for pattern in wanted):
            raise ValueError("at least one condition must begin with a plain character: these hold for everything")
    elif not any(
        all(_names_owner(rule.kind, claim, pattern) for pattern in patterns)
        for claim, patterns in rule.conditions.items()
        if claim in owners
    ):
        raise ValueError(
            f"one of {', '.join(owners)} must name whose workloads it is about, without * and ? in that part: "
            "anybody can run others there"
        )


def claims_of_caller(account: str, arn: str, user_id: str) -> dict[str, str]:
    """Return the claims of who signed a request to AWS.

    `role` is the role's ARN where one was assumed, without the role's path, which AWS does not say.
    """
    claims = {"account": account, "arn": arn, "user_id": user_id}
    if assumed := _ASSUMED_ROLE.fullmatch(arn):
        partition, role_account, role, session = assumed.groups()
        claims |= {"role": f"{partition}:iam::{role_account}:role/{role}", "session": session}
    return claims


def _names_owner(kind: WorkloadKind, claim: str, pattern: str) -> bool:
    """Say whether the part of *pattern* that says whose workload it is has no wildcard."""
    if kind is WorkloadKind.AWS:
        account = pattern.split(":")[4] if pattern.startswith("arn:") and pattern.count(":") > 4 else pattern  # noqa: PLR2004 arn:partition:service:region:account:…
        return bool(re.fullmatch("[0-9]{12}", account)) and not _WILD.search(pattern.partition(account)[0])
    if claim == "sub":
        return bool(_OWNED_SUBJECT.fullmatch(pattern))
    owner = pattern.partition("/")[0]
    return bool(owner) and not _WILD.search(owner)


def _holds(claims: Mapping[str, Any], claim: str, wanted: Iterable[str]) -> bool:
    found = value_of(claims, claim)
    texts = [_text(one) for one in (found if isinstance(found, list) else [found])]
    return any(_matches(pattern, text) for text in texts if text for pattern in wanted)


def _text(found: Any) -> str:
    """Return what patterns are compared with; "" for what no pattern can mean, such as a text of a million letters."""
    if isinstance(found, bool):
        return "true" if found else "false"
    text = str(found) if isinstance(found, str | int) else ""
    return text if len(text) <= MAX_PATTERN else ""


def _matches(pattern: str, text: str) -> bool:
    """Say whether *text* is what *pattern* means, upper and lower case told apart.

    It goes through both once, back to the last `*` at most, so its time is bounded by the product of the lengths.
    """
    at, star, marked, here = 0, -1, 0, 0
    while here < len(text):
        if at < len(pattern) and pattern[at] == _MANY:
            star, marked, at = at, here, at + 1
        elif at < len(pattern) and pattern[at] in {_ONE, text[here]}:
            at, here = at + 1, here + 1
        elif star >= 0:
            marked += 1
            at, here = star + 1, marked
        else:
            return False
    return not pattern[at:].strip(_MANY)
