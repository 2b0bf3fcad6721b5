"""Courses of an LMS, each with a group of the hub."""

import hashlib
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import fields
from datetime import datetime
from typing import Any, Final

from hubless.domain.values import value

TEACHERS: Final = "-teachers"  # after the name of a course's group
MAX_TITLE: Final = 200
_MAX_WORDS: Final = 40  # characters of a group's name that come from the course's label
_DIGITS: Final = 10  # of the hash: 40 bits


@value
class Course:
    """A course, which LTI calls a context: where people have roles. *issuer* and *context_id* identify it."""

    issuer: str
    context_id: str
    platform: str  # the name of the platform whose message was the last
    deployment_id: str
    group: str  # its group's name, which never changes
    title: str = ""
    memberships_url: str = ""  # of the names and roles service; empty if the LMS offers none
    line_items_url: str = ""  # of the assignment and grade service; empty if the LMS offers none
    grade_scopes: tuple[str, ...] = ()  # what the LMS lets the hub do with grades
    seen_at: datetime | None = None
    revision: int = 0

    @property
    def key(self) -> str:
        """Return what identifies the course in a store."""
        return course_key(self.issuer, self.context_id)

    @property
    def teachers_group(self) -> str:
        """Return the name of the group of those who teach the course."""
        return self.group + TEACHERS


def course_key(issuer: str, context_id: str) -> str:
    """Return a text that no other course has: both parts are hashed with their lengths."""
    return hashlib.sha256(f"{len(issuer)}:{issuer}{context_id}".encode()).hexdigest()


def group_name(issuer: str, context_id: str, words: str) -> str:
    """Return the name of a course's group: *words*, such as its label, and a hash that no other course has.

    A teacher writes the label, so it must not decide which group it is.
    """
    plain = unicodedata.normalize("NFKD", words[:MAX_TITLE]).encode("ascii", "ignore").decode().lower()
    slug = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:_MAX_WORDS].strip("-")
    return f"{slug or 'course'}-{course_key(issuer, context_id)[:_DIGITS]}"


def to_facts(course: Course) -> dict[str, Any]:
    """Return *course* as JSON."""
    facts = {one.name: getattr(course, one.name) for one in fields(course)}
    return facts | {"seen_at": course.seen_at.isoformat() if course.seen_at else None}


def from_facts(facts: Mapping[str, Any]) -> Course:
    """Return the course of *facts*: the inverse of `to_facts`."""
    at = facts["seen_at"]
    return Course(
        **{
            **facts,
            "grade_scopes": tuple(facts["grade_scopes"]),
            "seen_at": datetime.fromisoformat(at) if at else None,
        }
    )
