"""Logins at providers through the pages: ten tabs, foreign browsers, links, logouts, and what people read."""

import re
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest

from hubless.adapters.jupyterhub_passwords.oauth_identities import with_identities
from hubless.adapters.oidc.github_provider import GithubProvider
from hubless.adapters.oidc.openid_provider import LOGOUT_EVENT, OpenIdProvider
from hubless.domain.archive import Archive, ArchivedUser
from hubless.domain.external_identities import ExternalId
from hubless.domain.import_choices import Choices
from hubless.services import login_beginnings, provider_logins
from tests.api.hub import ADDRESS, build_hub
from tests.doubles.openid import ISSUER, SECRET, DoubleFetcher, GithubDouble, OpenIdDouble
from tests.doubles.signers import signed

SETTINGS = f"""
[hub]
public_url = "{ADDRESS}"
contact = "write to help@example.org"

[login]
kind = "none"
allow_all = true
auth_state = true
admins = ["boss"]
blocked_users = ["mallory"]

[[providers]]
name = "sso"
kind = "oidc"
display_name = "Our SSO"
issuer = "{ISSUER}"
client_id = "hub"
client_secret = "{SECRET}"
logout_at_provider = true

[[providers]]
name = "github"
kind = "github"
client_id = "hub"
client_secret = "{SECRET}"
"""


class World:
    """A hub with two providers that a test makes misbehave."""

    def __init__(self, folder, settings=SETTINGS):
        self.hub = build_hub(folder, settings)
        clock = self.hub.hub.clock
        self.sso, self.github = OpenIdDouble(clock), GithubDouble(clock)
        doubles = {"sso": (OpenIdProvider, self.sso), "github": (GithubProvider, self.github)}
        self.hub.hub.__dict__["login_providers"] = {
            one.name: doubles[one.name][0](one, DoubleFetcher(doubles[one.name][1]), clock)
            for one in self.hub.hub.settings.providers
        }

    def begin(self, browser, provider="sso", following="/hub/home"):
        """Send the browser to the provider, and return the address at which it comes back."""
        there = browser.get("/hub/oauth_login", params={"provider": provider, "next": following})
        assert there.status_code == 302, there.text
        return self.back(there, provider)

    def back(self, there, provider="sso"):
        answer = getattr(self, provider).browse(there.headers["location"])
        asked = parse_qs(urlsplit(there.headers["location"]).query)
        path = urlsplit(asked["redirect_uri"][0]).path
        return path, answer

    def log_in(self, browser, provider="sso", following="/hub/home"):
        path, answer = self.begin(browser, provider, following)
        return browser.get(path, params=answer)

    def sessions(self, name="ada"):
        return self.hub.hub.sessions.of_user(self.hub.hub.users.find(name).id)


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


def who(browser):
    return browser.get("/hub/api/user", headers={"X-XSRFToken": browser.cookies.get("_xsrf") or ""}).json().get("name")


def text_of(answer):
    return re.sub(r"\s+", " ", answer.text)


