import html
import re
from datetime import timedelta

import pytest

from tests.api.hub import SETTINGS, An, build_hub

HTTPS = "https://hub.test"


def cookies_of(answer):
    """Return the cookies that an answer sets, by name, each with its attributes."""
    lines = answer.headers.get_list("set-cookie")
    return {line.partition("=")[0]: line.partition("; ")[2].lower() for line in lines}


def test_over_https_the_login_cookie_is_one_that_no_sibling_can_plant(hub):
    browser = hub.browser(address=HTTPS)
    set_by = cookies_of(browser.log_in("alice"))
    login = set_by["__Host-jupyterhub-hub-login"]
    assert {"secure", "httponly", "path=/", "samesite=lax"} <= set(login.split("; "))
    assert "domain" not in login
    assert all("secure" in attributes for attributes in set_by.values())
    assert browser.get("/hub/home").status_code == 200


def test_over_https_a_planted_cookie_of_the_plain_name_counts_for_nothing(hub):
    plain = hub.browser("alice").cookies.get("jupyterhub-hub-login", path="/hub/")
    browser = hub.browser(address=HTTPS)
    browser.cookies.set("jupyterhub-hub-login", plain, domain="hub.test", path="/hub/")
    assert browser.get("/hub/home").headers["location"].startswith("/hub/login")


def test_over_http_the_login_cookie_goes_to_the_hub_only(hub):
    browser = hub.browser()
    login = cookies_of(browser.log_in("alice"))["jupyterhub-hub-login"]
    assert {"httponly", "path=/hub/", "samesite=lax"} <= set(login.split("; "))


@pytest.mark.parametrize("address", ["http://hub.test", HTTPS])
def test_logging_out_ends_the_session_and_takes_the_cookies_away(hub, address):
    browser = hub.browser("alice", address=address)
    kept = dict(browser.cookies)
    name = next(name for name in kept if name.endswith("hub-login"))
    assert cookies_of(browser.get("/hub/logout"))[name].find("max-age=0") >= 0
    assert not any(cookie.endswith("hub-login") for cookie in browser.cookies)
    again = hub.browser(address=address)
    again.cookies.set(name, kept[name], domain="hub.test", path="/")
    assert again.get("/hub/home").headers["location"].startswith("/hub/login")


def listed(browser):
    return re.findall(r'name="session_id" value="([^"]+)"', browser.get("/hub/account").text)


def test_a_session_is_listed_to_its_owner_and_ended_at_once(hub):
    here = hub.browser("alice")
    own = listed(here)
    there = hub.browser("alice")
    other = [session for session in listed(here) if session not in own]
    assert len(other) == 1
    assert here.submit("/hub/account/end-session", session_id=other[0]).status_code == 303
    assert there.get("/hub/home").headers["location"].startswith("/hub/login")
    assert here.get("/hub/home").status_code == 200


def test_a_user_cannot_end_another_users_session(hub):
    alice, bob = hub.browser("alice"), hub.browser("bob")
    bob.submit("/hub/account/end-session", session_id=listed(alice)[0])
    assert alice.get("/hub/home").status_code == 200


def test_the_api_lists_a_session_and_ends_it_with_all_tokens_issued_in_it(hub, admin):
    browser, other = hub.browser("alice"), hub.browser("alice")
    alice = hub.as_user("alice")
    received = alice.get("/users/alice/sessions").json()["sessions"]
    assert [(one["agent"], set(one)) for one in received] == [
        ("a browser", {"id", "created", "expires_at", "agent"})
    ] * 2
    issued = hub.as_user("alice", session_id=received[0]["id"])
    assert issued.get("/user").status_code == 200
    assert alice.delete(f"/users/alice/sessions/{received[0]['id']}").status_code == 204
    assert alice.delete(f"/users/alice/sessions/{received[0]['id']}").status_code == 404
    assert issued.get("/user").status_code == 403
    assert browser.get("/hub/home").status_code == 302
    assert other.get("/hub/home").status_code == 200


def test_only_a_holder_of_the_scope_can_end_all_sessions_of_a_user(hub, admin, bob):
    browsers = [hub.browser("alice"), hub.browser("alice")]
    for method in ("GET", "DELETE"):
        assert bob(method, "/users/alice/sessions").status_code == 404
    assert hub.as_user("alice", ["read:tokens!user"]).delete("/users/alice/sessions").status_code == 403
    assert {browser.get("/hub/home").status_code for browser in browsers} == {200}
    assert admin.delete("/users/alice/sessions").status_code == 204
    assert {browser.get("/hub/home").status_code for browser in browsers} == {302}


