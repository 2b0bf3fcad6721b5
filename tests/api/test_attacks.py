"""What an attacker would try beside the known advisories: headers, methods, hostile text, leaked secrets, frames."""

import hmac
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from urllib.parse import quote

import pytest

from functions.api.app import PAGES
from hubless.domain.lifecycle import State
from hubless.domain.tokens import sha256
from tests.api.hub import An, build_hub

EVIL = "\"'><script>alert(1)</script><img src=x onerror=alert(1)>{{7*7}}{% raw %}</title></textarea><!--"
SPLIT = "x\r\nSet-Cookie: planted=1\r\n\r\n<script>"


# --- headers ----------------------------------------------------------------------------------------------------------

CLAIMS = [
    {"X-Forwarded-For": "127.0.0.1"},
    {"X-Forwarded-User": "root"},
    {"X-Remote-User": "root"},
    {"REMOTE_USER": "root"},
    {"X-JupyterHub-User": "root"},
    {"X-Forwarded-Prefix": "/evil"},
    {"X-Original-URL": "/hub/api/users"},
    {"X-Rewrite-URL": "/hub/api/users"},
    {"Forwarded": "for=127.0.0.1;host=evil.example"},
    {"X-Forwarded-Host": "evil.example"},
    {"X-Http-Method-Override": "GET", "Referer": "http://hub.test/hub/admin"},
]


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: next(iter(claim)))
def test_no_header_makes_anybody_somebody(hub, claim):
    assert hub.anybody.get("/users", headers=claim).status_code == 403
    assert hub.anybody.get("/user", headers=claim).status_code == 403
    assert (
        hub.browser().get("/hub/admin", headers=claim).headers["location"].startswith("/hub/login?next=%2Fhub%2Fadmin")
    )


@pytest.mark.parametrize(
    "host", ["evil.example", "hub.test:81", "hub.test@evil.example", "hub.test\\evil.example", "[::1", "a b", ""]
)
def test_no_host_header_leads_a_person_elsewhere(hub, host):
    browser = hub.browser("alice")
    for path in (
        "/",
        "/hub",
        "/hub/",
        "/hub/home",
        "/hub/logout",
        "/hub/user-redirect/lab",
        "/user/alice/lab",
        "//evil.example/x",
    ):
        answer = browser.request("GET", "http://hub.test" + path, headers={"Host": host})
        assert answer.status_code < 500
        assert re.match(r"/(?![/\\])|$", answer.headers.get("location", "")), answer.headers["location"]


def test_a_password_link_has_the_hubs_public_address_whatever_the_host(tmp_path):
    hub = build_hub(tmp_path, '[hub]\npublic_url = "https://hub.example.org"\n[login]\nadmins = ["boss"]\n')
    hub.hub.accounts.set_password("boss", An.PASSWORD)
    browser = hub.browser("boss", address="https://evil.example")
    assert browser.submit("/hub/admin/users/boss/password-link").headers["location"] == "/hub/admin/users/boss"
    page = browser.get("/hub/admin/users/boss")
    assert "https://hub.example.org/hub/set-password?key=" in page.text
    assert "evil.example" not in page.text


@pytest.mark.parametrize("override", ["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"])
def test_a_method_is_what_the_request_says_and_no_header(hub, admin, override):
    hub.user("alice")
    assert admin("POST", "/users/alice?_method=DELETE", headers={override: "DELETE"}, json={}).status_code == 409
    assert admin("GET", "/users/alice?_method=DELETE", headers={override: "DELETE"}).status_code == 200
    assert hub.hub.users.find("alice") is not None


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "PROPFIND", "DEBUG"])
def test_a_method_that_is_none_of_ours_does_nothing(hub, method):
    answer = hub.browser("alice").request(method, "/hub/api/users/alice")
    assert answer.status_code in {403, 404, 405}
    assert "hub-login" not in answer.text


def test_of_two_authorizations_one_counts_and_none_is_mixed(hub, alice, bob):
    both = [("Authorization", f"token {alice.secret}"), ("Authorization", f"token {bob.secret}")]
    received = hub.client.get("/hub/api/user", headers=both)
    assert received.status_code == 403 or received.json()["name"] == "alice"


@pytest.mark.parametrize(
    "way", ["?token={}", "?access_token={}", "?api_token={}", "?_xsrf={}", "?authorization=token%20{}"]
)
def test_no_token_counts_that_stands_in_an_address(hub, admin, way):
    assert hub.client.get("/hub/api/users" + way.format(An.ADMIN_TOKEN)).status_code == 403
    assert hub.client.get("/hub/home" + way.format(An.ADMIN_TOKEN)).status_code == 302


