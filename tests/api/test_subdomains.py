"""Each user and service at a host of their own: where everything leads, and what the hub answers at which host."""

from dataclasses import replace
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from hubless.domain.messages import Message, MessageKind
from tests.api.hub import SETTINGS, An, build_hub
from tests.support.fakes import InstantEdge, ScriptedLauncher, ScriptedReadiness, SleepyMachine

JSON = {"Accept": "application/json"}
HUB, ALICES, BOBS, CHECKERS = (f"https://{label}hub.test" for label in ("", "alice.", "bob.", "checker--service."))
CHECKER = """name = "checker"
url = "http://127.0.0.1:18555"
token = "checker-service-token-0123456789"
oauth_no_confirm = true"""
SUBDOMAINS = f"""
[hub]
public_url = "{HUB}"
subdomains = true
{SETTINGS.partition("[[services]]")[0]}
[[services]]
name = "admin"
token = "{An.ADMIN_TOKEN}"
admin = true

[[services]]
{CHECKER}

[[services]]
name = "elsewhere"
token = "elsewhere-service-token-0123456789"
oauth_redirect_uri = "https://elsewhere.example/callback"
oauth_no_confirm = true

[[roles]]
name = "user"
scopes = ["self", "access:services", "shares!user", "read:users:name"]
"""


@pytest.fixture
def hub(tmp_path):
    made = build_hub(tmp_path, SUBDOMAINS)
    made.hub.launcher, made.hub.readiness = ScriptedLauncher(), ScriptedReadiness()
    return made


@pytest.fixture
def launched(hub):
    """Return what alice's server was launched with; it runs."""
    return launch(hub, "alice")


def launch(hub, name):
    server = hub.hub.spawning.start(hub.user(name), "")
    hub.hub.launching.on_message(Message(MessageKind.LAUNCH, server.id, server.launch_id))
    hub.hub.launching.reconcile_pending()
    InstantEdge(hub.hub.routes, hub.hub.clock).look()
    hub.hub.launching.reconcile_pending()
    return hub.hub.launcher.started[-1]


def browser(hub, name=None, *, at=HUB):
    return hub.browser(name, address=at)


def led_to(answer):
    assert answer.status_code in {302, 303}, answer.text
    return answer.headers["location"]


@pytest.mark.parametrize(("place", "status"), [(ALICES, 302), (BOBS, 200), ("https://other.example", 200), (None, 200)])
def test_a_users_own_server_leads_to_a_start_and_no_other(hub, place, status):
    hub.user("bob")
    sent = {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "navigate"} | ({"Referer": f"{place}/"} if place else {})
    answer = browser(hub, "alice").get("/hub/spawn/alice", headers=sent)
    assert answer.status_code == status
    assert len(hub.hub.servers.of_owners([hub.user("alice").id])) == (status == 302)


# --- what servers and their visitors get ---


def test_a_server_gets_its_own_address_and_the_hubs(launched):
    received = launched.environment
    assert received["JUPYTERHUB_HOST"] == HUB
    assert received["JUPYTERHUB_PUBLIC_URL"] == f"{ALICES}/user/alice/"
    assert received["JUPYTERHUB_PUBLIC_HUB_URL"] == f"{HUB}/hub/"
    assert received["JUPYTERHUB_OAUTH_CALLBACK_URL"] == f"{ALICES}/user/alice/oauth_callback"
    assert received["JUPYTERHUB_SERVICE_PREFIX"] == "/user/alice/"
    assert received["JUPYTERHUB_COOKIE_HOST_PREFIX_ENABLED"] == "1"


def test_models_hold_addresses_as_jupyterhubs_do(hub, launched):
    api = hub.as_user("alice")
    user = api.get("/users/alice").json()
    server = user["servers"][""]
    assert user["server"] == server["url"] == server["full_url"] == f"{ALICES}/user/alice/"
    assert server["progress_url"] == "/hub/api/users/alice/server/progress"
    assert server["full_progress_url"] == f"{HUB}{server['progress_url']}"
    assert f'"url": "{ALICES}/user/alice/"' in api.get("/users/alice/server/progress").text
    share = api.post("/share-codes/alice/", {}).json()
    assert share["server"]["url"] == share["server"]["full_url"] == f"{ALICES}/user/alice/"
    assert share["full_accept_url"] == f"{HUB}{share['accept_url']}"
    routes = hub.as_token(An.ADMIN_TOKEN).get("/proxy").json()
    assert routes["alice.hub.test/user/alice/"]["routespec"] == "alice.hub.test/user/alice/"
    assert routes["alice.hub.test/user/alice/"]["data"]["user"] == "alice"


