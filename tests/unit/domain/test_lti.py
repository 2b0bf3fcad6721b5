from datetime import UTC, datetime, timedelta

import pytest

from hubless.domain import lti_messages
from hubless.domain.errors import LtiRefusedError
from hubless.domain.lti_courses import course_key, group_name
from hubless.domain.lti_keys import PUBLISHED_FIRST, ToolKey, rotated, signing_key
from hubless.domain.lti_messages import CLAIM, DEEP_LINKING, read_message
from hubless.domain.lti_roles import has_role, membership_roles
from hubless.domain.names import check_group_name
from tests.support.builders import a_platform

NOW = datetime(2026, 11, 28, tzinfo=UTC)
LIS = "http://purl.imsglobal.org/vocab/lis/v2/"


def claims(**changes):
    standard = {
        "sub": "u-1",
        CLAIM + "version": "1.3.0",
        CLAIM + "message_type": "LtiResourceLinkRequest",
        CLAIM + "deployment_id": "7",
        CLAIM + "target_link_uri": "https://hub.example.org/hub/lti/launch",
        CLAIM + "roles": [LIS + "membership#Learner"],
        CLAIM + "context": {"id": "c-1", "label": "BIO 101", "title": "Biology"},
    }
    named = {
        CLAIM + key.removeprefix("lti_") if key.startswith("lti_") else key: value for key, value in changes.items()
    }
    return {key: value for key, value in {**standard, **named}.items() if value is not None}


def message(platform=None, **changes):
    return read_message(claims(**changes), platform or a_platform())


class TestRoles:
    def test_an_administrator_of_the_institution_has_no_role_in_the_course(self):
        held = membership_roles(
            [LIS + "institution/person#Instructor", LIS + "system/person#Administrator", LIS + "membership#Learner"]
        )
        assert held == {"learner"}
        assert not has_role(held, ["Instructor", "Administrator"])

    def test_case_does_not_count(self):
        canvas = membership_roles([LIS + "membership/instructor#TeachingAssistant"])
        assert canvas == membership_roles([LIS + "membership/Instructor#TeachingAssistant"])
        assert has_role(canvas, ["Instructor#teachingassistant"])

    def test_a_part_of_a_role_counts_as_the_role_and_not_the_reverse(self):
        assert has_role(membership_roles([LIS + "membership/Instructor#Grader"]), ["Instructor"])
        assert not has_role(membership_roles([LIS + "membership#Instructor"]), ["Instructor#Grader"])

    def test_a_learners_part_called_instructor_teaches_nobody(self):
        assert not has_role(membership_roles([LIS + "membership/Learner#Instructor"]), ["Instructor"])

    def test_short_names_are_roles_in_the_course(self):
        assert membership_roles(["Instructor", "urn:x#Instructor", ""]) == {"instructor"}

    @pytest.mark.parametrize("role", ["membership", "membership#", "membershipx#Instructor", "membership/#Instructor"])
    def test_what_is_no_role_of_the_vocabulary_counts_as_nothing(self, role):
        assert not has_role(membership_roles([LIS + role]), ["Instructor"])


class TestGroups:
    def test_a_group_is_named_after_the_courses_label(self):
        assert group_name("https://m", "1", "BIO 101: Über Zellen").startswith("bio-101-uber-zellen-")

    def test_the_same_label_in_another_course_or_platform_is_another_group(self):
        names = {group_name(issuer, context, "x") for issuer in ("https://a", "https://b") for context in ("1", "2")}
        assert len(names) == 4

    def test_parts_of_a_key_cannot_move_into_each_other(self):
        assert course_key("ab", "c") != course_key("a", "bc")

    @pytest.mark.parametrize("label", ["", "日本語", "../../x", "-" * 500, "a" * 5000, "x!user=root"])
    def test_every_label_gives_a_possible_name_of_bounded_length(self, label):
        name = group_name("https://m", "1", label)
        assert check_group_name(name + "-teachers")
        assert len(name) <= 60
        assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")


class TestKeys:
    def key(self, name, days):
        return ToolKey(name, NOW - timedelta(days=days), {})

    def test_a_new_key_signs_only_after_it_was_published_for_a_day(self):
        old, new = self.key("old", 100), ToolKey("new", NOW, {})
        both = rotated([old], new, NOW)
        assert both == (new, old)
        assert signing_key(both, NOW + PUBLISHED_FIRST - timedelta(seconds=1)) == old
        assert signing_key(both, NOW + PUBLISHED_FIRST) == new

    def test_the_first_key_signs_at_once(self):
        first = ToolKey("first", NOW, {})
        assert signing_key(rotated([], first, NOW), NOW) == first

    def test_two_rotations_in_an_hour_keep_the_key_that_signs(self):
        old = self.key("old", 100)
        once = rotated([old], ToolKey("b", NOW, {}), NOW)
        twice = rotated(once, ToolKey("c", NOW + timedelta(hours=1), {}), NOW + timedelta(hours=1))
        assert [key.id for key in twice] == ["c", "old"]

    def test_a_key_is_not_shown_in_logs(self):
        assert "secret" not in repr(ToolKey("k", NOW, {"d": "secret"}))


