"""Second factors and passkeys in browsers, from the login to the account's page."""

import json
import re
from collections import Counter
from datetime import timedelta
from functools import cache
from html import unescape
from urllib.parse import parse_qs, urlsplit

import pytest
from pyotp import TOTP

from hubless.adapters.passwords.argon2 import Argon2PasswordHasher
from hubless.domain.external_identities import ExternalId
from hubless.domain.histograms import LOGIN_DURATION
from hubless.domain.second_factors import FREE_GUESSES, RECOVERY_CODES, Factors
from hubless.domain.users import FactorState
from hubless.ports.second_factors import RelyingParty
from tests.api.hub import Browser, build_hub
from tests.support.authenticator import Authenticator
from tests.support.fakes import StoppedClock

PASSWORD = "correct horse battery staple"
FACTORS, CONFIRM = "/hub/account/second-factors", "/hub/account/confirm"
ORIGIN = "https://hub.example"
SETTINGS = """
[hub]
public_url = "https://hub.example"

[login]
kind = "password"
admins = ["root"]
max_failures = 1000
"""


@cache
def password_hash():
    return Argon2PasswordHasher().hash(PASSWORD)


class People:
    """A hub in which everybody has the same password, and a clock that stands still."""

    def __init__(self, folder, more="", kind="password"):
        self.made = build_hub(folder, SETTINGS.replace('kind = "password"', f'kind = "{kind}"') + more)
        self.hub = self.made.hub
        now = self.hub.clock.now()
        self.hub.__dict__["clock"] = self.clock = StoppedClock(now.replace(microsecond=0))
        for name in ("alice", "bob", "root"):
            self.hub.passwords.set(self.made.user(name).id, password_hash())

    def browser(self, address=ORIGIN):
        return Browser(self.made.transport, address)

    def logged_in(self, name="alice"):
        browser = self.browser()
        assert log_in(browser, name).headers["location"] == "/hub/spawn"
        return browser

    def state(self, name="alice"):
        return self.hub.users.find(name).factors

    def pass_time(self, **time):
        self.clock.advance(timedelta(**time))

    def code(self, app):
        self.pass_time(seconds=30)
        return app.at(self.clock.now())

    def wrong_code(self, app):
        return f"{(int(app.at(self.clock.now())) + 500_000) % 1_000_000:06}"

    def add_app(self, name="alice"):
        """Return a browser in which the user has just added an app, the app, and the recovery codes."""
        browser = self.logged_in(name)
        app, form = offered(browser.get(FACTORS))
        answer = browser.submit(f"{FACTORS}/app", **form, code=app.at(self.clock.now()))
        return browser, app, shown_codes(browser, answer)

    def add_passkey(self, name="alice", phone=None, called="Phone"):
        phone = phone or Authenticator(ORIGIN)
        browser = self.logged_in(name)
        answer = phone.create(options(browser.get(FACTORS), "create"))
        done = browser.submit(f"{FACTORS}/passkeys", answer=answer, name=called)
        assert done.status_code in {200, 302}, done.text
        return browser, phone


def log_in(browser, name="alice", *, following="", password=PASSWORD):
    browser.get("/hub/login")
    return browser.submit(f"/hub/login{following}", username=name, password=password)


def offered(page):
    secret = re.search(r'class="key"><code>([A-Z2-7 ]+)</code>', page.text)[1].replace(" ", "")
    return TOTP(secret), {"offer": re.search(r'name="offer" value="([^"]+)"', page.text)[1]}


def options(page, kind):
    found = re.search(rf'data-passkey="{kind}" data-options="([^"]+)"', page.text)
    return unescape(found[1]) if found else None


def shown_codes(browser, answer):
    """The codes on the page to which the answer to a form redirects."""
    return recovery_codes(browser.get(answer.headers["location"]))


def recovery_codes(page):
    return re.findall(r"<li><code>([0-9a-z-]{19})</code></li>", page.text)


def words(page):
    found = re.search(r'id="error"[^>]*>([^<]+)<', page.text)
    return unescape(found[1]) if found else ""


