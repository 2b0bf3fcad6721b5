"""Which names open with what: sign-up, the class's password and the admins', locked names, one-time links."""

# ruff: noqa: RUF001 letters that look alike

import pwd
import re
from datetime import timedelta

import pytest

from hubless.domain import names
from hubless.services.login_throttling import LockedOut, LoginThrottle
from hubless.settings import SettingsError
from tests.api.hub import build_hub

OWN = """
[login]
kind = "password"
admins = ["boss"]
sign_up = true
max_failures = 3

[[roles]]
name = "teachers"
scopes = ["admin:users"]
users = ["teacher"]

[groups.staff]
users = ["member"]
"""
SHARED = """
[login]
kind = "shared-password"
password = "the class's password"
admin_password = "the admins' own password"
admins = ["boss"]
allow_users = ["pupil"]
"""


@pytest.fixture
def open_hub(tmp_path):
    return build_hub(tmp_path, OWN)


def sign_up(hub, name, password="long enough", *, browser=None):
    browser = browser or hub.browser()
    browser.get("/hub/sign-up")
    return browser, browser.post(
        "/hub/sign-up", data={"username": name, "password": password, "again": password, "_xsrf": browser.xsrf}
    )


def log_in(browser, name, password):
    browser.get("/hub/login")
    return browser.post("/hub/login", data={"username": name, "password": password, "_xsrf": browser.xsrf})


def test_a_stranger_who_signs_up_is_a_plain_user(open_hub):
    browser, answer = sign_up(open_hub, "Stranger")
    assert answer.status_code == 302
    received = browser.get("/hub/api/user").json()
    assert (received["name"], received["admin"], received["roles"], received["groups"]) == (
        "stranger",
        False,
        ["user"],
        [],
    )


@pytest.mark.parametrize("name", ["boss", "BOSS", "teacher", "Teacher", "member"])
def test_nobody_signs_up_under_a_name_to_which_settings_give_something(open_hub, name):
    for user in ("boss", "member"):  # an admin removed or renamed them
        open_hub.hub.accounts.remove(user)
    _, answer = sign_up(open_hub, name)
    assert answer.status_code == 400
    assert "already exists" in answer.text
    assert open_hub.hub.users.find(name.lower()) is None


def test_where_root_runs_the_hub_nobody_signs_up_as_a_system_user(open_hub, monkeypatch):
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr(pwd, "getpwnam", lambda name: {"ubuntu": object()}[name])
    assert sign_up(open_hub, "ubuntu")[1].status_code == 400
    assert sign_up(open_hub, "stranger")[1].status_code == 302


def test_nobody_signs_up_where_that_is_not_offered(tmp_path):
    hub = build_hub(tmp_path, OWN.replace("sign_up = true", ""))
    browser = hub.browser()
    browser.get("/hub/login")
    form = {"username": "x", "password": "long enough", "again": "long enough", "_xsrf": browser.xsrf}
    assert browser.post("/hub/sign-up", data=form).status_code == 404
    assert hub.hub.users.find("x") is None


def test_admins_names_open_with_the_admins_password_alone(tmp_path):
    hub = build_hub(tmp_path, SHARED)
    for name in ("boss", "BOSS", "Boss"):
        assert log_in(hub.browser(), name, "the class's password").status_code == 403
        assert log_in(hub.browser(), name, "the admins' own password").status_code == 302
    assert log_in(hub.browser(), "pupil", "the admins' own password").status_code == 403
    assert log_in(hub.browser(), "pupil", "the class's password").status_code == 302
    assert not hub.user("pupil").admin


CLASS = SHARED.replace('admin_password = "the admins\' own password"\nadmins = ["boss"]\nallow_users = ["pupil"]\n', "")
ROLE = """
[[roles]]
name = "helpers"
scopes = {scopes}
users = {users}
groups = {groups}
[groups.staff]
users = {members}
"""


