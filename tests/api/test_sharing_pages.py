"""The page that shares a server, the page that opens somebody else's, and what each of them records."""

import html
import re
from dataclasses import replace
from datetime import timedelta
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from hubless.domain.lifecycle import State
from hubless.domain.profile_options import Chosen
from hubless.domain.profiles import Profile
from hubless.domain.tokens import Client, launch_secret, sha256
from hubless.services.name_lookups import LIMIT
from tests.api.hub import SETTINGS, build_hub
from tests.support.builders import NOW, a_server, a_token

LAB = "/hub/share/olga/lab"
LAUNCH = {"launch_id": "l1", "task": "t1", "address": "127.0.0.1:1", "started_at": NOW}
GONE = "This link does not work any more"


@pytest.fixture
def olga(hub):
    """The browser of somebody without any scope for shares, who has a server that does not run."""
    hub.hub.servers.create(a_server("lab", owner_id=hub.user("olga").id), named_limit=0)
    return hub.browser("olga")


@pytest.fixture
def running(hub, olga):
    """The same server, running, with its OAuth client."""
    return run(hub)


def run(hub, launch="l1", *, allowed=()):
    owner = hub.user("olga")
    before = hub.hub.servers.find(owner.id, "lab")
    facts = LAUNCH | {"launch_id": launch, "deadline_at": None}
    starting = replace(before, state=State.LAUNCHING, revision=before.revision + 1, **facts)
    hub.hub.servers.write(before, starting)
    if allowed:
        hub.hub.clients.put(
            a_client_of(hub, starting, allowed), a_token(launch, owner_id=owner.id, server_id=before.id)
        )
    else:
        hub.hub.credentials.issue(starting, owner, Chosen(Profile("default"), {}))
    ready = replace(starting, state=State.READY, revision=starting.revision + 1)
    hub.hub.servers.write(starting, ready)
    return ready


def a_client_of(hub, server, allowed):
    """Return an OAuth client of the server that may ask for more than servers' clients do."""
    return Client(
        id=f"jupyterhub-user-{server.id}",
        secret_sha256=sha256(launch_secret(hub.hub.key, server.launch_id)),
        redirect_uri="/user/olga/lab/oauth_callback",
        description="Server",
        access_scopes=("access:servers!server=olga/lab",),
        allowed_scopes=allowed,
        server_id=server.id,
        launch_id=server.launch_id,
        owner_id=server.owner_id,
    )


def do(browser, what, path=LAB, **fields):
    answer = browser.submit(path, do=what, **fields)
    assert answer.status_code == 303, answer.text
    return browser.get(answer.headers["location"]).text


def links(page):
    return [html.unescape(url) for url in re.findall(r'value="(http://[^"]*accept-share\?code=[^"]*)"', page)]


def new_link(browser, uses=0, hours=24):
    return links(do(browser, "link", hours=hours, uses=uses))[-1]


def accept(browser, link):
    code = parse_qs(urlsplit(link).query)["code"][0]
    return browser.submit("/hub/accept-share", code=code)


def log_in_at_server(hub, browser, server, secret_of="l1"):
    """Go through the login of a server as its Jupyter server does; return the page with the question, or the token."""
    client = f"jupyterhub-user-{server.id}"
    asked = {
        "client_id": client,
        "redirect_uri": "/user/olga/lab/oauth_callback",
        "response_type": "code",
        "state": "s",
    }
    answer = browser.get("/hub/api/oauth2/authorize?" + urlencode(asked))
    if answer.status_code == 200:
        return answer.text
    return token(hub, answer, client, secret_of)


def token(hub, answer, client, launch="l1"):
    code = parse_qs(urlsplit(answer.headers["location"]).query)["code"][0]
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": "/user/olga/lab/oauth_callback",
        "client_id": client,
        "client_secret": launch_secret(hub.hub.key, launch),
    }
    got = hub.client.post("/hub/api/oauth2/token", data=form)
    assert got.status_code == 200, got.text
    return hub.as_token(got.json()["access_token"])


def agree(hub, browser, page, server):
    """Press the button of the page that a server's login shows."""
    action = html.unescape(re.search(r'action="(/hub/api/oauth2/authorize[^"]*)"', page)[1])
    scopes = re.findall(r'name="scopes" value="([^"]*)"', page)
    return token(hub, browser.submit(action, scopes=scopes), f"jupyterhub-user-{server.id}")


