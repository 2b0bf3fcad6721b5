"""The token page: what a token may do is chosen from sentences, and a new one is shown once, after a redirect."""

import re
from datetime import UTC, datetime, timedelta

import pytest

from functions.api.auth.cookies import ONCE_COOKIE
from functions.api.shown_once import MAX_SEALED
from hubless.domain.tokens import OwnerKind, Token, sha256
from hubless.services.tokens import INHERIT
from tests.api.hub import SETTINGS, build_hub
from tests.support.fakes import StoppedClock

SHOWN = re.compile(r'id="keep"[^>]* value="([^"]+)"')
TODAY = datetime(2026, 3, 14, 12, tzinfo=UTC)


@pytest.fixture
def browser(hub):
    hub.user("alice")
    return hub.browser("alice")


def tokens_of(hub, name="alice"):
    return hub.hub.tokens.of(hub.user(name))


def secret_on(page):
    found = SHOWN.search(page.text)
    return found[1] if found else None


def at_noon(hub):
    hub.hub.clock = StoppedClock(TODAY)
    return hub


class TestOnce:
    def test_a_new_token_is_shown_after_a_redirect_and_only_once(self, hub, browser):
        answer = browser.submit("/hub/token", note="Backup", access="all")

        assert (answer.status_code, answer.headers["location"], answer.text) == (303, "/hub/token", "")
        shown = secret_on(browser.get("/hub/token"))
        assert hub.as_token(shown).get("/user").json()["name"] == "alice"
        assert secret_on(browser.get("/hub/token")) is None
        assert ONCE_COOKIE not in browser.cookies
        assert [token.note for token in tokens_of(hub)] == ["Backup"]

    def test_the_cookie_is_sealed_short_lived_and_for_that_page(self, hub, browser):
        answer = browser.submit("/hub/token", access="all")

        header = answer.headers["set-cookie"]
        assert "httponly" in header.lower()
        assert "Path=/hub/token" in header
        assert "Max-Age=120" in header
        shown = secret_on(browser.get("/hub/token"))
        assert shown
        assert shown not in header

    def test_another_page_shows_nothing_and_leaves_it(self, browser):
        browser.submit("/hub/token", access="all")

        assert secret_on(browser.get("/hub/home")) is None
        assert secret_on(browser.get("/hub/token"))

    def test_nobody_else_who_logs_in_here_is_shown_it(self, hub, browser):
        browser.submit("/hub/token", access="all")
        bob = hub.browser("bob")
        bob.cookies.set(ONCE_COOKIE, browser.cookies[ONCE_COOKIE], domain="hub.test", path="/hub/token")

        page = bob.get("/hub/token")

        assert page.status_code == 200
        assert secret_on(page) is None

    @pytest.mark.parametrize("change", ["cut", "more", "none", "long", "odd"])
    def test_what_was_changed_on_the_way_is_not_shown(self, browser, change):
        browser.submit("/hub/token", access="all")
        sent = browser.cookies[ONCE_COOKIE]
        changed = {"cut": sent[:-4], "more": "A" + sent, "none": "", "long": "A" * (MAX_SEALED + 1), "odd": "W10.ö"}
        headers = {"Cookie": f"{'; '.join(f'{k}={v}' for k, v in browser.cookies.items() if k != ONCE_COOKIE)}"}
        raw = f"{headers['Cookie']}; {ONCE_COOKIE}={changed[change]}".encode()

        page = browser.get("/hub/token", headers={b"Cookie": raw})

        assert page.status_code == 200
        assert secret_on(page) is None

    def test_it_is_not_shown_later(self, tmp_path):
        hub = at_noon(build_hub(tmp_path))
        browser = hub.browser("alice")
        browser.submit("/hub/token", access="all")
        kept = browser.cookies[ONCE_COOKIE]
        hub.hub.clock.advance(timedelta(minutes=3))
        browser.cookies.set(ONCE_COOKIE, kept, domain="hub.test", path="/hub/token")

        assert secret_on(browser.get("/hub/token")) is None


def form_on(page):
    return re.search(r'name="form" value="([^"]+)"', page.text)[1]


