"""Proxies in front of the hub that log people in: sessions begin, fit and end as the proxy says who is there."""

import json
import re

import pytest

from tests.api.hub import SETTINGS, build_hub
from tests.doubles.signers import key_set, rsa_key, signed

HEADER = "X-Auth-Request-Jwt"
SECRET = "a secret of some length"
PROXY = f"""
[[login_proxies]]
name = "gate"
kind = "jwt"
header = "{HEADER}"
issuer = "https://gate.example.org"
audience = "hub"
keys = '{json.dumps(key_set(rsa_key()))}'
logout_url = "https://gate.example.org/out"
"""
OPEN = SETTINGS.replace("[login]", "[login]\nallow_all = true")


@pytest.fixture
def hub(tmp_path):
    return build_hub(tmp_path, OPEN + PROXY)


def word(hub, name="ada", **change):
    at = int(hub.hub.clock.now().timestamp())
    claims = {"iss": "https://gate.example.org", "aud": "hub", "sub": f"id-of-{name}", "iat": at, "exp": at + 60}
    return signed({**claims, "preferred_username": name, **change})


def by_proxy(hub, name="ada", **change):
    return {HEADER: word(hub, name, **change)}


def come(browser, path, headers, **more):
    """Open a page as a browser does, and follow redirects within the hub, with the proxy's headers on each."""
    for _ in range(5):
        answer = browser.get(path, headers=headers, **more)
        if answer.status_code != 302 or "/hub/" not in answer.headers["location"]:
            return answer
        path = answer.headers["location"]
    raise AssertionError(f"redirected for ever, at last to {path}")


def who_is_there(answer):
    """Return whose page it is."""
    assert answer.status_code == 200, answer.text
    return re.search(r'Logged in as </span><span class="name">([^<]+)<', answer.text)[1]


def user_at(browser, headers=None):
    answer = browser.get("/hub/token", headers=headers or {})
    return None if answer.status_code == 302 else answer.text


def test_who_comes_through_the_proxy_is_logged_in(hub):
    browser = hub.browser()

    answer = come(browser, "/hub/token", by_proxy(hub))

    assert who_is_there(answer) == "ada"
    assert hub.hub.users.find("ada") is not None
    (session,) = hub.hub.logins.sessions_of(hub.hub.users.find("ada"))
    assert session.provider == "gate"


def test_the_session_goes_on_with_and_without_the_proxys_word(hub):
    browser = hub.browser()
    come(browser, "/hub/token", by_proxy(hub))

    assert user_at(browser, by_proxy(hub))
    assert user_at(browser)
    assert len(hub.hub.logins.sessions_of(hub.hub.users.find("ada"))) == 1


def test_another_person_in_the_same_browser_ends_the_session(hub):
    browser = hub.browser()
    come(browser, "/hub/token", by_proxy(hub))
    ada = hub.hub.users.find("ada")

    answer = come(browser, "/hub/token", by_proxy(hub, "bob"))

    assert who_is_there(answer) == "bob"
    assert hub.hub.logins.sessions_of(ada) == []
    assert hub.hub.logins.sessions_of(hub.hub.users.find("bob"))


def test_another_person_cannot_use_the_session_for_the_api_either(hub):
    browser = hub.browser()
    come(browser, "/hub/token", by_proxy(hub))
    api = {"X-XSRFToken": browser.xsrf, "Accept": "application/json", "Sec-Fetch-Site": "same-origin"}
    assert browser.get("/hub/api/user", headers=api | by_proxy(hub)).json()["name"] == "ada"

    assert browser.get("/hub/api/user", headers=api | by_proxy(hub, "bob")).status_code == 403
    assert browser.get("/hub/api/user", headers=api).status_code == 403


def test_a_person_is_known_by_the_subject_and_not_by_the_name(hub):
    come(hub.browser(), "/hub/token", by_proxy(hub))

    renamed = come(hub.browser(), "/hub/token", by_proxy(hub, sub="id-of-ada", preferred_username="countess"))
    stranger = come(hub.browser(), "/hub/token", by_proxy(hub, sub="id-of-eve"))

    assert who_is_there(renamed) == "ada"
    assert stranger.status_code == 403
    assert hub.hub.users.find("countess") is None