class TestLogin:
    def test_a_person_comes_home_to_where_the_login_began(self, world):
        browser = world.hub.browser()
        answer = world.log_in(browser, following="/hub/token?x=1")
        assert (answer.status_code, answer.headers["location"]) == (302, "/hub/token?x=1")
        assert who(browser) == "ada"
        (session,) = world.sessions()
        assert session.provider == "sso"

    def test_an_imported_user_comes_home_where_an_import_said_so(self, world):
        hub = world.hub.hub
        before = hub.clock.now() - timedelta(days=1)
        old = Archive("old", users=(ArchivedUser("Ada", created_at=before, last_activity_at=before),))
        hub.moving.carry_out(hub.moving.plan(old, "", Choices()), "")
        ada = hub.users.find("ada")
        refused = world.log_in(world.hub.browser())
        assert (refused.status_code, "belongs to a user of this hub" in text_of(refused)) == (403, True)

        known = with_identities(old, "sso", ISSUER, is_github=False, now=hub.clock.now())
        hub.moving.carry_out(hub.moving.plan(known, "", Choices()), "")
        assert world.log_in(world.hub.browser(), "github").status_code == 403
        browser = world.hub.browser()
        assert world.log_in(browser).status_code == 302
        assert who(browser) == "ada"
        assert [one.provider for one in hub.external_identities.of_user(ada.id)] == ["sso"]
        assert hub.moving.plan(known, "", Choices()).steps == ()

    def test_the_second_provider_comes_back_at_its_own_address(self, world):
        browser = world.hub.browser()
        path, answer = world.begin(browser, "github")
        assert path == "/hub/oauth_callback/github"
        assert browser.get(path, params=answer).status_code == 302
        assert who(browser) == "ada"

    def test_the_login_page_shows_both_and_no_form(self, world):
        page = world.hub.browser().get("/hub/login", params={"next": "/hub/token"}).text
        assert "Log in with Our SSO" in page
        assert 'href="/hub/oauth_login?provider=github&amp;next=%2Fhub%2Ftoken"' in page
        assert "password" not in page

    def test_nobody_logs_in_with_a_password_where_there_is_none(self, world):
        browser = world.hub.browser()
        answer = browser.log_in("ada")
        assert answer.status_code == 403

    def test_ten_tabs_that_are_restored_at_once_all_come_home(self, world):
        browser = world.hub.browser()
        begun = [world.begin(browser, following=f"/hub/token?tab={tab}") for tab in range(10)]
        for tab, (path, answer) in enumerate(begun):
            came = browser.get(path, params=answer)
            assert came.headers["location"] == f"/hub/token?tab={tab}"
        assert who(browser) == "ada"
        assert len(world.sessions()) == 1  # the others find it, and end nothing of one another

    def test_ten_tabs_whose_requests_cross_keep_their_own_cookies(self, world):
        browsers = [world.hub.browser() for _ in range(10)]  # each request leaves before any answer is there
        begun = [world.begin(one) for one in browsers]
        together = world.hub.browser()
        for one in browsers:
            together.cookies.update(one.cookies)
        for path, answer in reversed(begun):
            assert together.get(path, params=answer).status_code == 302
        assert who(together) == "ada"

    def test_cookies_of_logins_that_nobody_ends_do_not_pile_up(self, world):
        browser = world.hub.browser()
        for _ in range(30):
            world.begin(browser)
        names = [cookie.name for cookie in browser.cookies.jar if cookie.name.startswith("hubless-login-")]
        assert len(names) == 20
        world.log_in(browser)
        assert who(browser) == "ada"

    def test_a_completed_login_leaves_no_cookie(self, world):
        browser = world.hub.browser()
        world.log_in(browser)
        assert not [cookie for cookie in browser.cookies.jar if cookie.name.startswith("hubless-login-")]

    def test_who_is_logged_in_already_is_sent_on(self, world):
        browser = world.hub.browser()
        world.log_in(browser)
        there = browser.get("/hub/oauth_login", params={"provider": "sso", "next": "/hub/token"})
        assert there.headers["location"] == "/hub/token"

    def test_a_missing_provider_is_404(self, world):
        assert world.hub.browser().get("/hub/oauth_login?provider=none").status_code == 404
        assert world.hub.browser().get("/hub/oauth_callback/none?state=x&code=y").status_code == 404

    @pytest.mark.parametrize("following", ["https://evil.example", "//evil.example", "/\\evil.example", "javascript:x"])
    def test_a_login_ends_on_this_hub_only(self, world, following):
        answer = world.log_in(world.hub.browser(), following=following)
        assert answer.headers["location"].startswith("/hub/spawn")

    def test_a_class_that_logs_in_creates_one_user_each(self, world):
        for name in ("ada", "bob"):
            world.sso.person |= {"sub": f"sub-{name}", "preferred_username": name}
            browser = world.hub.browser()
            world.log_in(browser)
            assert who(browser) == name

    def test_a_login_at_a_provider_makes_few_calls_to_the_store(self, world, monkeypatch):
        browser = world.hub.browser()
        world.log_in(browser)
        browser.get("/hub/logout")
        begun = world.begin(browser)
        hub, calls = world.hub.hub, []
        for store in (
            "users",
            "sessions",
            "external_identities",
            "pending_logins",
            "passwords",
            "groups",
            "auth_states",
        ):
            spy_on(getattr(hub, store), calls, monkeypatch)
        browser.get(begun[0], params=begun[1])
        reads = [call for call in calls if not call.startswith("SqliteAuthStateStore")]  # kept where settings say so
        assert len(reads) <= 4, calls