# --- links -----------------------------------------------------------------------------------------------------------


def test_a_user_shares_a_server_by_a_link_without_any_scope_for_it(hub, olga):
    bob, link = hub.browser("bob"), new_link(olga)
    page = bob.get(urlsplit(link)._replace(scheme="", netloc="").geturl()).text
    assert "<strong>olga</strong> shares the server “lab” with you." in page
    assert "access:servers" not in page
    assert accept(bob, link).headers["location"] == "/user/olga/lab/"
    assert "bob" in olga.get(LAB).text


def test_a_link_is_shown_again_as_long_as_it_works(olga):
    link = new_link(olga)
    assert links(olga.get(LAB).text) == [link]
    code = re.search(r'name="id" value="(sc_[^"]*)"', olga.get(LAB).text)[1]
    assert links(do(olga, "end-link", id=code)) == []
    do(olga, "end-link", id=code)


def test_a_program_that_made_a_code_is_not_shown_its_secret_here(hub, olga, admin):
    code = admin.post("/share-codes/olga/lab", {}).json()["code"]
    page = olga.get(LAB).text
    assert "Made by a program" in page
    assert code not in page


def test_a_link_for_one_person_lets_in_one_who_may_come_again(hub, olga):
    bob, carol, link = hub.browser("bob"), hub.browser("carol"), new_link(olga, uses=1)
    assert accept(bob, link).status_code == 302
    assert accept(bob, link).status_code == 302
    refused = accept(carol, link)
    assert (refused.status_code, GONE in refused.text) == (400, True)
    assert "Used up" in olga.get(LAB).text


@pytest.mark.parametrize("how", ["expired", "ended", "the server is gone", "made up"])
def test_a_link_that_works_no_more_says_so(hub, olga, how, monkeypatch):
    link, bob = new_link(olga), hub.browser("bob")
    if how == "expired":
        later = hub.hub.clock.now() + timedelta(hours=24)
        monkeypatch.setattr(type(hub.hub.clock), "now", lambda _: later)
    elif how == "ended":
        do(olga, "end-link", id=re.search(r'name="id" value="(sc_[^"]*)"', olga.get(LAB).text)[1])
    elif how == "the server is gone":
        hub.hub.servers.delete(hub.hub.servers.find(hub.user("olga").id, "lab"))
    else:
        link = "/hub/accept-share?code=" + "0" * 32
    page = bob.get(urlsplit(link)._replace(scheme="", netloc="").geturl())
    assert (page.status_code, GONE in page.text) == (404, True)


@pytest.mark.parametrize(
    "fields",
    [
        {"hours": "0", "uses": "1"},
        {"hours": "9000", "uses": "1"},
        {"hours": "-1", "uses": "1"},
        {"hours": "1", "uses": "99999"},
        {"hours": "1", "uses": "1" * 5000},
        {"hours": "x", "uses": ""},
        {"hours": "²", "uses": "1"},
        {},
    ],
)
def test_a_link_with_odd_numbers_is_refused_in_words(olga, fields):
    refused = olga.submit(LAB, do="link", **fields)
    assert refused.status_code == 400
    assert "link works" in refused.text
    assert links(olga.get(LAB).text) == []


def test_a_server_has_so_many_links_and_no_more(hub, olga):
    for _ in range(100):
        new_link(olga)
    refused = olga.submit(LAB, do="link", hours="1", uses="1")
    assert (refused.status_code, "maximum of 100 share codes" in refused.text) == (400, True)


# --- by name ---------------------------------------------------------------------------------------------------------


def test_a_server_is_shared_with_a_user_by_name_and_the_share_ends(hub, olga, bob):
    page = do(olga, "share", kind="user", name="bob")
    assert "The server is shared." in page
    assert "access:servers!server=olga/lab" in bob.scopes()
    share = re.search(r'name="id" value="(sh[^"]*)"', page)[1]
    assert "Nobody but you." in do(olga, "remove", id=share)
    assert "access:servers!server=olga/lab" not in bob.scopes()
    do(olga, "remove", id=share)


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"kind": "user", "name": "nobody"}, "There is no user “nobody”"),
        ({"kind": "user", "name": "olga"}, "belongs to this user already"),
        ({"kind": "user", "name": "x" * 3000}, "There is no user"),
        ({"kind": "group", "name": "strangers"}, "There is no group “strangers”"),
        ({"kind": "group", "name": "none"}, "There is no group “none”"),
        ({}, "There is no user “”"),
    ],
)
def test_nobody_gets_what_the_page_cannot_give(hub, olga, fields, why):
    hub.user("eve", groups=["strangers"])
    refused = olga.submit(LAB, do="share", **fields)
    assert refused.status_code == 400
    assert why in html.unescape(refused.text)
    assert "Nobody but you." in olga.get(LAB).text