def is_logged_in(browser):
    return browser.get("/hub/token").status_code == 200


@pytest.fixture
def people(tmp_path):
    return People(tmp_path)


@pytest.fixture
def strict(tmp_path):
    return People(tmp_path, 'second_factor = "required"')


# --- a login with a code ---


def test_without_a_factor_a_password_opens_a_session(people):
    assert is_logged_in(people.logged_in())


def test_with_an_app_a_password_alone_opens_nothing(people):
    people.add_app()
    browser = people.browser()

    answer = log_in(browser, following="?next=/hub/token")

    assert answer.status_code == 302
    assert answer.headers["location"] == "/hub/second-factor?next=%2Fhub%2Ftoken"
    assert "httponly" in answer.headers["set-cookie"].lower()
    assert not is_logged_in(browser)
    assert "alice" in browser.get("/hub/second-factor").text


def test_the_code_opens_the_session_and_leads_on(people):
    _, app, _ = people.add_app()
    browser = people.browser()
    ask = log_in(browser, following="?next=/hub/token").headers["location"]
    assert browser.get(ask).status_code == 200

    answer = browser.submit(ask, code=people.code(app))

    assert (answer.status_code, answer.headers["location"]) == (302, "/hub/token")
    assert is_logged_in(browser)
    assert not any("second-factor" in cookie.name for cookie in browser.cookies.jar)


def test_next_leads_nowhere_else(people):
    _, app, _ = people.add_app()
    browser = people.browser()
    log_in(browser)

    answer = browser.submit("/hub/second-factor?next=//evil.example", code=people.code(app))

    assert answer.headers["location"] == "/hub/spawn"


def test_a_code_works_in_one_of_two_tabs(people):
    _, app, _ = people.add_app()
    one, other = people.browser(), people.browser()
    log_in(one)
    log_in(other)
    code = people.code(app)

    assert one.submit("/hub/second-factor", code=code).status_code == 302
    answer = other.submit("/hub/second-factor", code=code)

    assert answer.status_code == 403
    assert "used already" in words(answer)
    assert not is_logged_in(other)
    assert other.submit("/hub/second-factor", code=people.code(app)).status_code == 302


def test_wrong_codes_lock_and_passkeys_stay_usable(people):
    _, phone = people.add_passkey()
    browser = people.browser()
    log_in(browser)
    page = browser.get("/hub/second-factor")
    for _ in range(FREE_GUESSES):
        assert browser.submit("/hub/second-factor", code="000000").status_code == 403

    locked = browser.submit("/hub/second-factor", code="000000")
    assert locked.status_code == 429
    assert "10 minutes" in words(locked)
    assert locked.headers["retry-after"]
    answer = phone.get(options(page, "get"))
    assert browser.submit("/hub/second-factor", answer=answer).status_code == 302


def test_a_recovery_code_opens_once(people):
    _, _, (first, *_) = people.add_app()
    one, other = people.browser(), people.browser()
    log_in(one)
    log_in(other)

    assert one.submit("/hub/second-factor", code=first).status_code == 302
    assert other.submit("/hub/second-factor", code=first).status_code == 403
    assert f"{RECOVERY_CODES - 1} codes are left" in one.get(FACTORS).text


def test_the_half_done_login_ends_after_ten_minutes(people):
    _, app, _ = people.add_app()
    browser = people.browser()
    log_in(browser)
    people.pass_time(minutes=10)

    answer = browser.submit("/hub/second-factor", code=people.code(app))

    assert answer.status_code == 403
    assert "Log in again" in words(answer)
    assert browser.get("/hub/second-factor").headers["location"] == "/hub/login"


def test_the_half_done_login_is_of_one_browser(people):
    _, app, _ = people.add_app()
    log_in(people.browser())
    other = people.browser()
    other.get("/hub/login")

    assert other.submit("/hub/second-factor", code=people.code(app)).status_code == 403
    assert not is_logged_in(other)


