"""Roles in a course, as an LMS sends them: LIS version 2, of which only membership roles count.

An LMS sends all roles of a person: an administrator of the institution is no teacher of the course (LTI 1.3 A.2.3).
Case does not count: Canvas writes `membership/instructor#TeachingAssistant`, the standard a capital I.
"""

import re
from collections.abc import Iterable

_VOCABULARY = "http://purl.imsglobal.org/vocab/lis/v2/membership"
_SHORT = re.compile(r"[A-Za-z]+")  # LTI 1.3 A.2.3.1 still allows them for roles in a course


def membership_roles(roles: Iterable[str]) -> frozenset[str]:
    """Return the roles in the course among *roles*, in lower case: `instructor`, or `instructor#grader` for a part.

    A sub-role is kept with its principal role: `Learner#Instructor` is a learner's (LIS 2, sub-roles of Learner).
    """
    return frozenset(filter(None, map(_membership_role, roles)))


def has_role(held: Iterable[str], wanted: Iterable[str]) -> bool:
    """Say whether one of *held*, from `membership_roles`, is one of *wanted* or a part of it."""
    names = {name.lower() for name in wanted}
    return any(role in names or role.partition("#")[0] in names for role in held)


def _membership_role(role: str) -> str:
    if _SHORT.fullmatch(role):
        return role.lower()
    lower = role.lower()
    if not lower.startswith(_VOCABULARY):
        return ""
    rest = lower[len(_VOCABULARY) :]
    principal, _, last = rest.partition("#")
    if not principal:
        return last
    return f"{principal[1:]}#{last}" if principal.startswith("/") and last else ""