class TestTheSameFormSentTwice:
    @pytest.fixture
    def hub(self, tmp_path):
        return at_noon(build_hub(tmp_path))

    def test_makes_one_token_and_shows_it(self, hub, browser):
        form = form_on(browser.get("/hub/token"))
        browser.submit("/hub/token", access="all", form=form)
        browser.cookies.delete(ONCE_COOKIE)  # as a browser does that gave up the first answer
        again = browser.submit("/hub/token", access="all", form=form)

        assert again.status_code == 303
        shown = secret_on(browser.get("/hub/token"))
        assert hub.as_token(shown).get("/user").json()["name"] == "alice"
        assert len(tokens_of(hub)) == 1

    def test_shows_nothing_later_and_makes_no_token_that_was_revoked(self, hub, browser):
        form = form_on(browser.get("/hub/token"))
        browser.submit("/hub/token", access="all", form=form)
        secret = secret_on(browser.get("/hub/token"))
        hub.hub.clock.advance(timedelta(minutes=3))
        browser.submit("/hub/token", access="all", form=form)
        page = browser.get("/hub/token")
        assert secret_on(page) is None
        assert "This form was sent already." in page.text

        browser.submit("/hub/token/revoke", token_id=tokens_of(hub)[0].id)
        browser.submit("/hub/token", access="all", form=form)
        assert tokens_of(hub) == []
        hub.hub.clock.advance(timedelta(days=1))
        browser = hub.browser("alice")
        browser.submit("/hub/token", access="all", form=form)  # a page that was open since yesterday
        assert len(tokens_of(hub)) == 1
        assert hub.as_token(secret).get("/user").status_code == 403

    def test_is_of_its_own_user_alone(self, hub, browser):
        form = form_on(browser.get("/hub/token"))
        browser.submit("/hub/token", access="all", form=form)
        bob = hub.browser("bob")
        bob.submit("/hub/token", access="all", form=form)
        shown = secret_on(browser.get("/hub/token")), secret_on(bob.get("/hub/token"))
        assert [hub.as_token(one).get("/user").json()["name"] for one in shown] == ["alice", "bob"]

    def test_that_was_refused_comes_with_a_new_one(self, hub, browser):
        form = form_on(browser.get("/hub/token"))
        refused = browser.submit("/hub/token", access="some", form=form)
        assert refused.status_code == 400
        assert form_on(refused) != form
        browser.submit("/hub/token", access="all", form=form_on(refused))
        assert len(tokens_of(hub)) == 1

    @pytest.mark.parametrize("form", ["", "x", "9" * 12 + "." + "a" * 32, "1." + "a" * 32, "1.ü" + "a" * 31])
    def test_without_a_form_of_ours_makes_a_token_each_time(self, hub, browser, form):
        for _ in range(2):
            browser.submit("/hub/token", access="all", form=form)
        assert len(tokens_of(hub)) == 2


class TestForm:
    def test_a_token_may_do_what_was_chosen_and_no_more(self, hub, browser):
        browser.submit("/hub/token", access="some", allow=["read:users!user", "read:servers!user"])

        shown = hub.as_token(secret_on(browser.get("/hub/token")))
        assert tokens_of(hub)[0].scopes == ("read:users!user", "read:servers!user")
        assert shown.get("/users/alice").status_code == 200
        assert shown.post("/users/alice/server").status_code == 403

    def test_experts_add_scopes_to_what_they_chose(self, hub, browser):
        browser.submit(
            "/hub/token", access="some", allow=["read:users!user"], scopes=" read:servers!user\tservers!user "
        )

        assert tokens_of(hub)[0].scopes == ("read:users!user", "read:servers!user", "servers!user")

    def test_everything_is_what_the_owner_may_do_at_any_time(self, hub, browser):
        browser.submit("/hub/token", access="all")

        assert tokens_of(hub)[0].scopes == INHERIT

    @pytest.mark.parametrize(
        ("fields", "why"),
        [
            ({"access": "some"}, "Choose at least one thing"),
            ({"access": "all", "allow": "read:users!user"}, "Choose one or the other"),
            ({"access": "all", "scopes": "read:users!user"}, "Choose one or the other"),
            ({"access": "some", "allow": "admin:users"}, "does not have them"),
            ({"access": "some", "allow": "x" * 2000}, "No such scope"),
            ({"access": "some", "allow": ["read:users!user"] * 150, "scopes": "self " * 60}, "at most 200 scopes"),
            ({"access": "all", "expires_on": "tomorrow"}, "as a date"),
            ({"access": "all", "expires_on": "2001-01-01"}, "is over"),
            ({"access": "all", "expires_on": "9999-12-31"}, "as a date"),
            ({"access": "all", "expires_in": "soon"}, "a number of seconds"),
            ({"access": "all", "expires_in": "-5"}, "a positive number"),
            ({"access": "all", "expires_in": "999999999999"}, "at most"),
        ],
    )
    def test_a_form_that_makes_no_sense_says_why_and_makes_no_token(self, hub, browser, fields, why):
        answer = browser.submit("/hub/token", note="my note", **fields)

        assert answer.status_code == 400
        assert why in answer.text.replace("&#39;", "'")
        assert 'value="my note"' in answer.text
        assert tokens_of(hub) == []

    @pytest.mark.parametrize("field", ["note", "allow", "scopes", "expires_on", "access", "token_id"])
    def test_oversized_fields_are_refused(self, hub, browser, field):
        path = "/hub/token/revoke" if field == "token_id" else "/hub/token"
        answer = browser.submit(path, **{"access": "all", field: "x" * 20_000})

        assert answer.status_code == 400
        assert tokens_of(hub) == []

    def test_a_refused_form_keeps_what_was_chosen(self, browser):
        page = browser.submit(
            "/hub/token", access="some", allow="servers!user", scopes="no:scope", expires_on="2090-01-01"
        )

        assert re.search(r'value="servers!user" checked', page.text)
        assert not re.search(r'value="read:users!user" checked', page.text)
        assert 'value="no:scope"' in page.text
        assert 'value="2090-01-01"' in page.text

    def test_the_day_is_the_last_one_of_the_token(self, tmp_path):
        hub = at_noon(build_hub(tmp_path))
        hub.browser("alice").submit("/hub/token", access="all", expires_on="2026-03-15")

        assert tokens_of(hub)[0].expires_at == datetime(2026, 3, 16, tzinfo=UTC)

    def test_settings_bound_the_day(self, tmp_path):
        more = SETTINGS.replace("[login]", '[tokens]\nmax_lifetime = "2d"\n[login]', 1)
        hub = at_noon(build_hub(tmp_path, more))
        browser = hub.browser("alice")

        assert 'max="2026-03-16"' in browser.get("/hub/token").text
        assert "until 2026-03-16 at most" in browser.submit("/hub/token", access="all", expires_on="2026-03-17").text
        browser.submit("/hub/token", access="all", expires_on="2026-03-16")
        assert tokens_of(hub)[0].expires_at == TODAY + timedelta(days=2)

    def test_a_script_may_send_seconds_and_scopes_as_before(self, hub, browser):
        browser.submit("/hub/token", expires_in="3600", scopes="read:users!user")

        token = tokens_of(hub)[0]
        assert token.expires_at - token.created_at == timedelta(hours=1)
        assert token.scopes == ("read:users!user",)


