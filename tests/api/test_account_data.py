"""What a user downloads of themselves, and the shares that they leave or end on the account page."""

import json
import re
from datetime import timedelta

import pytest

from hubless.domain.lifecycle import State
from hubless.domain.sign_ups import SignUp
from hubless.domain.tokens import OwnerKind, Token, sha256
from hubless.domain.usage import Usage
from tests.api.hub import An, build_hub
from tests.support.fakes import StoppedClock

DATA = "/hub/account/data"
ACCESS = ("access:servers",)


@pytest.fixture
def browser(hub):
    hub.user("alice", groups=["physics"])
    return hub.browser("alice")


def server_of(hub, name, server="lab"):
    return hub.hub.spawning.create(hub.user(name), server)


def data_of(browser):
    answer = browser.get(DATA)
    assert answer.status_code == 200
    return answer.json()


class TestData:
    def test_is_a_file_of_what_the_hub_knows(self, hub, browser):
        lab, now = server_of(hub, "alice"), hub.hub.clock.now()
        hub.hub.usage.add(Usage("l1", lab.id, lab.owner_id, "small", now - timedelta(hours=1), now, "stopped"))
        hub.hub.usage.add(Usage("l2", "gone", lab.owner_id, "", now - timedelta(minutes=1), now, "stopped"))
        hub.hub.tokens.issue_to(hub.user("alice"), note="Backup", expires_in=None, raw_scopes=["read:users!user"])
        hub.hub.sharing.grant(lab, hub.user("bob"), ACCESS)
        hub.hub.sharing.grant(server_of(hub, "bob", "thesis"), hub.hub.groups.find("physics"), ACCESS)
        hub.hub.sharing.create_code(lab, ACCESS, timedelta(hours=1))

        answer = browser.get(DATA)

        day = now.date().isoformat()
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["content-disposition"] == f'attachment; filename="account-alice-{day}.json"'
        assert answer.headers["cache-control"] == "no-store"
        data = answer.json()
        assert (data["version"], data["user"]["name"], data["user"]["groups"]) == (1, "alice", ["physics"])
        assert [(one["name"], one["state"]) for one in data["servers"]] == [("lab", State.STOPPED.value)]
        assert [(one["server"], one["seconds"]) for one in data["runs"]] == [("lab", 3600.0), (None, 60.0)]
        assert [(one["note"], one["scopes"]) for one in data["tokens"]] == [("Backup", ["read:users!user"])]
        assert [(one["browser"], one["address"]) for one in data["sessions"]] == [("a browser", "127.0.0.1")]
        shares = data["shares"]
        assert [(one["server"], one["user"]) for one in shares["given"]] == [("lab", "bob")]
        assert [(one["owner"], one["group"]) for one in shares["received"]] == [("bob", "physics")]
        assert [(one["server"], one["used"]) for one in shares["codes"]] == [("lab", 0)]

    def test_holds_no_secret_and_no_hash(self, hub, browser):
        lab = server_of(hub, "alice")
        token, secret = hub.hub.tokens.issue_to(hub.user("alice"), note="", expires_in=None, raw_scopes=None)
        code, code_secret = hub.hub.sharing.create_code(lab, ACCESS, timedelta(hours=1))
        session = hub.hub.logins.sessions_of(hub.user("alice"))[0]
        cookie = next(value for name, value in browser.cookies.items() if name.endswith("hub-login"))

        text = browser.get(DATA).text

        hashes = (token.sha256, code.sha256, session.sha256, sha256(cookie))
        for hidden in (*hashes, secret, code_secret, session.id, cookie):
            assert hidden not in text

    def test_says_linked_logins_and_nothing_of_others(self, hub, browser):
        hub.user("bob")
        body = {"issuer": "https://sso.example.org", "subject": "7", "label": "bob@example.org"}
        assert hub.as_token(An.ADMIN_TOKEN).post("/users/bob/identities", body).status_code == 201

        assert "bob" not in browser.get(DATA).text
        linked = data_of(hub.browser("bob"))["logins"]["linked"]
        assert [(one["subject"], one["label"]) for one in linked] == [("7", "bob@example.org")]

    def test_an_old_login_asks_again(self, tmp_path):
        hub = build_hub(tmp_path)
        hub.hub.clock = StoppedClock(hub.hub.clock.now())
        browser = hub.browser("alice")
        hub.hub.clock.advance(timedelta(minutes=11))

        page = browser.get(DATA)

        assert page.headers["content-type"].startswith("text/html")
        assert "only shortly after a login" in page.text
        assert 'href="/hub/login?next=%2Fhub%2Faccount&amp;again=1"' in page.text

    def test_a_stranger_gets_nothing(self, hub):
        assert hub.browser().get(DATA).headers["location"].startswith("/hub/login")

    def test_a_token_of_the_user_gets_nothing(self, hub, alice):
        headers = {"Authorization": f"token {alice.secret}", "Accept": "text/html"}

        assert hub.client.get(DATA, headers=headers).headers["location"].startswith("/hub/login")

    def test_a_thousand_tokens_and_odd_options_are_all_there(self, hub, browser):
        owner, now = hub.user("alice"), hub.hub.clock.now()
        hub.hub.token_store.create_many(
            [Token(f"t{n}", sha256(f"t{n}"), OwnerKind.USER, owner.id, ("self",), now) for n in range(1000)]
        )
        options = {"big": 10**30, "text": "\u0000é\u202e", "deep": [[[{}]]]}
        hub.as_user("alice").post("/users/alice/servers/odd", {"user_options": options})

        data = json.loads(browser.get(DATA).text)

        assert len(data["tokens"]) == 1001
        assert [one["options"] for one in data["servers"]] == [options]

    @pytest.mark.parametrize("is_own", [True, False])
    def test_tells_of_ones_own_sign_up_and_of_no_other(self, hub, browser, is_own):
        now, user_id = hub.hub.clock.now(), hub.user("alice").id if is_own else "another"
        waiting = SignUp("alice", user_id, "h", now, now + timedelta(days=1), "a@example.org", needs_approval=True)
        hub.hub.sign_up_store.add(waiting, now, most=None)
        told = data_of(browser)["sign_up"]
        assert told is None if not is_own else (told["address"], told["waits_for_admin"]) == ("a@example.org", True)

    def test_an_expired_token_is_left_out(self, hub, browser):
        owner, now = hub.user("alice"), hub.hub.clock.now()
        hub.hub.token_store.create(
            Token("old", sha256("old"), OwnerKind.USER, owner.id, ("self",), now, expires_at=now - timedelta(seconds=1))
        )

        assert data_of(browser)["tokens"] == []

    def test_a_name_of_any_script_makes_a_plain_file_name(self, hub):
        browser = hub.browser("zoë")

        header = browser.get(DATA).headers["content-disposition"]

        assert re.fullmatch(r'attachment; filename="account-[A-Za-z0-9._-]+-\d{4}-\d\d-\d\d\.json"', header)