def test_pages_link_to_each_ones_host(hub, launched):
    hub.as_user("alice").post("/shares/alice/", {"user": hub.user("bob").name})
    assert f'href="{ALICES}/user/alice/"' in browser(hub, "alice").get("/hub/home").text
    bobs = browser(hub, "bob").get("/hub/home").text
    assert 'href="/hub/open/alice"' in bobs  # asks at the hub's host, then leads to hers
    assert f'href="{CHECKERS}/services/checker/"' in bobs


# --- redirects of people ---


def test_who_logs_in_comes_to_their_server_at_its_host(hub, launched):
    person = browser(hub)
    assert led_to(person.log_in("alice")) == f"{ALICES}/user/alice/"
    for path, place in {
        "/hub/": "/user/alice/",
        "/hub/login": "/user/alice/",
        "/hub/spawn": "/user/alice/",
        "/hub/spawn-pending/alice": "/user/alice/",
        "/hub/spawn?next=/user/alice/lab%3Fx=1": "/user/alice/lab?x=1",
        "/hub/login?next=/user/alice/tree": "/user/alice/tree",
        f"/hub/login?next={ALICES}/user/alice/tree": "/user/alice/tree",
    }.items():
        assert led_to(person.get(path)) == f"{ALICES}{place}", path
    assert led_to(person.get(f"/hub/login?next={ALICES}/hub/token")) == "/hub/token"
    assert led_to(person.get("/hub/login?next=https://evil.example/user/alice/")) == f"{ALICES}/user/alice/"


def test_a_link_to_ones_own_server_starts_it_and_goes_on_at_its_host(hub):
    person = browser(hub, "alice")
    start = led_to(person.get("/hub/user-redirect/git-pull?repo=a/b"))
    assert led_to(person.get(start)).startswith("/hub/spawn-pending/alice?next=")
    assert f'data-next-url="{ALICES}/user/alice/git-pull?repo=a/b"' in person.get(led_to(person.get(start))).text


@pytest.mark.parametrize("at", [HUB, BOBS])
def test_a_servers_path_at_another_host_leads_to_its_own_by_the_hub(hub, launched, at):
    by_the_hub = led_to(browser(hub, at=at).get("/user/alice/lab/tree/a%2Fb?x=1"))
    assert by_the_hub.removeprefix(HUB) == "/hub/user/alice/lab/tree/a%2Fb?x=1"
    person = browser(hub)
    assert led_to(person.get(by_the_hub)).startswith(f"{HUB}/hub/login?next=%2Fhub%2Fuser%2Falice%2Flab")
    person.log_in("alice")
    assert led_to(person.get(by_the_hub)) == f"{ALICES}/user/alice/lab/tree/a%2Fb?x=1&redirects=1"
    assert person.get(by_the_hub + "&redirects=5").status_code == 503
    assert led_to(person.get(by_the_hub + "&redirects=-5")).endswith("&redirects=1")


def test_a_services_path_at_another_host_leads_to_its_own(hub):
    assert led_to(browser(hub).get("/services/checker/a%20b?x=1")) == "/hub/services/checker/a%20b?x=1"
    assert (
        led_to(browser(hub).get("/hub/services/checker/a%20b?x=1"))
        == f"{CHECKERS}/services/checker/a%20b?x=1&redirects=1"
    )
    assert (
        browser(hub).get("/hub/services/elsewhere/").status_code
        == browser(hub).get("/hub/services/none/").status_code
        == 404
    )
    assert led_to(browser(hub).get("/hub/services/checker")) == f"{CHECKERS}/services/checker/?redirects=1"
    received = browser(hub).get("/hub/services/checker/?redirects=2")
    assert (received.status_code, "The service checker cannot be reached" in received.text) == (503, True)


