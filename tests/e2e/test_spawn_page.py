"""The spawn page in Chromium, narrow and with or without JavaScript: a student chooses a profile and its options.

The browser's requests go to the application in this process: no server starts.
"""

from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect

from tests.api.hub import SETTINGS, build_hub

PHONE = {"width": 390, "height": 844}
PROFILES = """
[[profiles]]
name = "plain"
display_name = "Plain notebooks"
[[profiles]]
name = "lab"
display_name = "Data science"
[[profiles.options]]
name = "image"
display_name = "Version"
choices = [{ name = "this", display_name = "This term" }, { name = "next", display_name = "Next term" }]
unlisted = { display_name = "My own image", pattern = "lab:[a-z]+", image = "{value}" }
[[profiles.options]]
name = "memory"
kind = "number"
display_name = "Memory"
minimum = 1
maximum = 8
memory = "{value}G"
price_per_hour = "{value}"
[[profiles.options]]
name = "branch"
kind = "text"
display_name = "Branch"
pattern = "[a-z]+"
[[profiles.options]]
name = "debug"
kind = "switch"
display_name = "Write a long log"
default = true
[[profiles.options]]
name = "packages"
kind = "file"
display_name = "Packages"
"""
PICKED = {"name": "packages.txt", "mimeType": "text/plain", "buffer": b"numpy"}


@pytest.fixture
def hub(tmp_path):
    built = build_hub(tmp_path / "hub", SETTINGS + PROFILES)
    yield built
    with ThreadPoolExecutor(1) as beside:
        beside.submit(built.close).result()


@pytest.fixture(params=[True, False], ids=["script", "no script"])
def page(request, chromium, hub):
    """The spawn page on a phone, in a browser that is logged in."""
    context = chromium.new_context(viewport=PHONE, java_script_enabled=request.param)
    beside = ThreadPoolExecutor(1)  # in this thread runs Playwright's loop
    page, maria = context.new_page(), beside.submit(hub.browser, "maria").result()

    def forward(route):
        asked, parts = route.request, urlsplit(route.request.url)
        if parts.path.endswith("/progress"):  # a stream without an end
            route.abort()
            return
        headers = {name: text for name, text in asked.headers.items() if name in {"content-type", "accept"}}
        answer = beside.submit(
            maria.request,
            asked.method,
            f"{parts.path}?{parts.query}" if parts.query else parts.path,
            content=asked.post_data_buffer,
            headers=headers,
            follow_redirects=True,
        ).result()
        kept = {name: answer.headers[name] for name in ("content-type",) if name in answer.headers}
        route.fulfill(status=answer.status_code, headers=kept, body=answer.content)

    page.set_default_timeout(8000)
    expect.set_options(timeout=8000)
    page.route("**/*", forward)
    page.goto("http://hub.test/hub/spawn/maria")
    yield page
    context.close()
    beside.shutdown()


def options(hub):
    return hub.hub.servers.find(hub.user("maria").id, "").user_options


def start(page):
    page.get_by_role("button", name="Start").click()
    page.wait_for_load_state()


def test_options_are_shown_with_their_profile_and_sent_as_chosen(hub, page, request):
    expect(page.get_by_label("Memory")).to_be_hidden()
    page.get_by_label("Data science").check()
    page.get_by_label("Next term").check()
    page.get_by_label("Memory").fill("4")
    has_script = request.node.callspec.params["page"]
    expect(page.locator("output")).to_have_text("4.00" if has_script else "1.00")
    page.get_by_label("Branch").fill("topic")
    page.get_by_label("Write a long log").uncheck()
    page.get_by_label("Packages").set_input_files([PICKED])
    start(page)

    expect(page.get_by_role("heading", name="Your server is starting")).to_be_visible()
    assert options(hub) == {
        "profile": "lab",
        "image": "next",
        "memory": "4",
        "branch": "topic",
        "debug": False,
        "packages": {"name": "packages.txt", "content": "bnVtcHk="},
    }


def test_nothing_is_sent_for_a_profile_that_is_not_chosen(hub, page):
    page.get_by_label("Data science").check()
    page.get_by_label("Branch").fill("topic")
    page.get_by_label("Plain notebooks").check()
    start(page)

    assert options(hub) == {"profile": "plain"}


def test_a_refused_option_is_in_view_with_what_was_chosen(hub, page):
    page.get_by_label("Data science").check()
    page.get_by_label("Memory").fill("3")
    page.get_by_label("Branch").fill("UPPER")
    start(page)

    expect(page.get_by_role("alert")).to_contain_text("Branch cannot be 'UPPER'")
    expect(page.get_by_label("Data science")).to_be_checked()
    expect(page.get_by_label("Memory")).to_have_value("3")
    expect(page.get_by_label("Branch")).to_be_focused()
    expect(page.get_by_label("Branch")).to_have_attribute("aria-invalid", "true")


def test_an_own_text_takes_the_place_of_a_choice(hub, page):
    page.get_by_label("Data science").check()
    page.get_by_role("radio", name="My own image").check()
    page.get_by_role("textbox", name="My own image").fill("lab:mine")
    start(page)

    assert options(hub)["image--unlisted-choice"] == "lab:mine"


def test_the_whole_form_works_by_keyboard(hub, page):
    page.get_by_label("Plain notebooks").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Tab")
    expect(page.get_by_label("This term")).to_be_focused()
    page.keyboard.press("ArrowDown")
    for _ in range(2):
        page.keyboard.press("Tab")
    expect(page.get_by_label("Memory")).to_be_focused()
    page.keyboard.press("Enter")
    page.wait_for_load_state()

    expect(page.get_by_role("heading", name="Your server is starting")).to_be_visible()
    assert options(hub)["image"] == "next"