def a_role(scopes, users=(), groups=(), members=()):
    return ROLE.format(scopes=list(scopes), users=list(users), groups=list(groups), members=list(members))


@pytest.mark.parametrize("easy", ["password", "boss", "letmein1", "short"])
def test_an_admin_password_that_is_easy_to_guess_is_refused(tmp_path, easy):
    with pytest.raises(SettingsError, match=r"login\.admin_password: "):
        build_hub(tmp_path, SHARED.replace("the admins' own password", easy))


@pytest.mark.parametrize("scope", ["admin-ui", "admin:users", "servers", "access:servers!user=pupil", "tokens"])
@pytest.mark.parametrize("where", [{"users": ["tina"]}, {"groups": ["staff"], "members": ["tina"]}])
def test_settings_whose_roles_the_shared_password_would_open_are_refused(tmp_path, scope, where):
    settings = CLASS + a_role([scope], **where)
    with pytest.raises(SettingsError, match=r"admin_password is missing: .* the names in roles\.helpers \(tina\)"):
        build_hub(tmp_path, settings)
    with_one = settings.replace("[login]", '[login]\nadmin_password = "the admins\' own password"')
    hub = build_hub(tmp_path, with_one)
    assert log_in(hub.browser(), "tina", "the class's password").status_code == 403
    assert log_in(hub.browser(), "tina", "the admins' own password").status_code == 302
    assert log_in(hub.browser(), "pupil", "the class's password").status_code == 302


@pytest.mark.parametrize("scope", ["self", "list:users", "servers!user", "access:servers!user=tina"])
def test_a_role_that_reads_or_uses_what_is_ones_own_opens_as_before(tmp_path, scope):
    hub = build_hub(tmp_path, CLASS + a_role([scope], ["tina"]))
    assert log_in(hub.browser(), "tina", "the class's password").status_code == 302


def test_who_becomes_an_admin_is_not_opened_by_the_shared_password(tmp_path):
    hub = build_hub(tmp_path, CLASS + a_role(["admin:users"], groups=["staff"]))
    browser = hub.browser()
    log_in(browser, "pupil", "the class's password")
    token = browser.post("/hub/api/users/pupil/tokens", json={}, headers={"X-XSRFToken": browser.xsrf}).json()["token"]
    hub.hub.accounts.change(hub.user("pupil"), admin=True)
    refused = log_in(hub.browser(), "pupil", "the class's password")
    assert refused.status_code == 403
    assert "login.admin_password" in refused.text
    assert "login.admin_password" not in log_in(hub.browser(), "pupil", "a wrong password").text
    assert hub.as_token(token).get("/user").status_code == 403
    assert browser.get("/hub/home").status_code == 302
    auth = {"auth": {"username": "pupil", "password": "the class's password"}}
    assert hub.anybody.post("/users/pupil/tokens", auth).status_code == 403
    hub.hub.groups.add_users(hub.hub.groups.find("staff").id, [hub.user("tom").name])
    assert log_in(hub.browser(), "tom", "the class's password").status_code == 403


@pytest.mark.parametrize("name", ["stranger", "Pupil2", "PUPİL"])
def test_who_is_not_on_the_list_is_refused_however_the_name_is_spelled(tmp_path, name):
    hub = build_hub(tmp_path, SHARED)
    assert log_in(hub.browser(), name, "the class's password").status_code == 403
    assert {user.name for user in hub.hub.accounts.all()} == {"boss"}


def test_wrong_guesses_lock_one_name_even_for_the_right_password(open_hub, monkeypatch):
    sign_up(open_hub, "one", "the right one")
    sign_up(open_hub, "two", "the right one")
    for _ in range(3):
        assert log_in(open_hub.browser(), "one", "a wrong one").status_code == 403
    assert log_in(open_hub.browser(), "one", "the right one").status_code == 429
    assert log_in(open_hub.browser(), "two", "the right one").status_code == 302
    later = open_hub.hub.clock.now() + timedelta(minutes=10, seconds=1)
    monkeypatch.setattr(type(open_hub.hub.clock), "now", lambda _: later)
    assert log_in(open_hub.browser(), "one", "the right one").status_code == 302