def test_a_group_of_ones_own_is_shared_with(hub, olga):
    hub.user("olga", groups=["physics"])
    hub.user("bob", groups=["physics"])
    do(olga, "share", kind="group", name="physics")
    assert "access:servers!server=olga/lab" in hub.as_user("bob").scopes()


def found(page):
    return re.findall(r'name="name" value="([^"]*)"', page)


def test_a_search_finds_strangers_by_their_whole_name_only(hub, olga):
    hub.user("bobby")
    assert found(olga.get(f"{LAB}?q=bobb").text) == []
    assert found(olga.get(f"{LAB}?q=bobby").text) == ["bobby"]
    assert "Nobody found for “bobb”" in olga.get(f"{LAB}?q=bobb").text


def test_a_search_finds_members_of_ones_groups_by_the_beginning(hub, olga):
    hub.user("olga", groups=["physics"])
    hub.user("bobby", groups=["physics"])
    hub.user("bobo", groups=["chemistry"])
    assert found(olga.get(f"{LAB}?q=BOB").text) == ["bobby"]
    assert found(olga.get(f"{LAB}?q=phy").text) == ["physics"]
    assert found(olga.get(f"{LAB}?q=chemistry").text) == []


def test_who_may_list_users_finds_them_by_a_part_and_few_at_once(hub):
    hub.hub.servers.create(a_server("", owner_id=hub.user("teacher").id), named_limit=0)
    for number in range(15):
        hub.user(f"student{number}")
    assert len(found(hub.browser("teacher").get("/hub/share/teacher?q=student").text)) == 10


def test_a_search_escapes_what_was_typed(olga):
    page = olga.get(f"{LAB}?q=%22%3E%3Cscript%3Ealert(1)%3C/script%3E").text
    assert "<script>alert" not in page


def test_a_share_of_another_server_is_not_ended_here(hub, olga, admin, bob):
    hub.hub.servers.create(a_server("other", owner_id=hub.user("olga").id), named_limit=0)
    admin.post("/shares/olga/other", {"user": "bob"})
    other = re.search(r'name="id" value="(sh[^"]*)"', olga.get("/hub/share/olga/other").text)[1]
    do(olga, "share", kind="user", name="bob")
    do(olga, "remove", id=other)
    assert {"access:servers!server=olga/other", "access:servers!server=olga/lab"} <= set(bob.scopes())


# --- starts ----------------------------------------------------------------------------------------------------------


def share_id(page):
    return re.search(r'name="id" value="(sh[^"]*)"', page)[1]


def state_of_lab(hub):
    return hub.hub.servers.find(hub.user("olga").id, "lab").state


def test_an_owner_lets_a_receiver_start_the_server_and_takes_it_back(hub, olga, bob):
    shared = share_id(do(olga, "share", kind="user", name="bob"))
    assert "start:servers!server=olga/lab" not in bob.scopes()
    assert bob.post("/users/olga/servers/lab").status_code == 404
    assert "May start it" in do(olga, "let-start", id=shared)
    assert {"access:servers!server=olga/lab", "start:servers!server=olga/lab"} <= set(bob.scopes())
    assert "delete:servers!server=olga/lab" not in bob.scopes()
    assert "May start it" not in do(olga, "not-start", id=shared)
    assert "start:servers!server=olga/lab" not in bob.scopes()
    assert "access:servers!server=olga/lab" in bob.scopes()


def test_a_share_that_ended_is_not_brought_back_by_letting_it_start(hub, olga, bob):
    shared = share_id(do(olga, "share", kind="user", name="bob"))
    do(olga, "remove", id=shared)
    assert "Nobody but you." in do(olga, "let-start", id=shared)
    assert "access:servers!server=olga/lab" not in bob.scopes()