def test_a_new_password_ends_the_half_done_login(people):
    _, app, _ = people.add_app()
    browser = people.browser()
    log_in(browser)
    people.hub.accounts.set_password("alice", "another long password")

    assert browser.submit("/hub/second-factor", code=people.code(app)).status_code == 403


def test_a_user_who_is_removed_meanwhile_gets_no_session(people):
    _, app, _ = people.add_app()
    browser = people.browser()
    log_in(browser)
    code = people.code(app)
    people.hub.accounts.remove("alice")

    assert browser.submit("/hub/second-factor", code=code).status_code == 403
    assert not is_logged_in(browser)


def test_a_form_of_another_site_is_refused(people):
    _, app, _ = people.add_app()
    browser = people.browser()
    log_in(browser)

    answer = browser.post("/hub/second-factor", data={"code": people.code(app)})

    assert answer.status_code == 403
    assert not is_logged_in(browser)


def test_a_link_that_sets_a_password_does_not_pass_the_factor_by(people):
    people.add_app()
    link = people.hub.accounts.password_link("alice")
    browser = people.browser()
    browser.get(link)

    answer = browser.submit(link, password=PASSWORD, again=PASSWORD)

    assert answer.headers["location"].startswith("/hub/second-factor")
    assert not is_logged_in(browser)


def test_who_has_a_factor_shows_it_before_another_login_is_linked(tmp_path):
    github = '[[providers]]\nname = "github"\nkind = "github"\nclient_id = "hub"\nclient_secret = "s"\n'
    people = People(tmp_path, github)
    browser, app, _ = people.add_app()
    people.pass_time(minutes=11)

    answer = browser.submit("/hub/account/link/github")
    assert answer.headers["location"] == f"{CONFIRM}?next=%2Fhub%2Faccount"

    browser.submit(answer.headers["location"], code=people.code(app))
    there = browser.submit("/hub/account/link/github").headers["location"]
    assert there.startswith("https://github.com/login/oauth/authorize?")


def test_a_token_is_not_given_for_a_password_alone(people):
    people.add_app()
    login = {"auth": {"username": "alice", "password": PASSWORD}}

    answer = people.made.anybody.post("/users/alice/tokens", login)

    assert answer.status_code == 403
    assert "second factor" in answer.json()["message"]
    other = {"auth": {"username": "bob", "password": PASSWORD}}
    assert people.made.anybody.post("/users/bob/tokens", other).status_code == 201


def test_a_wrong_password_says_nothing_of_factors(people):
    people.add_app()

    answers = [log_in(people.browser(), name, password="wrong password") for name in ("alice", "bob")]

    assert {answer.status_code for answer in answers} == {403}
    assert len({words(answer) for answer in answers}) == 1


# --- who must have one ---


def test_who_must_have_a_factor_adds_one_first_and_can_do_nothing_else(strict):
    browser = strict.browser()
    ask = log_in(browser, following="?next=/hub/token").headers["location"]
    assert ask.startswith("/hub/second-factor")
    for page in ("/hub/token", "/hub/home", FACTORS):
        assert "/hub/login" in browser.get(page).headers["location"]
    app, form = offered(browser.get(ask))

    wrong = browser.submit("/hub/second-factor/app?next=/hub/token", **form, code=strict.wrong_code(app))
    assert wrong.status_code == 400
    assert offered(wrong)[0].secret == app.secret
    right = browser.submit("/hub/second-factor/app?next=/hub/token", **form, code=app.at(strict.clock.now()))

    page = browser.get(right.headers["location"])
    assert len(recovery_codes(page)) == RECOVERY_CODES
    assert 'href="/hub/token"' in page.text
    assert browser.get(right.headers["location"]).headers["location"] == "/hub/token"
    assert is_logged_in(browser)
    assert strict.state() is FactorState.SET_UP


def test_who_must_have_a_factor_may_add_a_passkey(strict):
    browser, phone = strict.browser(), Authenticator(ORIGIN)
    log_in(browser)
    answer = phone.create(options(browser.get("/hub/second-factor"), "create"))

    done = browser.submit("/hub/second-factor/passkey", answer=answer, name="Phone")

    assert shown_codes(browser, done)
    assert is_logged_in(browser)


