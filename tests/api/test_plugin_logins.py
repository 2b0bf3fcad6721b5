"""JupyterHub authenticator classes as plug-ins: their forms, pages and logins, in the hub's own sessions."""

import dbm
import re
import sqlite3
import subprocess
import sys
from functools import partial
from html import unescape

import bcrypt
import pytest

from functions.api.auth.cookies import FACTOR_COOKIE, HALF_LOGIN_COOKIE
from hubless.bootstrap import plugin
from hubless.domain.errors import LaunchFailedError
from hubless.ports.authenticator import Identity
from hubless.settings import SettingsError, cloud, parse
from tests.api.hub import An, build_hub
from tests.support import plugin_classes
from tests.support.builders import a_server
from tests.unit.test_cloud_settings import CLOUD

CLASSES = "tests.support.plugin_classes"
PLAIN = "text/plain; charset=utf-8"
LIMITS = "[login]\nmax_failures = 3\n"
ADMIN = f'[[services]]\nname = "admin"\ntoken = "{An.ADMIN_TOKEN}"\nadmin = true\n'


@pytest.fixture(autouse=True)
def cheap_hashes(monkeypatch):
    """Let the classes hash passwords with the fewest rounds: twelve take a quarter of a second."""
    monkeypatch.setattr(bcrypt, "gensalt", partial(bcrypt.gensalt, 4))


def open_hub(folder, name, config="", more=""):
    return build_hub(folder, f'{more}\n[plugin]\nauthenticator_class = "{name}"\n{config}')


def of_fussy(folder, config="", more=""):
    return open_hub(folder, f"{CLASSES}.Fussy", f"[plugin.config.Fussy]\nallow_all = true\n{config}", more)


def log_in(browser, name, password="right", path="/hub/login", **more):
    browser.get(path)
    return browser.post(path, data={"username": name, "password": password, "_xsrf": browser.xsrf, **more})


def who(browser):
    answer = browser.get("/hub/api/user")
    return answer.json()["name"] if answer.status_code == 200 else None


def words(answer):
    return unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", answer.text.partition("<main")[2])))


# --- the hub's own part ---


def test_a_class_with_a_form_logs_in(tmp_path):
    hub = of_fussy(tmp_path)
    browser = hub.browser()

    answer = log_in(browser, "Alice")

    assert (answer.status_code, answer.headers["location"]) == (302, "/hub/spawn")
    assert who(browser) == "alice"
    assert hub.anybody.get("/info").status_code == 403


def test_after_a_login_the_browser_goes_where_it_wanted_to_go(tmp_path):
    browser = of_fussy(tmp_path).browser()

    assert browser.get("/hub/token").headers["location"] == "/hub/login?next=%2Fhub%2Ftoken"
    answer = log_in(browser, "alice", path="/hub/login?next=%2Fhub%2Ftoken")

    assert answer.headers["location"] == "/hub/token"


@pytest.mark.parametrize("elsewhere", ["https://evil.test/", "//evil.test", "/\\evil.test", "https:evil.test"])
def test_no_login_leads_to_another_host(tmp_path, elsewhere):
    browser = of_fussy(tmp_path).browser()

    answer = browser.get("/hub/login", params={"next": elsewhere})
    answer = browser.post(
        "/hub/login", params={"next": elsewhere}, data={"username": "a", "password": "right", "_xsrf": browser.xsrf}
    )

    assert answer.status_code == 302
    assert re.match(r"/[^/\\]", answer.headers["location"])


def test_a_wrong_password_is_refused_on_the_form(tmp_path):
    browser = of_fussy(tmp_path).browser()

    answer = log_in(browser, "alice", "wrong")

    assert answer.status_code == 403
    assert "Invalid username or password" in words(answer)
    assert who(browser) is None


def test_a_class_may_say_why_it_refuses(tmp_path):
    answer = log_in(of_fussy(tmp_path).browser(), "told")

    assert answer.status_code == 403
    assert "Your contract has ended: ask the office" in words(answer)


def test_a_class_that_fails_is_named_and_others_go_on(tmp_path, caplog):
    hub = of_fussy(tmp_path)

    answer = log_in(hub.browser(), "broken", "a secret")

    assert answer.status_code == 500
    assert "Fussy failed. The hub's log says why: ask its operator." in words(answer)
    assert "a secret" not in answer.text
    assert "RuntimeError: the directory said" in caplog.text
    assert log_in(hub.browser(), "alice").status_code == 302


def test_a_class_that_is_too_slow_is_named_and_others_go_on(tmp_path):
    hub = open_hub(tmp_path, f"{CLASSES}.Fussy", 'timeout = "1s"\n[plugin.config.Fussy]\nallow_all = true')

    answer = log_in(hub.browser(), "slow")

    assert answer.status_code == 503
    assert "Fussy did not answer within 1 seconds" in words(answer)
    assert log_in(hub.browser(), "alice").status_code == 302