def test_a_receiver_who_may_starts_the_server_from_home_and_opens_it(hub, olga):
    bob = hub.browser("bob")
    do(olga, "let-start", id=share_id(do(olga, "share", kind="user", name="bob")))
    assert 'href="/hub/open/olga/lab"' in bob.get("/hub/home").text
    page = bob.get("/hub/open/olga/lab").text
    assert "You can also start the server" in page
    assert "Start and open" in page
    assert bob.submit("/hub/open/olga/lab").headers["location"] == "/hub/spawn-pending/olga/lab"
    assert state_of_lab(hub) is State.REQUESTED
    assert not isinstance(log_in_at_server(hub, bob, run(hub)), str)  # the button was the consent


def test_a_link_that_lets_start_starts_a_stopped_server_at_once(hub, olga):
    link, bob = links(do(olga, "link", hours="1", uses="1", starts="yes"))[0], hub.browser("bob")
    page = bob.get(urlsplit(link)._replace(scheme="", netloc="").geturl()).text
    assert "You can also start the server" in page
    assert "Accept and start" in page
    assert "start:servers" not in page
    assert accept(bob, link).headers["location"] == "/hub/spawn-pending/olga/lab"
    assert accept(bob, link).headers["location"] == "/user/olga/lab/"  # it starts already
    assert state_of_lab(hub) is State.REQUESTED


def test_a_link_that_lets_start_opens_a_server_that_runs(hub, olga, running):
    link = links(do(olga, "link", hours="1", uses="1", starts="yes"))[0]
    assert accept(hub.browser("bob"), link).headers["location"] == "/user/olga/lab/"


def test_who_may_not_start_is_told_whom_to_ask_and_looks_again(hub, olga):
    bob = hub.browser("bob")
    do(olga, "share", kind="user", name="bob")
    assert 'href="/hub/open/olga/lab">Look again' in bob.get("/hub/open/olga/lab").text
    hub.hub.spawning.start(hub.user("olga"), "lab")
    assert "This server is starting now" in bob.get("/hub/open/olga/lab").text
    assert "<button class" not in bob.get("/hub/open/olga/lab").text.partition("<main")[2]


def test_whose_server_does_not_run_is_said_before_it_is_started(hub, olga):
    address = {"Accept": "text/html"}
    refused = hub.browser("root").get("/hub/user/olga/lab/tree", headers=address)
    assert refused.status_code == 424
    assert 'href="/hub/open/olga/lab?next=%2Fuser%2Folga%2Flab%2Ftree"' in refused.text


def test_who_shares_by_a_role_lets_nobody_start_what_they_may_not(tmp_path):
    roles = """
[[roles]]
name = "sharing"
scopes = ["shares"]
users = ["sam"]
"""
    hub = build_hub(tmp_path / "hub", SETTINGS + roles)
    hub.hub.servers.create(a_server("lab", owner_id=hub.user("olga").id), named_limit=0)
    hub.user("bob")
    sam = hub.browser("sam")
    assert "start the server when it does not run" not in sam.get(LAB).text
    assert sam.submit(LAB, do="link", hours="1", uses="1", starts="yes").status_code == 403
    shared = share_id(do(sam, "share", kind="user", name="bob"))
    assert sam.submit(LAB, do="let-start", id=shared).status_code == 403
    assert "start:servers!server=olga/lab" not in hub.as_user("bob").scopes()
    assert links(sam.get(LAB).text) == []


# --- how many names --------------------------------------------------------------------------------------------------


def test_a_search_for_names_is_bounded_whether_they_exist_or_not(hub, olga, monkeypatch):
    hub.user("olga", groups=["physics"])
    hub.user("bobby", groups=["physics"])
    hub.user("stranger")
    for number in range(LIMIT):
        assert found(olga.get(f"{LAB}?q={'stranger' if number % 2 else f'nobody{number}'}").text) == (
            ["stranger"] if number % 2 else []
        )
    for name in ("stranger", "nobody"):
        refused = olga.get(f"{LAB}?q={name}")
        assert (refused.status_code, found(refused.text)) == (429, [])
        assert "looked for too many names. Try again in 60 minutes" in refused.text
        shared = olga.submit(LAB, do="share", kind="user", name=name)
        assert (shared.status_code, "too many names" in shared.text) == (429, True)
    assert found(olga.get(f"{LAB}?q=bobby").text) == ["bobby"]  # a fellow is known anyway
    assert olga.get(f"{LAB}?q=bob").status_code == 429  # nobody of this name: it might be a stranger
    assert found(olga.get(f"{LAB}?q=bob").text) == ["bobby"]
    do(olga, "share", kind="user", name="bobby")
    assert hub.browser("bobby").get("/hub/share/bobby?q=stranger").status_code == 200  # each person by themselves

    later = hub.hub.clock.now() + timedelta(hours=1)
    monkeypatch.setattr(type(hub.hub.clock), "now", lambda _: later)
    assert found(olga.get(f"{LAB}?q=stranger").text) == ["stranger"]