def test_a_password_alone_adds_no_factor_beside_others(strict):
    browser = strict.browser()
    log_in(browser)
    app, form = offered(browser.get("/hub/second-factor"))
    code = app.at(strict.clock.now())
    assert shown_codes(browser, browser.submit("/hub/second-factor/app", **form, code=code))
    thief = strict.browser()
    log_in(thief)
    _, other_form = offered_by(strict, "alice")

    answer = thief.submit("/hub/second-factor/app", **other_form, code="123456")

    assert answer.headers["location"] == "/hub/second-factor"
    assert not is_logged_in(thief)


def offered_by(people, name):
    offer = people.hub.second_factors.offer_app(people.hub.users.find(name))
    return TOTP(offer.secret), {"offer": offer.offer}


def test_where_nobody_must_a_password_alone_adds_no_factor(people):
    people.add_app()
    thief = people.browser()
    log_in(thief)
    alice = people.hub.users.find("alice")
    people.hub.second_factors.reset(alice, "root")
    app, form = offered_by(people, "alice")

    answer = thief.submit("/hub/second-factor/app", **form, code=app.at(people.clock.now()))

    assert answer.status_code == 302
    assert people.state() is FactorState.RESET


def test_admins_alone_may_have_to(tmp_path):
    people = People(tmp_path, "admins_need_second_factor = true")
    people.hub.accounts.promote(people.hub.users.find("root"), revoke=False)

    assert log_in(people.browser(), "root").headers["location"] == "/hub/second-factor"
    assert is_logged_in(people.logged_in("bob"))


def test_tokens_from_before_stay_valid_and_new_ones_need_the_factor(strict):
    old = strict.made.as_user("alice")

    assert old.get("/user").status_code == 200
    login = {"auth": {"username": "alice", "password": PASSWORD}}
    assert strict.made.anybody.post("/users/alice/tokens", login).status_code == 403


# --- passkeys ---


def passkey_login(browser, phone, **wrong):
    answer = phone.get(options(browser.get("/hub/login?next=/hub/token"), "get"), **wrong)
    return browser.submit("/hub/passkey/login?next=/hub/token", answer=answer)


def test_a_passkey_logs_in_without_name_and_password(people):
    _, phone = people.add_passkey()
    browser = people.browser()

    answer = passkey_login(browser, phone)

    assert (answer.status_code, answer.headers["location"]) == (302, "/hub/token")
    assert ">alice</span>" in browser.get("/hub/token").text
    assert browser.get(FACTORS).status_code == 200  # a factor was shown just now


def test_an_answer_of_one_browser_opens_nothing_in_another(people):
    _, phone = people.add_passkey()
    one, other = people.browser(), people.browser()
    answer = phone.get(options(one.get("/hub/login"), "get"))
    other.get("/hub/login")

    refused = other.submit("/hub/passkey/login", answer=answer)

    assert refused.status_code == 403
    assert "another login" in words(refused)


def test_an_answer_opens_one_session(people):
    _, phone = people.add_passkey()
    browser = people.browser()
    answer = phone.get(options(browser.get("/hub/login"), "get"))
    xsrf = browser.xsrf
    assert browser.submit("/hub/passkey/login", answer=answer).status_code == 302
    browser.cookies.clear()
    browser.cookies.set("_xsrf", xsrf, domain="hub.example", path="/hub/")

    assert browser.submit("/hub/passkey/login", answer=answer).status_code == 403
    assert not is_logged_in(browser)


@pytest.mark.parametrize(
    ("rule", "is_let_in"),
    [
        ("", False),
        ("allow_users = ['bob']", False),
        ("allow_groups = ['physics']", False),
        ("allow_users = ['alice']", True),
        ("allow_all = true", True),
        ("allow_existing_users = true", True),
        ("allow_all = true\nblocked_users = ['alice']", False),
    ],
)
def test_a_passkey_lets_in_whom_the_rules_let_in(tmp_path, rule, is_let_in):
    _, phone = People(tmp_path).add_passkey()
    browser = People(tmp_path, rule, kind="none").browser()

    answer = passkey_login(browser, phone)

    assert answer.status_code == (302 if is_let_in else 403)
    assert is_logged_in(browser) is is_let_in


