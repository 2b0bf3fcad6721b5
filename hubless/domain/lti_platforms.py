"""LTI platforms: the learning management systems (LMS) whose users may log in, as LTI 1.3 calls them."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, Final

from hubless.domain.values import value

TEACHER: Final = ("Instructor",)


@value
class LtiPlatform:
    """One registration of the hub as a tool with an LMS. *issuer* and *client_id* together are unique."""

    name: str
    issuer: str
    client_id: str
    authorization_url: str
    token_url: str
    key_set_url: str
    kind: str = "other"
    token_audience: str = ""  # of the hub's own assertions; empty for the token address
    deployment_ids: tuple[str, ...] = ()  # empty: every deployment
    username_claim: str = ""  # empty: what most LMS send, one after the other
    match_existing: bool = False  # whether a user of that name whom nobody owns is the LMS's
    course_groups: bool = True
    teacher_roles: tuple[str, ...] = TEACHER
    roster: bool = False  # whether a teacher's login fills the course's group

    @property
    def audience(self) -> str:
        """Return what the platform's token endpoint expects as `aud` of an assertion (RFC 7523 3)."""
        return self.token_audience or self.token_url

    def takes_deployment(self, deployment_id: str) -> bool:
        """Say whether this deployment of the tool may be used."""
        return not self.deployment_ids or deployment_id in self.deployment_ids


def to_facts(platform: LtiPlatform) -> dict[str, Any]:
    """Return *platform* as JSON."""
    return {one.name: getattr(platform, one.name) for one in fields(platform)}


def from_facts(facts: Mapping[str, Any]) -> LtiPlatform:
    """Return the platform of *facts*: the inverse of `to_facts`."""
    lists = {key: tuple(given) for key, given in facts.items() if isinstance(given, list)}
    return LtiPlatform(**{**facts, **lists})