def test_a_class_that_holds_up_its_thread_gets_a_new_one(tmp_path):
    hub = open_hub(tmp_path, f"{CLASSES}.Fussy", 'timeout = "1s"\n[plugin.config.Fussy]\nallow_all = true')
    plugin_classes.HELD.clear()
    try:
        answer = log_in(hub.browser(), "stuck")

        assert answer.status_code == 503
        assert log_in(hub.browser(), "alice").status_code == 302
    finally:
        plugin_classes.HELD.set()


def test_a_class_that_always_hangs_is_not_asked_any_more(tmp_path):
    hub = open_hub(tmp_path, f"{CLASSES}.Fussy", 'timeout = "1s"\n[plugin.config.Fussy]\nallow_all = true')
    hub.hub.login_plugin._lost = 8
    plugin_classes.HELD.clear()
    try:
        log_in(hub.browser(), "stuck")

        answer = hub.browser().get("/hub/login")

        assert answer.status_code == 503
        assert "is not asked again until the hub restarts" in words(answer)
    finally:
        plugin_classes.HELD.set()


def test_wrong_guesses_lock_the_name(tmp_path):
    browser = of_fussy(tmp_path, more=LIMITS).browser()
    for _ in range(3):
        assert log_in(browser, "alice", "wrong").status_code == 403

    answer = log_in(browser, "alice")

    assert answer.status_code == 429
    assert "Too many wrong guesses at this name" in words(answer)


MULTIPART = "multipart/form-data; boundary=x"


def parts(*fields):
    """Return a form of several parts: each a name, a text, and the name of a file if it is one."""
    made = [
        f'--x\r\nContent-Disposition: form-data; name="{name}"{f"; filename={file}" if file else ""}\r\n\r\n{text}\r\n'
        for name, text, file in fields
    ]
    return f"{''.join(made)}--x--\r\n"


SMUGGLED = {
    "a name in the address": ("?username=alice&password={}", "application/x-www-form-urlencoded", "username=alice"),
    "a type that only begins so": ("", "application/x-www-form-urlencodedx", "username=alice&password={}"),
    "a file beside the password": (
        "",
        MULTIPART,
        parts(("username", "alice", ""), ("password", "{}", ""), ("password", "other", "file")),
    ),
    "another separator": (
        "",
        "application/x-www-form-urlencoded",
        "username=alice&password={}&more=;username=bob;password=other",
    ),
}


@pytest.mark.parametrize("way", SMUGGLED)
def test_each_guess_at_a_classs_form_is_counted(tmp_path, way):
    browser = of_fussy(tmp_path, more=LIMITS).browser()
    query, kind, body = SMUGGLED[way]
    browser.get("/hub/login")

    def send(password):
        headers = {"Content-Type": kind, "X-XSRFToken": browser.xsrf}
        return browser.post(f"/hub/login{query.format(password)}", content=body.format(password), headers=headers)

    for _ in range(3):
        assert send("wrong").status_code in {400, 403}
    send("right")
    assert who(browser) is None


@pytest.mark.parametrize("way", SMUGGLED)
def test_no_form_of_a_class_skips_the_second_factor(tmp_path, way):
    browser = of_fussy(tmp_path, more='[login]\nsecond_factor = "required"\n').browser()
    query, kind, body = SMUGGLED[way]
    browser.get("/hub/login")

    headers = {"Content-Type": kind, "X-XSRFToken": browser.xsrf}
    browser.post(f"/hub/login{query.format('right')}", content=body.format("right"), headers=headers)

    assert who(browser) is None
    assert log_in(browser, "alice").headers["location"].startswith("/hub/second-factor")


def test_a_name_that_nobody_can_have_never_reaches_the_class(tmp_path):
    browser = of_fussy(tmp_path).browser()

    answer = log_in(browser, "broken" + "a" * 300)
    assert (answer.status_code, "Invalid username or password" in words(answer)) == (403, True)

    answer = log_in(browser, "broken", "p" * 1025)
    assert (answer.status_code, "Invalid username or password" in words(answer)) == (403, True)


def test_a_form_of_another_site_logs_nobody_in(tmp_path):
    browser = of_fussy(tmp_path).browser()
    browser.get("/hub/login")
    form = {"username": "alice", "password": "right"}

    assert browser.post("/hub/login", data=form).status_code == 403
    assert browser.post("/hub/login", data=form | {"_xsrf": "another"}).status_code == 403
    answer = browser.post("/hub/login", data=form | {"_xsrf": browser.xsrf}, headers={"Origin": "https://evil.test"})
    assert answer.status_code == 403
    assert "Login form invalid or expired. Try again." in words(answer)
    assert who(browser) is None


