"""The services of an LMS: tokens, members, line items, scores."""

from datetime import timedelta

import pytest

from hubless.adapters.lti.lms import MAX_PAGES
from hubless.domain.errors import LtiServiceError


def members(count):
    return [{"user_id": f"u-{number}", "roles": ["Learner"], "status": "Active"} for number in range(count)]


def listed(tool):
    return list(tool.lms.members(tool.platform, f"{tool.double.issuer}/members"))


def asked(tool, path):
    return [method for method, url in tool.double.requests if url.partition("?")[0].endswith(path)]


def test_members_come_page_by_page(tool):
    tool.double.members, tool.double.page_size = members(7), 3
    assert [one.claims["user_id"] for one in listed(tool)] == [f"u-{number}" for number in range(7)]
    assert len(asked(tool, "/members")) == 3


def test_members_who_left_are_marked(tool):
    tool.double.members = [
        {"user_id": "1", "status": "Inactive"},
        {"user_id": "2"},
        {"user_id": "3", "status": "Deleted"},
    ]
    assert [one.is_active for one in listed(tool)] == [False, True, False]


def test_one_token_serves_until_shortly_before_its_end(tool):
    for _ in range(3):
        listed(tool)
    assert tool.double.given_tokens == 1
    tool.clock.advance(timedelta(minutes=59))
    listed(tool)
    assert tool.double.given_tokens == 2


def test_each_service_has_a_token_of_its_own_scope(tool):
    listed(tool)
    tool.lms.line_items(tool.platform, f"{tool.double.issuer}/items?type_id=1")
    assert sorted(tool.double.tokens.values()) == [
        "https://purl.imsglobal.org/spec/lti-ags/scope/lineitem",
        "https://purl.imsglobal.org/spec/lti-nrps/scope/contextmembership.readonly",
    ]


def test_a_token_that_the_lms_forgot_is_replaced_once(tool):
    listed(tool)
    tool.double.tokens.clear()
    listed(tool)
    assert tool.double.given_tokens == 2


def test_an_lms_that_takes_none_of_its_tokens_is_named(tool):
    tool.double.allowed = lambda *_: (401, {}, {})
    with pytest.raises(LtiServiceError, match=r"lms\.example\.org refuses the token"):
        listed(tool)
    assert tool.double.given_tokens == 2


def test_a_scope_that_the_lms_refuses_is_said(tool):
    tool.double.refused_scopes = {"https://purl.imsglobal.org/spec/lti-nrps/scope/contextmembership.readonly"}
    with pytest.raises(LtiServiceError, match=r"answered 400 to POST /token.*lets this tool use the service"):
        listed(tool)


def test_a_score_goes_below_the_line_item_and_before_its_query(tool):
    made = tool.lms.create_line_item(
        tool.platform, f"{tool.double.issuer}/items?type_id=1", {"label": "A", "scoreMaximum": 9}
    )
    tool.lms.put_score(tool.platform, made["id"], {"userId": "u-1"})
    assert tool.double.scores == [(made["id"], {"userId": "u-1"})]
    assert tool.lms.line_items(tool.platform, f"{tool.double.issuer}/items?type_id=1") == [made]
    assert tool.lms.results(tool.platform, made["id"]) == [{"userId": "1", "resultScore": 0.5}]


@pytest.mark.parametrize(
    "address", ["http://10.0.0.1/members", "http://127.0.0.1:1/members", "ftp://lms.example.org/m"]
)
def test_no_token_goes_to_an_address_without_tls(tool, address):
    with pytest.raises(LtiServiceError, match="not reached by https"):
        list(tool.lms.members(tool.platform, address))
    assert tool.double.given_tokens == 0


def test_a_next_page_at_another_host_is_refused(tool):
    answer = tool.double.answer

    def elsewhere(method, path, *rest):
        status, headers, body = answer(method, path, *rest)
        return (
            status,
            {"link": '<https://evil.example.org/members>; rel="next"'} if path == "/members" else headers,
            body,
        )

    tool.double.answer = elsewhere
    with pytest.raises(LtiServiceError, match="another host"):
        listed(tool)


def test_pages_without_end_are_refused(tool):
    answer = tool.double.answer

    def endless(method, path, *rest):
        status, headers, body = answer(method, path, *rest)
        return status, {"link": '</members?start=0>; rel="next"'} if path == "/members" else headers, body

    tool.double.answer, tool.double.members = endless, members(1)
    with pytest.raises(LtiServiceError, match=f"more than {MAX_PAGES} pages"):
        listed(tool)
    assert len(asked(tool, "/members")) == MAX_PAGES


@pytest.mark.parametrize("body", [[], {"members": "x"}, {}, "x", None])
def test_an_answer_that_is_no_list_of_members_is_said(tool, body):
    answer = tool.double.answer
    tool.double.answer = lambda method, path, *rest: (
        (200, {}, body) if path == "/members" else answer(method, path, *rest)
    )
    with pytest.raises(LtiServiceError, match="no list of members"):
        listed(tool)


@pytest.mark.parametrize("token", [None, "", 5, "a\nb", "x" * 20_000])
def test_what_is_no_access_token_is_said(tool, token):
    tool.double.token = lambda fields: (200, {}, {"access_token": token})
    with pytest.raises(LtiServiceError, match="gave no access token"):
        listed(tool)


@pytest.mark.parametrize("seconds", [None, "x", -1, True, 1e99, "3600"])
def test_any_life_of_a_token_is_borne(tool, seconds):
    given = tool.double.token

    def odd(fields):
        status, headers, body = given(fields)
        return status, headers, {**body, "expires_in": seconds}

    tool.double.token = odd
    assert listed(tool) == []