def test_who_may_read_names_looks_for_as_many_as_they_like(hub):
    hub.hub.servers.create(a_server("", owner_id=hub.user("root").id), named_limit=0)
    root = hub.browser("root")
    for number in range(LIMIT + 1):
        assert root.get(f"/hub/share/root?q=nobody{number}").status_code == 200


# --- who may ---------------------------------------------------------------------------------------------------------


def test_nobody_shares_anothers_server_and_admins_do(hub, olga):
    bob, root = hub.browser("bob"), hub.browser("root")
    assert bob.get(LAB).status_code == 404
    assert bob.submit(LAB, do="link", hours="1", uses="1").status_code == 404
    assert bob.get("/hub/share/nobody").status_code == 404
    assert "olga\u2019s server “lab”" in root.get(LAB).text
    assert new_link(root)


def test_settings_can_keep_users_from_sharing(tmp_path):
    hub = build_hub(tmp_path / "hub", SETTINGS + "\n[sharing]\nusers_may_share = false\n")
    hub.user("sam", groups=["sharers"])
    hub.hub.servers.create(a_server("", owner_id=hub.user("sam").id), named_limit=0)
    alice, sam = hub.browser("alice"), hub.browser("sam")
    alice.submit("/hub/spawn")
    assert 'href="/hub/share/' not in alice.get("/hub/home").text
    refused = alice.get("/hub/share/alice")
    assert (refused.status_code, "cannot share their servers" in refused.text) == (403, True)
    assert alice.submit("/hub/share/alice", do="link", hours="1", uses="1").status_code == 403
    assert links(do(sam, "link", "/hub/share/sam", hours="1", uses="1"))  # by the scope


def test_the_pages_permission_gives_no_scope(hub, olga):
    assert hub.as_user("olga").post("/shares/olga/lab", {"user": "bob"}).status_code == 403


def test_a_page_without_its_token_shares_nothing(olga):
    assert olga.post(LAB, data={"do": "link", "hours": "1", "uses": "1"}).status_code == 403
    assert links(olga.get(LAB).text) == []


def test_the_page_of_a_server_that_is_not_there_is_404(olga):
    assert olga.get("/hub/share/olga/none").status_code == 404


def test_looking_at_the_page_stores_nothing(hub, olga):
    assert olga.get("/hub/share/olga").status_code == 200
    assert hub.hub.servers.find(hub.user("olga").id, "") is None


# --- opening ---------------------------------------------------------------------------------------------------------


def test_who_accepted_a_link_logs_in_without_another_question(hub, olga, running):
    bob = hub.browser("bob")
    accept(bob, new_link(olga))
    assert "access:servers!server=olga/lab" in log_in_at_server(hub, bob, running).scopes()
    assert "Last opened" in olga.get(LAB).text


def test_the_consent_of_a_page_holds_once(hub, olga, running):
    bob = hub.browser("bob")
    accept(bob, new_link(olga))
    log_in_at_server(hub, bob, running)
    restarted = run(hub, "l2")
    assert "shares the server “lab” with you" in log_in_at_server(hub, bob, restarted, "l2")


def test_the_consent_of_a_page_holds_for_its_server_alone(hub, olga, running):
    hub.hub.servers.create(a_server("other", owner_id=hub.user("olga").id), named_limit=0)
    bob = hub.browser("bob")
    do(olga, "share", kind="user", name="bob")
    accept(bob, links(do(olga, "link", "/hub/share/olga/other", hours="1", uses="0"))[0])
    assert "shares the server “lab” with you" in log_in_at_server(hub, bob, running)


def test_the_consent_of_a_page_holds_for_its_session_alone(hub, olga, running):
    bob, elsewhere = hub.browser("bob"), hub.browser("bob")
    accept(bob, new_link(olga))
    elsewhere.cookies.set("jupyterhub-hub-opening", bob.cookies["jupyterhub-hub-opening"], path="/hub/")
    assert "shares the server “lab” with you" in log_in_at_server(hub, elsewhere, running)


