"""What of a login's claims becomes the user's name, groups and rights."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubless.domain.bounds import MAX_USER_NAME
from hubless.domain.claims import (
    MAX_GROUPS,
    ClaimRules,
    check_expression,
    check_template,
    groups_of,
    is_admin,
    refusal_of,
    user_name_of,
    value_of,
)
from hubless.domain.errors import InvalidRequestError

ADA = {
    "sub": "1",
    "preferred_username": "ada",
    "email": "ada@example.org",
    "email_verified": True,
    "cognito:groups": ["staff"],
    "https://hub.example.org/groups": ["class"],
    "realm_access": {"roles": ["teacher"]},
    "resource_access": {"my-hub": {"roles": ["tutor"]}},
    "groups": ["staff", "admins"],
    "id": 17,
}


def name(claims=ADA, provider="sso", **rules):
    return user_name_of(claims, ClaimRules(**rules), provider)


@pytest.mark.parametrize(
    ("expression", "found"),
    [
        ("preferred_username", "ada"),
        ("cognito:groups", ["staff"]),
        ("https://hub.example.org/groups", ["class"]),
        ("realm_access.roles", ["teacher"]),
        ("resource_access.my-hub.roles", ["tutor"]),
        ("groups[?starts_with(@, 'st')]", ["staff"]),
        ("groups[0]", "staff"),
        ("none", None),
        ("custom:none", None),
        ("realm_access.none.roles", None),
        ("groups.none", None),
        ("length(none)", None),  # fails on these claims, so it finds nothing
    ],
)
def test_an_expression_finds_a_claim_a_path_or_what_jmespath_finds(expression, found):
    assert value_of(ADA, expression) == found


def test_a_claim_of_exactly_this_name_comes_before_a_path():
    assert value_of({"a.b": "exact", "a": {"b": "path"}}, "a.b") == "exact"


@pytest.mark.parametrize("expression", ["groups[?", "contains(groups", "nonesuch(groups)x", "a" * 1025, "a ||"])
def test_an_expression_that_is_none_is_refused(expression):
    with pytest.raises(ValueError, match=r"\w"):
        check_expression(expression)


@pytest.mark.parametrize("expression", ["", "groups", "cognito:groups", "https://h/g", "contains(groups, 'a')"])
def test_other_expressions_are_accepted(expression):
    assert check_expression(expression) == expression


@pytest.mark.parametrize("template", ["ada", "", "{}", "{username", "username}", "{{username}}", "{username}}"])
def test_a_template_without_a_placeholder_or_with_loose_braces_is_refused(template):
    with pytest.raises(ValueError, match="placeholder"):
        check_template(template)


def test_the_name_is_the_claim_in_the_template():
    assert name() == "ada"
    assert name(username_template="{provider}-{username}") == "sso-ada"
    assert name(username_claim="email") == "ada@example.org"
    assert name(username_claim="id", username_template="gh-{username}") == "gh-17"
    assert name(username_template="{sub}.{username}") == "1.ada"


def test_only_the_domain_that_is_named_is_stripped_from_a_name():
    stripped = {"username_claim": "email", "strip_domain": "example.org"}
    assert name(**stripped) == "ada"
    assert name(ADA | {"email": "ada@EXAMPLE.ORG"}, **stripped) == "ada"
    assert name(ADA | {"email": "ada@evil.example"}, **stripped) == "ada@evil.example"
    assert name(ADA | {"email": "ada@sub.example.org"}, **stripped) == "ada@sub.example.org"
    assert name(ADA | {"email": "@example.org"}, **stripped) == "@example.org"


@pytest.mark.parametrize("verified", [False, None, "false", 1, "yes", []])
def test_an_address_that_is_not_verified_is_no_name(verified):
    with pytest.raises(InvalidRequestError, match="not say that your address is verified"):
        name(ADA | {"email_verified": verified}, username_claim="email")


def test_a_text_counts_as_verified_as_cognito_writes_it():
    assert name(ADA | {"email_verified": "true"}, username_claim="email") == "ada@example.org"


def test_an_address_counts_unverified_where_the_provider_is_trusted():
    assert name({"email": "ada@example.org"}, username_claim="email", trusts_email=True) == "ada@example.org"


@pytest.mark.parametrize("given", [None, "", True, ["ada"], {"a": 1}, 1.5])
def test_a_claim_that_is_no_text_is_no_name(given):
    with pytest.raises(InvalidRequestError, match="'preferred_username'"):
        name({"preferred_username": given})


def test_a_missing_claim_is_named():
    with pytest.raises(InvalidRequestError, match="'upn'"):
        name(username_claim="upn")


def test_a_long_name_stays_too_long_and_no_longer():
    assert len(name({"preferred_username": "x" * 10**6})) == 1021


def test_groups_are_texts_that_may_be_names_of_groups():
    given = {"groups": ["staff", "a/b", "", 7, None, "staff", " x"]}
    assert groups_of(given, ClaimRules(groups_claim="groups")) == ("staff",)
    assert groups_of({"groups": "staff"}, ClaimRules(groups_claim="groups")) == ("staff",)


def test_each_group_is_named_after_its_prefix():
    rules = ClaimRules(groups_claim="teams", group_prefix="github:")
    assert groups_of({"teams": ["admins", "acme:ops", ""]}, rules) == ("github:admins", "github:acme:ops")


def test_a_group_whose_name_is_too_long_with_its_prefix_drops_out():
    rules = ClaimRules(groups_claim="teams", group_prefix="github:")
    longest = "a" * (MAX_USER_NAME - len("github:"))
    assert groups_of({"teams": [longest, longest + "a"]}, rules) == (f"github:{longest}",)


def test_nobody_has_groups_of_a_claim_that_is_missing():
    assert groups_of({}, ClaimRules(groups_claim="cognito:groups")) == ()


def test_without_a_claim_for_groups_memberships_stay():
    assert groups_of(ADA, ClaimRules()) is None


def test_groups_that_entra_keeps_elsewhere_leave_memberships_alone():
    assert groups_of({"_claim_names": {"groups": "src1"}}, ClaimRules(groups_claim="groups")) is None


def test_too_many_groups_are_refused_and_not_cut():
    with pytest.raises(InvalidRequestError, match="1001 groups"):
        groups_of({"groups": [str(n) for n in range(MAX_GROUPS + 1)]}, ClaimRules(groups_claim="groups"))


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("contains(groups, 'admins')", True),
        ("contains(groups, 'others')", False),
        ("groups[?@ == 'admins']", True),
        ("groups[?@ == 'others']", False),
        ("is_admin", False),
        ("none", False),
        ("contains(none, 'admins')", False),
        ("", None),
    ],
)
def test_an_admin_is_whose_expression_finds_true_or_a_list(expression, expected):
    assert is_admin(ADA | {"is_admin": "false"}, ClaimRules(admin_expression=expression)) is expected


def test_only_a_verified_address_opens_for_its_domain():
    rules = ClaimRules(domains=("example.org",))
    assert refusal_of(ADA, rules) is None
    assert "verified address at example.org" in refusal_of(ADA | {"email_verified": False}, rules)
    assert refusal_of(ADA | {"email": "ada@sub.example.org"}, rules)
    assert refusal_of(ADA | {"email": "example.org"}, rules)
    assert refusal_of({}, rules)


def test_an_expression_that_does_not_hold_refuses():
    assert refusal_of(ADA, ClaimRules(allow_expression="contains(groups, 'staff')")) is None
    assert refusal_of(ADA, ClaimRules(allow_expression="contains(groups, 'none')"))
    assert refusal_of({}, ClaimRules(allow_expression="contains(groups, 'staff')"))


def test_an_address_that_is_not_verified_is_hidden_from_expressions_too():
    rules = ClaimRules(admin_expression="email == 'ada@example.org'")
    assert is_admin(ADA, rules)
    assert not is_admin(ADA | {"email_verified": False}, rules)


LEAVES = st.sampled_from([None, True, 0, 1.5, "", "true", "x", "a@b"])
LISTS = st.lists(LEAVES, max_size=3)
JSON = (
    LEAVES
    | LISTS
    | st.dictionaries(st.sampled_from(["b", "name"]), LEAVES | LISTS, max_size=2)
    | st.lists(LISTS, max_size=2)
)
NAMES = st.sampled_from(["preferred_username", "email", "email_verified", "groups", "_claim_names", "a"])


@given(claims=st.dictionaries(NAMES, JSON, max_size=5))
def test_no_claims_raise_anything_but_a_refusal(claims):
    rules = ClaimRules(
        username_claim="a.b || email",
        groups_claim="groups[].name",
        admin_expression="contains(groups, 'x') && length(a) > `1`",
        allow_expression="sum(groups) > `0`",
        domains=("x",),
    )
    assert isinstance(groups_of(claims, rules), tuple)
    assert is_admin(claims, rules) in (True, False)
    refusal_of(claims, rules)
    with contextlib.suppress(InvalidRequestError):
        assert isinstance(user_name_of(claims, rules, "p"), str)


@pytest.mark.parametrize(("groups", "holds"), [(["a", "staff"], True), (["no-staff"], False), ("no-staff", False)])
def test_the_expression_of_the_documentation_takes_whole_names_only(groups, holds):
    rules = ClaimRules(admin_expression="groups[?@ == 'staff'] && hd == 'example.org'")
    assert is_admin({"groups": groups, "hd": "example.org"}, rules) is holds
    assert is_admin({"groups": groups, "hd": "example.net"}, rules) is False
