"""Home: what a visitor should know, what was chosen, renaming, and long lists."""

import re
from datetime import timedelta

import pytest

from hubless.domain.lifecycle import State
from hubless.domain.shares import ACCESS
from hubless.domain.sign_ups import SignUp
from tests.api.hub import SETTINGS, build_hub
from tests.support.builders import NOW, a_server
from tests.support.fakes import StoppedClock

DAY = timedelta(days=1)
RENAME = "/hub/home/rename-server"
OPTIONS = """
[[profiles]]
name = "lab"
[[profiles.options]]
name = "python"
display_name = "Python"
kind = "choice"
choices = [{ name = "a", display_name = "3.12" }, { name = "b", display_name = "3.13" }]
[[profiles.options]]
name = "memory"
display_name = "Memory"
kind = "number"
minimum = 1
maximum = 8
default = 2
unit = "GiB"
[[profiles.options]]
name = "gpu"
display_name = "Graphics card"
kind = "switch"
[[profiles.options]]
name = "topic"
display_name = "Topic"
kind = "text"
[[profiles.options]]
name = "course"
display_name = "Course"
kind = "file"
"""


@pytest.fixture
def hub(tmp_path):
    return build_hub(tmp_path / "hub")


def add(hub, name="", **facts):
    hub.hub.servers.create(a_server(name, owner_id=hub.user("alice").id, **facts))


def home_of(hub):
    return hub.browser("alice").get("/hub/home").text


@pytest.mark.parametrize(
    ("left", "is_named"),
    [(DAY, True), (7 * DAY, True), (7 * DAY + timedelta(seconds=1), False), (None, False)],
)
def test_home_names_tokens_that_end_within_a_week(hub, left, is_named):
    hub.hub.clock = StoppedClock(NOW)
    hub.as_user("alice", note="for <backups>", expires_at=None if left is None else NOW + left)
    assert ("Your token “for &lt;backups&gt;” ends" in home_of(hub)) is is_named


def test_home_names_no_tokens_of_applications_and_only_some_of_many(hub):
    hub.hub.clock = StoppedClock(NOW)
    hub.as_user("alice", note="of an application", client_id="jupyterhub-user-alice", expires_at=NOW + DAY)
    for number in reversed(range(9)):
        hub.as_user("alice", note=f"number {number}", expires_at=NOW + DAY + timedelta(hours=number))
    page = home_of(hub)
    assert "of an application" not in page
    assert [page.count(f"“number {number}”") for number in range(9)] == [1] * 5 + [0] * 4


def share(hub, to="alice", name="lab"):
    """Let bob share a server."""
    owner = hub.user("bob")
    server = hub.hub.servers.find(owner.id, name)
    if server is None:
        server = a_server(name, owner_id=owner.id, display_name=name)
        hub.hub.servers.create(server)
    return hub.hub.sharing.grant(server, hub.user(to), ACCESS)


def news_in(page):
    return re.findall(r'name="seen" value="([^"]*)"', page)


def test_home_tells_of_new_shares_until_its_reader_has_seen_them(hub):
    share(hub)
    alice = hub.browser("alice")
    page = alice.get("/hub/home").text
    assert 'bob shared <a href="/hub/open/bob/lab">lab</a> with you' in page
    assert news_in(alice.get("/hub/home").text) == news_in(page)  # a look alone changes nothing

    answer = alice.submit("/hub/home/seen", seen=news_in(page))

    assert (answer.status_code, answer.headers["location"]) == (303, "/hub/home")
    assert "shared <a" not in alice.get("/hub/home").text
    share(hub, name="thesis")
    page = alice.get("/hub/home").text
    assert ("shared <a" in page, ">thesis</a> with you" in page, ">lab</a> with you" in page) == (True, True, False)


def test_a_share_is_news_for_two_weeks(hub, monkeypatch):
    share(hub)
    now = hub.hub.clock.now()
    monkeypatch.setattr(hub.hub.clock.__class__, "now", lambda _: now + timedelta(days=13, hours=23))
    assert news_in(home_of(hub))
    monkeypatch.setattr(hub.hub.clock.__class__, "now", lambda _: now + timedelta(days=14, seconds=1))
    assert "bob" in home_of(hub)
    assert not news_in(home_of(hub))


def test_what_one_reader_of_a_browser_has_seen_is_news_to_another(hub):
    share(hub)
    share(hub, to="carol")
    alice = hub.browser("alice")
    alice.submit("/hub/home/seen", seen=news_in(alice.get("/hub/home").text))
    seen = alice.cookies.get("jupyterhub-hub-seen")
    carol = hub.browser("carol")
    carol.cookies.set("jupyterhub-hub-seen", seen, path="/hub/")
    assert news_in(carol.get("/hub/home").text)


@pytest.mark.parametrize("cookie", ["x", ".".join(["0" * 16] * 200), "0" * 17, "-1"])
def test_an_odd_cookie_of_what_was_seen_is_no_error(hub, cookie):
    share(hub)
    alice = hub.browser("alice")
    alice.cookies.set("jupyterhub-hub-seen", cookie, path="/hub/")
    assert news_in(alice.get("/hub/home").text)


def test_a_browser_remembers_a_bounded_number_of_shares(hub):
    alice = hub.browser("alice")
    alice.submit("/hub/home/seen", seen=[f"{number:016x}" for number in range(150)] + ["<x>", "0" * 17])
    kept = alice.cookies.get("jupyterhub-hub-seen").split(".")
    assert kept == [f"{number:016x}" for number in range(50, 150)]