def test_nobody_is_let_in_whom_no_list_names(tmp_path):
    hub = open_hub(tmp_path, f"{CLASSES}.Fussy", '[plugin.config.Authenticator]\nallowed_users = ["Alice"]\n')

    assert log_in(hub.browser(), "alice").status_code == 302
    assert log_in(hub.browser(), "bob").status_code == 403


def test_a_user_whom_an_admin_adds_may_enter(tmp_path):
    """JupyterHub lets existing users in where `allowed_users` is set; another process of the hub may have added one."""
    hub = open_hub(tmp_path, f"{CLASSES}.Fussy", '[plugin.config.Authenticator]\nallowed_users = ["alice"]\n')
    assert log_in(hub.browser(), "bob").status_code == 403

    hub.user("bob")
    assert log_in(hub.browser(), "bob").status_code == 302

    hub.hub.accounts.remove("bob")
    assert log_in(hub.browser(), "bob").status_code == 403


def test_blocked_users_stay_out(tmp_path):
    hub = of_fussy(tmp_path, 'blocked_users = ["Bob"]\n')

    assert log_in(hub.browser(), "bob").status_code == 403
    assert log_in(hub.browser(), "alice").status_code == 302


def test_admins_of_either_list_are_admins(tmp_path):
    hub = of_fussy(tmp_path, 'admin_users = ["Boss"]\n', '[login]\nadmins = ["root"]')

    for name, is_admin in (("boss", True), ("root", True), ("alice", False)):
        log_in(hub.browser(), name)
        assert hub.hub.users.find(name).admin is is_admin, name


def test_a_form_of_the_class_itself_is_shown(tmp_path):
    browser = of_fussy(tmp_path, 'greeting = "yes"\n').browser()

    answer = browser.get("/hub/login")

    assert "Our own form" in words(answer)
    assert f"value={browser.xsrf}" in answer.text


def test_the_page_has_the_hubs_frame_and_policy(tmp_path):
    answer = of_fussy(tmp_path).browser().get("/hub/login")

    (policy,) = answer.headers.get_list("content-security-policy")
    assert policy.startswith("default-src 'self'")
    assert answer.headers.get_list("x-jupyterhub-version") == ["6.1.1"]
    assert "/hub/static/style.css" in answer.text
    assert "<label" in answer.text


def test_logging_out_ends_the_session(tmp_path):
    browser = of_fussy(tmp_path).browser()
    log_in(browser, "alice")
    cookies = dict(browser.cookies)

    assert (
        browser.get("/hub/logout", headers={"Sec-Fetch-Mode": "cors", "Sec-Fetch-Site": "same-origin"}).status_code
        == 403
    )
    answer = browser.get("/hub/logout")

    assert (answer.status_code, answer.headers["location"]) == (302, "/hub/login")
    assert who(browser) is None
    browser.cookies.update(cookies)
    assert who(browser) is None


def test_a_second_login_ends_the_first_session(tmp_path):
    hub = of_fussy(tmp_path)
    browser = hub.browser()
    log_in(browser, "alice")
    log_in(browser, "bob")

    assert who(browser) == "bob"
    assert hub.hub.logins.sessions_of(hub.hub.users.find("alice")) == []


def test_the_api_and_other_pages_stay_the_hubs(tmp_path):
    hub = of_fussy(tmp_path)

    assert not hub.hub.login_plugin.serves("/hub/home")
    assert hub.anybody.get("/").json() == {"version": "6.1.1"}
    assert hub.browser().get("/hub/sign-up").status_code == 404


# --- pages of classes ---


@pytest.fixture
def paged(tmp_path):
    return open_hub(tmp_path, f"{CLASSES}.WithPages")


def test_a_class_with_a_login_page_of_its_own_is_offered_as_a_link(paged):
    answer = paged.browser().get("/hub/login?next=%2Fhub%2Ftoken")

    assert "Log in with the Office" in words(answer)
    assert 'href="/hub/enter?next=%2Fhub%2Ftoken"' in answer.text


def test_a_handler_of_the_class_logs_in_and_sets_only_its_own_cookies(paged):
    browser = paged.browser()

    answer = browser.get("/hub/enter?as=alice&next=%2Fhub%2Ftoken")

    assert answer.headers["location"] == "/hub/token"
    assert who(browser) == "alice"
    assert "own-cookie=kept; Path=/hub/" in answer.headers.get_list("set-cookie")
    assert "forged" not in str(answer.headers)


def test_a_handler_that_fails_in_the_end_logs_nobody_in(paged):
    browser = paged.browser()

    assert browser.get("/hub/fails").status_code == 500
    assert who(browser) is None
    assert paged.hub.users.find("alice") is None


def test_a_handler_may_take_the_form_of_another_site(paged):
    answer = paged.browser().post("/hub/posted", data={"a": "b"}, headers={"Origin": "https://provider.test"})

    assert (answer.status_code, answer.text) == (200, "posted by a stranger")