def spy_on(store, calls, monkeypatch):
    for name in [one for one in dir(store) if not one.startswith("_")]:
        method = getattr(store, name)

        def counted(*given, _method=method, _name=name, **named):
            calls.append(f"{type(store).__name__}.{_name}")
            return _method(*given, **named)

        monkeypatch.setattr(store, name, counted, raising=False)


class TestForeignAnswers:
    def refused(self, browser, path, answer, said):
        came = browser.get(path, params=answer)
        assert came.status_code == 403
        assert said in text_of(came)
        assert who(browser) is None

    def test_an_answer_in_another_browser_logs_nobody_in(self, world):
        path, answer = world.begin(world.hub.browser())
        self.refused(world.hub.browser(), path, answer, "began in another browser")

    def test_an_answer_of_another_login_in_the_same_browser_does_not_fit(self, world):
        browser, attacker = world.hub.browser(), world.hub.browser()
        world.begin(browser)
        path, answer = world.begin(attacker)
        self.refused(browser, path, answer, "began in another browser")

    def test_an_answer_that_came_before_is_refused(self, world):
        browser = world.hub.browser()
        path, answer = world.begin(browser)
        browser.get(path, params=answer)
        browser.get("/hub/logout")
        self.refused(browser, path, answer, "was completed already")

    def test_an_answer_that_comes_too_late_is_refused(self, world, monkeypatch):
        monkeypatch.setattr(provider_logins, "PATIENCE", timedelta(seconds=-1))
        browser = world.hub.browser()
        self.refused(browser, *world.begin(browser), "took too long")

    def test_an_answer_at_the_address_of_another_provider_is_refused(self, world):
        browser = world.hub.browser()
        _, answer = world.begin(browser, "sso")
        self.refused(browser, "/hub/oauth_callback/github", answer, "was completed already")

    @pytest.mark.parametrize("state", ["", "x", "x" * 10_000, "ä"])
    def test_a_state_that_is_none_is_refused(self, world, state):
        self.refused(world.hub.browser(), "/hub/oauth_callback", {"code": "x", "state": state}, "Log in again")

    def test_a_refused_answer_shows_and_logs_nothing_secret(self, world, caplog):
        world.sso.token_claims = {"nonce": "another"}
        browser = world.hub.browser()
        path, answer = world.begin(browser)
        came = browser.get(path, params=answer)
        for text in (came.text, caplog.text):
            assert answer["code"] not in text
            assert answer["state"] not in text
            assert SECRET not in text
        assert '<p class="muted">write to help@example.org</p>' in came.text

    def test_an_outage_says_so_and_whom_to_ask(self, world):
        world.sso.down = {"/token"}
        came = world.log_in(world.hub.browser())
        assert came.status_code == 503
        assert "Our SSO does not answer as it should" in came.text
        world.sso.down = {"/.well-known/openid-configuration"}
        world.hub.hub.login_providers["sso"]._source._found = None
        came = world.hub.browser().get("/hub/oauth_login?provider=sso")
        assert came.status_code == 503

    def test_a_person_reads_it_in_their_language(self, world):
        world.sso.down = {"/token"}
        browser = world.hub.browser()
        browser.headers["Accept-Language"] = "de"
        assert "Our SSO antwortet nicht, wie es soll. " in world.log_in(browser).text


class TestWhoMayEnter:
    def test_a_blocked_person_reads_whom_to_ask(self, world):
        world.sso.person["preferred_username"] = "mallory"
        came = world.log_in(world.hub.browser())
        assert came.status_code == 403
        assert "To get access: write to help@example.org" in came.text

    def test_nobody_takes_over_an_admins_name(self, world):
        world.sso.person["preferred_username"] = "boss"
        came = world.log_in(world.hub.browser())
        assert came.status_code == 403
        assert (
            not world.hub.hub.external_identities.of_user(world.hub.hub.users.find("boss").id)
            if (world.hub.hub.users.find("boss"))
            else True
        )

    def test_nobody_comes_in_where_settings_name_nobody(self, tmp_path):
        world = World(tmp_path, SETTINGS.replace("allow_all = true", ""))
        assert world.log_in(world.hub.browser()).status_code == 403
        assert world.hub.hub.users.find("ada") is None