@pytest.mark.parametrize(
    ("rule", "is_let_in"), [("", False), ("allowed_users = ['alice']", True), ("allow_all = true", True)]
)
def test_a_passkey_lets_in_whom_the_rules_of_a_class_let_in(tmp_path, rule, is_let_in):
    _, phone = People(tmp_path).add_passkey()
    fussy = '\n[plugin]\nauthenticator_class = "tests.support.plugin_classes.Fussy"\n[plugin.config.Fussy]\n'
    made = build_hub(tmp_path, SETTINGS.replace('kind = "password"', "") + f"{fussy}any_allow_config = true\n{rule}")
    browser = Browser(made.transport, ORIGIN)
    browser.get("/hub/login")  # the class's page, which offers none
    asked = made.hub.passkeys.login_options(RelyingParty("hub.example", ORIGIN, "hub"), browser.xsrf)
    answer = browser.submit("/hub/passkey/login", answer=phone.get(asked))

    assert answer.status_code == (302 if is_let_in else 403)
    assert is_logged_in(browser) is is_let_in


def test_a_passkey_opens_its_owners_account_and_not_one_that_got_the_name(people, monkeypatch):
    _, phone = people.add_passkey()
    alice = people.hub.users.find("alice")

    def renamed_meanwhile(_name):
        if people.hub.users.find("alice").id == alice.id:
            people.hub.accounts.change(alice, name="alicia")
            people.hub.accounts.add("alice")

    monkeypatch.setattr(type(people.hub.logins), "require_not_blocked", lambda _self, name: renamed_meanwhile(name))
    browser = people.browser()

    assert passkey_login(browser, phone).status_code == 302
    assert ">alicia</span>" in browser.get("/hub/token").text


@pytest.mark.parametrize("by_admin", [True, False])
def test_whom_an_admin_linked_gets_in_by_a_passkey_without_a_rule(tmp_path, by_admin):
    _, phone = People(tmp_path).add_passkey()
    people = People(tmp_path, kind="none")
    alice, logins = people.made.user("alice"), people.hub.external_logins
    identity = ExternalId("https://login.example.org", "1")
    logins.link(alice, logins.linked_by(alice, identity, provider="campus", label="Alice", by_admin=by_admin))

    assert passkey_login(people.browser(), phone).status_code == (302 if by_admin else 403)


@pytest.mark.parametrize(
    "wrong",
    [
        {"said": {"origin": "https://alice.hub.example"}},
        {"said": {"crossOrigin": True}},
        {"flags": 0x01},
        {"user_handle": None},
        {"rp_id": "example"},
    ],
    ids=str,
)
def test_a_wrong_answer_opens_nothing(people, wrong):
    _, phone = people.add_passkey()
    browser = people.browser()

    assert passkey_login(browser, phone, **wrong).status_code == 403
    assert not is_logged_in(browser)


@pytest.mark.parametrize("answer", ["", "{}", "x" * 16_000, "[" * 9_000])
def test_what_is_no_answer_opens_nothing(people, answer):
    browser = people.browser()
    browser.get("/hub/login")

    assert browser.submit("/hub/passkey/login", answer=answer).status_code == 403


def test_a_passkey_is_a_second_factor_too(people):
    _, phone = people.add_passkey()
    browser = people.browser()
    log_in(browser)
    asked = options(browser.get("/hub/second-factor"), "get")
    assert len(json.loads(asked)["allowCredentials"]) == 1

    assert browser.submit("/hub/second-factor", answer=phone.get(asked)).status_code == 302
    assert is_logged_in(browser)