def test_a_handler_sees_no_cookie_and_no_token_of_the_hub(paged):
    browser = paged.browser()
    browser.get("/hub/enter?as=alice")
    for name in (FACTOR_COOKIE, HALF_LOGIN_COOKIE):
        browser.cookies[name] = "of the hub"

    answer = browser.get("/hub/plain", headers={"Authorization": "token abc"})

    assert (answer.text, answer.headers["content-type"]) == ("cookies: ['own-cookie'], token: None", PLAIN)
    assert browser.post("/hub/plain").status_code == 403
    assert browser.post("/hub/plain", data={"_xsrf": browser.xsrf}).text == "posted"


def test_a_page_for_people_who_are_logged_in_asks_others_to_log_in(paged):
    browser = paged.browser()

    assert browser.get("/hub/plain/a%2Fb").headers["location"] == "/hub/login?next=%2Fhub%2Fplain%2Fa%252Fb"
    browser.get("/hub/enter?as=alice")
    assert browser.get("/hub/plain/a%2Fb").text == "alice: a/b"


def test_a_script_of_another_page_gets_nothing_of_a_class(paged):
    browser = paged.browser()
    browser.get("/hub/enter?as=alice")

    answer = browser.get("/hub/plain/x", headers={"Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Site": "cross-site"})

    assert answer.status_code == 403


def test_a_link_of_another_site_makes_an_admin_change_nothing(tmp_path):
    hub = open_hub(tmp_path, f"{CLASSES}.WithPages", more='[login]\nadmins = ["root"]')
    browser = hub.browser()
    browser.get("/hub/enter?as=root")
    from_elsewhere = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Site": "cross-site"}

    answer = browser.get("/hub/plain/x", headers=from_elsewhere)

    assert answer.status_code == 403
    assert "Another site led here" in words(answer)
    assert browser.get("/hub/plain/x", headers=from_elsewhere | {"Sec-Fetch-Site": "same-origin"}).status_code == 200


def test_a_name_with_capitals_makes_no_second_user(paged):
    """The class tells Alice from alice, and the hub does not: nobody becomes somebody else (CVE-2021-41194)."""
    paged.user("alice")

    answer = paged.browser().get("/hub/enter?as=Alice")

    assert answer.status_code == 403
    assert "names you 'Alice', but this hub has names in lower case only" in words(answer)
    assert paged.browser().get("/hub/enter?as=al/ice").status_code == 403


def test_a_form_that_cannot_be_read_is_refused(paged):
    answer = paged.browser().post(
        "/hub/posted", content=b"--", headers={"Content-Type": "multipart/form-data; boundary=x"}
    )

    assert answer.status_code == 400


# --- published classes ---


def test_firstuse_keeps_the_first_password(tmp_path):
    file = tmp_path / "passwords.dbm"
    hub = open_hub(tmp_path, "firstuse", f'[plugin.config.FirstUseAuthenticator]\ndbm_path = "{file}"\n')

    answer = log_in(hub.browser(), "alice", "short")
    assert "Password too short! Please choose a password at least 7 characters long." in words(answer)

    assert log_in(hub.browser(), "Alice", "long enough").status_code == 302
    assert log_in(hub.browser(), "alice", "another one").status_code == 403
    browser = hub.browser()
    assert log_in(browser, "alice", "long enough").status_code == 302
    with dbm.open(str(file)) as stored:
        assert stored.keys() == [b"alice"]

    assert "New Password" in words(browser.get("/hub/auth/change-password"))
    answer = browser.submit("/hub/auth/change-password", password="a new password")
    assert "Your password has been changed successfully!" in words(answer)
    assert log_in(hub.browser(), "alice", "a new password").status_code == 302


def test_firstuse_knows_the_hubs_users(tmp_path):
    config = f'[plugin.config.FirstUseAuthenticator]\ncreate_users = false\ndbm_path = "{tmp_path / "p.dbm"}"\n'
    hub = open_hub(tmp_path, "firstuse", config)
    assert log_in(hub.browser(), "alice", "long enough").status_code == 403

    hub.user("alice")
    assert log_in(hub.browser(), "alice", "long enough").status_code == 302

    hub.hub.accounts.remove("alice")
    assert log_in(hub.browser(), "alice", "long enough").status_code == 403


NATIVE = "[plugin.config.NativeAuthenticator]\nallow_all = true\nminimum_password_length = 8\n"


def sign_up(browser, name, password="a good password"):
    browser.get("/hub/signup")
    return browser.submit("/hub/signup", username=name, signup_password=password, signup_password_confirmation=password)