def test_who_accepts_a_share_comes_to_the_servers_host(hub, launched):
    code = hub.as_user("alice").post("/share-codes/alice/", {}).json()["code"]
    assert led_to(browser(hub, "bob").submit(f"/hub/accept-share?code={code}")) == f"{ALICES}/user/alice/"


# --- what the hub answers at which host ---


@pytest.mark.parametrize("at", [ALICES, CHECKERS, "https://hub.test.evil.example", "https://10.0.0.1:8000", f"{HUB}."])
@pytest.mark.parametrize(
    "path",
    [
        "/hub/login?next=%2Fx",
        "/hub/home",
        "/hub",
        "/hub/sign-up",
        "/hub/api/oauth2/authorize?client_id=x",
        "/hub/api/docs",
    ],
)
def test_none_of_the_hubs_pages_is_at_another_host(hub, at, path):
    answer = browser(hub, at=at).get(path)
    assert led_to(answer) == f"{HUB}{path}"
    assert "set-cookie" not in answer.headers


def test_everything_else_at_a_users_host_leads_to_the_hub(hub):
    assert led_to(browser(hub, at=ALICES).get("/")) == f"{HUB}/hub/"
    assert led_to(browser(hub, at=ALICES).get(f"{ALICES}//evil.example/x")) == f"{HUB}/hub/evil.example/x"
    assert led_to(browser(hub, at=ALICES).get("/hub/..%2f/x")) == f"{HUB}/hub/..%2f/x"


def test_nobody_logs_in_or_changes_anything_at_another_host(hub):
    person = browser(hub, "alice")
    here = {"Cookie": "; ".join(f"{cookie.name}={cookie.value}" for cookie in person.cookies.jar)}
    for path in ("/hub/login", "/hub/spawn", "/hub/home/new-server", "/hub/api/oauth2/authorize?client_id=x"):
        form = {"_xsrf": person.xsrf, "username": "alice", "password": An.PASSWORD}
        answer = browser(hub, at=ALICES).post(path, data=form, headers=here)
        assert (answer.status_code, "set-cookie" in answer.headers) == (403, False), path
    assert browser(hub).get("/hub/api/user", headers=here).json()["name"] == "alice"
    assert browser(hub, at=ALICES).get("/hub/api/user", headers=here).status_code == 403
    assert browser(hub, at=ALICES).get("/hub/token", headers=here).status_code == 302


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost:8000", "[::1]:8000"])
def test_a_proxy_that_replaces_host_is_told_and_not_redirected(hub, host):
    for path in ("/hub/home", "/user/alice/lab"):
        answer = browser(hub, at=f"https://{host}").get(path)
        assert (answer.status_code, "location" in answer.headers) == (400, False)
        assert f"Open {HUB}" in answer.json()["message"]
        assert "proxy_set_header Host $http_host" in answer.json()["message"]


def test_the_api_answers_programs_with_a_token_at_any_of_its_hosts(hub):
    secret = hub.as_user("alice").secret
    for at in (HUB, ALICES, "http://127.0.0.1:8000"):
        asked = browser(hub, at=at)
        assert asked.get("/hub/api/user", headers={"Authorization": f"token {secret}"}).json()["name"] == "alice"
        assert asked.get("/hub/health").status_code == asked.get("/hub/api/health").status_code == 200
        assert asked.get("/favicon.ico").status_code == 200
        assert asked.get("/hub/static/style.css").status_code == 200  # caches may keep it for every host


def test_scripts_get_an_error_at_their_own_host_when_the_server_is_gone(hub):
    page = browser(hub, at=ALICES)
    for method, accept in (("GET", "application/json"), ("POST", "*/*")):
        received = page.request(method, "/user/alice/api/kernels", headers={"Accept": accept})
        assert received.status_code == 424
        assert received.json()["message"].endswith(f"Restart the server at {HUB}/hub/spawn/alice")
    assert led_to(page.get("/user/alice/lab")) == f"{HUB}/hub/user/alice/lab"
    assert led_to(browser(hub, at=BOBS).get("/user/alice/api/kernels")) == f"{HUB}/hub/user/alice/api/kernels"


