"""Home in Chromium: a countdown, news without a reload, and the same by plain HTML; a real hub stops a server."""

import json
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from shutil import rmtree
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect

from functions.api import page_files, rendering
from tests.support.local_hub import LocalHub
from tests.unit.pages.page_samples import ALICE, PAGES, frame, home, server

PHONE = {"width": 390, "height": 800}
NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
TOKEN, PASSWORD = "admin-service-token", "correct horse battery"
SETTINGS = f"""
[login]
kind = "shared-password"
password = "{PASSWORD}"

[servers]
run_as_system_users = false

[culling]
idle_after = "20s"
keep_running = "5s"
sweep_every = "1s"

[[services]]
name = "tests"
admin = true
token = "{TOKEN}"
"""


class Home:
    """Serves home at hub.test; tests say what it shows next."""

    def __init__(self, page, language="en"):
        self.page, self.language, self.facts = page, language, {}
        self.has_streams, self.streams, self.looks = False, 0, 0
        page.clock.install(time=NOW - timedelta(hours=1))
        page.clock.pause_at(NOW)
        page.route("**/*", self._answer)

    def _answer_stream(self, route):
        """Tell the present version and end, so that the browser connects again; or refuse."""
        if not self.has_streams:
            route.fulfill(status=204)
            return
        body = f"retry: 50\n\ndata: {json.dumps({'': self.facts['version']})}\n\n"
        route.fulfill(content_type="text/event-stream", body=body)

    def shows(self, **facts):
        self.facts = facts

    def opens(self, **more):
        self.more = more
        self.page.goto("https://hub.test/hub/home", wait_until="load")

    def passes(self, **time):
        self.page.clock.run_for(int(timedelta(**time).total_seconds() * 1000))

    def _facts(self):
        return frame(ALICE, language=self.language) | home | self.more | {"default": server(**self.facts)}

    def _answer(self, route):
        path = urlsplit(route.request.url).path
        if path.startswith("/hub/static/"):
            route.fulfill(path=_static(route))
        elif path == "/hub/home/changes":
            self.streams += 1
            self._answer_stream(route)
        elif path == "/hub/home":
            self.looks += 1
            with rendering.speaking(self.language):
                html = rendering.environment().get_template("home.html").render(self._facts())
            route.fulfill(content_type="text/html; charset=utf-8", body=html)
        else:
            route.abort()


def stops_in(**time):
    at = (NOW + timedelta(**time)).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"state": "ready", "next_stop": {"at": at, "why": "Nobody uses it."}, "may_keep": True}


@pytest.fixture
def shown(new_page):
    return Home(new_page())


def test_a_stop_is_counted_down_in_its_last_ten_minutes(shown):
    shown.shows(**stops_in(minutes=11))
    shown.opens()
    stop = shown.page.locator(".next-stop")
    expect(stop).to_contain_text("in 11 minutes")
    expect(stop).not_to_have_class("next-stop soon")

    shown.passes(minutes=1, seconds=1)

    expect(stop).to_contain_text("9:59")
    expect(stop).to_have_class("next-stop soon")
    shown.passes(seconds=55)
    expect(stop).to_contain_text("9:04")


def test_a_countdown_starts_again_when_the_server_was_used(shown):
    shown.shows(**stops_in(minutes=2))
    shown.opens()
    shown.shows(**stops_in(minutes=60))

    shown.passes(seconds=31)

    expect(shown.page.locator(".next-stop")).to_contain_text("in 59 minutes")
    expect(shown.page.locator("#live-news")).to_be_empty()


def test_a_stop_shows_without_a_reload_and_is_said_aloud(shown):
    shown.shows(**stops_in(seconds=20))
    shown.opens()
    shown.page.evaluate("window.isSame = true")
    shown.shows(stopped_because="Stopped after 1 hour without activity")

    shown.passes(seconds=31)

    expect(shown.page.locator("main")).to_contain_text("Stopped after 1 hour without activity")
    expect(shown.page.locator("#live-news")).to_have_text("Your server: Stopped")
    assert shown.page.evaluate("window.isSame")


def test_a_button_that_has_the_focus_is_not_taken_away(shown):
    shown.shows(**stops_in(minutes=2))
    shown.opens()
    button = shown.page.get_by_role("button", name="Keep running 1 hour longer")
    button.focus()
    shown.shows(**stops_in(minutes=3))

    with shown.page.expect_response("**/hub/home"):
        shown.passes(seconds=61)

    expect(button).to_be_focused()
    expect(shown.page.locator(".next-stop")).to_contain_text("0:59")


def test_a_hub_that_is_away_leaves_the_page_as_it_is(shown):
    shown.shows(**stops_in(minutes=2))
    shown.opens()
    shown.page.route("**/hub/home", lambda route: route.abort())

    shown.passes(seconds=65)

    expect(shown.page.locator(".next-stop")).to_contain_text("0:55")