@pytest.mark.parametrize(
    "change", [{"aud": "other"}, {"iss": "https://other.example.org"}, {"exp": 1_000}, {"sub": ""}]
)
def test_a_word_that_proves_nothing_logs_nobody_in(hub, change):
    answer = come(hub.browser(), "/hub/token", by_proxy(hub, **change))

    assert answer.status_code == 403
    assert "proves nothing" in answer.text
    assert hub.hub.users.find("ada") is None


def test_with_a_wrong_word_a_session_does_not_count_but_stays(hub):
    browser = hub.browser()
    come(browser, "/hub/token", by_proxy(hub))

    assert come(browser, "/hub/token", by_proxy(hub, exp=1_000)).status_code == 403
    assert user_at(browser)


def test_a_header_that_came_twice_proves_nothing(hub):
    twice = [(HEADER, word(hub)), (HEADER, word(hub, "bob"))]
    answer = hub.browser().get("/hub/login", headers=twice)

    assert answer.status_code == 403
    assert "more than once" in answer.text
    joined = hub.browser().get("/hub/login", headers={HEADER: f"{word(hub)},{word(hub)}"})
    assert joined.status_code == 403


def test_a_word_is_no_credential_of_the_api(hub):
    answer = hub.client.get("/hub/api/user", headers=by_proxy(hub) | {"Accept": "application/json"})

    assert answer.status_code == 403
    assert hub.hub.users.find("ada") is None


@pytest.mark.parametrize(("method", "mode"), [("HEAD", "navigate"), ("GET", "cors"), ("GET", "no-cors")])
def test_only_a_person_who_opens_a_page_is_logged_in(hub, method, mode):
    headers = by_proxy(hub) | {"Sec-Fetch-Mode": mode}

    answer = hub.browser().request(method, "/hub/login", headers=headers)

    assert "set-cookie" not in {k for k, v in answer.headers.multi_items() if "hub-login" in v}
    assert hub.hub.users.find("ada") is None


def test_tokens_of_the_api_work_behind_the_proxy(hub):
    token = hub.as_user("carl").secret
    headers = by_proxy(hub) | {"Authorization": f"token {token}"}

    assert hub.client.get("/hub/api/user", headers=headers).json()["name"] == "carl"


def test_a_login_leads_to_where_the_person_wanted(hub):
    browser = hub.browser()

    answer = browser.get("/hub/login?next=%2Fhub%2Fhome", headers=by_proxy(hub))
    assert (answer.status_code, answer.headers["location"]) == (302, "/hub/home")
    elsewhere = hub.browser().get("/hub/login?next=https%3A%2F%2Fevil.example.org%2F", headers=by_proxy(hub))
    assert "evil" not in elsewhere.headers["location"]


def test_a_logout_goes_on_to_the_proxys(hub):
    browser = hub.browser()
    come(browser, "/hub/token", by_proxy(hub))

    answer = browser.get("/hub/logout", headers=by_proxy(hub))

    assert (answer.status_code, answer.headers["location"]) == (302, "https://gate.example.org/out")
    assert hub.hub.logins.sessions_of(hub.hub.users.find("ada")) == []


def test_who_did_not_come_through_the_proxy_logs_out_here_alone(hub):
    browser = hub.browser("carl")

    assert browser.get("/hub/logout").headers["location"] == "/hub/login"


def test_a_session_that_began_otherwise_ends_for_another_person(hub):
    browser = hub.browser("carl")
    assert user_at(browser)

    assert who_is_there(come(browser, "/hub/token", by_proxy(hub, "bob"))) == "bob"
    assert hub.hub.logins.sessions_of(hub.hub.users.find("carl")) == []


def test_a_user_who_logged_in_otherwise_stays_with_a_linked_identity(hub):
    come(hub.browser(), "/hub/token", by_proxy(hub))
    browser = hub.browser("ada")

    assert user_at(browser, by_proxy(hub))
    assert len(hub.hub.logins.sessions_of(hub.hub.users.find("ada"))) == 2


def test_the_proxys_keys_that_are_away_are_no_refusal(tmp_path):
    away = PROXY.replace(f"keys = '{json.dumps(key_set(rsa_key()))}'", 'keys_url = "http://127.0.0.1:1/keys"')
    hub = build_hub(tmp_path, OPEN + away)

    assert hub.browser().get("/hub/login", headers=by_proxy(hub)).status_code == 503
    browser = hub.browser("carl")
    assert browser.get("/hub/token", headers=by_proxy(hub, "carl")).status_code == 503
    assert user_at(browser)


