"""The store of what LTI needs: the hub's keys as a tool, platforms that registered themselves, and courses."""

from collections.abc import Sequence
from typing import Protocol

from hubless.domain.lti_courses import Course
from hubless.domain.lti_platforms import LtiPlatform
from hubless.domain.values import value


@value
class SealedKeys:
    """The hub's keys, which only the hub can open; *revision* rises with each change."""

    sealed: str
    revision: int = 1


class LtiStore(Protocol):
    """Stores keys, platforms and courses. Platforms of settings are not stored."""

    def keys(self) -> SealedKeys | None:
        """Return the keys, or None before the first."""
        ...

    def replace_keys(self, before: SealedKeys | None, after: SealedKeys) -> None:
        """Write *after* in place of *before*.

        Raises:
            StoreConflictError: when the stored ones are not *before*; of two concurrent calls, one raises this.
        """
        ...

    def platforms(self) -> list[LtiPlatform]:
        """Return all platforms that registered themselves, sorted by name."""
        ...

    def add_platform(self, platform: LtiPlatform) -> None:
        """Add *platform*.

        Raises:
            NameTakenError: when another has its name; of two concurrent calls, one raises this.
            StoreConflictError: when another has its issuer and client id. If both are taken, either error may come.
        """
        ...

    def remove_platform(self, platform: LtiPlatform) -> None:
        """Remove the platform; do nothing if it does not exist. Courses and users stay."""
        ...

    def course(self, issuer: str, context_id: str) -> Course | None:
        """Return the course, or None."""
        ...

    def course_of_group(self, group: str) -> Course | None:
        """Return the course whose group has this name, or None."""
        ...

    def courses(self, groups: Sequence[str] | None = None) -> list[Course]:
        """Return all courses sorted by the names of their groups, or those of *groups* alone."""
        ...

    def save_course(self, before: Course | None, after: Course) -> None:
        """Write *after* in place of *before*; None for a new course. Its group never changes.

        Raises:
            StoreConflictError: when the stored one is not *before*; of two concurrent calls, one raises this.
        """
        ...
