"""The OAuth provider: what a service is given, by whose consent, and when it ends."""

import base64
import hashlib
import re
from dataclasses import replace
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from hubless.domain.tokens import OwnerKind
from hubless.services.authorizations import KEPT_TOKENS
from tests.api.hub import An

CLIENT, SECRET = "service-checker", "checker-service-token-0123456789"
CALLBACK = "http://127.0.0.1:18555/services/checker/oauth_callback"
VERIFIER = "v" * 50
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()


@pytest.fixture
def member(hub):
    """A browser of somebody who may use the service."""
    hub.hub.roles["guests"] = type(hub.hub.roles["user"])(
        "guests", ("access:services!service=checker",), groups=frozenset({"guests"})
    )
    hub.user("mira", groups=["guests"])
    return hub.browser("mira")


def authorize(browser, **more):
    asked = {
        "client_id": CLIENT,
        "redirect_uri": CALLBACK,
        "response_type": "code",
        "state": "s",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
    }
    return browser.get("/hub/api/oauth2/authorize?" + urlencode(asked | more))


def consent(browser, page, *scopes):
    fields = [("_xsrf", browser.xsrf), *(("scopes", scope) for scope in scopes)]
    action = "/hub/api/oauth2/authorize?" + urlencode(
        {
            "client_id": CLIENT,
            "redirect_uri": CALLBACK,
            "response_type": "code",
            "state": "s",
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
        }
    )
    return browser.post(
        action, content=urlencode(fields), headers={"Content-Type": "application/x-www-form-urlencoded"}
    )


def code_of(answer):
    assert answer.status_code == 302, answer.text
    return parse_qs(urlsplit(answer.headers["location"]).query)["code"][0]


def exchange(hub, code, /, **more):
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": CALLBACK,
        "client_id": CLIENT,
        "client_secret": SECRET,
        "code_verifier": VERIFIER,
    } | more
    return hub.client.post("/hub/api/oauth2/token", data={k: v for k, v in form.items() if v is not None})


def token_of(hub, browser):
    answer = exchange(hub, code_of(consent(browser, authorize(browser), "access:services!service=checker")))
    assert answer.status_code == 200, answer.text
    return hub.as_token(answer.json()["access_token"])


def test_a_service_gets_the_name_of_the_user_and_nothing_more(hub, member):
    page = authorize(member)
    assert page.status_code == 200
    assert "Service checker" in page.text
    me = token_of(hub, member).get("/user").json()
    assert me["name"] == "mira"
    assert me["scopes"] == [
        "access:services!service=checker",
        "read:users:groups!user=mira",
        "read:users:name!user=mira",
    ]


def test_the_log_says_who_has_a_token_for_which_client(hub, member, caplog):
    caplog.set_level("INFO")
    token_of(hub, member)
    assert f"user mira has a token for client {CLIENT} from now on" in caplog.messages


def test_what_was_agreed_to_once_is_not_asked_again(hub, member):
    token_of(hub, member)
    assert authorize(member).status_code == 302


def test_logging_out_ends_what_the_session_gave_and_no_other(hub, member):
    other = hub.browser("mira")
    ended, kept = token_of(hub, member), hub.as_token(exchange(hub, code_of(authorize(other))).json()["access_token"])
    member.get("/hub/logout")
    assert ended.get("/user").status_code == 403
    assert kept.get("/user").status_code == 200


def test_a_code_of_a_session_that_ended_opens_nothing(hub, member):
    code = code_of(consent(member, authorize(member), "access:services!service=checker"))
    member.get("/hub/logout")
    assert exchange(hub, code).status_code == 400


def test_a_token_of_the_very_moment_in_which_its_session_ends_is_none(hub, member, monkeypatch):
    code = code_of(consent(member, authorize(member), "access:services!service=checker"))
    store = type(hub.hub.clients)
    take = store.take_code

    def take_while_the_session_ends(self, sha256):
        taken = take(self, sha256)
        hub.hub.sessions.end(taken.session_id)
        return taken

    monkeypatch.setattr(store, "take_code", take_while_the_session_ends)
    refused = exchange(hub, code)
    assert (refused.status_code, refused.json()) == (400, {"error": "invalid_grant"})
    assert hub.hub.tokens.of(hub.user("mira")) == []


def test_a_browser_that_logs_in_again_and_again_piles_up_no_tokens(hub, member):
    first = token_of(hub, member)
    later = [hub.as_token(exchange(hub, code_of(authorize(member))).json()["access_token"]) for _ in range(7)]
    held = hub.hub.token_store.of_owner(OwnerKind.USER, hub.user("mira").id)
    assert len([token for token in held if token.client_id]) == KEPT_TOKENS
    assert first.get("/user").status_code == 403
    assert {api.get("/user").status_code for api in later[-KEPT_TOKENS:]} == {200}


def test_revoking_the_application_ends_all_its_tokens(hub, member):
    one, two = token_of(hub, member), hub.as_token(exchange(hub, code_of(authorize(member))).json()["access_token"])
    member.submit("/hub/token/revoke", client_id=CLIENT)
    assert {one.get("/user").status_code, two.get("/user").status_code} == {403}
    assert authorize(member).status_code == 200  # asks again


@pytest.fixture
def reader(hub, member):
    """The service may now ask for more than who somebody is."""
    service = hub.hub.services.configured["checker"]
    allowed = ("read:services!service", "read:users!user", "list:groups")
    hub.hub.services._by_client[CLIENT] = replace(service, oauth_client_allowed_scopes=allowed)
    guests = hub.hub.roles["guests"]
    hub.hub.roles["guests"] = replace(guests, scopes=(*guests.scopes, "read:services", "list:groups"))
    return member