def test_anothers_passkey_is_no_second_factor(people):
    people.add_passkey()
    _, bobs = people.add_passkey("bob")
    browser = people.browser()
    log_in(browser)
    asked = options(browser.get("/hub/second-factor"), "get")

    assert browser.submit("/hub/second-factor", answer=bobs.get(asked)).status_code == 403


def test_without_passkeys_in_the_settings_there_are_none(tmp_path):
    people = People(tmp_path, "passkeys = false")
    browser = people.logged_in()

    assert options(people.browser().get("/hub/login"), "get") is None
    assert options(browser.get(FACTORS), "create") is None
    answer = Authenticator(ORIGIN).create({"user": {"id": "x"}, "challenge": "eA", "rp": {"id": "hub.example"}})
    assert browser.submit(f"{FACTORS}/passkeys", answer=answer, name="Phone").status_code == 400


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("http://127.0.0.1:8000", "such as http://localhost"),
        ("https://192.0.2.7", "at an IP address"),
        ("https://[2001:db8::1]", "at an IP address"),
        ("http://hub.example", "only over https"),
        ("http://localhost:8000", None),
        ("https://hub.example", None),
    ],
)
def test_pages_say_why_browsers_take_no_passkeys(tmp_path, address, said):
    made = build_hub(tmp_path, SETTINGS.replace('public_url = "https://hub.example"', ""))
    made.hub.passwords.set(made.user("alice").id, password_hash())
    browser = Browser(made.transport, address)
    log_in(browser)
    page = browser.get(FACTORS)

    assert (options(page, "create") is None) == (said is not None)
    assert said is None or said in page.text
    assert (options(Browser(made.transport, address).get("/hub/login"), "get") is None) == (said is not None)


# --- the account's page ---


def test_an_app_is_added_replaced_and_removed(people):
    browser, _, codes = people.add_app()
    assert len(codes) == RECOVERY_CODES
    app, form = offered(browser.get(FACTORS))

    replaced = browser.submit(f"{FACTORS}/app", **form, code=app.at(people.clock.now()))
    assert replaced.status_code == 302
    assert browser.submit(f"{FACTORS}/app/remove").status_code == 302

    assert people.state() is FactorState.NONE
    assert is_logged_in(people.logged_in())


def test_a_wrong_code_adds_no_app_and_keeps_the_secret(people):
    browser = people.logged_in()
    app, form = offered(browser.get(FACTORS))

    answer = browser.submit(f"{FACTORS}/app", **form, code=people.wrong_code(app))

    assert answer.status_code == 400
    assert "not right" in words(answer)
    assert offered(answer)[0].secret == app.secret
    assert people.state() is FactorState.NONE


def test_the_qr_code_is_a_picture_in_the_page(people):
    page = people.logged_in().get(FACTORS)

    assert '<svg viewBox="0 0' in page.text
    assert "style=" not in page.text


def test_passkeys_are_listed_renamed_and_removed(people):
    browser, phone = people.add_passkey()
    (credential,) = phone.keys
    assert "Phone" in browser.get(FACTORS).text

    assert browser.submit(f"{FACTORS}/passkeys/rename", id=credential, name="<b>Key").status_code == 302
    assert "&lt;b&gt;Key" in browser.get(FACTORS).text
    assert browser.submit(f"{FACTORS}/passkeys/rename", id=credential, name=" ").status_code == 400
    assert browser.submit(f"{FACTORS}/passkeys/remove", id=credential).status_code == 302
    assert people.state() is FactorState.NONE


def test_the_last_factor_stays_where_one_is_demanded(strict):
    browser = strict.browser()
    log_in(browser)
    app, form = offered(browser.get("/hub/second-factor"))
    browser.submit("/hub/second-factor/app", **form, code=app.at(strict.clock.now()))

    answer = browser.submit(f"{FACTORS}/app/remove")

    assert answer.status_code == 400
    assert "demands" in words(answer)


CHANGES = {
    "/app": {"offer": "x", "code": "123456"},
    "/app/remove": {},
    "/passkeys": {"answer": "{}", "name": "Phone"},
    "/passkeys/rename": {"id": "x", "name": "y"},
    "/passkeys/remove": {"id": "x"},
    "/recovery-codes": {},
}