class TestLinking:
    def link(self, world, browser, provider="github"):
        browser.get("/hub/home")
        there = browser.submit(f"/hub/account/link/{provider}")
        assert there.status_code == 302
        return world.back(there, provider)

    def test_a_linked_identity_opens_the_same_account(self, world):
        world.github.user = {"id": 17, "login": "quite-another-name"}
        browser = world.hub.browser()
        world.log_in(browser)
        path, answer = self.link(world, browser)
        assert browser.get(path, params=answer).headers["location"] == "/hub/account"
        other = world.hub.browser()
        world.log_in(other, "github")
        assert who(other) == "ada"
        assert world.hub.hub.users.find("quite-another-name") is None

    def test_a_link_needs_a_form_of_ours(self, world):
        browser = world.hub.browser()
        world.log_in(browser)
        assert browser.post("/hub/account/link/github").status_code == 403
        assert browser.get("/hub/account/link/github").status_code == 405

    def test_an_identity_of_somebody_else_is_not_linked(self, world):
        other, browser = world.hub.browser(), world.hub.browser()
        world.github.user = {"id": 17, "login": "bob"}
        world.log_in(other, "github")
        world.log_in(browser)
        path, answer = self.link(world, browser)
        assert browser.get(path, params=answer).status_code == 409
        assert len(world.hub.hub.external_identities.of_user(world.hub.hub.users.find("ada").id)) == 1

    def test_whoever_logged_in_meanwhile_gets_no_link_of_another(self, world):
        browser = world.hub.browser()
        world.log_in(browser)
        path, answer = self.link(world, browser)
        browser.get("/hub/logout")
        world.sso.person |= {"sub": "sub-bob", "preferred_username": "bob"}
        world.log_in(browser)
        came = browser.get(path, params=answer)
        assert came.status_code == 403
        assert "before the link was complete" in came.text


class TestLogout:
    def test_goes_on_to_the_provider_and_comes_back(self, world):
        browser = world.hub.browser()
        world.log_in(browser)
        url = urlsplit(browser.get("/hub/logout").headers["location"])
        assert f"{url.scheme}://{url.netloc}{url.path}" == f"{ISSUER}/logout"
        query = parse_qs(url.query)
        assert query["post_logout_redirect_uri"] == [f"{ADDRESS}/hub/logged-out"]
        assert query["id_token_hint"]
        assert who(browser) is None
        assert "You are logged out" in browser.get("/hub/logged-out").text

    def test_of_a_provider_without_one_ends_here(self, world):
        browser = world.hub.browser()
        world.log_in(browser, "github")
        assert browser.get("/hub/logout").headers["location"] == "/hub/login"

    def test_works_while_the_provider_does_not_answer(self, world):
        browser = world.hub.browser()
        world.log_in(browser)
        world.sso.down = {"/.well-known/openid-configuration"}
        world.hub.hub.login_providers["sso"]._source._found = None
        assert browser.get("/hub/logout").headers["location"] == "/hub/login"
        assert world.sessions() == []


def notice(world, **changed):
    at = int(world.hub.hub.clock.now().timestamp())
    claims = {"iss": ISSUER, "aud": "hub", "iat": at, "exp": at + 60, "jti": "j-1", "sub": "sub-ada"}
    claims |= {"events": {LOGOUT_EVENT: {}}} | changed
    return signed({name: known for name, known in claims.items() if known is not None})


def failing(*_given):
    raise RuntimeError("the process ends here")