def test_a_share_that_one_accepted_is_no_news(hub):
    bob, alice = hub.user("bob"), hub.browser("alice")
    server = a_server("lab", owner_id=bob.id)
    hub.hub.servers.create(server)
    secret = hub.hub.sharing.create_code(server, ACCESS, DAY)[1]
    assert alice.submit("/hub/accept-share", code=secret).status_code == 302
    page = alice.get("/hub/home").text
    assert ("Server of bob" in page or "of bob" in page, news_in(page)) == (True, [])


def test_home_begins_with_a_start_that_failed(hub):
    share(hub)
    add(hub, "thesis", display_name="My <thesis>", state=State.FAILED, failure="No space left on device")
    page = home_of(hub)
    told = "“My &lt;thesis&gt;”: "
    assert 0 < page.index(told) < page.index("shared <a") < page.index('id="default-server"')
    assert 'href="#server-thesis"' in page
    assert 'id="server-thesis"' in page


def test_home_tells_who_may_add_users_that_sign_ups_wait(hub):
    now = hub.hub.clock.now()
    for number, facts in enumerate([{}, {"confirm_sha256": "0" * 64}, {"needs_approval": False}]):
        waits = {"needs_approval": True} | facts
        hub.hub.sign_up_store.add(SignUp(f"dora{number}", f"u{number}", "", now, now + DAY, **waits), now, most=None)
    assert "1 person waits for an account" in hub.browser("root").get("/hub/home").text
    assert "for an account" not in home_of(hub)


def test_home_says_what_was_chosen(tmp_path):
    hub = build_hub(tmp_path / "hub", SETTINGS + OPTIONS)
    chosen = {"python": "b", "memory": "4", "gpu": True, "topic": "x" * 200, "course": {"name": "1.ipynb"}}
    add(hub, profile="lab", user_options=chosen)
    page = home_of(hub)
    for text in ("Python: 3.13", "Memory: 4 GiB", "Graphics card", f"Topic: {'x' * 59}…", "Course: 1.ipynb"):
        assert f"<li>{text}</li>" in page


def test_choices_that_no_longer_fit_are_left_out(tmp_path):
    hub = build_hub(tmp_path / "hub", SETTINGS + OPTIONS)
    odd = {"python": ["b"], "memory": {"a": 1}, "gpu": "perhaps", "topic": None, "course": "1.ipynb"}
    add(hub, profile="lab", user_options=odd)
    page = home_of(hub)
    assert not any(f"<li>{shown}" in page for shown in ("Python", "Memory", "Graphics card", "Topic", "Course"))


def test_a_stopped_named_server_gets_another_name_to_show(hub):
    add(hub, "lab", display_name="lab")
    alice = hub.browser("alice")

    answer = alice.submit(RENAME, server_name="lab", display_name=" My <thesis> ")

    assert (answer.status_code, answer.headers["location"]) == (303, "/hub/home")
    assert "My &lt;thesis&gt;" in alice.get("/hub/home").text
    assert hub.hub.servers.find(hub.user("alice").id, "lab").display_name == "My <thesis>"


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "x" * 256])
def test_a_name_that_cannot_be_shown_is_refused_in_words(hub, name):
    add(hub, "lab", display_name="lab")
    answer = hub.browser("alice").submit(RENAME, server_name="lab", display_name=name)
    assert (answer.status_code, 'role="alert"' in answer.text) == (400, True)
    assert hub.hub.servers.find(hub.user("alice").id, "lab").display_name == "lab"


def test_a_server_that_runs_or_does_not_exist_gets_no_other_name(hub):
    add(hub, "lab", display_name="lab", state=State.STARTING, launch_id="l1")
    alice = hub.browser("alice")
    assert alice.submit(RENAME, server_name="lab", display_name="new").status_code == 400
    assert alice.submit(RENAME, server_name="other", display_name="new").status_code == 400
    assert hub.browser("bob").submit(RENAME, server_name="lab", display_name="new").status_code == 400


def test_a_long_list_begins_with_what_runs_and_folds_what_is_stopped(hub):
    for number in range(12):
        add(hub, f"n{number:02}", state=State.FAILED if number == 11 else State.STOPPED)
    page = home_of(hub)
    assert page.count("data-server=") == 13
    assert page.index("alice/n11") < page.index("alice/n00") < page.index("4 more stopped servers")
    assert page.index("4 more stopped servers") < page.index("alice/n07")


def test_an_announcement_is_on_every_page_as_markdown(tmp_path):
    settings = (
        SETTINGS + '\n[hub]\nannouncement = "Closed on *Friday*. <script>x</script> [More](https://example.org)"\n'
    )
    hub = build_hub(tmp_path / "hub", settings)
    for page in (hub.browser().get("/hub/login").text, home_of(hub)):
        assert "Closed on <em>Friday</em>. &lt;script&gt;" in page
        assert '<a href="https://example.org">More</a>' in page


def test_a_page_with_an_announcement_of_its_own_shows_that_instead(tmp_path):
    own = "".join(f'announcement_{page} = "Of {page}"\n' for page in ("login", "home", "spawn", "logout"))
    hub = build_hub(tmp_path / "hub", SETTINGS + f'\n[hub]\nannouncement = "Of all"\n{own}')
    alice = hub.browser("alice")
    shown = {path: alice.get(path).text for path in ("/hub/home", "/hub/token", "/hub/login")}
    shown["/hub/login"] = hub.browser().get("/hub/login").text
    told = {path: re.findall(r"<p>(Of \w+)</p>", page) for path, page in shown.items()}
    assert told == {"/hub/home": ["Of home"], "/hub/token": ["Of all"], "/hub/login": ["Of login"]}


@pytest.mark.parametrize("scopes", [("self",), ("self", "access:services")])
def test_home_links_the_services_that_its_visitor_may_open(hub, scopes):
    hub.hub.roles["user"] = type(hub.hub.roles["user"])("user", scopes)
    assert ('id="services"' in home_of(hub)) is (len(scopes) > 1)