def test_no_token_counts_that_stands_in_a_cookie(hub, alice):
    for name in (
        "jupyterhub-hub-login",
        "__Host-jupyterhub-hub-login",
        "jupyterhub-session-id",
        "token",
        "Authorization",
    ):
        assert hub.client.get("/hub/api/user", headers={"Cookie": f"{name}={alice.secret}"}).status_code == 403


def test_a_session_id_that_servers_know_opens_nothing(hub):
    browser = hub.browser("alice")
    session = browser.cookies.get("jupyterhub-session-id")
    for name in ("jupyterhub-hub-login", "__Host-jupyterhub-hub-login"):
        assert hub.client.get("/hub/api/user", headers={"Cookie": f"{name}={session}"}).status_code == 403
    assert hub.as_token(session).get("/user").status_code == 403


# --- text that means harm ---------------------------------------------------------------------------------------------


@pytest.fixture
def hostile(hub):
    """Return a hub where every text that people can write is hostile, and the browser of an admin who sees it all."""
    name = f"evil{EVIL}".replace("/", "")
    hub.user(name, admin=True, groups=["sharers"])
    api, place = hub.as_user(name), quote(name, safe="")
    admin = hub.as_token(An.ADMIN_TOKEN)
    admin.post(f"/groups/{quote(EVIL.replace('/', ''), safe='')}", {"users": [name], "properties": {EVIL: EVIL}})
    assert (
        api.put(f"/users/{place}/servers/lab", {"display_name": EVIL, "user_options": {EVIL: EVIL}}).status_code == 201
    )
    assert api.post(f"/users/{place}/tokens", {"note": EVIL}).status_code == 201
    hub.user("victim")
    assert api.post(f"/shares/{place}/lab", {"user": "victim"}).status_code == 200
    for server in hub.hub.servers.of_owners([hub.user(name).id]):
        failed = replace(server, state=State.FAILED, failure=EVIL, log_tail=(EVIL, EVIL), revision=server.revision + 1)
        hub.hub.servers.write(server, failed)
    browser = hub.browser(name)
    browser.headers["User-Agent"] = EVIL
    browser.log_in(name)
    browser.code = api.post(f"/share-codes/{place}/lab", {}).json()["code"]
    browser.place, browser.name = place, name
    return browser


class Tags(HTMLParser):
    """Collects what a browser would run."""

    def __init__(self, text):
        super().__init__()
        self.scripts, self.handlers, self.images = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        facts = dict(attributes)
        self.handlers += [name for name in facts if name.startswith("on")]
        if tag == "script":
            self.scripts.append(facts.get("src", "inline"))
        if tag == "img":
            self.images.append(facts.get("src"))
        self.handlers += [v for v in facts.values() if v and v.strip().lower().startswith(("javascript:", "data:text"))]


def assert_harmless(answer):
    tags = Tags(answer.text)
    assert tags.handlers == []
    assert all(re.fullmatch(r"/hub/static/\w+\.js\?v=\w+", script) for script in tags.scripts)
    assert all(image.startswith("/hub/static/") for image in tags.images)
    assert "49" not in re.findall(r"<img[^>]*>(\d+)", answer.text)
    assert "planted" not in answer.cookies


def test_nothing_that_people_write_runs_in_anybodys_page(hub, hostile):
    at = hostile.place
    pages = [
        "/hub/home",
        "/hub/token",
        "/hub/admin",
        f"/hub/admin?name_filter={quote(EVIL)}&state={quote(EVIL)}",
        f"/hub/spawn/{at}",
        f"/hub/spawn-pending/{at}/lab",
        f"/hub/user/{at}/lab/x",
        f"/hub/user/{at}/{quote(EVIL)}",
        f"/hub/{quote(EVIL)}",
        f"/hub/login?next={quote(EVIL)}&username={quote(EVIL)}",
        f"/hub/accept-share?code={quote(EVIL)}",
        f"/hub/api/oauth2/authorize?client_id={quote(EVIL)}&redirect_uri={quote(EVIL)}&state={quote(EVIL)}&scope={quote(EVIL)}",
        f"/hub/api/oauth2/authorize?client_id=service-checker&redirect_uri={quote(EVIL)}&response_type={quote(EVIL)}",
        f"/hub/error/404?url={quote(EVIL)}",
        f"/hub/error/{quote(EVIL, safe='')}",
        f"/hub/spawn?opt-profile={quote(EVIL)}",
    ]
    seen = [hostile.get(page) for page in pages]
    victim = hub.browser("victim")
    seen += [victim.get("/hub/home"), victim.get(f"/hub/accept-share?code={hostile.code}&next={quote(EVIL)}")]
    seen += [hub.browser().get(page) for page in pages]
    assert sum("text/html" in answer.headers.get("content-type", "") for answer in seen) > 15
    for answer in seen:
        assert answer.status_code < 500 or "failed to start" in answer.text
        assert_harmless(answer)
    assert any("alert(1)" in answer.text for answer in seen)  # it is shown, as text


