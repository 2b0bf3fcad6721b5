"""Passwords: users change theirs, with the present one or soon after a login; and what a link's page offers."""

from datetime import timedelta

import pytest

from tests.api.hub import SETTINGS, build_hub

OWN = """
[login]
kind = "password"
max_failures = 3
admins = ["boss"]
"""
OLD, NEW = "the old one of tom", "a kettle of violets"


@pytest.fixture
def hub(tmp_path):
    made = build_hub(tmp_path, OWN)
    made.user("tom")
    made.hub.accounts.set_password("tom", OLD)
    return made


def log_in(hub, password=OLD, name="tom"):
    browser = hub.browser()
    browser.get("/hub/login")
    return browser, browser.submit("/hub/login", username=name, password=password)


def opens(hub, password):
    return log_in(hub, password)[1].status_code == 302


def wait(hub, monkeypatch, **time):
    later = hub.hub.clock.now() + timedelta(**time)
    monkeypatch.setattr(type(hub.hub.clock), "now", lambda _: later)


def change(browser, old=OLD, new=NEW, **more):
    browser.get("/hub/change-password")
    return browser.submit("/hub/change-password", **{"old": old, "password": new, "again": new} | more)


def test_a_user_changes_the_password_with_the_present_one(hub, monkeypatch):
    browser, _ = log_in(hub)
    wait(hub, monkeypatch, minutes=11)
    assert 'name="old"' in browser.get("/hub/change-password").text
    answer = change(browser)
    assert (answer.status_code, answer.headers["location"]) == (302, "/hub/home")
    assert "Your password is changed." in browser.get("/hub/home").text
    assert "Your password is changed." not in browser.get("/hub/home").text
    assert not opens(hub, OLD)
    assert opens(hub, NEW)


def test_soon_after_a_login_the_present_password_is_not_asked(hub, monkeypatch):
    browser, _ = log_in(hub)
    wait(hub, monkeypatch, minutes=9)
    assert 'name="old"' not in browser.get("/hub/change-password").text
    assert change(browser, old="").status_code == 302
    assert opens(hub, NEW)


def test_a_session_from_the_future_is_not_a_recent_login(hub, monkeypatch):
    browser, _ = log_in(hub)
    wait(hub, monkeypatch, minutes=-5)
    assert change(browser, old="").status_code == 403
    assert opens(hub, OLD)


def test_a_wrong_present_password_changes_nothing_and_counts(hub, monkeypatch):
    browser, _ = log_in(hub)
    browser.cookies.delete("jupyterhub-hub-device")
    wait(hub, monkeypatch, minutes=11)
    statuses = [change(browser, old="a wrong one").status_code for _ in range(4)]
    assert statuses == [403, 403, 403, 429]
    assert change(browser).headers["retry-after"] == "600"
    assert log_in(hub)[1].status_code == 429  # the login counts the same guesses
    wait(hub, monkeypatch, minutes=11)
    assert opens(hub, OLD)


def test_a_change_ends_other_sessions_and_keeps_tokens(hub):
    other, _ = log_in(hub)
    browser, _ = log_in(hub)
    token = hub.as_user("tom")
    assert change(browser).status_code == 302
    assert other.get("/hub/home").status_code == 302
    assert browser.get("/hub/home").status_code == 200
    assert token.get("/user").status_code == 200


def test_a_change_keeps_sessions_and_revokes_tokens_where_that_is_asked(hub):
    other, _ = log_in(hub)
    browser, _ = log_in(hub)
    token = hub.as_user("tom")
    assert change(browser, keep_sessions="1", revoke_tokens="1").status_code == 302
    assert other.get("/hub/home").status_code == 200
    assert token.get("/user").status_code == 403


def test_a_change_gives_the_browser_a_new_session_and_ends_the_link(hub):
    browser, _ = log_in(hub)
    link = hub.hub.accounts.password_link("tom")
    before = browser.cookies["jupyterhub-hub-login"]
    change(browser)
    assert browser.cookies["jupyterhub-hub-login"] != before
    assert hub.browser().get(link).status_code == 404


def test_a_session_after_a_change_still_ends_with_the_providers_own(hub):
    tom, browser = hub.hub.users.find("tom"), hub.browser()
    _, secret = hub.hub.logins.open_session(tom, "", provider="campus", provider_session="theirs")
    browser.cookies.set("jupyterhub-hub-login", secret, path="/hub/")
    browser.get("/hub/change-password")
    assert change(browser).status_code == 302
    (session,) = hub.hub.sessions.of_user(tom.id)
    assert (session.provider, session.provider_session) == ("campus", "theirs")


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"again": "another one"}, "The two passwords differ"),
        ({"new": "tom12345", "again": "tom12345"}, "too easy to guess"),
        ({"new": "short", "again": "short"}, "at least 8 characters"),
    ],
)
def test_a_password_that_is_not_allowed_changes_nothing(hub, fields, said):
    browser, _ = log_in(hub)
    answer = change(browser, **fields)
    assert (answer.status_code, said in answer.text) == (400, True)
    assert opens(hub, OLD)


def test_of_two_changes_at_once_the_later_one_is_refused(hub, monkeypatch):
    browser, _ = log_in(hub)
    hashing = type(hub.hub.hasher).hash

    def hash_late(hasher, password):
        monkeypatch.setattr(type(hub.hub.hasher), "hash", hashing)
        hub.hub.accounts.set_password("tom", "the one of an admin")
        return hashing(hasher, password)

    monkeypatch.setattr(type(hub.hub.hasher), "hash", hash_late)
    answer = change(browser)
    assert answer.status_code == 403
    assert "by another request" in answer.text
    assert opens(hub, "the one of an admin")


def test_nobody_changes_a_password_from_another_page_or_logged_out(hub):
    browser, _ = log_in(hub)
    form = {"old": OLD, "password": NEW, "again": NEW}
    assert browser.post("/hub/change-password", data=form).status_code == 403
    foreign = {"Sec-Fetch-Site": "cross-site"}
    assert browser.post("/hub/change-password", data=form | {"_xsrf": browser.xsrf}, headers=foreign).status_code == 403
    assert hub.browser().get("/hub/change-password").headers["location"].startswith("/hub/login")
    token = {"Authorization": f"token {hub.as_user('tom').secret}"}
    assert hub.client.post("/hub/change-password", data=form, headers=token).status_code == 403
    assert opens(hub, OLD)


def test_there_is_no_such_page_where_users_share_a_password(tmp_path):
    hub = build_hub(tmp_path, SETTINGS)
    assert hub.browser("tom").get("/hub/change-password").status_code == 404


def test_the_page_of_a_link_offers_to_end_what_there_is(hub):
    hub.user("new")
    old, new = (hub.browser().get(hub.hub.accounts.password_link(name)).text for name in ("tom", "new"))
    assert "revoke_tokens" in old
    assert "revoke_tokens" not in new
    assert "<strong>new</strong>" in new