class TestBackChannelLogout:
    def send(self, world, token, provider="sso"):
        return world.hub.browser().post(f"/hub/backchannel_logout/{provider}", data={"logout_token": token})

    def test_ends_the_session_that_it_names_and_no_other(self, world):
        first, second = world.hub.browser(), world.hub.browser()
        world.sso.person["sid"] = "s-1"
        world.log_in(first)
        world.sso.person["sid"] = "s-2"
        world.log_in(second)
        answer = self.send(world, notice(world, sid="s-1"))
        assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
        assert (who(first), who(second)) == (None, "ada")

    def test_without_a_session_ends_all_that_this_provider_began(self, world):
        first, second = world.hub.browser(), world.hub.browser()
        world.log_in(first)
        world.log_in(second)
        assert self.send(world, notice(world)).status_code == 200
        assert (who(first), who(second)) == (None, None)

    def test_that_comes_again_ends_nothing_that_began_after_it(self, world, monkeypatch):
        token, later = notice(world), world.hub.hub.clock.now() + timedelta(seconds=70)
        assert self.send(world, token).status_code == 200
        monkeypatch.setattr(type(world.hub.hub.clock), "now", lambda _: later)
        browser = world.hub.browser()
        world.log_in(browser)
        assert self.send(world, token).status_code == 200
        assert who(browser) == "ada"

    def test_that_comes_again_after_a_fault_ends_what_the_first_left(self, world, monkeypatch):
        browser, token = world.hub.browser(), notice(world)
        world.log_in(browser)
        with monkeypatch.context() as faulty:
            faulty.setattr(type(world.hub.hub.sessions), "end", failing)
            assert self.send(world, token).status_code == 500
        assert self.send(world, token).status_code == 200
        assert who(browser) is None

    @pytest.mark.parametrize(
        ("sid", "ends"), [({}, True), ({"sid": "s-1"}, True), ({"sid": "s-2"}, False), ({"sub": "sub-bob"}, False)]
    )
    def test_ends_a_login_that_waits_for_a_second_factor(self, tmp_path, sid, ends):
        world = World(tmp_path, SETTINGS.replace("[login]", '[login]\nsecond_factor = "always"', 1))
        world.sso.person["sid"] = "s-1"
        browser = world.hub.browser()
        assert world.log_in(browser).headers["location"].startswith("/hub/second-factor")
        assert browser.get("/hub/second-factor").status_code == 200
        self.send(world, notice(world, **sid))
        assert browser.get("/hub/second-factor").status_code == (302 if ends else 200)
        assert browser.submit("/hub/second-factor/app").status_code == (403 if ends else 400)

    def test_leaves_a_login_alone_that_begins_later(self, tmp_path, monkeypatch):
        world = World(tmp_path, SETTINGS.replace("[login]", '[login]\nsecond_factor = "always"', 1))
        world.log_in(world.hub.browser())
        self.send(world, notice(world))
        later = world.hub.hub.clock.now() + timedelta(seconds=70)
        monkeypatch.setattr(type(world.hub.hub.clock), "now", lambda _: later)
        browser = world.hub.browser()
        world.log_in(browser)
        assert browser.get("/hub/second-factor").status_code == 200

    @pytest.mark.parametrize(
        "changed", [{"iss": "https://other"}, {"aud": "x"}, {"nonce": "n"}, {"sub": None}, {"jti": None}]
    )
    def test_that_is_not_genuine_ends_nothing(self, world, changed):
        browser = world.hub.browser()
        world.log_in(browser)
        answer = self.send(world, notice(world, **{"sid": "s", **changed}))
        assert answer.status_code == 400
        assert answer.json()["error"] == "invalid_request"
        assert who(browser) == "ada"

    def test_without_a_token_or_for_somebody_unknown_is_no_crash(self, world):
        assert world.hub.browser().post("/hub/backchannel_logout/sso").status_code == 400
        assert self.send(world, "x.y.z").status_code == 400
        assert self.send(world, notice(world, sub="nobody")).status_code == 200
        assert self.send(world, notice(world), provider="none").status_code == 404