class TestMessages:
    def test_a_link_in_a_course(self):
        found = message(name="Ann Lee", email="ann@example.org")
        assert (found.deployment_id, found.person.subject, found.person.roles) == ("7", "u-1", {"learner"})
        assert (found.person.full_name, found.person.wished_name) == ("Ann Lee", "ann")
        assert (found.course.context_id, found.course.label, found.course.title) == ("c-1", "BIO 101", "Biology")
        assert found.deep_link is None

    def test_variables_that_the_lms_did_not_expand_are_empty(self):
        found = message(
            name="$Person.name.full",
            lti_custom={"next": "$ResourceLink.title", "path": "a.ipynb", "price": "$5", "n": 3, "odd": None},
            lti_context={"id": "c-1", "label": "$Context.label", "title": "T"},
        )
        assert found.person.full_name == found.course.label == ""
        assert found.custom == {"path": "a.ipynb", "price": "$5", "n": "3"}

    def test_a_link_without_a_course_has_none(self):
        assert message(lti_context=None).course is None
        assert message(lti_context={"id": ""}).course is None

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            ({"lti_version": "1.1"}, "Register the tool as LTI 1.3"),
            ({"lti_version": None}, "Register the tool as LTI 1.3"),
            ({"lti_message_type": "LtiSubmissionReviewRequest"}, "takes LtiResourceLinkRequest"),
            ({"lti_deployment_id": None}, "Deploy the tool"),
            ({"lti_deployment_id": ["7"]}, "Deploy the tool"),
            ({"sub": None}, "does not say who you are"),
            ({"sub": ""}, "does not say who you are"),
            ({"sub": "x" * 256}, "does not say who you are"),
            ({"sub": "\ud800"}, "does not say who you are"),
            ({"sub": True}, "does not say who you are"),
            ({"lti_message_type": "LtiDeepLinkingRequest"}, "deep_link_return_url"),
        ],
    )
    def test_what_is_missing_or_wrong_is_refused_in_words(self, change, words):
        with pytest.raises(LtiRefusedError, match=words):
            message(**change)

    def test_only_listed_deployments_are_taken(self):
        platform = a_platform(deployment_ids=("5:ab", "7"))
        assert message(platform).deployment_id == "7"
        with pytest.raises(LtiRefusedError, match=r"'8'.*deployment_ids of the platform 'moodle'"):
            message(platform, lti_deployment_id="8")

    def test_a_numeric_deployment_counts_as_text(self):
        assert message(lti_deployment_id=7).deployment_id == "7"

    def test_a_deep_linking_request_says_where_the_answer_goes(self):
        asked = {"deep_link_return_url": "https://m/return", "data": "abc", "accept_types": ["ltiResourceLink"]}
        given = {DEEP_LINKING + "deep_linking_settings": asked}
        found = read_message(claims(lti_message_type="LtiDeepLinkingRequest") | given, a_platform())
        assert (found.deep_link.return_url, found.deep_link.data, found.deep_link.takes_links) == (
            "https://m/return",
            "abc",
            True,
        )

    @pytest.mark.parametrize("address", ["javascript:alert(1)", "https://m/a b", "//m", 5, "https://m/" + "x" * 5000])
    def test_a_return_address_is_an_http_address(self, address):
        given = {DEEP_LINKING + "deep_linking_settings": {"deep_link_return_url": address}}
        with pytest.raises(LtiRefusedError, match="where it goes"):
            read_message(claims(lti_message_type="LtiDeepLinkingRequest") | given, a_platform())

    def test_services_of_the_course_are_read(self):
        found = read_message(
            claims()
            | {
                lti_messages.GRADES: {"lineitems": "https://m/items?t=1", "scope": ["a", 5]},
                lti_messages.NAMES_AND_ROLES: {"context_memberships_url": "https://m/members"},
            },
            a_platform(),
        ).course
        assert (found.memberships_url, found.line_items_url, found.grade_scopes) == (
            "https://m/members",
            "https://m/items?t=1",
            ("a",),
        )

    def test_roles_are_bounded(self):
        many = [LIS + "membership#Learner"] * 5000 + [LIS + "membership#Instructor"]
        assert message(lti_roles=many).person.roles == {"learner"}


class TestNames:
    @pytest.mark.parametrize(
        ("given", "name"),
        [
            ({"lti_ext": {"user_username": "ann.lee"}}, "ann.lee"),
            ({"lti_custom": {"username": "Ann"}, "email": "other@x.org"}, "ann"),
            ({"lti_custom": {"username": "$User.username"}, "email": "Ann.Lee@x.org"}, "ann.lee"),
            ({"email": "../x@y.org"}, "lti-"),
            ({}, "lti-"),
        ],
    )
    def test_a_name_comes_from_the_first_usable_claim(self, given, name):
        assert message(**given).person.wished_name.startswith(name)

    def test_the_settings_claim_is_the_only_one_asked(self):
        platform = a_platform(username_claim="lis.person_sourcedid")
        lis = {"person_sourcedid": "s4711"}
        assert message(platform, lti_lis=lis, email="ann@x.org").person.wished_name == "s4711"
        assert message(platform, email="ann@x.org").person.wished_name.startswith("lti-")

    def test_people_without_a_name_differ_by_issuer_and_subject(self):
        names = {
            message(a_platform(platform), sub=subject).person.wished_name
            for platform in ("a", "b")
            for subject in ("1", "2")
        }
        assert len(names) == 4