def test_native_lets_an_admin_authorize_who_signed_up(tmp_path):
    hub = open_hub(tmp_path, "native", NATIVE, '[login]\nadmins = ["boss"]')

    assert "The signup was successful!" in words(sign_up(hub.browser(), "boss"))
    assert "Your information has been sent to the admin." in words(sign_up(hub.browser(), "alice"))
    answer = log_in(hub.browser(), "alice", "a good password")
    assert "User alice has not been authorized by an administrator yet." in words(answer)

    boss = hub.browser()
    assert log_in(boss, "boss", "a good password").status_code == 302
    assert "alice False No" in words(boss.get("/hub/authorize"))
    assert boss.get("/hub/authorize/alice").headers["location"] == "/hub/authorize#alice"
    alice = hub.browser()
    assert log_in(alice, "alice", "a good password").status_code == 302
    assert alice.get("/hub/authorize").status_code == 403
    assert alice.get("/hub/authorize/alice").status_code == 403


def test_native_changes_passwords(tmp_path):
    hub = open_hub(tmp_path, "native", NATIVE + "open_signup = true\n")
    browser = hub.browser()
    sign_up(browser, "alice")
    log_in(browser, "alice", "a good password")

    answer = browser.submit(
        "/hub/change-password",
        old_password="a good password",
        new_password="another password",
        new_password_confirmation="another password",
    )

    assert "Your password has been changed successfully!" in words(answer)
    assert log_in(hub.browser(), "alice", "another password").status_code == 302
    assert hub.browser().get("/hub/change-password").headers["location"].startswith("/hub/login?next=")


def test_a_form_that_native_cannot_show_again_still_says_why(tmp_path):
    browser = open_hub(tmp_path, "native", NATIVE).browser()

    answer = browser.post("/hub/login", data={"username": "alice", "password": "right"})

    assert answer.status_code == 403
    assert "Login form invalid or expired. Try again." in words(answer)


def test_accounts_of_a_jupyterhub_come_along_with_its_database(tmp_path):
    first = open_hub(tmp_path / "first", "native", NATIVE + "open_signup = true\n")
    sign_up(first.browser(), "alice")
    first.hub.login_plugin.close()
    copy = tmp_path / "jupyterhub.sqlite"
    copy.write_bytes((tmp_path / "first" / "plugin.sqlite").read_bytes())

    moved = open_hub(tmp_path / "moved", "native", f'database = "{copy}"\n{NATIVE}')

    assert log_in(moved.browser(), "alice", "a good password").status_code == 302


def test_one_process_sees_what_another_wrote(tmp_path):
    """Each process of the hub has its own session with the class's database."""
    first = open_hub(tmp_path, "native", NATIVE + "open_signup = true\n")
    second = open_hub(tmp_path, "native", NATIVE + "open_signup = true\n")
    first.browser().get("/hub/login")
    second.browser().get("/hub/login")

    sign_up(first.browser(), "alice")
    assert log_in(second.browser(), "alice", "a good password").status_code == 302

    browser = second.browser()
    log_in(browser, "alice", "a good password")
    fields = {"new_password": "another password", "new_password_confirmation": "another password"}
    browser.submit("/hub/change-password", old_password="a good password", **fields)
    assert log_in(first.browser(), "alice", "a good password").status_code == 200
    assert log_in(first.browser(), "alice", "another password").status_code == 302


def test_the_classs_database_is_private(tmp_path):
    open_hub(tmp_path, "native", NATIVE)

    assert (tmp_path / "plugin.sqlite").stat().st_mode & 0o077 == 0
    with sqlite3.connect(tmp_path / "plugin.sqlite") as database:
        assert {"users", "users_info"} <= {name for (name,) in database.execute("SELECT name FROM sqlite_master")}
    database.close()


SHARED = """
[plugin.config.SharedPasswordAuthenticator]
user_password = "for all of us"
admin_password = "for those who teach, and nobody else"
allow_all = true
admin_users = ["teacher"]
"""


def test_jupyterhubs_shared_password_class(tmp_path):
    hub = open_hub(tmp_path, "shared-password", SHARED)

    assert log_in(hub.browser(), "pupil", "for all of us").status_code == 302
    assert log_in(hub.browser(), "teacher", "for all of us").status_code == 403
    assert log_in(hub.browser(), "teacher", "for those who teach, and nobody else").status_code == 302
    assert hub.hub.users.find("teacher").admin


def test_null_lets_nobody_in(tmp_path):
    browser = open_hub(tmp_path, "null").browser()

    assert log_in(browser, "alice").status_code == 403


# --- what a class tells of a person ---

STATE = "[login]\nauth_state = true\n"


def with_state(folder, config="", more=STATE):
    name = f"{CLASSES}.WithState"
    return open_hub(folder, name, f"[plugin.config.WithState]\nallow_all = true\n{config}", more)


def test_a_class_makes_admins_and_unmakes_them(tmp_path):
    hub = with_state(tmp_path)
    hub.user("chief")

    log_in(hub.browser(), "chief")

    assert hub.hub.users.find("chief").admin
    hub.hub.accounts.change(hub.user("alice"), admin=True)
    log_in(hub.browser(), "alice")
    assert not hub.hub.users.find("alice").admin