class TestLists:
    def test_tokens_of_servers_stand_apart(self, hub, browser):
        owner, now = hub.user("alice"), hub.hub.clock.now()
        server = hub.hub.spawning.create(owner, "lab")
        for name, server_id in (("mine", None), ("Server at /user/alice/lab/", server.id)):
            hub.hub.token_store.create(
                Token(name, sha256(name), OwnerKind.USER, owner.id, INHERIT, now, note=name, server_id=server_id)
            )

        page = browser.get("/hub/token").text

        own, apart = page.index(">mine</h3>"), page.index(">Server at /user/alice/lab/</h3>")
        assert own < page.index('<details class="log" id="servers">') < apart
        assert "1 token of your running servers" in page

    def test_a_revoked_token_is_gone_and_the_page_says_so_once(self, hub, browser):
        browser.submit("/hub/token", access="all")
        token = tokens_of(hub)[0]
        for said in ("The token is revoked.", "This token was revoked already, or has expired."):
            answer = browser.submit("/hub/token/revoke", token_id=token.id)
            assert (answer.status_code, answer.headers["location"]) == (303, "/hub/token")
            assert said in browser.get("/hub/token").text
            assert said not in browser.get("/hub/token").text
        assert tokens_of(hub) == []

    def test_nobody_revokes_the_token_of_another(self, hub, browser):
        browser.submit("/hub/token", access="all")
        bob = hub.browser("bob")

        bob.submit("/hub/token/revoke", token_id=tokens_of(hub)[0].id)

        assert len(tokens_of(hub)) == 1

    def test_scopes_are_told_in_words(self, hub, browser):
        browser.submit("/hub/token", access="some", allow="servers!user")

        assert "Server starten und stoppen." in browser.get("/hub/token", headers={"Accept-Language": "de"}).text


class TestLastUse:
    def use(self, hub, agent, secret="s-last"):
        now = hub.hub.clock.now()
        alice = hub.user("alice")
        hub.hub.token_store.create(
            Token("a-last", sha256(secret), OwnerKind.USER, alice.id, INHERIT, now, note="Backup")
        )
        client = hub.as_token(secret)
        client.headers["User-Agent"] = agent
        assert client.get("/user").status_code == 200

    def test_says_which_program_used_a_token_and_from_where(self, hub, browser):
        self.use(hub, "python-requests/2.32.3")
        assert re.search(
            r"Last used <time[^>]*>[^<]*</time> by python-requests from 127.0.0.1", browser.get("/hub/token").text
        )

    def test_is_told_in_the_readers_language(self, hub, browser):
        self.use(hub, "curl/8.5.0")
        page = browser.get("/hub/token", headers={"Accept-Language": "de"}).text
        assert "mit curl von 127.0.0.1" in page

    def test_names_are_bounded_and_never_markup(self, hub, browser):
        self.use(hub, "<b>" + "x" * 5000)
        page = browser.get("/hub/token").text
        assert ("by &lt;b&gt;" + "x" * 57 + " from" in page, "<b>" in page) == (True, False)
        (token,) = tokens_of(hub)
        assert len(token.last_agent) == 200

    def test_a_program_that_gives_no_name_is_left_out(self, hub, browser):
        self.use(hub, "")
        assert re.search(r"Last used <time[^>]*>[^<]*</time> from 127.0.0.1", browser.get("/hub/token").text)

    def test_is_told_in_the_data_download(self, hub, browser):
        self.use(hub, "curl/8.5.0")
        (token,) = browser.get("/hub/account/data").json()["tokens"]
        assert (token["last_address"], token["last_program"]) == ("127.0.0.1", "curl/8.5.0")