def test_what_forms_are_given_comes_back_as_text(hub, hostile):
    sent = [
        ("/hub/admin/people", {"people": EVIL, "groups": EVIL}),
        ("/hub/home/new-server", {"server_name": EVIL}),
        ("/hub/token", {"scopes": EVIL}),
        ("/hub/token", {"note": EVIL, "expires_in": EVIL}),
        ("/hub/accept-share", {"code": EVIL, "next": EVIL}),
    ]
    for path, fields in sent:
        answer = hostile.submit(path, **fields)
        assert answer.status_code in {303, 400}
        assert_harmless(answer)
    stranger = hub.browser()
    assert_harmless(stranger.log_in(EVIL))
    assert_harmless(hub.browser().submit("/hub/login", username=EVIL, password=EVIL))


@pytest.mark.parametrize("status", ["Call%20555%20now", "4o4", "-1", "404%20", "999999999", "200"])
def test_an_address_writes_no_text_of_its_own_onto_a_page(hub, status):
    page = hub.browser().get(f"/hub/error/{status}")
    assert page.status_code in {200, 404}
    assert "Call" not in page.text
    assert "999999999" not in page.text
    assert re.search(r'number">Error (404|500) ', page.text)


@pytest.mark.parametrize(
    "path",
    [
        "/hub/login?next={}",
        "/hub/user-redirect/{}",
        "/{}",
        "/hub/user/alice/{}",
        "/hub/spawn?next={}",
        "/hub/api/oauth2/authorize?client_id=service-checker&response_type=token&state={}&redirect_uri=http%3A%2F%2F127.0.0.1%3A18555%2Fservices%2Fchecker%2Foauth_callback",
    ],
)
def test_no_text_in_an_address_becomes_a_header(hub, path):
    hub.hub.roles["user"] = type(hub.hub.roles["user"])("user", ("self", "access:services"))
    for browser in (hub.browser(), hub.browser("alice")):
        answer = browser.get(path.format(quote(SPLIT, safe="")))
        assert "planted" not in answer.cookies
        assert not any("\r" in value or "\n" in value for value in answer.headers.values())


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "data:text/html,x",
        "JaVaScRiPt:alert(1)",
        " javascript:alert(1)",
        "vbscript:x",
        "file:///etc/passwd",
    ],
)
def test_no_service_has_an_address_that_a_browser_would_run(hub, admin, url):
    body = {"url": url, "api_token": "another-token-0123456"}
    assert admin.post("/services/sly", body).status_code == 400
    assert (
        admin.post("/services/sly", {"oauth_redirect_uri": url, "api_token": "another-token-0123456"}).status_code
        == 400
    )
    assert admin.get("/services/sly").status_code == 404


# --- text without end -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "/hub/login?next={}",
        "/hub/accept-share?code={}",
        "/hub/set-password?key={}",
        "/hub/{}",
        "/hub/user/{}/",
        "/hub/api/users/{}",
        "/hub/api/users?name_filter={}",
        "/hub/api/authorizations/token/{}",
        "/hub/api/authorizations/cookie/jupyterhub-hub-login/{}",
        "/hub/api/oauth2/authorize?client_id={}",
        "/hub/spawn?opt-profile={}",
        "/hub/admin?name_filter={}",
        "/hub/error/{}",
    ],
)
def test_what_is_absurdly_long_is_answered_short_and_logged_shorter(hub, path, caplog):
    caplog.set_level("DEBUG")
    hub.user("alice", admin=True)
    for asker in (hub.browser(), hub.browser("alice")):
        answer = asker.get(path.format("x" * 60_000), headers={"User-Agent": "y" * 60_000})
        assert answer.status_code < 500
        assert len(answer.text) < 30_000 or "name_filter" in path
    ours = [record.getMessage() for record in caplog.records if record.name.startswith(("hubless", "functions"))]
    assert all(len(message) < 500 for message in ours)


def test_cookies_and_tokens_without_end_are_refused_unread(hub):
    for headers, status in (
        ({"Authorization": "token " + "x" * 60_000}, 403),
        ({"Cookie": "jupyterhub-hub-login=" + "x" * 60_000}, 403),
        ({"Cookie": "a=b;" * 15_000}, 403),
        ({"Cookie": "a=b;" * 20_000}, 431),
    ):
        assert hub.client.get("/hub/api/user", headers=headers).status_code == status


