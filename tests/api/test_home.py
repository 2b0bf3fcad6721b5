"""Home: what a visitor should know, what was chosen, renaming, and long lists."""

from datetime import timedelta

import pytest

from hubless.domain.lifecycle import State
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


@pytest.mark.parametrize("scopes", [("self",), ("self", "access:services")])
def test_home_links_the_services_that_its_visitor_may_open(hub, scopes):
    hub.hub.roles["user"] = type(hub.hub.roles["user"])("user", scopes)
    assert ('id="services"' in home_of(hub)) is (len(scopes) > 1)
