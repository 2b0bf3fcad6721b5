"""Courses of an LMS: their groups, and who is in them."""

import logging
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import islice
from typing import Final

from hubless.domain.errors import (
    HublessError,
    InvalidRequestError,
    LtiServiceError,
    NameTakenError,
    NotFoundError,
    StoreConflictError,
)
from hubless.domain.leases import Lease
from hubless.domain.lti_courses import Course, group_name
from hubless.domain.lti_messages import CourseFacts, LtiMessage, member_of
from hubless.domain.lti_platforms import LtiPlatform
from hubless.domain.lti_roles import has_role
from hubless.domain.users import Group, User
from hubless.domain.values import value
from hubless.ports.clock import Clock
from hubless.ports.external_identities import IdentityStore
from hubless.ports.leases import LeaseStore
from hubless.ports.lms import Lms, Member
from hubless.ports.lti import LtiStore
from hubless.ports.users import GroupStore, UserStore
from hubless.services.identifiers import new_id
from hubless.services.lti_people import LtiPeople
from hubless.services.lti_platforms import LtiPlatforms

logger = logging.getLogger(__name__)
MAX_ROSTER: Final = 5000  # people of one course
AT_LOGIN: Final = 300  # people whom the login of a teacher adds; the command and the API add all
ROSTER_PAUSE: Final = timedelta(minutes=15)  # between two logins that fill one course's groups
SEEN_PAUSE: Final = timedelta(days=1)  # a course is written this often though nothing of it changed


@value
class Filled:
    """What filling a course's groups did."""

    people: int  # active ones in the roster
    joined: int  # memberships added, in both groups
    left: int  # memberships ended
    refused: int  # people whom the hub does not let in
    is_whole: bool = True  # whether the whole roster was read; only then people leave