def test_an_admin_logs_somebody_out_on_the_admin_page(hub):
    hub.user("boss", admin=True)
    boss, alice, bob = hub.browser("boss"), hub.browser("alice"), hub.browser("bob")
    assert bob.submit("/hub/admin/users/alice/log-out").status_code == 404
    assert boss.post("/hub/admin/users/alice/log-out", data={}).status_code == 403
    assert alice.get("/hub/home").status_code == 200
    boss.submit("/hub/admin/users/alice/log-out")
    assert "alice is logged out everywhere" in boss.get("/hub/admin").text
    assert alice.get("/hub/home").status_code == 302


def test_a_session_ends_at_its_time_whether_or_not_it_is_swept(hub, monkeypatch):
    browser = hub.browser("alice")
    later = hub.hub.clock.now() + hub.hub.settings.hub.cookie_max_age + timedelta(seconds=1)
    monkeypatch.setattr(type(hub.hub.clock), "now", lambda _: later)
    assert browser.get("/hub/home").headers["location"].startswith("/hub/login")


def test_a_session_belongs_to_a_person_and_not_to_a_name(hub, admin):
    browser = hub.browser("alice")
    assert admin.patch("/users/alice", {"name": "alicia"}).status_code == 200
    hub.user("alice")
    assert "alicia" in browser.get("/hub/home").text
    assert browser.get("/hub/api/user", headers={"Sec-Fetch-Mode": "navigate"}).json()["name"] == "alicia"


def test_a_removed_user_is_logged_out_and_a_namesake_is_not_logged_in(hub, admin):
    browser = hub.browser("alice")
    assert admin.delete("/users/alice").status_code == 204
    hub.user("alice")
    assert browser.get("/hub/home").headers["location"].startswith("/hub/login")


# --- requests that a foreign page made --------------------------------------------------------------------------------


SITES, MODES = (
    (None, "same-origin", "same-site", "cross-site", "none"),
    (None, "navigate", "no-cors", "cors", "same-origin"),
)


def fetch_headers(site, mode):
    return {k: v for k, v in (("Sec-Fetch-Site", site), ("Sec-Fetch-Mode", mode)) if v is not None}


@pytest.mark.parametrize("site", SITES)
@pytest.mark.parametrize("mode", MODES)
def test_without_its_token_nothing_is_changed_whatever_the_browser_says(hub, site, mode):
    browser = hub.browser("alice")
    tried = [
        browser.post("/hub/spawn", data={}, headers=fetch_headers(site, mode)),
        browser.post("/hub/token", data={"note": "x"}, headers=fetch_headers(site, mode)),
        browser.post("/hub/stop/alice", data={}, headers=fetch_headers(site, mode)),
        browser.post("/hub/api/users/alice/tokens", json={}, headers=fetch_headers(site, mode)),
        browser.request("DELETE", "/hub/api/users/alice/server", headers=fetch_headers(site, mode)),
    ]
    assert {answer.status_code for answer in tried} == {403}
    assert hub.hub.servers.of_owners([hub.user("alice").id]) == []


@pytest.mark.parametrize(
    ("site", "mode"), [(s, m) for s in ("same-site", "cross-site") for m in ("no-cors", "cors", "same-origin")]
)
def test_a_foreign_pages_read_starts_no_server(hub, site, mode):
    browser = hub.browser("alice")
    for path in ("/hub/spawn", "/hub/spawn/alice", "/hub/user-redirect/lab", "/hub/api/user"):
        assert browser.get(path, headers=fetch_headers(site, mode)).status_code == 403
    assert hub.hub.servers.of_owners([hub.user("alice").id]) == []


START_LINKS = ("/hub/spawn", "/hub/spawn/alice", "/hub/spawn/alice?profile=default", "/hub/spawn/alice/lab")


@pytest.mark.parametrize("path", START_LINKS)
@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_link_on_another_site_starts_a_server_after_a_click(hub, path, site):
    browser = hub.browser("alice")
    there = path + ("&" if "?" in path else "?") + "next=/user/alice/tree"
    asked = browser.get(there, headers=fetch_headers(site, "navigate"))
    assert asked.status_code == 200
    assert "Start my server" in asked.text
    assert hub.hub.servers.of_owners([hub.user("alice").id]) == []

    action = html.unescape(re.search('action="([^"]*spawn[^"]*)"', asked.text)[1])
    chosen = dict(re.findall('<input type="hidden" name="(profile)" value="([^"]*)">', asked.text))
    started = browser.submit(action, **chosen)
    assert started.status_code == 303
    assert started.headers["location"].endswith("?next=%2Fuser%2Falice%2Ftree")
    (server,) = hub.hub.servers.of_owners([hub.user("alice").id])
    assert server.user_options == chosen == ({"profile": "default"} if "profile" in path else {})