class TestRefresh:
    """A login is refreshed at starts and by age: a minute and five minutes after the provider last spoke."""

    @pytest.fixture
    def browser(self, world):
        browser = world.hub.browser()
        world.log_in(browser)
        return browser

    def state(self, world):
        return world.hub.hub.kept_auth_states.of(world.hub.hub.users.find("ada"))

    def age(self, world, **by):
        hub = world.hub.hub
        at = hub.clock.now() - timedelta(**by)
        hub.kept_auth_states.keep(hub.users.find("ada"), {**self.state(world), "refreshed_at": at.isoformat()})
        hub.auth_refreshing._not_before.clear()

    def test_a_young_login_is_not_refreshed(self, world, browser):
        assert browser.get("/hub/home").status_code == 200
        browser.get("/hub/spawn")
        assert world.sso.refreshed == 0

    def test_an_old_one_is_refreshed_on_pages_once(self, world, browser):
        self.age(world, minutes=6)
        before = self.state(world)["refresh_token"]
        for _ in range(3):
            assert browser.get("/hub/home").status_code == 200
        assert world.sso.refreshed == 1
        assert self.state(world)["refresh_token"] != before

    def test_a_start_refreshes_what_pages_still_take(self, world, browser):
        self.age(world, minutes=2)
        browser.get("/hub/home")
        assert world.sso.refreshed == 0
        browser.get("/hub/spawn")
        assert world.sso.refreshed == 1

    def test_whom_the_provider_no_longer_knows_logs_in_again_and_returns(self, world, browser):
        self.age(world, minutes=6)
        world.sso.refresh_tokens.clear()
        there = browser.get("/hub/spawn")
        assert there.headers["location"].endswith("/hub/login?next=%2Fhub%2Fspawn")
        assert who(browser) is None
        assert world.hub.hub.servers.of_owners([world.hub.hub.users.find("ada").id]) == []

    def test_a_session_that_another_login_began_goes_on(self, world, browser):
        user, other = world.hub.hub.users.find("ada"), world.hub.browser()
        session, secret = world.hub.hub.logins.open_session(user, "")
        other.cookies.set("jupyterhub-hub-login", secret, path="/hub/")
        self.age(world, minutes=6)
        world.sso.refresh_tokens.clear()
        assert other.get("/hub/home").status_code == 200
        assert session in world.sessions()
        assert "/hub/login" in browser.get("/hub/home").headers["location"]

    def test_a_provider_that_refused_is_not_asked_for_each_page(self, world, browser, monkeypatch):
        user, other = world.hub.hub.users.find("ada"), world.hub.browser()
        other.cookies.set("jupyterhub-hub-login", world.hub.hub.logins.open_session(user, "")[1], path="/hub/")
        self.age(world, minutes=6)
        world.sso.refresh_tokens.clear()
        provider, asked = world.hub.hub.login_providers["sso"], []
        refresh = provider.refresh
        provider.refresh = lambda *given: asked.append(given) or refresh(*given)
        assert [other.get("/hub/home").status_code for _ in range(3)] == [200] * 3
        assert len(asked) == 1
        assert "/hub/login" in browser.get("/hub/home").headers["location"]
        self.age(world, minutes=7)  # as if another login had stored it
        assert other.get("/hub/home").status_code == 200
        assert len(asked) == 2
        later = world.hub.hub.clock.now() + timedelta(minutes=1)
        monkeypatch.setattr(type(world.hub.hub.clock), "now", lambda _: later)
        assert other.get("/hub/home").status_code == 200
        assert len(asked) == 3

    def test_an_outage_keeps_nobody_out_and_is_not_asked_about_again_at_once(self, world, browser):
        self.age(world, minutes=6)
        world.sso.down = {"/token"}
        assert browser.get("/hub/home").status_code == 200
        asked = len(world.sso.requests)
        assert browser.get("/hub/home").status_code == 200
        assert len(world.sso.requests) == asked

    def test_an_admin_who_starts_a_server_breaks_nobodys_login(self, world, browser):
        self.age(world, minutes=6)
        world.sso.refresh_tokens.clear()
        admin = world.hub.hub.accounts.add("root", admin=True)
        api = world.hub.as_user(admin.name)
        assert api.post("/users/ada/server").status_code == 202
        assert who(browser) == "ada"
        assert self.state(world)["refresh_token"]

    def test_a_token_of_a_person_whom_nobody_vouches_for_starts_nothing(self, world, browser):
        self.age(world, minutes=6)
        world.sso.refresh_tokens.clear()
        answer = world.hub.as_user("ada").post("/users/ada/server")
        assert answer.status_code == 403
        assert "Log in again in a browser" in answer.json()["message"]

    def test_whose_identity_was_unlinked_meanwhile_logs_in_again(self, world, browser):
        self.age(world, minutes=6)
        user = world.hub.hub.users.find("ada")
        world.hub.hub.external_identities.unlink(user.id, ExternalId(ISSUER, "sub-ada"))
        assert browser.get("/hub/spawn").headers["location"].endswith("/hub/login?next=%2Fhub%2Fspawn")

    def test_an_unlinked_identity_ends_one_session_and_makes_no_user(self, world, browser):
        self.age(world, minutes=6)
        hub, ada = world.hub.hub, world.hub.hub.users.find("ada")
        hub.accounts.change(ada, name="countess")
        hub.external_identities.unlink(ada.id, ExternalId(ISSUER, "sub-ada"))
        assert "/hub/login" in browser.get("/hub/home").headers["location"]

        assert hub.users.find("ada") is None
        assert world.sso.refreshed == 0
        assert hub.auth_refreshing.refresh(hub.users.find("countess"), before_start=True) is None

    def test_whose_identity_is_another_users_now_logs_in_again(self, world, browser):
        self.age(world, minutes=6)
        hub = world.hub.hub
        hub.external_identities.unlink(hub.users.find("ada").id, ExternalId(ISSUER, "sub-ada"))
        bob, identity = hub.accounts.add("bob"), ExternalId(ISSUER, "sub-ada")
        hub.external_logins.link(
            bob, hub.external_logins.linked_by(bob, identity, provider="sso", label="", by_admin=True)
        )
        assert browser.get("/hub/home").headers["location"].endswith("/hub/login?next=%2Fhub%2Fhome")

    def test_two_at_once_ask_the_provider_once(self, world, browser):
        self.age(world, minutes=6)
        hub, provider = world.hub.hub, world.hub.hub.login_providers["sso"]
        user, inner = hub.users.find("ada"), []
        refresh = provider.refresh

        def meanwhile(*given):
            inner.append(hub.auth_refreshing.refresh(user))
            return refresh(*given)

        provider.refresh = meanwhile
        assert hub.auth_refreshing.refresh(user) is None
        assert inner == [None]
        assert world.sso.refreshed == 1

    def test_nothing_is_refreshed_where_no_auth_state_is_kept(self, tmp_path):
        world = World(tmp_path, SETTINGS.replace("auth_state = true", ""))
        browser = world.hub.browser()
        world.log_in(browser)
        browser.get("/hub/spawn")
        assert world.sso.refreshed == 0
        assert not world.hub.hub.auth_refreshing.is_on