@pytest.fixture
def sleepy(hub, launched):
    """The edge's machine, which sleeps while alice's server runs."""
    machine = SleepyMachine(hub.hub.routes, hub.hub.clock)
    machine.stop()
    hub.hub.routes.forget_edge("edge-1")
    machine.calls.clear()
    hub.hub.edge_autosuspend = replace(hub.hub.edge_autosuspend, machine=machine)
    return machine


@pytest.mark.parametrize("path", ["/user/alice/api/kernels", "/user/alice/api/../x"])
def test_scripts_get_a_retry_after_while_a_running_server_is_unreachable(hub, launched, path):
    for method in ("GET", "POST"):
        received = browser(hub, at=ALICES).request(method, path.replace("..", "%2e."), headers=JSON)
        assert (received.status_code, received.headers["retry-after"], received.headers["cache-control"]) == (
            503,
            "5",
            "no-store",
        )
        assert received.json()["message"] == "The server runs but does not answer. Try again in a moment."


def test_nobody_who_is_not_logged_in_starts_the_edge(hub, sleepy):
    for _ in range(3):
        received = browser(hub, at=ALICES).get("/user/alice/api/kernels", headers=JSON)
        assert (received.status_code, received.json()["message"][:27]) == (503, "The hub's proxy is starting")
    assert sleepy.calls == []
    hub.hub.edge_autosuspend.reconcile(is_needed=True)  # as the sweep does while alice's server runs
    assert sleepy.calls == ["start"]
    assert browser(hub, at=BOBS).get("/user/bob/api/kernels", headers=JSON).status_code == 424


def test_a_program_with_a_token_is_redirected_or_refused_at_its_host(hub, launched):
    token = {"Authorization": f"token {hub.as_user('alice').secret}", **JSON}
    at = browser(hub, at=ALICES)
    assert (
        led_to(at.get("/user/alice/api/kernels?a=1", headers=token))
        == f"{ALICES}/user/alice/api/kernels?a=1&redirects=1"
    )
    assert at.get("/user/alice/api/kernels?redirects=2", headers=token).status_code == 503
    assert at.post("/user/alice/api/kernels", headers=token).status_code == 503
    bobs = {"Authorization": f"token {hub.as_user('bob').secret}", **JSON}
    received = at.get("/user/alice/api/kernels", headers=bobs)
    assert (received.status_code, received.json()["status"]) == (404, 404)


@pytest.mark.parametrize(
    "path", ["/user/%ff/x", "/user/alice/%ff", "/hub/static/none.css", "/hub/static", "/hub/metrics/x", "/hub/api/%ff"]
)
def test_no_page_of_the_hubs_tells_of_an_error_at_another_host(hub, path):
    received = browser(hub, at=ALICES).get(path)
    assert (received.status_code, received.headers["content-type"]) == (404, "application/json")
    assert received.json()["status"] == 404


def test_the_login_cookie_stays_with_the_hub_and_the_session_id_is_shared(hub):
    person = browser(hub)
    person.get("/hub/login")
    answer = person.post("/hub/login", data={"username": "alice", "password": An.PASSWORD, "_xsrf": person.xsrf})
    set_by = {line.partition("=")[0]: line for line in answer.headers.get_list("set-cookie")}
    assert "Domain" not in set_by["__Host-jupyterhub-hub-login"] + set_by["_xsrf"]
    assert "Domain=hub.test" in set_by["jupyterhub-session-id"]
    ended = {line.partition("=")[0]: line for line in person.get("/hub/logout").headers.get_list("set-cookie")}
    assert "Domain=hub.test" in ended["jupyterhub-session-id"]


