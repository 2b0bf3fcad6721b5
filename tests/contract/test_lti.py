from dataclasses import replace
from datetime import timedelta

import pytest

from hubless.domain.errors import NameTakenError, StoreConflictError
from hubless.ports.lti import SealedKeys
from tests.support.builders import NOW, a_course, a_platform
from tests.support.concurrency import MANY, concurrently

FULL = a_platform(
    kind="canvas",
    token_audience="aud",
    deployment_ids=("1", "5:0a"),
    username_claim="email",
    match_existing=True,
    course_groups=False,
    teacher_roles=("Mentor",),
    roster=True,
)
COURSE = a_course(
    memberships_url="https://m.example.org/members",
    line_items_url="https://m.example.org/items?type_id=1",
    grade_scopes=("https://purl.imsglobal.org/spec/lti-ags/scope/score",),
)


def test_platforms_come_back_as_they_were_added(stores):
    plain = a_platform("ägir")
    stores.lti.add_platform(plain)
    stores.lti.add_platform(FULL)
    assert stores.lti.platforms() == [FULL, plain]
    stores.lti.remove_platform(plain)
    stores.lti.remove_platform(plain)
    assert stores.lti.platforms() == [FULL]


def test_a_platforms_name_is_unique(stores):
    outcomes = concurrently(lambda n: stores.lti.add_platform(a_platform(client_id=f"c{n}")))
    assert outcomes.count(None) == 1
    assert sum(isinstance(one, NameTakenError) for one in outcomes) == MANY - 1


def test_issuer_and_client_id_are_unique_together(stores):
    stores.lti.add_platform(a_platform())
    stores.lti.add_platform(replace(a_platform("two"), issuer=a_platform().issuer, client_id="other"))
    with pytest.raises(StoreConflictError):
        stores.lti.add_platform(replace(a_platform("three"), issuer=a_platform().issuer))
    assert [one.name for one in stores.lti.platforms()] == ["moodle", "two"]


def test_a_removed_platform_can_register_again(stores):
    stores.lti.add_platform(a_platform())
    stores.lti.remove_platform(a_platform())
    stores.lti.add_platform(a_platform())
    assert stores.lti.platforms() == [a_platform()]


def test_a_course_is_found_by_its_context_and_by_its_group(stores):
    stores.lti.save_course(None, COURSE)
    assert stores.lti.course(COURSE.issuer, COURSE.context_id) == COURSE
    assert stores.lti.course_of_group(COURSE.group) == COURSE
    assert stores.lti.course(COURSE.issuer, "other") is None
    assert stores.lti.course(COURSE.context_id, COURSE.issuer) is None
    assert stores.lti.course_of_group("other" * 500) is None


def test_courses_are_listed_by_group(stores):
    courses = [a_course(f"c-{number}") for number in range(4)]
    for course in courses:
        stores.lti.save_course(None, course)
    listed = sorted(courses, key=lambda course: course.group)
    assert stores.lti.courses() == listed
    assert stores.lti.courses([listed[2].group, "none"]) == [listed[2]]
    assert stores.lti.courses([]) == []


def test_of_eight_first_logins_of_a_course_one_gives_it_its_group(stores):
    outcomes = concurrently(lambda n: stores.lti.save_course(None, replace(COURSE, group=f"g{n}")))
    assert outcomes.count(None) == 1
    assert sum(isinstance(one, StoreConflictError) for one in outcomes) == MANY - 1
    winner = outcomes.index(None)
    assert stores.lti.course(COURSE.issuer, COURSE.context_id).group == f"g{winner}"
    assert [number for number in range(MANY) if stores.lti.course_of_group(f"g{number}")] == [winner]


def test_two_courses_never_share_a_group(stores):
    stores.lti.save_course(None, COURSE)
    with pytest.raises(StoreConflictError):
        stores.lti.save_course(None, replace(a_course("c-2"), group=COURSE.group))
    assert stores.lti.course(COURSE.issuer, "c-2") is None


def test_a_course_changes_only_as_it_was_read(stores):
    stores.lti.save_course(None, COURSE)
    later = replace(COURSE, title="Botany", seen_at=NOW + timedelta(days=1), revision=1)
    stores.lti.save_course(COURSE, later)
    assert stores.lti.course_of_group(COURSE.group) == later
    with pytest.raises(StoreConflictError):
        stores.lti.save_course(COURSE, replace(COURSE, title="lost", revision=1))
    with pytest.raises(StoreConflictError):
        stores.lti.save_course(None, COURSE)
    assert stores.lti.course_of_group(COURSE.group) == later


def test_of_eight_first_key_pairs_one_is_kept(stores):
    assert stores.lti.keys() is None
    outcomes = concurrently(lambda n: stores.lti.replace_keys(None, SealedKeys(f"k{n}")))
    assert outcomes.count(None) == 1
    assert sum(isinstance(one, StoreConflictError) for one in outcomes) == MANY - 1
    assert stores.lti.keys() == SealedKeys(f"k{outcomes.index(None)}")


def test_keys_are_replaced_only_as_they_were_read(stores):
    first, second = SealedKeys("one"), SealedKeys("two", 2)
    stores.lti.replace_keys(None, first)
    stores.lti.replace_keys(first, second)
    with pytest.raises(StoreConflictError):
        stores.lti.replace_keys(first, SealedKeys("three", 2))
    assert stores.lti.keys() == second