@pytest.mark.parametrize("site", ["none", "same-origin"])
@pytest.mark.parametrize("path", START_LINKS)
def test_an_address_that_is_typed_or_on_our_pages_starts_a_server(hub, path, site):
    assert hub.browser("alice").get(path, headers=fetch_headers(site, "navigate")).status_code == 302
    assert len(hub.hub.servers.of_owners([hub.user("alice").id])) == 1


def test_a_click_repeats_the_options_and_keeps_the_name_of_the_link(hub):
    alice, browser = hub.user("alice"), hub.browser("alice")
    hub.hub.spawning.create(alice, "old", user_options={"profile": "default"})
    for path in ("/hub/spawn/alice/old", "/hub/spawn/alice/new?profile=default&display_name=The+new+one"):
        asked = browser.get(path, headers=fetch_headers("cross-site", "navigate"))
        chosen = {"profile": "default"} if "new" in path else {}
        browser.submit(html.unescape(re.search('action="([^"]*spawn[^"]*)"', asked.text)[1]), **chosen)
    old, new = (hub.hub.servers.find(alice.id, name) for name in ("old", "new"))
    assert (old.user_options, old.state.value) == ({"profile": "default"}, "requested")
    assert (new.display_name, new.state.value) == ("The new one", "requested")


def test_without_fetch_metadata_the_strict_cookie_tells_the_site(hub):
    browser = hub.browser("alice")
    assert "samesite=strict" in next(
        line.lower()
        for line in hub.browser().log_in("bob").headers.get_list("set-cookie")
        if line.startswith("jupyterhub-hub-own-page=")
    )
    # A browser leaves the cookie out where another site led it here.
    kept = browser.cookies.get("jupyterhub-hub-own-page")
    browser.cookies.delete("jupyterhub-hub-own-page", domain="hub.test", path="/hub/")
    asked = browser.get("/hub/spawn")
    assert (asked.status_code, kept) == (200, "1")
    assert "Start my server" in asked.text
    assert browser.get("/hub/spawn").status_code == 302  # the page gave it again, and now the address was typed


def test_a_start_by_a_link_needs_no_click_where_settings_say_so(tmp_path):
    hub = build_hub(tmp_path, SETTINGS.replace("[servers]", "[servers]\nstart_by_link = true"))
    browser = hub.browser("alice")
    assert browser.get("/hub/spawn", headers=fetch_headers("cross-site", "navigate")).status_code == 302


def test_a_program_with_a_token_is_led_by_no_site(hub):
    api = hub.as_user("alice")
    sent = api.headers | fetch_headers("cross-site", "navigate")
    assert hub.client.get("/hub/spawn", headers=sent).status_code == 302


def test_a_token_of_another_session_proves_nothing(hub):
    alice, bob = hub.browser("alice"), hub.browser("bob")
    assert alice.post("/hub/token", data={"_xsrf": bob.xsrf, "note": "x"}).status_code == 403
    assert alice.post("/hub/token", data={"_xsrf": hub.browser("alice").xsrf}).status_code == 403
    assert alice.submit("/hub/token", note="x").status_code == 303


def test_a_cookie_with_a_form_is_no_client_of_the_api(hub):
    browser = hub.browser("alice")
    for kind in ("application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/plain"):
        sent = {"Content-Type": kind, "X-XSRFToken": browser.xsrf}
        assert browser.post("/hub/api/users/alice/tokens", content="{}", headers=sent).status_code == 403
    sent = {"Content-Type": "application/json", "X-XSRFToken": browser.xsrf}
    assert browser.post("/hub/api/users/alice/tokens", content="{}", headers=sent).status_code == 201


FOREIGN = [
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "same-site", "Origin": "http://hub.test"},
    {"Origin": "http://evil.example"},
    {"Origin": "null"},
    {"Origin": ""},
    {"Origin": "http://hub.test.evil.example"},
    {"Origin": "http://hub.test:81"},
    {"Origin": "http://bob.hub.test"},
]
OWN = [
    {},
    {"Origin": "http://hub.test"},
    {"Sec-Fetch-Site": "same-origin", "Origin": "http://hub.test"},
    {"Sec-Fetch-Site": "none"},
    {"Origin": "https://hub.example", "X-Forwarded-Host": "hub.example"},
]