def test_a_browser_of_the_user_passes_the_lock_of_the_name(open_hub):
    browser, _ = sign_up(open_hub, "one", "the right one")
    browser.get("/hub/logout")
    for _ in range(4):
        refused = log_in(open_hub.browser(), "one", "a wrong one")
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "600")
    assert "In a browser in which you have logged in before" in refused.text
    assert log_in(browser, "one", "the right one").status_code == 302


def test_a_browser_that_is_known_has_no_more_guesses_than_others(open_hub):
    browser, _ = sign_up(open_hub, "one", "the right one")
    browser.get("/hub/logout")
    assert [log_in(browser, "one", "a wrong one").status_code for _ in range(4)] == [403, 403, 403, 429]
    assert "in this browser" in log_in(browser, "one", "the right one").text
    assert log_in(open_hub.browser(), "one", "the right one").status_code == 302


def test_each_user_of_a_browser_passes_the_lock_whichever_way_they_came(open_hub):
    browser, _ = sign_up(open_hub, "one", "the right one")
    browser.get("/hub/logout")
    assert sign_up(open_hub, "two", "the right one", browser=browser)[1].status_code == 302
    browser.get("/hub/logout")
    open_hub.user("three")
    link = open_hub.hub.accounts.password_link("three")
    browser.get(link)
    form = {"password": "the right one", "again": "the right one", "_xsrf": browser.xsrf}
    assert browser.post(link, data=form).status_code == 302
    for name in ("one", "two", "three"):
        for _ in range(4):
            assert log_in(open_hub.browser(), name, "a wrong one").status_code in {403, 429}
        browser.get("/hub/logout")
        assert log_in(browser, name, "the right one").status_code == 302


def test_who_made_too_many_accounts_reads_when_to_try_again(open_hub, monkeypatch):
    monkeypatch.setattr(LoginThrottle, "admit_sign_up", lambda *_: LockedOut(10))
    _, answer = sign_up(open_hub, "one")
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "600")
    assert "Try again in 10 minutes" in answer.text


@pytest.mark.parametrize("address", ["http://hub.test", "https://hub.test"])
def test_the_device_cookie_has_one_path_and_goes_to_no_script(open_hub, address):
    browser = open_hub.browser(address=address)
    browser.get("/hub/sign-up")
    form = {"username": "one", "password": "long enough", "again": "long enough", "_xsrf": browser.xsrf}
    answer = browser.post("/hub/sign-up", data=form)
    (cookie,) = [one for one in answer.headers.get_list("set-cookie") if one.startswith("jupyterhub-hub-device=")]
    attributes = {part.strip().lower() for part in cookie.split(";")[1:]}
    assert {"path=/hub/", "httponly", "samesite=lax", "max-age=31536000"} <= attributes
    assert ("secure" in attributes) == address.startswith("https:")
    assert dict(browser.cookies)  # HTTPX raises CookieConflict where a name has several paths
    assert not any("hub-device" in one for one in browser.get("/hub/logout").headers.get_list("set-cookie"))


def test_a_lock_ends_no_session_that_is_open(open_hub):
    browser, _ = sign_up(open_hub, "one")
    for _ in range(5):
        log_in(open_hub.browser(), "one", "a wrong one")
    assert browser.get("/hub/home").status_code == 200


def test_guesses_by_the_api_count_like_those_by_the_page(open_hub):
    sign_up(open_hub, "one", "the right one")
    for _ in range(3):
        wrong = {"auth": {"username": "one", "password": "a wrong one"}}
        assert open_hub.anybody.post("/users/one/tokens", wrong).status_code == 403
    right = {"auth": {"username": "one", "password": "the right one"}}
    answer = open_hub.anybody.post("/users/one/tokens", right)
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "600")
    assert "Wait up to 10 minutes" in answer.json()["message"]
    assert log_in(open_hub.browser(), "one", "the right one").status_code == 429