@pytest.mark.parametrize(("language", "words"), [("de", "in 11 Minuten"), ("es", "dentro de 11 minutos")])
def test_the_time_of_a_stop_is_in_the_readers_language(new_page, language, words):
    shown = Home(new_page(), language)
    shown.shows(**stops_in(minutes=11))
    shown.opens()
    expect(shown.page.locator(".next-stop")).to_contain_text(words)


CHANGES = {"changes_url": "/hub/home/changes?_xsrf=x"}


def test_what_a_stream_tells_is_shown_at_once(shown):
    shown.has_streams = True
    shown.shows(state="ready", version="3")
    shown.opens(**CHANGES)
    for _ in range(2):
        with shown.page.expect_response("**/hub/home/changes*"):
            pass
    assert shown.looks == 1  # what the page shows is no news

    shown.shows(state="failed", version="4")

    expect(shown.page.locator("#live-news")).to_have_text("Your server: Failed")
    expect(shown.page.locator(".state.failed")).to_be_visible()


def test_a_hub_without_room_for_a_stream_is_asked_once(shown):
    shown.shows(**stops_in(seconds=20))
    with shown.page.expect_response("**/hub/home/changes*"):
        shown.opens(**CHANGES)
    shown.shows(stopped_because="Stopped after 1 hour without activity")
    shown.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    shown.passes(seconds=31)
    expect(shown.page.locator("#live-news")).to_have_text("Your server: Stopped")
    assert shown.streams == 1


def test_a_page_that_nobody_sees_holds_no_stream(shown):
    shown.page.add_init_script(
        """window.sources = [];
        window.EventSource = class { static CLOSED = 2; constructor() { this.readyState = 0; sources.push(this); }
          addEventListener() {} close() { this.readyState = 2; } };"""
    )
    shown.shows(state="ready")
    shown.opens(**CHANGES)
    states = "sources.map((one) => one.readyState)"
    see = """(is) => { Object.defineProperty(document, "hidden", { value: !is, configurable: true });
      document.dispatchEvent(new Event("visibilitychange")); }"""
    assert shown.page.evaluate(states) == [0]
    shown.page.evaluate(see, False)
    assert shown.page.evaluate(states) == [2]
    shown.page.evaluate(see, True)
    assert shown.page.evaluate(states) == [2, 0]
    shown.page.evaluate("dispatchEvent(new Event('pagehide'))")
    assert shown.page.evaluate(states) == [2, 2]


def open_sample(page, name):
    template, facts = PAGES[name]
    html = rendering.environment().get_template(template).render(facts)
    page.route("**/hub/static/*", lambda route: route.fulfill(path=_static(route)))
    page.route("**/hub/home", lambda route: route.fulfill(content_type="text/html; charset=utf-8", body=html))
    page.goto("https://hub.test/hub/home", wait_until="load")


def _static(route):
    return page_files.STATIC / urlsplit(route.request.url).path.removeprefix("/hub/static/")


def test_without_javascript_the_instant_is_a_text(chromium):
    context = chromium.new_context(java_script_enabled=False, viewport=PHONE)
    page = context.new_page()
    open_sample(page, "home_soon")
    text, button = page.locator(".next-stop").first.inner_text(), page.get_by_role("button", name="Keep running").first
    assert "UTC" in text
    assert button.is_visible()
    context.close()


def test_fifty_servers_are_a_short_page_on_a_phone(new_page):
    page = new_page()
    page.set_viewport_size(PHONE)
    open_sample(page, "home_many")
    rows = page.locator("[data-server]").filter(visible=True)
    expect(rows).to_have_count(9)
    page.locator("summary", has_text="more stopped servers").click()
    expect(rows).to_have_count(51)


@pytest.fixture(scope="module")
def hub():
    folder = Path(tempfile.mkdtemp(prefix="hubless-e2e-"))
    one = LocalHub(folder, SETTINGS)
    yield one
    one.close()
    rmtree(folder, ignore_errors=True)


def test_a_student_keeps_a_server_running_and_sees_why_it_stopped(hub, new_page):
    page = new_page()
    page.set_viewport_size(PHONE)
    page.goto(f"{hub.url}/hub/login?next=%2Fhub%2Fhome")
    page.fill("[name=username]", "maria")
    page.fill("[name=password]", PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.locator("[data-server='maria/']").get_by_role("link", name="Start").click()
    page.wait_for_url("**/user/maria/**")
    page.goto(f"{hub.url}/hub/home")
    expect(page.locator("body[data-live]")).to_have_count(1)  # a stream through the edge

    page.get_by_role("button", name="Keep running 5 seconds longer").press("Enter")

    card = page.locator("[data-server='maria/']")
    expect(page.get_by_role("button", name="Keep running")).to_have_count(0)
    expect(card).to_contain_text("Will stop by itself: 0:")
    expect(card).to_contain_text("Stopped after 20 seconds without activity")
    expect(card.get_by_role("link", name="Start")).to_be_visible()