def test_the_consent_of_a_page_agrees_to_nothing_but_access(hub, olga):
    server, bob = run(hub, allowed=("read:users!user",)), hub.browser("bob")
    accept(bob, new_link(olga))
    assert "read:users!user" in log_in_at_server(hub, bob, server)


def test_a_share_that_ended_opens_nothing_whatever_was_agreed(hub, olga, running):
    bob = hub.browser("bob")
    accept(bob, new_link(olga))
    share = re.search(r'name="id" value="(sh[^"]*)"', olga.get(LAB).text)[1]
    do(olga, "remove", id=share)
    assert (
        "You do not have permission"
        in bob.get(
            "/hub/api/oauth2/authorize?"
            + urlencode({"client_id": f"jupyterhub-user-{running.id}", "response_type": "code", "state": "s"})
        ).text
    )
    gone = bob.get("/hub/open/olga/lab")
    assert (gone.status_code, "not there any more" in gone.text) == (404, True)


def test_an_admin_is_asked_once_and_the_owner_sees_it_at_home(hub, olga, running, caplog):
    caplog.set_level("INFO")
    root = hub.browser("root")
    page = log_in_at_server(hub, root, running)
    assert "your role on this hub lets you in" in page
    assert hub.hub.visits.by_role(hub.user("olga")) == []
    agree(hub, root, page, running)
    assert "user root opens the server olga/lab by a role" in caplog.messages
    assert not isinstance(log_in_at_server(hub, root, running), str)  # the second time nothing is asked
    home = re.sub(r"<time[^>]*>.*?</time>", "…", olga.get("/hub/home").text)
    assert "root opened “lab” …" in home


def test_what_an_owner_sees_of_admins_ends_after_thirty_days(hub, olga, running, monkeypatch):
    root = hub.browser("root")
    agree(hub, root, log_in_at_server(hub, root, running), running)
    assert "root opened" in olga.get("/hub/home").text
    later = hub.hub.clock.now() + timedelta(days=30)
    monkeypatch.setattr(hub.hub.visits.clock.__class__, "now", lambda _: later)
    assert hub.hub.visits.by_role(hub.user("olga")) == []


def test_an_owner_is_no_visitor(hub, olga, running):
    log_in_at_server(hub, olga, running)
    assert "opened" not in olga.get("/hub/home").text
    assert "Also opened" not in olga.get(LAB).text


def test_an_admin_starts_and_opens_a_server_from_the_list_of_users(hub, olga):
    root = hub.browser("root")
    assert 'href="/hub/open/olga"' in root.get("/hub/admin").text
    page = root.get("/hub/open/olga/lab").text
    assert "Start and open" in page
    assert "olga</strong> will see" in page
    assert hub.hub.servers.find(hub.user("olga").id, "lab").state is State.STOPPED
    started = root.submit("/hub/open/olga/lab")
    assert started.headers["location"] == "/hub/spawn-pending/olga/lab"
    assert hub.hub.servers.find(hub.user("olga").id, "lab").state is State.REQUESTED
    assert not isinstance(log_in_at_server(hub, root, run(hub)), str)  # the button was the consent


def test_a_server_that_does_not_run_is_opened_by_who_may_start_it(hub, olga):
    bob = hub.browser("bob")
    do(olga, "share", kind="user", name="bob")
    page = bob.get("/hub/open/olga/lab").text
    assert "Ask olga to start it" in page
    assert "<button class" not in page.partition("<main")[2]
    assert bob.submit("/hub/open/olga/lab").status_code == 200
    assert hub.hub.servers.find(hub.user("olga").id, "lab").state is State.STOPPED


def test_ones_own_server_opens_without_a_question(hub, olga, running):
    assert olga.get("/hub/open/olga/lab").headers["location"] == "/user/olga/lab/"


@pytest.mark.parametrize("path", ["/hub/open/olga/none", "/hub/open/nobody", "/hub/open/olga/" + "x" * 3000])
def test_opening_what_is_not_there_is_404_for_admins_too(hub, olga, path):
    assert hub.browser("root").get(path).status_code == 404
    assert hub.browser("bob").get(path).status_code == 404
