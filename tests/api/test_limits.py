"""Nobody's records grow without end: tokens, sessions and what the pages and lists show of them."""

import re

import pytest

from functions.api.pages.lists import PART as PAGE
from hubless.domain.tokens import OwnerKind
from hubless.services import service_registry, sharing
from hubless.services.tokens import MAX_SCOPE_TEXT
from tests.api.hub import SETTINGS, An, build_hub

LIMITED = SETTINGS.replace("[login]", "[login]\nmax_sessions = 3") + "\n[tokens]\nmax_per_user = 2"


@pytest.fixture
def small(tmp_path):
    """A hub whose users have two tokens and three sessions."""
    return build_hub(tmp_path, LIMITED)


def test_a_user_has_so_many_tokens_and_no_more(small):
    alice = small.as_user("alice")
    made = alice.post("/users/alice/tokens", {"note": "one"})
    assert made.status_code == 201
    refused = alice.post("/users/alice/tokens", {"note": "two"})
    assert refused.status_code == 400
    assert refused.json() == {
        "status": 400,
        "message": "User alice already has the maximum of 2 tokens."
        " One must be revoked before a new token can be created",
    }
    assert len(alice.get("/users/alice/tokens").json()["api_tokens"]) == 2
    alice.delete(f"/users/alice/tokens/{made.json()['id']}")
    assert alice.post("/users/alice/tokens", {}).status_code == 201


def test_the_token_page_says_that_the_limit_is_reached(small):
    browser = small.browser("alice")
    for status in (303, 303, 400):
        answer = browser.submit("/hub/token", note="by hand")
        assert answer.status_code == status
    assert "already has the maximum of 2 tokens" in answer.text


def test_one_login_more_ends_the_oldest_session(small):
    browsers = [small.browser("alice") for _ in range(4)]
    assert [browser.get("/hub/home").status_code for browser in browsers] == [302, 200, 200, 200]
    assert len(small.hub.sessions.of_user(small.user("alice").id)) == 3


def test_the_token_page_shows_tokens_page_by_page(hub):
    alice = hub.user("alice")
    for number in range(PAGE + 2):
        hub.hub.tokens.issue_to(alice, note=f"note {number}.", expires_in=None, raw_scopes=None)
    browser = hub.browser("alice")
    first, second = browser.get("/hub/token").text, browser.get(f"/hub/token?offset={PAGE}").text
    shown = [re.findall(r"<h3>note (\d+)\.", page) for page in (first, second)]
    assert shown == [[str(number) for number in range(PAGE + 1, 1, -1)], ["1", "0"]]
    assert f'href="/hub/token?offset={PAGE}#tokens"' in first
    assert 'href="/hub/token#tokens"' in second
    assert browser.get(f"/hub/token?offset={PAGE * 9}").status_code == 200


def test_the_account_page_shows_this_browser_and_the_newest_others(hub):
    first = hub.browser("alice")
    for _ in range(PAGE + 1):
        hub.hub.logins.open_session(hub.user("alice"), "another")
    page = first.get("/hub/account").text
    assert page.count('action="/hub/account/end-session"') == PAGE
    assert "this browser" in page
    assert f'href="/hub/account?sessions={PAGE}#sessions"' in page
    rest = first.get(f"/hub/account?sessions={PAGE}").text
    assert rest.count('action="/hub/account/end-session"') == 2
    assert 'href="/hub/account#sessions"' in rest


def test_the_token_page_shows_applications_page_by_page(hub):
    alice, browser = hub.user("alice"), hub.browser("alice")
    for number in range(PAGE + 1):
        hub.hub.tokens.issue_to(alice, note="", expires_in=None, raw_scopes=None, client_id=f"c{number:02}")
    first, second = (browser.get(f"/hub/token?offset=7{more}").text for more in ("", f"&applications={PAGE}"))
    shown = [re.findall(r'name="client_id" value="(\w+)"', page) for page in (first, second)]
    assert shown == [[f"c{number:02}" for number in range(PAGE)], [f"c{PAGE}"]]
    assert f'href="/hub/token?offset=7&amp;applications={PAGE}#applications"' in first
    assert 'href="/hub/token?offset=7#applications"' in second