def test_what_a_browser_calls_itself_is_kept_short(hub):
    browser = hub.browser()
    browser.headers["User-Agent"] = "z" * 60_000
    browser.log_in("alice")
    (session,) = hub.hub.sessions.of_user(hub.user("alice").id)
    assert len(session.agent) == 200


@pytest.mark.parametrize(
    "name", ["a\nFAKE LOG LINE", "a\r\nx", "\x1b[31mred", "a\x00b", "\u202enimda", "a\x85b", "a\u2028b"]
)
def test_no_name_forges_a_line_of_a_log_or_a_terminal(hub, admin, caplog, name):
    caplog.set_level("DEBUG")
    hub.browser().log_in(name)
    assert admin.post("/users", {"usernames": [name]}).status_code == 400
    hub.anybody.post("/users/x/tokens", {"auth": {"username": name, "password": An.PASSWORD}})
    hub.browser().get("/hub/login", params={"next": name})
    assert not any(name in record.getMessage() for record in caplog.records if not record.name.startswith("httpx"))
    assert hub.hub.users.find(name) is None


# --- secrets ----------------------------------------------------------------------------------------------------------


def test_no_secret_is_in_a_page_an_error_a_model_or_the_store(hub, admin, tmp_path, caplog):
    caplog.set_level("DEBUG")
    browser = hub.browser("alice")
    alice = hub.as_user("alice")
    made = alice.post("/users/alice/tokens", {"note": "x"}).json()
    link = hub.hub.accounts.password_link("alice").partition("key=")[2]
    login = browser.cookies.get("jupyterhub-hub-login", path="/hub/")
    secrets = [
        made["token"],
        alice.secret,
        login,
        An.ADMIN_TOKEN,
        An.PASSWORD,
        link,
        "checker-service-token-0123456789",
    ]
    hub.user("boss", admin=True)
    boss = hub.browser("boss")
    seen = [browser.get(f"/hub/{page}").text for page in ("home", "token", "spawn", "nothing-here")]
    seen += [boss.get("/hub/admin").text, boss.get("/hub/token").text]
    seen += [
        admin.get(path).text
        for path in (
            "/users",
            "/users/alice/tokens",
            f"/users/alice/tokens/{made['id']}",
            "/services",
            "/info",
            "/proxy",
            "/openapi.json",
            "/groups",
            "/users/alice/sessions",
            "/metrics",
        )
    ]
    seen += [hub.as_token(secret + "x").get("/user").text for secret in secrets]
    seen += [admin.get("/users/" + quote(secret, safe="")).text for secret in (login, made["token"])]
    seen += [admin.get(f"/authorizations/token/{made['token']}").text, repr(hub.hub.settings), repr(hub.hub)]
    seen += [record.getMessage() for record in caplog.records if not record.name.startswith("httpx")]
    for secret in secrets:
        assert [number for number, text in enumerate(seen) if secret in text] == []
        kept = b"".join(path.read_bytes() for path in tmp_path.glob("hub.sqlite*"))
        assert secret.encode() not in kept


def test_a_failure_tells_no_path_of_this_machine(hub, alice, tmp_path, monkeypatch):
    monkeypatch.setattr(type(hub.hub.users), "find", lambda *_: json.loads("{"))
    answer = alice.get("/users/alice")
    assert answer.status_code == 500
    assert str(tmp_path) not in answer.text
    assert "json" not in answer.text.lower()
    page = hub.browser().get("/hub/user/alice/", headers={"Authorization": f"token {alice.secret}"})
    assert page.status_code == 500
    assert "Traceback" not in page.text


# --- frames, caches, policies -----------------------------------------------------------------------------------------

PLACES = [
    "/",
    "/hub",
    "/hub/",
    "/hub/home",
    "/hub/token",
    "/hub/admin",
    "/hub/login",
    "/hub/logout",
    "/hub/spawn",
    "/hub/nothing",
    "/hub/accept-share?code=x",
    "/hub/set-password?key=x",
    "/hub/user/alice/",
    "/hub/api",
    "/hub/api/user",
    "/hub/api/users",
    "/hub/api/nothing",
    "/hub/api/oauth2/authorize?client_id=x",
    "/hub/health",
    "/hub/logo",
    "/hub/static/style.css",
    "/hub/metrics",
]