def scopes_with(hub, browser, *asked):
    page = authorize(browser, scope=" ".join(asked))
    assert page.status_code == 200, page.headers
    shown = re.findall(r'name="scopes" value="([^"]+)"', page.text)
    answer = exchange(hub, code_of(consent(browser, page, *shown)))
    return set(hub.as_token(answer.json()["access_token"]).scopes())


def test_a_service_asks_for_what_it_is_allowed_or_less(hub, reader):
    assert {"read:services!service=checker", "read:services:name!service=checker"} <= scopes_with(
        hub, reader, "read:services!service"
    )
    assert {"list:groups!group=guests", "read:groups:name!group=guests"} <= scopes_with(
        hub, reader, "list:groups!group=guests"
    )
    assert "read:users:activity!user=mira" in scopes_with(hub, reader, "read:users:activity!user")


@pytest.mark.parametrize(
    "asked",
    [
        "read:services",
        "read:services!service=admin",
        "read:users",
        "read:users!user=root",
        "read:users!group=guests",
        "groups",
        "access:services",
        "access:services!service=admin",
        "servers!user",
        "self",
        "inherit",
        "(no_scope)",
        "read:users!user=/",
    ],
)
def test_a_service_asks_for_nothing_beyond(reader, asked):
    refused = authorize(reader, scope=asked)
    assert refused.status_code == 302
    assert "error=invalid_scope" in refused.headers["location"]


def test_a_service_gets_no_scope_that_its_user_lacks(hub, reader):
    hub.hub.roles["guests"] = replace(hub.hub.roles["guests"], scopes=("access:services!service=checker",))
    assert not any("list:groups" in scope for scope in scopes_with(hub, reader, "list:groups"))


def test_losing_access_ends_it_at_the_next_request(hub, member):
    token = token_of(hub, member)
    hub.as_token(An.ADMIN_TOKEN).delete("/groups/guests/users", {"users": ["mira"]})
    assert "access:services!service=checker" not in token.scopes()
    assert authorize(member).status_code == 403


def test_a_user_without_access_to_the_service_gets_a_page_that_says_so(hub):
    refused = authorize(hub.browser("stranger"))
    assert refused.status_code == 403
    assert "do not have permission" in refused.text


@pytest.mark.parametrize(
    "asked",
    [
        {"redirect_uri": "http://evil.example/"},
        {"redirect_uri": CALLBACK + "/"},
        {"redirect_uri": CALLBACK + "?x=1"},
        {"redirect_uri": "//127.0.0.1:18555/services/checker/oauth_callback"},
        {"redirect_uri": CALLBACK.replace("127.0.0.1", "127.0.0.1@evil.example")},
        {"client_id": "service-none"},
        {"client_id": "x" * 5000},
        {"client_id": "jupyterhub-user-x"},
    ],
)
def test_a_client_or_a_redirect_that_is_not_registered_is_never_followed(member, asked):
    refused = authorize(member, **asked)
    assert refused.status_code == 400
    assert "location" not in refused.headers


@pytest.mark.parametrize(
    "asked",
    [{"response_type": "token"}, {"scope": "admin:users"}, {"scope": "nonsense"}, {"code_challenge_method": "none"}],
)
def test_what_may_not_be_asked_goes_back_as_an_error(member, asked):
    refused = authorize(member, **asked)
    assert refused.status_code == 302
    assert refused.headers["location"].startswith(CALLBACK + "?")
    assert "error=" in refused.headers["location"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"client_secret": "wrong"},
        {"client_secret": None},
        {"code_verifier": "w" * 50},
        {"code_verifier": None},
        {"client_id": "service-none"},
        {"redirect_uri": "http://evil.example/"},
        {"code": "made-up"},
        {"code": "x" * 100_000},
        {"grant_type": "password"},
        {"grant_type": "client_credentials"},
        {"grant_type": "refresh_token"},
        {"client_secret": "x" * 100_000},
    ],
)
def test_a_code_is_exchanged_by_its_client_alone(hub, member, wrong):
    code = code_of(consent(member, authorize(member), "access:services!service=checker"))
    refused = exchange(hub, code, **wrong)
    assert refused.status_code in {400, 401}
    assert "access_token" not in refused.text


def test_a_code_opens_once(hub, member):
    code = code_of(consent(member, authorize(member), "access:services!service=checker"))
    assert exchange(hub, code).status_code == 200
    assert exchange(hub, code).status_code == 400


def test_consent_by_a_foreign_page_is_none(hub, member):
    member.get("/hub/home")
    for fields in ({}, {"_xsrf": "made-up"}):
        refused = member.post(
            "/hub/api/oauth2/authorize?"
            + urlencode({"client_id": CLIENT, "redirect_uri": CALLBACK, "response_type": "code"}),
            data=fields,
        )
        assert refused.status_code == 403


def test_a_token_of_the_api_gives_no_consent(hub, member):
    api = hub.as_user("mira")
    assert (
        api.post(f"/oauth2/authorize?client_id={CLIENT}&redirect_uri={CALLBACK}&response_type=code").status_code == 403
    )


def test_a_rename_ends_nothing_and_shows_the_new_name(hub, member):
    token = token_of(hub, member)
    assert hub.as_token(An.ADMIN_TOKEN).patch("/users/mira", {"name": "miranda"}).status_code == 200
    assert token.get("/user").json()["name"] == "miranda"
    hub.user("mira")
    assert token.get("/user").json()["name"] == "miranda"