def test_the_hub_keeps_the_state_that_a_class_gives(tmp_path):
    hub = with_state(tmp_path, "enable_auth_state = true\n")

    log_in(hub.browser(), "alice", "one")

    assert hub.hub.kept_auth_states.of(hub.hub.users.find("alice")) == {"ticket": "one"}
    assert b"ticket" not in (tmp_path / "hub.sqlite").read_bytes()


def test_memberships_follow_what_a_class_says(tmp_path):
    hub = with_state(tmp_path, "manage_groups = true\n", "[login]\nmanaged_groups = true\n")

    log_in(hub.browser(), "alice", "staff maths")
    log_in(hub.browser(), "alice", "maths music")

    assert sorted(hub.hub.users.find("alice").groups) == ["maths", "music"]


def test_groups_that_do_not_follow_stop_the_start(tmp_path):
    with pytest.raises(SettingsError, match="manage_groups needs login"):
        with_state(tmp_path, "manage_groups = true\n")


def test_a_class_that_names_no_groups_although_it_should_fails(tmp_path):
    config = "[plugin.config.Fussy]\nallow_all = true\nmanage_groups = true\n"
    hub = open_hub(tmp_path, f"{CLASSES}.Fussy", config, "[login]\nmanaged_groups = true\n")

    assert log_in(hub.browser(), "alice").status_code == 500
    assert hub.hub.users.find("alice") is None


def test_a_hook_reconciles_the_state_with_the_one_before(tmp_path):
    (tmp_path / "hooks.py").write_text(
        "def reconcile(_class, model, before):\n    return {**model['auth_state'], 'before': before}\n"
        "c.Authenticator.reconcile_auth_state_hook = reconcile\n"
    )
    config = "enable_auth_state = true\n"
    hub = build_hub(
        tmp_path,
        f'{STATE}[plugin]\nauthenticator_class = "{CLASSES}.WithState"\nconfig_file = "hooks.py"\n'
        f"[plugin.config.WithState]\nallow_all = true\n{config}",
    )

    log_in(hub.browser(), "alice", "one")
    log_in(hub.browser(), "alice", "two")

    kept = hub.hub.kept_auth_states.of(hub.hub.users.find("alice"))
    assert kept == {"ticket": "two", "before": {"ticket": "one", "before": None}}


def test_a_state_that_the_hub_does_not_keep_stops_the_start(tmp_path):
    with pytest.raises(SettingsError, match="enable_auth_state needs login"):
        with_state(tmp_path, "enable_auth_state = true\n", more="")


# --- hooks ---


@pytest.fixture
def hooked(tmp_path):
    plugin_classes.CALLED.clear()
    return open_hub(tmp_path, f"{CLASSES}.WithHooks", more=ADMIN)


def test_a_class_hears_of_users_who_come_and_go(hooked):
    admin = hooked.as_token(An.ADMIN_TOKEN)

    log_in(hooked.browser(), "alice")
    log_in(hooked.browser(), "alice")
    assert admin.post("/users/bob").status_code == 201
    assert admin.post("/users", {"usernames": ["carol", "dora"]}).status_code == 201
    assert admin.delete("/users/bob").status_code == 204

    added = [("add", name) for name in ("alice", "bob", "carol", "dora")]
    assert [*added, ("delete", "bob")] == plugin_classes.CALLED


def test_a_user_whom_the_class_refuses_is_not_added(hooked):
    admin = hooked.as_token(An.ADMIN_TOKEN)
    why = "WithHooks does not take the user unwelcome"

    answer = admin.post("/users/unwelcome")
    assert (answer.status_code, why in answer.json()["message"]) == (400, True)
    answer = log_in(hooked.browser(), "unwelcome")
    assert (answer.status_code, why in words(answer)) == (403, True)

    assert hooked.hub.users.find("unwelcome") is None


def test_a_user_whom_the_class_does_not_forget_stays(hooked):
    hooked.user("sticky")

    answer = hooked.as_token(An.ADMIN_TOKEN).delete("/users/sticky")

    assert answer.status_code == 503
    assert hooked.hub.users.find("sticky") is not None


def test_a_class_hears_of_a_stop(hooked):
    owner = hooked.user("alice")
    plugin_classes.CALLED.clear()

    hooked.hub.stopping.after_stop(owner, a_server("lab", owner_id=owner.id))

    assert plugin_classes.CALLED == [("stop", "alice", "lab")]


def test_users_of_the_settings_are_added_in_any_case(tmp_path, caplog):
    hub = open_hub(tmp_path, f"{CLASSES}.WithHooks", more='[login]\nadmins = ["unwelcome"]')

    assert hub.hub.users.find("unwelcome").admin
    assert "the settings add the user unwelcome, although WithHooks does not take the user" in caplog.text


