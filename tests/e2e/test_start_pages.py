"""The pages of a start in Chromium: a student waits, and is told what happens.

The hub answers at a port, and no worker runs: each test takes the steps of a start itself.
"""

import json
import re
from dataclasses import replace
from datetime import timedelta
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect

from functions.api import page_files, rendering
from functions.api.pages import spawn
from hubless.domain import lifecycle
from hubless.domain.launch_times import LaunchTime
from hubless.domain.lifecycle import State
from tests.api.hub import OPENED, SETTINGS, An, build_hub, served
from tests.unit.pages.page_samples import PAGES

PHONE = {"width": 390, "height": 844}
QUICK = 10_000  # milliseconds: no server has to start


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    built = build_hub(tmp_path_factory.mktemp("hub"), SETTINGS)
    yield built
    OPENED.remove(built)
    built.close()


@pytest.fixture(scope="module")
def address(hub):
    with served(hub) as address:
        yield address


@pytest.fixture
def log_in(hub, address, new_page):
    """Return a function that logs in somebody of a new name, on a phone, and returns the page."""

    def open_page(name, path="/hub/home", **options):
        page = new_page(**options)
        page.set_viewport_size(PHONE)
        page.set_default_timeout(QUICK)
        expect.set_options(timeout=QUICK)
        page.goto(f"{address}/hub/login?next={path}")
        page.get_by_label("Username").fill(name)
        page.get_by_label("Password", exact=True).fill(An.PASSWORD)
        page.get_by_role("button", name="Log in").click()
        page.wait_for_url(re.compile("/hub/(?!login)"))
        return page

    return open_page


def server_of(hub, name):
    return hub.hub.servers.find(hub.hub.users.find(name).id, "")


def step(hub, name, change, **facts):
    """Take the next step of a start, as a worker does."""
    before = server_of(hub, name)
    hub.hub.servers.write(before, change(before, now=hub.hub.clock.now(), deadlines=hub.hub.deadlines, **facts))


@pytest.mark.parametrize("script", [True, False], ids=["script", "no script"])
def test_a_start_shows_its_steps_and_is_cancelled(hub, log_in, script):
    name = "with-script" if script else "without-script"
    page = log_in(name, "/hub/spawn", java_script_enabled=script)
    again = page.reload if not script else lambda: None
    current, first = page.locator(".steps [aria-current=step]"), page.locator(".steps li").nth(1)
    expect(page.get_by_role("heading", name="Your server is starting")).to_be_visible()
    expect(current).to_contain_text("Waiting for a free slot")

    step(hub, name, lifecycle.launched, task="t")
    again()
    expect(current).to_contain_text("Launching the server")
    expect(first).to_contain_text("second")
    step(hub, name, lifecycle.addressed, address="127.0.0.1:9")
    again()
    expect(current).to_contain_text("Waiting for Jupyter to answer")
    expect(page.locator(".steps .done")).to_have_count(3)
    if script:
        expect(current.locator(".took")).to_contain_text("second")  # it counts
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]

    page.get_by_role("button", name="Cancel").click()
    page.wait_for_url("**/hub/home")
    assert server_of(hub, name).state is State.STOPPING


def test_a_start_that_takes_long_says_so_by_itself(hub, log_in):
    page = log_in("late", "/hub/spawn")
    for _ in range(3):
        hub.hub.launch_times.add(server_of(hub, "late").profile, LaunchTime(hub.hub.clock.now(), timedelta(seconds=40)))
    page.reload()
    expect(page.locator(".usually")).to_contain_text("ready in about 40 seconds.")
    before, long_ago = server_of(hub, "late"), hub.hub.clock.now() - timedelta(seconds=91)
    hub.hub.servers.write(before, lifecycle.launched(before, task="t", now=long_ago, deadlines=hub.hub.deadlines))
    expect(page.locator(".usually")).to_contain_text("This takes longer than usual.")
    expect(page.locator(".steps [aria-current=step] .took")).to_contain_text("1 minute 3")


@pytest.fixture
def full(hub, monkeypatch):
    """Make the hub full, and return a function that gives it one place more."""
    spawning = hub.hub.spawning
    monkeypatch.setattr(spawn, "PLACE_PAUSE", 1)

    def limit(places):
        monkeypatch.setitem(hub.hub.__dict__, "spawning", replace(spawning, active_limit=places))

    taken = hub.hub.servers.count(lifecycle.ACTIVE)
    if not taken:
        spawning.start(hub.user("first"), "")
        taken = 1
    limit(taken)
    return lambda: limit(taken + 1)