def test_a_password_opens_tokens_of_its_owner_alone(open_hub):
    sign_up(open_hub, "one", "the right one")
    sign_up(open_hub, "two", "the right one")
    right = {"auth": {"username": "one", "password": "the right one"}}
    assert open_hub.anybody.post("/users/two/tokens", right).status_code == 403
    assert open_hub.anybody.post("/users/one/tokens", right).status_code == 201


def test_a_link_sets_one_password_once_and_ends_what_was_open(open_hub):
    before, _ = sign_up(open_hub, "one", "the old one")
    path = open_hub.hub.accounts.password_link("one")
    for status in (302, 404):
        browser = open_hub.browser()
        browser.get(path)
        browser.get("/hub/login")
        form = {"password": "the new one", "again": "the new one", "_xsrf": browser.xsrf}
        assert browser.post(path, data=form).status_code == status
    assert before.get("/hub/home").headers["location"].startswith("/hub/login")
    assert log_in(open_hub.browser(), "one", "the old one").status_code == 403


def test_the_page_of_a_link_asks_what_ends_with_the_old_password(open_hub):
    before, _ = sign_up(open_hub, "one", "the old one")
    token = open_hub.as_user("one")
    for chosen, answers in (({"keep_sessions": "1"}, (200, 200)), ({"revoke_tokens": "1"}, (302, 403))):
        path = open_hub.hub.accounts.password_link("one")
        browser = open_hub.browser()
        browser.get(path)
        browser.get("/hub/login")
        form = {"password": "the new one", "again": "the new one", "_xsrf": browser.xsrf}
        assert browser.post(path, data=form | chosen).status_code == 302
        assert (before.get("/hub/home").status_code, token.get("/user").status_code) == answers


def test_a_link_is_shown_to_nobody_elses_address(open_hub):
    page = open_hub.browser().get(open_hub.hub.accounts.password_link("boss"))
    assert page.status_code == 200
    assert page.headers["referrer-policy"] == "strict-origin"
    assert page.headers["cache-control"] == "no-store"


def test_the_session_that_was_open_before_a_login_is_not_the_one_after_it(open_hub):
    browser, _ = sign_up(open_hub, "one", "the right one")
    names = ("jupyterhub-hub-login", "jupyterhub-session-id", "_xsrf")
    before = {name: browser.cookies.get(name) for name in names}
    log_in(browser, "one", "the right one")
    browser.cookies.delete("_xsrf", path="/hub/")
    browser.get("/hub/logout")
    log_in(browser, "one", "the right one")
    assert all(before[name] != browser.cookies.get(name) for name in names)


def test_a_cookie_that_was_planted_before_the_login_opens_nothing_after_it(open_hub):
    sign_up(open_hub, "one", "the right one")
    browser = open_hub.browser()
    browser.cookies.set("jupyterhub-hub-login", "planted", domain="hub.test", path="/hub/")
    browser.cookies.set("jupyterhub-session-id", "planted", domain="hub.test", path="/")
    log_in(browser, "one", "the right one")
    sessions = [cookie.value for cookie in browser.cookies.jar if re.search("login|session", cookie.name)]
    assert len(sessions) == 2
    assert "planted" not in sessions
    assert open_hub.hub.identities.of_session("planted") is None


@pytest.mark.parametrize("typed", ["one", "ONE", " one", "one ", "one\u00a0", "ｏｎｅ"])
def test_a_login_takes_blanks_case_and_width_as_they_come(open_hub, typed):
    sign_up(open_hub, "One ", "the right one")
    assert log_in(open_hub.browser(), typed, "the right one").status_code == 302
    right = {"auth": {"username": typed, "password": "the right one"}}
    assert open_hub.anybody.post("/users/one/tokens", right).status_code == 201
    assert {user.name for user in open_hub.hub.accounts.all()} == {"boss", "member", "one"}


