"""Grades that graders' services give back to the LMS (Assignment and Grade Services 2.0)."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlsplit

from hubless.domain.errors import InvalidRequestError
from hubless.domain.lti_courses import Course
from hubless.domain.lti_platforms import LtiPlatform
from hubless.domain.users import User
from hubless.domain.values import value
from hubless.ports.clock import Clock
from hubless.ports.external_identities import IdentityStore
from hubless.ports.lms import Lms
from hubless.services.lti_platforms import LtiPlatforms

SCOPE: Final = "custom:lti:grades"
ACTIVITIES: Final = ("Initialized", "Started", "InProgress", "Submitted", "Completed")
GRADINGS: Final = ("NotReady", "Failed", "Pending", "PendingManual", "FullyGraded")


@value
class Score:
    """A person's score at a line item. *given* None says how far the person is, without a number."""

    given: float | None
    maximum: float | None
    comment: str = ""
    activity: str = "Completed"
    grading: str = "FullyGraded"


@value
class LtiGrades:
    """Reads and writes grades of a course, in the name of the hub."""

    platforms: LtiPlatforms
    lms: Lms
    identities: IdentityStore
    clock: Clock

    def line_items(self, course: Course) -> list[dict[str, Any]]:
        """Return the line items that the hub may see: in most LMS, those that it added or whose link it is.

        Raises:
            InvalidRequestError: when the LMS offers no grades for the course.
            LtiServiceError: when it does not answer as it should.
        """
        return self.lms.line_items(self._platform(course), course.line_items_url)

    def create_line_item(self, course: Course, item: Mapping[str, Any]) -> dict[str, Any]:
        """Add a line item and return it.

        Raises:
            InvalidRequestError: when the LMS offers no grades for the course.
            LtiServiceError: when it does not answer as it should.
        """
        return self.lms.create_line_item(self._platform(course), course.line_items_url, item)

    def put_score(self, course: Course, line_item: str, user: User, score: Score) -> None:
        """Give *user* a score at the line item of this address.

        Raises:
            InvalidRequestError: when the line item is not the course's, or the user is nobody in this LMS.
            LtiServiceError: when the LMS does not take it.
        """
        platform = self._platform(course)
        _require_of_course(course, line_item)
        body: dict[str, Any] = {
            "userId": self._subject(platform, user),
            "activityProgress": score.activity,
            "gradingProgress": score.grading,
            "timestamp": _timestamp(self.clock.now()),
        }
        if score.given is not None:
            body |= {"scoreGiven": score.given, "scoreMaximum": score.maximum}
        if score.comment:
            body["comment"] = score.comment
        self.lms.put_score(platform, line_item, body)

    def results(self, course: Course, line_item: str) -> list[dict[str, Any]]:
        """Return the results at the line item of this address.

        Raises:
            InvalidRequestError: when the line item is not the course's.
            LtiServiceError: when the LMS does not answer as it should.
        """
        platform = self._platform(course)
        _require_of_course(course, line_item)
        return self.lms.results(platform, line_item)

    def _platform(self, course: Course) -> LtiPlatform:
        if not course.line_items_url:
            raise InvalidRequestError(
                f"The LMS offers no grades for {course.group}. Let the tool use its assignment and grade service, then"
                " open the course's link once."
            )
        return self.platforms.named(course.platform)

    def _subject(self, platform: LtiPlatform, user: User) -> str:
        for linked in self.identities.of_user(user.id):
            if linked.id.issuer == platform.issuer:
                return linked.id.subject
        raise InvalidRequestError(f"{user.name} has never logged in from the LMS of this course")


def _require_of_course(course: Course, line_item: str) -> None:
    """Refuse an address that is not below that of the course's line items: the LMS's token would go there."""
    own, given = urlsplit(course.line_items_url), urlsplit(line_item)
    is_below = given.path.startswith(f"{own.path.rstrip('/')}/") and "/../" not in f"{given.path}/"
    if (given.scheme, given.netloc) != (own.scheme, own.netloc) or not is_below or "%" in given.path:
        raise InvalidRequestError(f"This is no line item of {course.group}: its address begins otherwise")


def _timestamp(at: datetime) -> str:
    """Return *at* as AGS 2.0 3.4.5 wants it: with milliseconds and a zone, later than the score before."""
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