def test_a_removed_users_first_password_is_forgotten(tmp_path):
    config = f'[plugin.config.FirstUseAuthenticator]\ndbm_path = "{tmp_path / "p.dbm"}"\n'
    hub = open_hub(tmp_path, "firstuse", config, ADMIN)
    log_in(hub.browser(), "alice", "long enough")

    hub.as_token(An.ADMIN_TOKEN).delete("/users/alice")

    assert log_in(hub.browser(), "alice", "another one").status_code == 302


def test_a_class_gives_variables_to_a_server(tmp_path):
    hub = with_state(tmp_path, "enable_auth_state = true\n").hub
    owner = hub.accounts.add("alice")
    hub.kept_auth_states.keep(owner, {"ticket": "secret"})

    given = hub.launching.before_start(owner, a_server(owner_id=owner.id))
    hub.stopping.after_stop(owner, a_server(owner_id=owner.id))  # which the class does not ask for

    assert given == {"TICKET": "secret"}


def test_a_login_is_refreshed_before_a_start_if_the_class_wants_that(tmp_path):
    more = "[login]\nauth_state = true\nmanaged_groups = true\n"
    config = "enable_auth_state = true\nmanage_groups = true\n"
    for folder, before, expected in (
        ("without", "", ({"TICKET": "old"}, ("old",))),
        ("with", "refresh_pre_spawn = true\n", ({"TICKET": "fresh"}, ("new",))),
    ):
        hub = with_state(tmp_path / folder, config + before, more).hub
        hub.logins.log_in(Identity("alice", groups=("old",), auth_state={"ticket": "old"}))
        owner = hub.users.find("alice")

        given = hub.launching.before_start(owner, a_server(owner_id=owner.id))

        assert (given, hub.users.find("alice").groups) == expected


def test_a_login_that_cannot_be_refreshed_stops_no_start(tmp_path, caplog):
    caplog.set_level("INFO")
    hub = with_state(tmp_path, "enable_auth_state = true\nrefresh_pre_spawn = true\n").hub
    owner = hub.accounts.add("alice")

    assert hub.launching.before_start(owner, a_server(owner_id=owner.id)) == {}
    assert "the login of user alice cannot be refreshed" in caplog.text


def test_a_class_that_fails_to_refresh_stops_no_start(tmp_path, caplog):
    more = '[login]\nauth_state = true\nblocked_users = ["bob"]\n'
    hub = with_state(tmp_path, "enable_auth_state = true\nrefresh_pre_spawn = true\n", more).hub
    owner = hub.accounts.add("alice")
    hub.kept_auth_states.keep(owner, {"broken": "yes", "ticket": "old"})

    assert hub.launching.before_start(owner, a_server(owner_id=owner.id)) == {"TICKET": "old"}
    assert "the login of user alice was not refreshed: WithState failed (RuntimeError)" in caplog.text


def test_nobody_whom_settings_block_starts_a_server(tmp_path):
    more = '[login]\nauth_state = true\nblocked_users = ["bob"]\n'
    hub = with_state(tmp_path, "enable_auth_state = true\nrefresh_pre_spawn = true\n", more).hub
    owner = hub.accounts.add("bob")
    hub.kept_auth_states.keep(owner, {"ticket": "old"})

    with pytest.raises(LaunchFailedError, match="bob is blocked on this hub"):
        hub.launching.before_start(owner, a_server(owner_id=owner.id))


# --- configuration ---


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ('authenticator_class = "nothing"', 'There is no authenticator class "nothing".*These are installed: .*ldap'),
        ('authenticator_class = "my.ldap.Class"', "Install jupyterhub-ldapauthenticator"),
        ('authenticator_class = "json.JSONDecoder"', "is no authenticator class of JupyterHub"),
        ('authenticator_class = "dummy"\nconfig = { LDAPAuthenticator = {} }', "configures another class than Dummy"),
        (
            'authenticator_class = "dummy"\nconfig = { Authenticator = { allowed_user = ["a"] } }',
            r"Authenticator.allowed_user is not a setting of Dummy.*; did you mean Authenticator.allowed_users\?",
        ),
        (
            'authenticator_class = "dummy"\nconfig = { Authenticator = 1 }',
            "plugin.config.Authenticator.*must be a table",
        ),
        (
            'authenticator_class = "dummy"\nconfig = { Authenticator = { allow_all = "yes please" } }',
            "DummyAuthenticator does not accept its configuration",
        ),
        ('authenticator_class = "dummy"\nconfig = { Authenticator = { manage_roles = true } }', "manage_roles has no"),
        (
            'authenticator_class = "dummy"\nconfig = { Authenticator = { allowed_users = ["a/b"] } }',
            "'a/b' is not a valid",
        ),
        ('database = "x"', "plugin.database has no effect without plugin.authenticator_class"),
        ('authenticator_class = "dummy"\nconfig_env = { "a" = "B" }', "must be a class and a trait"),
        ('authenticator_class = "dummy"\nconfig_env = { "A.b" = "NOT_SET" }', "needs the variable NOT_SET"),
        ('config_file = "none.py"', "none.py: .*"),
        ('config_file = "empty.py"', "plugin.authenticator_class is missing"),
        ('config_file = "broken.py"', "broken.py: ZeroDivisionError"),
        ('config_file = "other.py"', "LDAPAuthenticator configures another class"),
    ],
)
def test_wrong_settings_are_refused_with_what_is_wrong(tmp_path, settings, why):
    (tmp_path / "empty.py").write_text("c.JupyterHub.port = 1\n")
    (tmp_path / "broken.py").write_text("1 / 0\n")
    (tmp_path / "other.py").write_text(
        "c.JupyterHub.authenticator_class = 'dummy'\nc.LDAPAuthenticator.server_port = 1\n"
    )

    with pytest.raises(SettingsError, match=why):
        build_hub(tmp_path, f"[plugin]\n{settings}\n")