class TestShares:
    @pytest.fixture
    def thesis(self, hub):
        return server_of(hub, "bob", "thesis")

    def leave(self, browser, server):
        return browser.submit("/hub/account/leave-share", server_id=server.id)

    def test_who_received_a_share_leaves_it(self, hub, browser, thesis):
        hub.hub.sharing.grant(thesis, hub.user("alice"), ACCESS)
        assert ">bob\u2019s server \u201cthesis\u201d<" in browser.get("/hub/account").text

        answer = self.leave(browser, thesis)

        assert (answer.status_code, answer.headers["location"]) == (303, "/hub/account")
        assert "You have left this server." in browser.get("/hub/account").text
        assert "bob\u2019s server" not in browser.get("/hub/account").text
        assert hub.user("alice").shared == ()
        self.leave(browser, thesis)
        assert "This share has ended already." in browser.get("/hub/account").text

    def test_leaving_ends_no_share_of_another(self, hub, browser, thesis):
        hub.hub.sharing.grant(thesis, hub.user("eve"), ACCESS)

        self.leave(browser, thesis)

        assert hub.user("eve").shared != ()

    def test_a_share_with_a_group_is_not_left(self, hub, browser, thesis):
        hub.hub.sharing.grant(thesis, hub.hub.groups.find("physics"), ACCESS)
        assert 'action="/hub/account/leave-share"' not in browser.get("/hub/account").text

        self.leave(browser, thesis)

        assert hub.user("alice").shared != ()

    def test_an_owner_ends_a_share_with_a_user_or_a_group(self, hub, browser):
        lab = server_of(hub, "alice")
        hub.hub.sharing.grant(lab, hub.user("bob"), ACCESS)
        hub.hub.sharing.grant(lab, hub.hub.groups.find("physics"), ACCESS)
        for field, name in (("user", "bob"), ("group", "physics")):
            assert f'name="{field}" value="{name}"' in browser.get("/hub/account").text
            browser.submit("/hub/account/end-share", server_id=lab.id, **{field: name})
            assert f"{name} can no longer open this server." in browser.get("/hub/account").text

        assert hub.hub.sharing.page(offset=0, limit=9, of_server=lab) == ([], 0)

    def test_nobody_ends_a_share_of_anothers_server(self, hub, browser, thesis):
        hub.hub.sharing.grant(thesis, hub.user("eve"), ACCESS)

        browser.submit("/hub/account/end-share", server_id=thesis.id, user="eve")

        assert "This share has ended already." in browser.get("/hub/account").text
        assert hub.user("eve").shared != ()

    @pytest.mark.parametrize(
        "fields",
        [
            {},
            {"server_id": "nothing"},
            {"server_id": "x" * 20_000},
            {"user": "x" * 20_000},
            {"server_id": "\u0000", "user": "\u0000"},
            {"group": "nobody", "user": "nobody"},
        ],
    )
    @pytest.mark.parametrize("what", ["leave-share", "end-share"])
    def test_odd_forms_change_nothing(self, hub, browser, what, fields):
        lab = server_of(hub, "alice")
        hub.hub.sharing.grant(lab, hub.user("bob"), ACCESS)

        answer = browser.submit(f"/hub/account/{what}", **fields)

        assert answer.status_code in {303, 400}
        assert hub.user("bob").shared != ()

    def test_long_lists_are_shown_in_parts(self, hub, browser):
        lab = server_of(hub, "alice")
        for number in range(51):
            hub.hub.sharing.grant(lab, hub.user(f"user{number}"), ACCESS)

        first, rest = (browser.get(f"/hub/account{query}").text for query in ("", "?given=50"))

        assert first.count('action="/hub/account/end-share"') == 50
        assert 'href="/hub/account?given=50#given"' in first
        assert rest.count('action="/hub/account/end-share"') == 1