@pytest.mark.parametrize("change", CHANGES)
def test_an_older_session_changes_nothing_before_a_factor_is_shown(people, change):
    browser, app, _ = people.add_app()
    people.pass_time(minutes=11)
    before = people.hub.second_factors.of(people.hub.users.find("alice"))
    assert browser.get(FACTORS).headers["location"].startswith(CONFIRM)

    answer = browser.submit(FACTORS + change, **CHANGES[change])

    assert (answer.status_code, urlsplit(answer.headers["location"]).path) == (302, CONFIRM)
    assert people.hub.second_factors.of(people.hub.users.find("alice")) == before
    assert browser.submit(CONFIRM, code=people.wrong_code(app)).status_code == 403
    assert browser.get(FACTORS).status_code == 302
    assert browser.submit(CONFIRM, code=people.code(app)).headers["location"] == FACTORS
    assert browser.get(FACTORS).status_code == 200


@pytest.mark.parametrize("change", CHANGES)
def test_a_form_of_another_site_changes_nothing(people, change):
    browser, _, _ = people.add_app()

    assert browser.post(FACTORS + change, data=CHANGES[change]).status_code == 403


def test_without_a_factor_an_older_session_logs_in_again_first(people):
    browser = people.logged_in()
    people.pass_time(minutes=11)

    page = browser.get(browser.get(FACTORS).headers["location"])
    again = unescape(re.search(r'href="(/hub/login[^"]+)"', page.text)[1])
    assert parse_qs(urlsplit(again).query) == {"next": [FACTORS], "again": ["1"]}
    assert browser.get(again).status_code == 200
    assert browser.submit(again, username="alice", password=PASSWORD).headers["location"] == FACTORS
    assert browser.get(FACTORS).status_code == 200


def test_the_proof_of_one_session_is_worth_nothing_in_another(people):
    fresh, app, _ = people.add_app()
    proof = fresh.cookies.get("jupyterhub-hub-factor")
    older = people.browser()
    log_in(older)
    older.submit("/hub/second-factor", code=people.code(app))
    people.pass_time(minutes=11)
    older.cookies.set("jupyterhub-hub-factor", proof, domain="hub.example", path="/hub/")

    assert older.get(FACTORS).status_code == 302


def test_a_hub_with_one_password_for_all_has_no_second_factors(tmp_path):
    made = build_hub(tmp_path)
    browser = made.browser("alice")

    assert browser.get(FACTORS).status_code == 404
    assert options(made.browser().get("/hub/login"), "get") is None


# --- resets ---


def test_a_reset_is_told_at_the_next_login(people):
    people.add_app()
    people.hub.second_factors.reset(people.hub.users.find("alice"), "root")
    browser = people.browser()

    told = log_in(browser, following="?next=/hub/token").headers["location"]
    assert told == "/hub/second-factors-reset?next=%2Fhub%2Ftoken"
    page = browser.get(told)
    assert "<strong>root</strong>" in page.text
    assert browser.submit(told).headers["location"] == "/hub/token"

    assert people.state() is FactorState.NONE
    assert browser.get(told).headers["location"] == "/hub/token"


def test_a_reset_during_a_login_lets_the_password_alone_in(people):
    people.add_app()
    browser = people.browser()
    log_in(browser)
    people.hub.second_factors.reset(people.hub.users.find("alice"), "root")

    answer = browser.submit("/hub/second-factor", code="")

    assert answer.headers["location"].startswith("/hub/second-factors-reset")
    assert is_logged_in(browser)


def test_a_record_of_nothing_is_no_factor(people):
    alice = people.hub.users.find("alice")
    people.hub.factor_store.save(Factors(alice.id), Factors(alice.id).with_failure(people.clock.now()))

    assert is_logged_in(people.logged_in())