@pytest.mark.parametrize(
    "sent", [{"Sec-Fetch-Site": "same-site"}, {"Origin": ALICES}, {"Origin": "https://hub.test:8443"}]
)
def test_a_page_of_a_users_server_changes_nothing_even_with_the_xsrf_token(hub, sent):
    person = browser(hub, "bob")
    assert person.submit("/hub/spawn").status_code == 303
    for path in ("/hub/spawn", "/hub/stop/bob", "/hub/token"):
        assert person.post(path, data={"_xsrf": person.xsrf}, headers=sent).status_code == 403
    proof = {"X-XSRFToken": person.xsrf, **sent}
    assert person.post("/hub/api/users/bob/tokens", json={}, headers=proof).status_code == 403
    reading = {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "cors"}
    answer = person.get("/hub/api/user", headers=reading)
    assert answer.status_code == 403
    assert "access-control-allow-origin" not in answer.headers


# --- OAuth ---


def authorize(person, client_id, **more):
    return person.get(
        "/hub/api/oauth2/authorize?" + urlencode({"client_id": client_id, "response_type": "code", "state": "s"} | more)
    )


def exchange(hub, client_id, secret, answer, **more):
    (code,) = parse_qs(urlsplit(led_to(answer)).query)["code"]
    form = {"grant_type": "authorization_code", "code": code, "client_id": client_id, "client_secret": secret} | more
    return hub.client.post("/hub/api/oauth2/token", data=form)


def test_a_server_gets_its_code_at_its_own_host(hub, launched):
    client, secret = launched.environment["JUPYTERHUB_CLIENT_ID"], launched.secrets["JUPYTERHUB_API_TOKEN"]
    callback = {"redirect_uri": f"{ALICES}/user/alice/oauth_callback"}
    answer = authorize(browser(hub, "alice"), client, **callback)
    assert led_to(answer).startswith(f"{ALICES}/user/alice/oauth_callback?code=")
    assert exchange(hub, client, secret, answer, **callback).status_code == 200
    for elsewhere in (
        f"{BOBS}/user/alice/oauth_callback",
        f"{HUB}/user/alice/oauth_callback",
        "/user/bob/oauth_callback",
    ):
        assert authorize(browser(hub, "alice"), client, redirect_uri=elsewhere).status_code == 400


def test_nobody_gets_a_code_for_a_server_that_is_not_theirs(hub, launched):
    callback = {"redirect_uri": f"{ALICES}/user/alice/oauth_callback"}
    assert authorize(browser(hub, "bob"), launched.environment["JUPYTERHUB_CLIENT_ID"], **callback).status_code == 403


@pytest.mark.parametrize(
    "given", ["/services/checker/oauth_callback", f"{CHECKERS}/services/checker/oauth_callback", None]
)
def test_a_service_gets_its_code_at_its_own_host_with_any_redirect(hub, given):
    callback = {"redirect_uri": given} if given else {}
    answer = authorize(browser(hub, "alice"), "service-checker", **callback)
    assert led_to(answer).startswith(f"{CHECKERS}/services/checker/oauth_callback?code=")
    assert exchange(hub, "service-checker", "checker-service-token-0123456789", answer, **callback).status_code == 200


def test_a_service_with_an_address_of_its_own_keeps_it(hub):
    answer = authorize(browser(hub, "alice"), "service-elsewhere", redirect_uri="https://elsewhere.example/callback")
    assert led_to(answer).startswith("https://elsewhere.example/callback?code=")


def test_a_server_launched_before_subdomains_still_gets_its_code(hub, launched):
    server = hub.hub.servers.find(hub.user("alice").id, "")
    kept = hub.hub.clients.get(launched.environment["JUPYTERHUB_CLIENT_ID"])
    before = type(kept)(
        **{name: getattr(kept, name) for name in kept.__slots__} | {"redirect_uri": "/user/alice/oauth_callback"}
    )
    token = hub.hub.credentials._token(
        server, hub.user("alice"), launched.secrets["JUPYTERHUB_API_TOKEN"], "/user/alice/"
    )
    hub.hub.clients.put(before, token)
    answer = authorize(browser(hub, "alice"), kept.id, redirect_uri="/user/alice/oauth_callback")
    assert led_to(answer).startswith(f"{ALICES}/user/alice/oauth_callback?code=")


def test_a_request_without_a_host_gets_no_page(hub):
    answer = browser(hub).get("/hub/login", headers={"Host": ""})
    assert answer.status_code == 400
    assert "does not send the requested host" in answer.json()["message"]