@pytest.mark.parametrize("headers", FOREIGN)
def test_a_foreign_page_that_got_hold_of_the_token_still_changes_nothing(hub, headers):
    alice = hub.browser("alice")
    assert alice.post("/hub/token", data={"_xsrf": alice.xsrf}, headers=headers).status_code == 403
    sent = {"X-XSRFToken": alice.xsrf, "Content-Type": "application/json", **headers}
    assert alice.post("/hub/api/users/alice/tokens", content="{}", headers=sent).status_code == 403
    assert hub.hub.tokens.of(hub.user("alice")) == []


@pytest.mark.parametrize("headers", FOREIGN)
def test_nobody_is_logged_in_by_a_foreign_page_under_a_name_of_its_choice(hub, headers):
    browser = hub.browser()
    answer = browser.log_in("mallory", headers=headers)
    assert answer.status_code == 403
    assert "jupyterhub-hub-login" not in browser.cookies


@pytest.mark.parametrize("headers", OWN)
def test_the_hubs_own_pages_may_change_what_they_are_for(hub, headers):
    alice = hub.browser()
    assert alice.log_in("alice", headers=headers).status_code == 302
    assert alice.post("/hub/token", data={"_xsrf": alice.xsrf}, headers=headers).status_code == 303


@pytest.fixture
def fronted(tmp_path):
    """Return a hub that knows its own address, behind a proxy that replaces Host."""
    return build_hub(tmp_path / "fronted", settings='hub.public_url = "https://hub.example.org"\n' + SETTINGS)


@pytest.mark.parametrize("address", ["http://127.0.0.1:8000", "http://backend.internal"])
def test_public_url_says_which_page_is_the_hubs_own_whatever_the_host(fronted, address):
    own, foreign = {"Origin": "https://hub.example.org"}, {"Origin": "http://backend.internal"}
    for headers, status in ((own, 302), (foreign, 403), ({"Origin": "http://hub.example.org"}, 403)):
        browser = fronted.browser(address=address)
        browser.get("/hub/login")
        xsrf = re.search(r'name="_xsrf" value="([^"]+)"', browser.get("/hub/login").text)[1]
        form = {"username": "alice", "password": An.PASSWORD, "_xsrf": xsrf}
        answer = browser.post("/hub/login", data=form, headers={**headers, "Cookie": f"_xsrf={xsrf}"})
        assert answer.status_code == status, headers
    assert "the hub is at https://hub.example.org. Open the hub there" in answer.text


def test_on_the_machine_itself_the_host_counts_beside_public_url(fronted):
    for address in ("http://127.0.0.1:8000", "http://localhost:8000", "http://[::1]:8000"):
        asked = fronted.browser(address=address)
        asked.get("/hub/login")
        xsrf = re.search(r'name="_xsrf" value="([^"]+)"', asked.get("/hub/login").text)[1]
        form = {"username": "alice", "password": An.PASSWORD, "_xsrf": xsrf}
        answer = asked.post("/hub/login", data=form, headers={"Origin": address, "Cookie": f"_xsrf={xsrf}"})
        assert answer.status_code == 302


def test_a_proxy_that_replaces_host_is_told_what_to_set(hub):
    browser = hub.browser(address="http://127.0.0.1:8000")
    answer = browser.log_in("alice", headers={"Origin": "http://hub.example.org"})
    assert answer.status_code == 403
    for words in ("arrived for 127.0.0.1:8000", 'public_url = "http://hub.example.org"', "proxy_set_header Host"):
        assert words in html.unescape(answer.text)
    alice = hub.browser("alice")
    sent = {"X-XSRFToken": alice.xsrf, "Content-Type": "application/json", "Origin": "http://hub.example.org"}
    said = alice.post("/hub/api/users/alice/tokens", content="{}", headers=sent)
    assert (said.status_code, 'public_url = "http://hub.example.org"' in said.json()["message"]) == (403, True)


# --- cookies that pile up ---

STATES = [f"jupyterhub-user-alice-oauth-state-{n:06}" for n in range(60)]


def removed(answer):
    """Return the cookies that an answer removes, as (name, path)."""
    lines = [line for line in answer.headers.get_list("set-cookie") if "Max-Age=0" in line]
    return {(line.partition("=")[0], re.search(r"Path=([^;]+)", line)[1]) for line in lines}