class TestAutoLogin:
    ONE = SETTINGS.partition('[[providers]]\nname = "github"')[0].replace("[login]", "[login]\nauto_login = true")

    def test_leads_on_where_there_is_one_way(self, tmp_path):
        world = World(tmp_path, self.ONE)
        browser = world.hub.browser()
        there = browser.get("/hub/login", params={"next": "/hub/token"})
        assert there.headers["location"] == "/hub/oauth_login?provider=sso&next=%2Fhub%2Ftoken"

    def test_does_not_log_in_again_after_a_logout(self, tmp_path):
        world = World(tmp_path, self.ONE.replace("logout_at_provider = true", ""))
        browser = world.hub.browser()
        world.log_in(browser)
        assert browser.get("/hub/logout").headers["location"] == "/hub/logged-out"

    def test_shows_the_page_where_there_are_several(self, tmp_path):
        world = World(tmp_path, SETTINGS.replace("[login]", "[login]\nauto_login = true"))
        assert world.hub.browser().get("/hub/login").status_code == 200


class TestAddresses:
    def test_localhost_leads_to_the_host_that_the_provider_knows(self, tmp_path):
        world = World(tmp_path, SETTINGS.replace(ADDRESS, "http://127.0.0.1:8000"))
        there = world.hub.browser(address="http://localhost:8000").get("/hub/oauth_login?provider=sso&next=/hub/home")
        assert there.headers["location"] == "http://127.0.0.1:8000/hub/oauth_login?provider=sso&next=/hub/home"

    def test_cookies_of_logins_over_https_are_bound_to_the_host(self, tmp_path):
        world = World(tmp_path, SETTINGS.replace(ADDRESS, "https://hub.test"))
        browser = world.hub.browser(address="https://hub.test")
        there = browser.get("/hub/oauth_login?provider=sso")
        (cookie,) = [one for one in there.headers.get_list("set-cookie") if "hubless-login" in one]
        assert cookie.startswith("__Host-hubless-login-")
        assert all(word in cookie.lower() for word in ("httponly", "secure", "samesite=lax", "path=/;"))
        path, answer = world.back(there)
        assert browser.get(path, params=answer).status_code == 302


def test_a_flood_of_logins_that_begin_stores_no_more_than_a_class_needs(world, monkeypatch):
    monkeypatch.setattr(login_beginnings, "MAX_BEGINNINGS", 3)
    browser = world.hub.browser()
    begun = [world.begin(browser) for _ in range(3)]
    refused = browser.get("/hub/oauth_login?provider=github")
    assert refused.status_code == 429
    assert refused.headers["retry-after"] == "300"
    assert "Too many logins have begun in your network" in refused.text
    assert len(world.github.requests) == 0
    assert browser.get(begun[0][0], params=begun[0][1]).status_code == 302