@pytest.mark.parametrize(
    ("page", "name"), [("token", "offset"), ("token", "applications"), ("token", "servers"), ("account", "sessions")]
)
@pytest.mark.parametrize("offset", ["x", "1.5", "9" * 400, "%00"])
def test_a_part_of_a_list_that_is_no_number_is_refused(hub, page, name, offset):
    answer = hub.browser("alice").get(f"/hub/{page}?{name}={offset}")
    assert answer.status_code == 400
    assert f"Invalid argument {name}" in answer.text


def test_scopes_that_fill_pages_are_refused(alice):
    long = [f"read:users!user={'x' * 200}{number}" for number in range(MAX_SCOPE_TEXT // 200)]
    answer = alice.post("/users/alice/tokens", {"scopes": long})
    assert answer.status_code == 400
    assert f"at most {MAX_SCOPE_TEXT} characters" in answer.json()["message"]


def test_a_list_of_tokens_looks_up_each_client_once(hub, alice, monkeypatch):
    session, _ = hub.hub.logins.open_session(hub.user("alice"), "")
    asked = []
    for number in range(9):
        hub.hub.tokens.issue_to(
            hub.user("alice"),
            note=str(number),
            expires_in=None,
            raw_scopes=None,
            session_id=session.id,
            client_id=f"client-{number % 2}",
        )
    monkeypatch.setattr(type(hub.hub.clients), "get", lambda _, client_id: asked.append(client_id))
    listed = alice.get("/users/alice/tokens").json()["api_tokens"]
    assert len(listed) == len(hub.hub.token_store.of_owner(OwnerKind.USER, hub.user("alice").id))
    assert sorted(asked) == ["client-0", "client-1"]


def test_a_server_has_so_many_codes_and_says_so(hub, monkeypatch):
    monkeypatch.setattr(sharing, "MAX_CODES", 1)
    hub.as_user("bob")
    assert hub.as_token(An.ADMIN_TOKEN).post("/share-codes/bob/", {}).status_code == 200
    refused = hub.as_token(An.ADMIN_TOKEN).post("/share-codes/bob/", {})
    assert refused.status_code == 400
    assert "already has the maximum of 1 share codes" in refused.json()["message"]


def test_a_server_has_so_many_shares_and_says_so(hub, monkeypatch):
    monkeypatch.setattr(sharing, "MAX_SHARES", 1)
    for name in ("bob", "one", "two"):
        hub.user(name)
    admin = hub.as_token(An.ADMIN_TOKEN)
    assert admin.post("/shares/bob/", {"user": "one"}).status_code == 200
    refused = admin.post("/shares/bob/", {"user": "two"})
    assert refused.status_code == 400
    assert "maximum of 1 shares" in refused.json()["message"]


def test_whoever_accepts_one_share_too_many_reads_why(hub, monkeypatch):
    monkeypatch.setattr(sharing, "MAX_SHARES", 1)
    hub.user("bob")
    admin = hub.as_token(An.ADMIN_TOKEN)
    admin.post("/shares/bob/", {"user": hub.user("one").name})
    code = admin.post("/share-codes/bob/", {}).json()["code"]
    browser = hub.browser("two")
    page = browser.submit(f"/hub/accept-share?code={code}", code=code)
    assert page.status_code == 400
    assert "maximum of 1 shares" in page.text


def test_there_are_so_many_services_and_the_api_says_so(hub, monkeypatch):
    monkeypatch.setattr(service_registry, "MAX_SERVICES", 1)
    admin = hub.as_token(An.ADMIN_TOKEN)
    assert admin.post("/services/one", {"url": "http://127.0.0.1:9"}).status_code == 201
    refused = admin.post("/services/two", {"url": "http://127.0.0.1:9"})
    assert refused.status_code == 400
    assert "maximum of 1 services" in refused.json()["message"]