def test_an_admin_resets_the_factors_of_others_by_the_api(people):
    people.add_app()
    root = people.made.as_user("root")
    assert root.get("/users/alice/second-factors").json() == {
        "app": True,
        "passkeys": 0,
        "recovery_codes": RECOVERY_CODES,
        "demanded": False,
    }

    assert root.delete("/users/alice/second-factors").status_code == 204
    assert root.delete("/users/alice/second-factors").status_code == 204

    assert people.state() is FactorState.RESET
    assert people.hub.second_factors.of(people.hub.users.find("alice")).reset_by == "root"
    assert root.get("/users/alice/second-factors").json()["app"] is False


def test_nobody_without_the_rights_resets_factors(people):
    people.add_app()
    bob = people.made.as_user("bob")
    helper = people.made.as_user("bob", ("admin:users",))
    alice = people.made.as_user("alice")

    assert bob.delete("/users/alice/second-factors").status_code in {403, 404}
    assert bob.get("/users/alice/second-factors").status_code in {403, 404}
    assert alice.delete("/users/alice/second-factors").status_code in {400, 403, 404}
    people.add_app("root")
    assert helper.delete("/users/root/second-factors").status_code in {403, 404}
    assert people.state() is people.state("root") is FactorState.SET_UP


def test_an_admin_shows_a_factor_to_change_the_own_ones(people):
    browser, _, _ = people.add_app("root")

    assert people.made.as_user("root").delete("/users/root/second-factors").status_code == 400
    assert browser.submit("/hub/admin/users/root/reset-factors").status_code == 400
    assert people.state("root") is FactorState.SET_UP


def test_an_admin_resets_the_factors_of_others_on_the_admin_page(people):
    people.add_app()
    browser = people.logged_in("root")

    browser.submit("/hub/admin/users/alice/reset-factors")

    assert "alice has no second factor any more" in browser.get("/hub/admin").text
    assert people.state() is FactorState.RESET
    browser.submit("/hub/admin/users/alice/reset-factors")
    assert "alice has no second factor<" in browser.get("/hub/admin").text


def test_who_downloads_their_data_shows_a_factor_first(people):
    browser, app, _ = people.add_app()
    people.pass_time(minutes=11)

    assert browser.get("/hub/account/data").headers["location"] == f"{CONFIRM}?next=%2Fhub%2Faccount"
    assert browser.submit(f"{CONFIRM}?next=/hub/account", code=people.code(app)).headers["location"] == "/hub/account"
    assert browser.get("/hub/account/data").json()["logins"]["app_added_at"]


# --- what a login costs ---


def test_a_login_without_a_factor_reads_nothing_of_factors(people):
    class Untouched:
        def __getattr__(self, name):
            raise AssertionError(f"a login without a factor calls {name}")

    people.hub.__dict__["factor_store"] = Untouched()

    assert is_logged_in(people.logged_in())


def test_who_administers_users_resets_no_admins_factors(tmp_path):
    role = '\n[[roles]]\nname = "helpers"\nscopes = ["admin:users", "list:users"]\nusers = ["bob"]\n'
    people = People(tmp_path, role)
    people.hub.accounts.promote(people.made.user("root"), revoke=False)
    for name in ("alice", "root"):
        people.add_app(name)
    bob = people.made.as_user("bob")

    assert bob.delete("/users/root/second-factors").status_code == 403
    assert bob.delete("/users/alice/second-factors").status_code == 204
    assert (people.state("root"), people.state()) == (FactorState.SET_UP, FactorState.RESET)


def test_a_login_counts_when_the_factor_is_shown(people):
    def logins():
        found = Counter()
        for one in people.hub.histogram_counts():
            if one.histogram == LOGIN_DURATION.name:
                found[one.labels[0].removeprefix("LoginStatus.")] += one.count
        return found

    _, app, _ = people.add_app()
    before = logins()
    browser = people.browser()
    log_in(browser)
    assert logins() == before
    browser.submit("/hub/second-factor", code=people.wrong_code(app))
    assert logins() - before == {"failure": 1}
    browser.submit("/hub/second-factor", code=people.code(app))
    assert logins() - before == {"failure": 1, "success": 1}