@value
class LtiCourses:
    """Keeps the groups of courses as the LMS has them. Members whom the LMS does not know stay."""

    store: LtiStore
    platforms: LtiPlatforms
    lms: Lms
    people: LtiPeople
    users: UserStore
    groups: GroupStore
    identities: IdentityStore
    leases: LeaseStore
    clock: Clock

    def join(self, user: User, platform: LtiPlatform, message: LtiMessage) -> Course | None:
        """Return the course of *message* and bring *user* into its groups; None without a course or without groups."""
        if message.course is None or not platform.course_groups:
            return None
        course = self._noted(platform, message.deployment_id, message.course)
        is_teacher = has_role(message.person.roles, platform.teacher_roles)
        self._set_membership(user, course.group, belongs=True)
        self._set_membership(user, course.teachers_group, belongs=is_teacher)
        if is_teacher and platform.roster and course.memberships_url:
            self._fill_at_login(course)
        return course

    def named(self, group: str) -> Course:
        """Return the course of the group *group*.

        Raises:
            NotFoundError: when there is none.
        """
        course = self.store.course_of_group(group)
        if course is None:
            raise NotFoundError("Course with the group", group)
        return course

    def fill(self, course: Course, limit: int = MAX_ROSTER) -> Filled:
        """Add the people of the course as users, bring them into its groups, and end memberships of those who left.

        Args:
            course: the course.
            limit: the number of people to read at most.

        Raises:
            InvalidRequestError: when the LMS offers no names and roles service for the course.
            LtiServiceError: when it does not answer as it should; nothing has changed then.
        """
        if not course.memberships_url:
            raise InvalidRequestError(
                f"The LMS offers no names and roles service for {course.group}. Let the tool use it in the LMS, then"
                " open the course's link once."
            )
        platform = self.platforms.named(course.platform)
        listed = list(islice(self.lms.members(platform, course.memberships_url), limit + 1))
        is_whole = len(listed) <= limit
        learners, teachers, refused = self._users_of(platform, listed[:limit])
        joined = left = 0
        for name, wanted in ((course.group, learners), (course.teachers_group, teachers)):
            group = self._group(name)
            present = set(group.users)
            new = sorted(wanted - present)
            self.groups.add_users(group.id, new)
            gone = self._who_left(platform, present - wanted) if is_whole else []
            self.groups.remove_users(group.id, gone)
            joined, left = joined + len(new), left + len(gone)
        logger.info("filled %s: %d people, %d joined, %d left", course.group, len(learners), joined, left)
        return Filled(len(learners), joined, left, refused, is_whole)

    def _fill_at_login(self, course: Course) -> None:
        """Fill the groups, unless somebody did a moment ago. A login never fails because of it."""
        now = self.clock.now()
        claimed = self.leases.claim(f"lti-roster#{course.key}", limit=1, now=now, until=now + ROSTER_PAUSE)
        if not isinstance(claimed, Lease):
            return
        try:
            self.fill(course, AT_LOGIN)
        except HublessError as error:
            logger.warning("could not fill %s from its LMS: %s", course.group, error)

    def _users_of(self, platform: LtiPlatform, listed: Iterable[Member]) -> tuple[set[str], set[str], int]:
        """Return the names of the people of a course, those of its teachers, and how many the hub refuses."""
        people, teachers, refused = set[str](), set[str](), 0
        for member in listed:
            person = member_of(member.claims, platform)
            if person is None or not member.is_active:
                continue
            try:
                name = self.people.user_of(platform, person).name
            except LtiServiceError:
                raise
            except HublessError as error:
                logger.info("did not add a person of the LTI platform %s: %s", platform.name, error)
                refused += 1
                continue
            people.add(name)
            if has_role(person.roles, platform.teacher_roles):
                teachers.add(name)
        return people, teachers, refused

    def _who_left(self, platform: LtiPlatform, names: Iterable[str]) -> list[str]:
        """Return those of *names* who are people of this LMS; others were added by somebody here, and stay."""
        gone = []
        for name in names:
            user = self.users.find(name)
            if user is not None and any(
                linked.id.issuer == platform.issuer for linked in self.identities.of_user(user.id)
            ):
                gone.append(name)
        return gone

    def _noted(self, platform: LtiPlatform, deployment_id: str, facts: CourseFacts) -> Course:
        """Return the course as stored, new or with what the message says; the first message names its group.

        Of two messages at once one writes, and both bring their people into the same group.
        """
        now = self.clock.now()
        before = self.store.course(platform.issuer, facts.context_id)
        after = _noticed(before, platform, deployment_id, facts, now)
        if before is not None and not _is_worth_writing(before, after):
            return before
        with suppress(StoreConflictError):
            self.store.save_course(before, after)
            return after
        known = self.store.course(platform.issuer, facts.context_id)
        assert known is not None  # noqa: S101 nobody removes courses
        return known

    def _set_membership(self, user: User, name: str, *, belongs: bool) -> None:
        if belongs == (name in user.groups):
            return
        group = self._group(name)
        with suppress(NotFoundError):  # the user or the group is removed at this moment
            if belongs:
                self.groups.add_users(group.id, [user.name])
            else:
                self.groups.remove_users(group.id, [user.name])

    def _group(self, name: str) -> Group:
        """Return the group, which may be new."""
        if (found := self.groups.find(name)) is not None:
            return found
        with suppress(NameTakenError):  # another login has just added it
            self.groups.create(Group(new_id("g", self.clock.now()), name))
        found = self.groups.find(name)
        if found is None:
            raise NotFoundError("Group", name)
        return found


def _noticed(
    before: Course | None, platform: LtiPlatform, deployment_id: str, facts: CourseFacts, now: datetime
) -> Course:
    """Return the course with what a message says. What it leaves out stays known."""
    known = before or Course(
        platform.issuer,
        facts.context_id,
        platform.name,
        deployment_id,
        group_name(platform.issuer, facts.context_id, facts.label or facts.title),
    )
    return replace(
        known,
        platform=platform.name,
        deployment_id=deployment_id,
        title=facts.title or facts.label or known.title,
        memberships_url=facts.memberships_url or known.memberships_url,
        line_items_url=facts.line_items_url or known.line_items_url,
        grade_scopes=facts.grade_scopes or known.grade_scopes,
        seen_at=now,
        revision=0 if before is None else before.revision + 1,
    )


def _is_worth_writing(before: Course, after: Course) -> bool:
    assert after.seen_at is not None  # noqa: S101 `_noticed` sets it
    if before.seen_at is None or after.seen_at - before.seen_at >= SEEN_PAUSE:
        return True
    return replace(after, seen_at=before.seen_at, revision=before.revision) != before