def test_a_login_removes_cookies_of_logins_that_did_not_end_but_the_newest(hub):
    cookies = "; ".join(f"{name}=x" for name in ["service-grades-oauth-state", *STATES[:5], "other-oauth-state-1", "a"])
    browser = hub.browser()
    browser.get("/hub/login")
    form = {"username": "alice", "password": An.PASSWORD, "_xsrf": browser.xsrf}
    answer = browser.post("/hub/login", data=form, headers={"Cookie": f"{cookies}; _xsrf={browser.xsrf}"})
    assert answer.status_code == 302
    assert removed(answer) == {(name, "/") for name in ["service-grades-oauth-state", *STATES[:3]]}


def test_a_stopped_servers_cookies_are_removed_below_its_prefix(hub):
    header = {"Cookie": "; ".join(f"{name}={'x' * 90}" for name in STATES)}
    answer = hub.browser().get("/user/alice/lab/tree/x", headers=header)
    assert removed(answer) == {
        (name, path) for name in STATES[:40] for path in ("/", "/user/alice/", "/user/alice/lab/")
    }
    assert sum(map(len, answer.headers.get_list("set-cookie"))) < 32_000
    few = {"Cookie": f"{STATES[0]}=x; {STATES[1]}=x"}
    assert removed(hub.browser().get("/user/alice/lab", headers=few)) == set()


def test_of_two_login_cookies_neither_counts(hub):
    """A page beside the hub may plant one for another path; which of the two is the person's, nothing tells."""
    alice, bob = hub.browser("alice"), hub.browser("bob")
    secrets = [browser.cookies.get("jupyterhub-hub-login", path="/hub/") for browser in (alice, bob)]
    for pair in (secrets, secrets[::-1]):
        both = "; ".join(f"jupyterhub-hub-login={secret}" for secret in pair)
        for token in (alice.xsrf, bob.xsrf):
            answer = hub.browser().post("/hub/token", data={"note": "x", "_xsrf": token}, headers={"Cookie": both})
            assert answer.status_code == 403
        assert hub.browser().get("/hub/home", headers={"Cookie": both}).status_code == 302
    twice = "; ".join(f"jupyterhub-hub-login={secret}" for secret in secrets[:1] * 2)
    assert hub.browser().get("/hub/home", headers={"Cookie": twice}).status_code == 200


def test_a_planted_token_cookie_does_not_keep_anybody_from_logging_in(hub):
    browser = hub.browser()
    browser.get("/hub/login")
    both = {"Cookie": f"_xsrf=planted; _xsrf={browser.xsrf}"}
    form = {"username": "alice", "password": An.PASSWORD}
    assert browser.post("/hub/login", data=form | {"_xsrf": "planted"}, headers=both).status_code == 403
    assert browser.post("/hub/login", data=form | {"_xsrf": browser.xsrf}, headers=both).status_code == 302


# --- guessing ---------------------------------------------------------------------------------------------------------


def test_a_wrong_password_is_403_and_says_nothing_of_who_exists(hub):
    hub.user("alice")
    received = []
    for name in ("alice", "nobody"):
        browser = hub.browser()
        browser.get("/hub/login")
        answer = browser.post("/hub/login", data={"username": name, "password": "wrong", "_xsrf": browser.xsrf})
        assert answer.status_code == 403
        received.append(answer.text.replace(name, "").replace(browser.xsrf, ""))
    assert received[0] == received[1]


@pytest.mark.parametrize("name", ["a" * 100_000, "a\nb", "../x", "a/b", "."])
def test_an_absurd_name_is_refused_short_and_unlogged(hub, name, caplog):
    browser = hub.browser()
    browser.get("/hub/login")
    answer = browser.post("/hub/login", data={"username": name, "password": An.PASSWORD, "_xsrf": browser.xsrf})
    assert answer.status_code == 403
    assert len(answer.text) < 20_000
    assert all(len(record.getMessage()) < 500 for record in caplog.records)