@pytest.mark.parametrize("path", PLACES)
def test_nothing_of_the_hub_is_shown_in_a_frame_or_sniffed(hub, path):
    for browser in (hub.browser(), hub.browser("alice")):
        headers = browser.get(path).headers
        policy = dict(part.strip().partition(" ")[::2] for part in headers["content-security-policy"].split(";"))
        assert policy["frame-ancestors"] == "'none'"
        assert policy["default-src"] in {"'self'", "'none'"}
        assert "script-src" not in policy
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] in {"same-origin", "strict-origin"}


def test_what_is_of_one_person_is_in_no_cache(hub, alice):
    browser = hub.browser("alice")
    for path in ("/hub/home", "/hub/token", "/hub/nothing", "/hub/accept-share?code=x"):
        assert browser.get(path).headers["cache-control"] == "no-store"
    for path in ("/user", "/users/alice", "/users/alice/tokens", "/users/nobody"):
        assert alice.get(path).headers["cache-control"] == "private, no-cache"
    assert "immutable" in browser.get("/hub/static/style.css?v=1").headers["cache-control"]


def test_no_other_origin_may_read_what_needs_a_login(hub, alice):
    sent = {
        "Origin": "https://evil.example",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "x-xsrftoken",
    }
    for method in ("GET", "OPTIONS"):
        for path in ("/user", "/users/alice", "/users/alice/tokens", "/oauth2/token"):
            headers = alice(method, path, headers=sent).headers
            assert "access-control-allow-origin" not in headers
            assert "access-control-allow-credentials" not in headers


def test_every_page_that_takes_a_form_refuses_one_without_its_token(hub):
    """Each route of the pages that takes POST, found in the table of routes, so that none is forgotten."""
    alice, tried = hub.browser("alice"), 0
    for module in PAGES:
        for route in module.router.routes:
            if "POST" not in route.methods or "security" in route.path:
                continue
            path = re.sub(r"{\w+(:\w+)?}", "alice", route.path)
            for fields in ({}, {"_xsrf": "made-up"}, {"_xsrf": hub.browser("bob").xsrf}):
                answer = alice.post(path, data=fields, headers={"Accept": "text/html"})
                assert answer.status_code in {403, 404, 424}, (path, answer.status_code)
                tried += 1
    assert tried > 40
    assert alice.get("/hub/home").status_code == 200


def test_no_page_takes_a_token_for_the_person(hub, alice):
    """Pages act for the whole person: a token of few scopes, such as a server's own, would become one of all scopes."""
    narrow = hub.as_user("alice", ["read:users:name!user"])
    signed, asked = {"Authorization": f"token {narrow.secret}", "Accept": "text/html"}, set()
    for route in (route for module in PAGES for route in module.router.routes):
        if not any(part in route.path for part in ("/user/", "login", "logout", "security")):
            path = re.sub(r"{\w+(:\w+)?}", "alice", route.path)
            for method in route.methods & {"GET", "POST"}:
                answer = hub.client.request(method, path, headers=signed, follow_redirects=False)
                to_login = answer.headers.get("location", "").startswith("/hub/login")
                if to_login or (method == "POST" and answer.status_code == 403):
                    asked.add(f"{method} {path}")
    assert asked >= {"GET /hub/home", "POST /hub/token", "POST /hub/accept-share", "POST /hub/admin/people"}
    assert asked >= {"GET /hub/spawn", "POST /hub/spawn", "POST /hub/stop/alice", "POST /hub/home/new-server"}
    assert len(hub.hub.tokens.of(hub.user("alice"))) == 2
    assert hub.hub.servers.of_owners([hub.user("alice").id]) == []


@pytest.mark.parametrize("secret", ["the shared password", "an XSRF token", "a client's secret"])
def test_what_proves_somebody_is_compared_in_constant_time(hub, monkeypatch, secret):
    compared = []
    monkeypatch.setattr(hmac, "compare_digest", lambda one, two: compared.append((one, two)) or one == two)
    browser = hub.browser()
    browser.get("/hub/login")
    if secret == "the shared password":
        assert browser.submit("/hub/login", username="alice", password="a wrong guess").status_code == 403
        assert (An.PASSWORD.encode(), b"a wrong guess") in compared
    elif secret == "an XSRF token":
        browser.log_in("alice")
        assert browser.post("/hub/token", data={"_xsrf": "a wrong guess"}).status_code == 403
        assert any(two == b"a wrong guess" for _, two in compared)
    else:
        client = {"grant_type": "authorization_code", "code": "x", "client_id": "service-checker"}
        assert hub.client.post("/hub/api/oauth2/token", data=client | {"client_secret": "guess"}).status_code == 401
        assert any(two == sha256("guess") for _, two in compared)