def test_a_hub_without_login_proxies_reads_no_such_header(tmp_path):
    hub = build_hub(tmp_path, OPEN)
    for header in (HEADER, "X-Amzn-Oidc-Data", "Cf-Access-Jwt-Assertion", "X-Forwarded-User", "Remote-User"):
        assert "password" in hub.browser().get("/hub/login", headers={header: word(hub)}).text
    assert hub.hub.users.find("ada") is None


def test_a_load_balancers_cookies_go_with_a_logout(tmp_path):
    hub = build_hub(
        tmp_path,
        OPEN
        + """
[[login_proxies]]
name = "alb"
kind = "alb"
load_balancer = "arn:aws:elasticloadbalancing:eu-central-1:123456789012:loadbalancer/app/hub/50dc6c495c0c9188"
client_id = "c"
logout_url = "https://idp.example.org/out"
""",
    )
    from hubless.domain.external_identities import ExternalId
    from hubless.ports.authenticator import Identity

    class Believing:
        def __init__(self, proxy):
            self.proxy = proxy

        def verify(self, assertion, secret):
            return Identity(assertion, external=ExternalId("i", assertion), provider="alb")

    logins = hub.hub.proxy_logins
    hub.hub.proxy_logins = type(logins)((Believing(hub.hub.settings.login_proxies[0]),), logins.identities)
    browser = hub.browser()
    come(browser, "/hub/token", {"X-Amzn-Oidc-Data": "ada"})

    answer = browser.get("/hub/logout")

    assert answer.headers["location"] == "https://idp.example.org/out"
    gone = [text for name, text in answer.headers.multi_items() if name == "set-cookie" and "AWSELB" in text]
    assert [text.partition("=")[0] for text in gone] == [f"AWSELBAuthSessionCookie-{n}" for n in range(4)]
    assert all("Max-Age=0" in text for text in gone)


def test_a_bare_name_needs_the_proxys_secret(tmp_path, monkeypatch):
    text = OPEN.replace("[login]", '[hub]\ntrusted_proxies = ["192.0.2.0/24"]\n[login]', 1)
    text += """
[[login_proxies]]
name = "sso"
kind = "header"
header = "X-Remote-User"
secret_header = "X-Remote-Secret"
secret_env = "SSO_SECRET"
logout_url = "/out"
"""
    from hubless.bootstrap import machine
    from hubless.settings import parse
    from tests.api.hub import OPENED, TheHub

    (tmp_path / "secret").write_bytes(b"k" * 32)
    hub = TheHub(machine.build(parse(text, tmp_path, {"SSO_SECRET": SECRET})))
    OPENED.append(hub)
    browser = hub.browser()
    browser.headers["Sec-Fetch-Mode"] = "navigate"

    for headers in {"X-Remote-User": "ada"}, {"X-Remote-User": "ada", "X-Remote-Secret": "wrong"}:
        assert "did not send its secret" in browser.get("/hub/login", headers=headers).text
    both = {"X-Remote-User": "ada", "X-Remote-Secret": SECRET}
    assert who_is_there(come(browser, "/hub/token", both)) == "ada"
    assert hub.browser().get("/hub/login", headers=[*both.items(), ("X-Remote-User", "root")]).status_code == 403


def test_nobody_is_let_in_by_a_proxy_whom_no_rule_lets_in(tmp_path):
    hub = build_hub(tmp_path, SETTINGS + PROXY)

    answer = come(hub.browser(), "/hub/token", by_proxy(hub))

    assert answer.status_code == 403
    assert "not allowed" in answer.text
    assert hub.hub.users.find("ada") is None


def test_a_blocked_user_gets_no_token_of_a_workload(tmp_path):
    rule = """
[[workloads]]
name = "jobs"
kind = "oidc"
issuer = "https://gate.example.org"
keys = 'KEYS'
audience = "hub"
conditions = { sub = "id-of-ada" }
user = "ada"
scopes = ["self"]
""".replace("KEYS", json.dumps(key_set(rsa_key())))
    hub = build_hub(tmp_path, SETTINGS.replace("[login]", '[login]\nblocked_users = ["ada"]') + rule)
    hub.user("ada")
    form = {
        "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
        "subject_token": word(hub),
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
    }

    answer = hub.client.post("/hub/api/oauth2/token", data=form)

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_target")
    assert "blocked" in answer.json()["error_description"]