@pytest.mark.parametrize("script", [True, False], ids=["script", "no script"])
def test_a_page_in_a_full_hub_goes_on_by_itself(full, log_in, script):
    page = log_in("waits-here" if script else "waits-there", "/hub/spawn", java_script_enabled=script)
    expect(page.get_by_role("heading", name="Your server waits for a place")).to_be_visible()
    expect(page.get_by_text("You are next.")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    full()
    expect(page.get_by_role("heading", name="Your server is starting")).to_be_visible()


def test_who_stops_waiting_comes_home(hub, full, log_in):
    page = log_in("impatient", "/hub/spawn")
    page.get_by_role("button", name="Stop waiting").click()
    page.wait_for_url("**/hub/home")
    assert hub.hub.waiting.find(hub.hub.users.find("impatient").id, hub.hub.clock.now()) is None


LOG = (*(f"[I 2026-11-28 09:00:{number:02} ServerApp] line {number}" for number in range(40)), "OSError: [Errno 28] x")


def test_a_failed_start_says_why_what_to_do_and_what_the_log_says(hub, address, log_in):
    page = log_in("unlucky", "/hub/spawn")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=address)
    expect(page.get_by_role("heading", name="Your server is starting")).to_be_visible()
    step(hub, "unlucky", lifecycle.stopping, failure="The server exited with code 1", log_tail=LOG)
    step(hub, "unlucky", lifecycle.ended)

    expect(page.get_by_text("There is no space left for your files.")).to_be_visible()
    expect(page.get_by_text("Ask an admin to free space")).to_be_visible()
    if not page.locator("details.log").evaluate("log => log.open"):
        page.get_by_text("Last lines of the server log").click()
    box = page.locator(".log-end")
    expect(box).to_contain_text(LOG[-1])
    assert box.evaluate("box => box.scrollHeight > box.clientHeight && box.scrollTop === 0")  # its end is its beginning
    page.get_by_role("button", name="Copy the log").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == "\n".join(LOG)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]

    admin = log_in("root", "/hub/admin")
    expect(admin.get_by_text("A disk or a quota is full (ENOSPC, EDQUOT)").first).to_be_attached()
    admin.get_by_role("link", name="unlucky", exact=True).click()
    expect(admin.get_by_text("A disk or a quota is full (ENOSPC, EDQUOT)").first).to_be_attached()
    expect(admin.get_by_text(LOG[-1]).first).to_be_attached()


def test_home_says_that_a_server_ended_for_want_of_memory(hub, log_in):
    name = "greedy"
    page = log_in(name, "/hub/spawn", java_script_enabled=False)
    step(hub, name, lifecycle.launched, task="t")
    step(hub, name, lifecycle.addressed, address="127.0.0.1:9")
    step(hub, name, lifecycle.answered)
    step(hub, name, lifecycle.stopping, failure="The server was killed at its memory limit of 1 GiB")
    step(hub, name, lifecycle.ended)
    page.goto(re.sub("/hub/.*", "/hub/home", page.url))
    expect(page.get_by_text("Your server needed more memory than it may use.").first).to_be_visible()
    expect(page.get_by_text("Try again, load less data at once").first).to_be_visible()


def test_a_long_queue_is_one_line_that_changes(new_page):
    """A page that waits an hour for its turn may be told of thousands of positions, each by a stream of its own."""
    template, context = PAGES["spawn_pending"]
    positions = iter(range(40, 0, -1))
    steps = [[str(said), took] for said, took in context["steps"]]

    def progress():
        ahead = next(positions, 0)
        said = {"progress": 5, "message": f"{ahead} ahead", "position": ahead} if ahead else {"progress": 10}
        event = {"steps": steps, "current": 0 if ahead else 1, "seconds": 3, "is_late": False} | said
        events = [{"progress": 0, "message": "Server requested"}, event]
        return "retry: 10\n\n" + "".join(f"data: {json.dumps(one)}\n\n" for one in events)

    def answer(route):
        path = urlsplit(route.request.url).path
        if path == urlsplit(context["progress_url"]).path:
            route.fulfill(content_type="text/event-stream", body=progress())
        elif path.startswith("/hub/static/"):
            route.fulfill(path=page_files.STATIC / path.removeprefix("/hub/static/"))
        else:
            html = rendering.environment().get_template(template).render(context | {"current": 0, "place": "41 ahead"})
            route.fulfill(content_type="text/html", body=html)

    page = new_page()
    page.route("http://hub.test/**", answer)
    page.goto("http://hub.test/hub/spawn-pending/alice")
    expect(page.locator(".steps [aria-current]")).to_contain_text("Launching the server")

    expect(page.locator(".place")).to_have_text("")
    expect(page.locator(".steps li")).to_have_count(1 + len(steps))