def test_a_configuration_file_of_jupyterhub_is_read(tmp_path):
    (tmp_path / "jupyterhub_config.py").write_text(
        "c = get_config()\n"
        "c.JupyterHub.authenticator_class = 'shared-password'\n"
        "c.JupyterHub.port = 4711\n"
        "c.Spawner.default_url = '/lab'\n"
        "c.SharedPasswordAuthenticator.user_password = 'from the file'\n"
        "c.Authenticator.allow_all = True\n"
        "c.Authenticator.post_auth_hook = lambda authenticator, handler, model: {**model, 'name': 'hooked'}\n"
    )
    hub = build_hub(tmp_path, '[plugin]\nconfig_file = "jupyterhub_config.py"\n')
    browser = hub.browser()

    log_in(browser, "anybody", "from the file")

    assert who(browser) == "hooked"


def test_what_is_not_installed_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "jupyterhub.auth", None)
    for name in [one for one in sys.modules if one.startswith("hubless.adapters.authenticators.jupyterhub_plugin")]:
        monkeypatch.delitem(sys.modules, name)

    with pytest.raises(SettingsError, match=r"pip install 'hubless\[authenticators\]'"):
        build_hub(tmp_path, '[plugin]\nauthenticator_class = "dummy"\n')


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ('[login]\nkind = "password"', 'login.kind is "password", but with .plugin. the class logs people in'),
        ("[login]\nsign_up = true", "login.sign_up has no effect with .plugin."),
        ('[[providers]]\nname = "sso"', "exclude each other"),
    ],
)
def test_another_login_beside_a_class_is_refused(tmp_path, more, why):
    with pytest.raises(SettingsError, match=why):
        open_hub(tmp_path, "dummy", more=more)


def test_in_the_cloud_a_class_is_refused(tmp_path):
    file = tmp_path / "hubless.toml"
    file.write_text('[plugin]\nauthenticator_class = "dummy"\n')

    with pytest.raises(SettingsError, match=r"\[plugin\] works on one machine only"):
        cloud.check_for_deployment(file)
    with pytest.raises(SettingsError, match=r"\[plugin\] works on one machine only"):
        cloud.load(CLOUD, file, {})


def test_hubless_check_names_a_wrong_class(tmp_path):
    wrong = parse('[plugin]\nauthenticator_class = "nothing"\n', tmp_path, {})

    with pytest.raises(SettingsError, match='There is no authenticator class "nothing"'):
        plugin.check(wrong)
    plugin.check(parse("", tmp_path, {}))


def test_a_hub_without_a_class_loads_nothing_of_jupyterhub(tmp_path):
    script = (
        "import sys\nfrom pathlib import Path\nfrom functions.api.app import create_app\n"
        "from hubless.bootstrap import machine\nfrom hubless.settings import parse\n"
        f"folder = Path({str(tmp_path)!r})\n(folder / 'secret').write_bytes(b'k' * 32)\n"
        "create_app(machine.build(parse('', folder, {})))\n"
        "print(sorted({'jupyterhub', 'tornado', 'sqlalchemy', 'traitlets'} & set(sys.modules)))\n"
    )
    received = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert received.stdout == "[]\n"


def test_processes_that_start_at_once_make_the_tables_once(tmp_path):
    script = (
        "from pathlib import Path\nfrom hubless.bootstrap import machine\nfrom hubless.settings import parse\n"
        f"settings = parse('[plugin]\\nauthenticator_class = \"native\"\\n', Path({str(tmp_path)!r}), {{}})\n"
        "hub = machine.build(settings)\ninput()\nhub.login_plugin.close()\n"
    )
    (tmp_path / "secret").write_bytes(b"k" * 32)
    started = [
        subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    for one in started:
        one.stdin.write("go\n")
        one.stdin.flush()
    outcomes = [(one.communicate()[1], one.returncode) for one in started]

    assert [code for _, code in outcomes] == [0, 0, 0], outcomes