@pytest.mark.parametrize(
    "elsewhere",
    [
        "//evil.example",
        "///evil.example",
        "////evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "https:evil.example",
        "https://evil.example",
        "http://hub.test//evil.example",
        "http://hub.test///evil.example",
        "http://hub.test:80//evil.example",
        "/\tevil",
        "/\n/evil.example",
        "\t//evil.example",
        "javascript:alert(1)",
        "http://hub.test@evil.example/",
        " //evil.example",
        "http://hub.test\\@evil.example",
        "/%09/evil.example".replace("%09", "\t"),
        "data:text/html,x",
        "HTTP://HUB.TEST//evil.example",
    ],
)
def test_next_leads_to_no_other_host(hub, elsewhere):
    browser = hub.browser()
    browser.get("/hub/login")
    form = {"username": "alice", "password": An.PASSWORD, "_xsrf": browser.xsrf}
    there = browser.post("/hub/login", params={"next": elsewhere}, data=form).headers["location"]
    assert re.match(r"/(?![/\\])", there), there
    assert "evil" not in there.partition("?")[0]


def test_next_leads_back_within_the_hub(hub):
    browser = hub.browser()
    browser.get("/hub/login")
    form = {"username": "alice", "password": An.PASSWORD, "_xsrf": browser.xsrf}
    there = browser.post("/hub/login", params={"next": "/hub/user-redirect/lab?x=1#a"}, data=form).headers["location"]
    assert there == "/hub/user-redirect/lab?x=1#a"


@pytest.mark.parametrize(
    "elsewhere", ["//evil.example", "https://evil.example", "/\\evil.example", "http://hub.test//evil.example"]
)
def test_a_start_leads_to_no_other_host(hub, elsewhere):
    browser = hub.browser("alice")
    started = browser.get("/hub/spawn", params={"next": elsewhere})
    assert "evil" not in started.headers["location"]
    assert "evil" not in browser.get("/hub/spawn-pending/alice", params={"next": elsewhere}).text


@pytest.mark.parametrize("name", ["ROOT", "Root", "rOOt"])
def test_one_person_has_one_name_however_it_is_typed(hub, name):
    browser = hub.browser(name)
    assert browser.get("/hub/api/user", headers={"Sec-Fetch-Mode": "navigate"}).json()["name"] == "root"
    assert hub.hub.users.find(name) is None


@pytest.mark.parametrize("name", [" alice", "alice/", "..", "a\nb", ""])
def test_a_rename_is_checked_as_a_new_name_is(hub, admin, name):
    hub.user("alice")
    assert admin.patch("/users/alice", {"name": name}).status_code == 400
    assert hub.hub.users.find("alice") is not None


def test_a_rename_is_normalised_as_a_login_is(hub, admin):
    hub.user("alice")
    assert admin.patch("/users/alice", {"name": "ALICIA"}).json()["name"] == "alicia"


def test_the_log_says_who_logged_in_and_from_where(hub, caplog):
    caplog.set_level("INFO")
    hub.browser("alice")
    assert [one for one in caplog.messages if one.startswith("user alice logged in from ")] != []


def test_no_secret_stands_in_a_log(hub, admin, caplog):
    caplog.set_level("DEBUG")
    browser = hub.browser("alice")
    token = admin.post("/users/alice/tokens", {}).json()["token"]
    hub.as_token(token).get("/users/alice")
    hub.as_token("wrong" + token).get("/users/alice")
    secrets = [
        token,
        An.PASSWORD,
        browser.xsrf,
        browser.cookies.get("jupyterhub-hub-login", path="/hub/"),
        An.ADMIN_TOKEN,
    ]
    assert not any(secret in caplog.text for secret in secrets)


@pytest.mark.parametrize("path", ["/hub/home", "/hub/token", "/hub/api/oauth2/authorize?client_id=none"])
def test_a_token_beside_the_login_cookie_logs_nobody_out(hub, path):
    browser = hub.browser("alice")
    for token in (hub.as_user("alice", ("read:users!user",)).secret, hub.as_user("bob").secret):
        page = browser.get(path, headers={"Authorization": f"Bearer {token}"})
        assert (page.status_code, "/hub/login" in page.headers.get("Location", "")) == (
            browser.get(path).status_code,
            False,
        )


def test_pages_show_and_change_what_is_the_persons_and_not_the_tokens(hub):
    browser, other = hub.browser("alice"), hub.as_user("bob")
    headers = {"Authorization": f"token {other.secret}"}
    assert browser.get("/hub/login", headers=headers).status_code == 302
    made = browser.post("/hub/token", data={"_xsrf": browser.xsrf, "note": "mine"}, headers=headers)
    assert made.status_code == 303
    notes = [token["note"] for token in hub.as_user("alice").get("/users/alice/tokens").json()["api_tokens"]]
    assert "mine" in notes
    browser.get("/hub/logout", headers=headers)
    assert browser.get("/hub/home").status_code == 302
    assert other.get("/user").json()["name"] == "bob"