@pytest.mark.parametrize("typed", ["Dave", "dave", "DAVE", " dave "])
def test_a_name_that_is_stored_with_capitals_logs_in(open_hub, typed):
    open_hub.user("Dave")
    open_hub.hub.accounts.set_password("Dave", "the right one")
    browser = open_hub.browser()
    assert log_in(browser, typed, "the right one").status_code == 302
    assert browser.get("/hub/api/user").json()["name"] == "Dave"
    right = {"auth": {"username": typed, "password": "the right one"}}
    assert open_hub.anybody.post("/users/Dave/tokens", right).status_code == 201


def test_guesses_at_all_spellings_of_a_stored_name_share_a_count(open_hub):
    open_hub.user("Dave")
    open_hub.hub.accounts.set_password("Dave", "the right one")
    for typed in ("dave", "DAVE", "Dave "):
        log_in(open_hub.browser(), typed, "a wrong one")
    assert log_in(open_hub.browser(), "dave", "the right one").status_code == 429


@pytest.mark.parametrize("name", ["on\u200be", "оne", "\u202eone", "o\u0301\u0301ne", "one\ufe0f"])
def test_nobody_signs_up_under_a_deceptive_name(open_hub, name):
    assert sign_up(open_hub, name)[1].status_code == 400


@pytest.mark.parametrize("name", ["сосо", "ᴄoco"])
def test_nobody_signs_up_under_a_name_that_looks_like_anothers(open_hub, name):
    sign_up(open_hub, "coco")
    answer = sign_up(open_hub, name)[1]
    assert (answer.status_code, "looks like" in answer.text) == (400, True)


def test_nobody_is_made_or_renamed_to_look_like_another_by_an_admin(open_hub):
    boss = open_hub.as_user("boss")
    open_hub.user("coco")
    open_hub.user("other")
    for answer, status in (
        (boss.post("/users/сосо", {}), 409),
        (boss.post("/users", {"usernames": ["fine", "сосо"]}), 409),
        (boss.post("/users", {"usernames": ["ѕсоре", "scope"]}), 409),
        (boss.patch("/users/other", {"name": "сосо"}), 400),
        (boss.post("/users/COCO", {}), 409),
    ):
        assert (answer.status_code, "looks like" in answer.json()["message"]) == (status, True)
    assert {user.name for user in open_hub.hub.accounts.all()} == {"boss", "member", "coco", "other"}


def test_a_name_that_looks_like_a_reserved_one_is_reserved(tmp_path):
    hub = build_hub(tmp_path, OWN.replace('"teacher"', '"coco"').replace('admins = ["boss"]', 'admins = ["scope"]'))
    for name in ("сосо", "ѕсоре"):
        assert sign_up(hub, name)[1].status_code == 400


def test_the_class_password_opens_no_name_that_looks_like_an_admins(tmp_path):
    hub = build_hub(tmp_path, SHARED.replace('allow_users = ["pupil"]', "").replace('"boss"', '"scope"'))
    for name in ("ѕсоре", "SCOPE", "ｓｃｏｐｅ", " scope"):
        assert log_in(hub.browser(), name, "the class's password").status_code == 403
    assert all(user.name != "ѕсоре" for user in hub.hub.accounts.all())


def test_a_user_from_before_the_rules_still_logs_in(open_hub, monkeypatch):
    monkeypatch.setattr(names, "check_user_name", lambda name: name)
    for name in ("al\u200bice", "bоb", "ｃａｒｏｌ"):
        open_hub.user(name)
        open_hub.hub.accounts.set_password(name, "the right one")
    monkeypatch.undo()
    for name in ("al\u200bice", "bоb", "ｃａｒｏｌ", "carol"):
        assert log_in(open_hub.browser(), name, "the right one").status_code == 302
