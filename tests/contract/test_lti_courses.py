"""Courses on every store: first logins at once, and what a crash between two writes leaves."""

from types import SimpleNamespace

import pytest

from hubless.domain.errors import NotAllowedError
from hubless.domain.external_identities import ExternalId
from hubless.domain.lti_messages import CourseFacts, LtiMessage, Person
from hubless.ports.lms import Member
from hubless.services.lti_courses import LtiCourses
from tests.support.builders import NOW, a_platform, a_user, an_identity
from tests.support.concurrency import MANY, concurrently
from tests.support.fakes import StoppedClock

PLATFORM = a_platform()


class Members:
    """An LMS that lists *members*."""

    def __init__(self, *members):
        self.listed = members

    def members(self, platform, url):
        yield from self.listed


class People:
    """Gives each person the user of the same name, and lets *refused* ones not in."""

    def __init__(self, users, refused=()):
        self.users, self.refused = users, refused

    def user_of(self, platform, person):
        if person.subject in self.refused:
            raise NotAllowedError("no")
        return self.users.find(person.subject)


def courses(stores, lms=None, refused=()):
    return LtiCourses(
        stores.lti,
        SimpleNamespace(named=lambda name: PLATFORM),
        lms or Members(),
        People(stores.users, refused),
        stores.users,
        stores.groups,
        stores.external_identities,
        stores.leases,
        StoppedClock(NOW),
    )


def message(role="learner", **facts):
    return LtiMessage("1", Person("x", frozenset({role})), CourseFacts("c-1", **{"label": "BIO", **facts}))


@pytest.fixture
def people(stores):
    names = [f"p{number}" for number in range(MANY)]
    stores.users.create([a_user(name) for name in names])
    return names


def join(stores, name, given=None):
    return courses(stores).join(stores.users.find(name), PLATFORM, given or message())


def test_eight_first_logins_of_a_course_end_in_one_group(stores, people):
    joined = concurrently(lambda n: join(stores, people[n], message(label=f"BIO {n}")))

    (group,) = {course.group for course in joined}
    assert stores.groups.find(group).users == tuple(people)
    assert [course.group for course in stores.lti.courses()] == [group]


def test_a_login_after_a_crash_goes_on_where_the_other_one_ended(stores, people):
    course = join(stores, people[0])
    stores.groups.delete(stores.groups.find(course.group).id)  # the course is there, its group is not yet

    assert join(stores, people[1]).group == course.group
    assert stores.groups.find(course.group).users == (people[1],)


def test_a_course_keeps_what_a_later_message_leaves_out(stores, people):
    first = join(stores, people[0], message(memberships_url="https://m/members", line_items_url="https://m/items"))
    again = join(stores, people[1], message(title="Biology"))

    assert again.title == "Biology"
    assert (again.memberships_url, again.line_items_url) == (first.memberships_url, first.line_items_url)
    assert stores.lti.course_of_group(first.group) == again


def test_a_login_that_says_nothing_new_writes_nothing_of_the_course(stores, people):
    first = join(stores, people[0])

    assert join(stores, people[1]).revision == first.revision == stores.lti.courses()[0].revision


def test_a_user_who_is_removed_at_the_moment_breaks_no_login(stores, people):
    user = stores.users.find(people[0])
    stores.users.delete(user.id)

    assert courses(stores).join(user, PLATFORM, message()) is not None


def test_a_person_whom_the_hub_refuses_keeps_no_other_out(stores, people):
    course = join(stores, people[0], message(memberships_url="https://m/members"))
    lms = Members(*(Member({"user_id": name, "roles": ["Learner"]}) for name in people[:4]))

    filled = courses(stores, lms, refused={people[1]}).fill(course)

    assert (filled.people, filled.joined, filled.refused) == (3, 2, 1)
    assert stores.groups.find(course.group).users == (people[0], people[2], people[3])


def test_a_roster_that_is_too_long_ends_no_membership(stores, people):
    course = join(stores, people[0], message(memberships_url="https://m/members"))
    stores.external_identities.link(an_identity(owner=people[0], id=ExternalId(PLATFORM.issuer, people[0])))
    lms = Members(*(Member({"user_id": name, "roles": ["Learner"]}) for name in people[1:4]))

    filled = courses(stores, lms).fill(course, limit=2)

    assert (filled.is_whole, filled.people, filled.left) == (False, 2, 0)
    assert people[0] in stores.groups.find(course.group).users


def test_who_is_in_a_group_by_hand_stays_when_the_lms_does_not_list_them(stores, people):
    course = join(stores, people[0], message(memberships_url="https://m/members"))
    for name in people[:2]:
        stores.external_identities.link(an_identity(owner=name, id=ExternalId(PLATFORM.issuer, name)))
    join(stores, people[1])
    join(stores, people[2])

    filled = courses(stores).fill(course)

    assert (filled.people, filled.left) == (0, 2)
    assert stores.groups.find(course.group).users == (people[2],)
