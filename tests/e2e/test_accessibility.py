"""Every page in Chromium, narrow and wide, light and dark: nothing is cut off, and axe-core finds no fault.

The pages are the samples of the unit tests, which no hub serves: so states are looked at that a hub seldom comes to.
"""

from contextlib import closing
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from mimetypes import guess_type
from pathlib import Path
from threading import Thread
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect

from edge_proxy import answers
from functions.api import page_files, rendering
from functions.api.themes import colours_of
from functions.api.translations import speaking
from hubless.settings.theme import ThemeSettings
from tests.unit.pages.page_samples import PAGES, Person

AXE = Path(__file__).parents[2] / ".venv-axe/node_modules/axe-core/axe.min.js"
NARROW, WIDE = {"width": 360, "height": 740}, {"width": 1440, "height": 900}
CHECKED = [(NARROW, "light"), (WIDE, "dark")]  # by axe: each width and each colour scheme once, as it takes long
PHONE, ZOOMED = {"width": 390, "height": 844}, {"width": 320, "height": 256}  # 1280 px at 400 % (WCAG 2.2, 1.4.10)
VIEWS = [(NARROW, "light"), (NARROW, "dark"), (WIDE, "light"), (WIDE, "dark")]
LEAVE = {"lti_opening", "not_running_starts", "stop_pending"}  # load something else before one has looked
FOREIGN = {"api_docs"}  # is of Swagger UI, apart from its frame
SHOWN = sorted(PAGES.keys() - LEAVE - FOREIGN)
LONG_NAME = "bartholomaeus_von_hohenlohe-waldenburg@informatik.universitaet.example.org"
LONG = {
    "language": "de",
    "hub_name": "Rechenzentrum der Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft",
    "hub_contact": "Rindfleischetikettierungsüberwachungsaufgabenübertragungsgesetzbeauftragte@example.org",
}
LARGE, USUAL = {"standard": 32, "fixed": 26}, {"standard": 16, "fixed": 13}  # px: text at 200 % (WCAG 2.2, 1.4.4)
TOUCHED = 40  # px that a finger hits
COLOURS = ThemeSettings(color="#0b5394", color_dark="#9fc5e8")  # of the samples with a theme
HTML = "text/html; charset=utf-8"
NOTHING = (False, HTML, b"")
EDGE = {
    answer.name: answer
    for answer in (
        *(one for one in vars(answers).values() if isinstance(one, answers.Answer)),
        answers.too_large(has_api=True),
    )
}
OPEN_ALL = "for (const details of document.querySelectorAll('details')) details.open = true"
IS_CUT = "document.documentElement.scrollWidth > innerWidth"
# What is wider than the box around it; what scrolls by itself is meant to.
STICKS_OUT = """[...document.querySelectorAll("body *")]
  .filter((one) => one.checkVisibility() && !one.closest(".visually-hidden, .skip, svg, input, select"))
  .filter((one) => one.clientWidth && one.scrollWidth > one.clientWidth + 1
    && !/^(inline|contents)$|auto|scroll/.test(getComputedStyle(one).display + getComputedStyle(one).overflowX))
  .map((one) => one.outerHTML)"""
WITHOUT_AN_EDGE = """[...document.querySelectorAll("button, .button, input:not([type=hidden]), select, textarea")]
  .filter((one) => one.checkVisibility() && !one.matches("[type=radio], [type=checkbox], .visually-hidden"))
  .filter((one) => getComputedStyle(one).borderTopStyle === "none")
  .map((one) => one.outerHTML)"""
MOVES = """[...document.querySelectorAll("*")]
  .filter((one) => ["animationDuration", "transitionDuration"].some((kind) => parseFloat(getComputedStyle(one)[kind])))
  .map((one) => one.outerHTML)"""
# One radio button of a group takes the focus for all.
REACHABLE = """(() => {
  const parts = "a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex='0'], iframe";
  const found = [...document.querySelectorAll(parts)].filter(
    (one) => one.checkVisibility() && !one.disabled && one.tabIndex >= 0
      && !(one.type === "radio" && !one.checked && document.querySelector(`[name="${one.name}"]:checked`)));
  return [found[0].className, found.length];
})()"""
NOTE_FOCUS = """() => {
  window.focused = new Set();
  window.stuck = [];
  document.addEventListener("keydown", () => { window.before = document.activeElement; });
  document.addEventListener("keyup", () => {
    const now = document.activeElement;
    if (now === document.body) return;
    window.focused.add(now);
    if (now === window.before && !/^(date|time)/.test(now.type)) window.stuck.push(now.outerHTML); // they have parts
  });
}"""
FAULTS = """async () => {
  const found = await axe.run({ resultTypes: ["violations"], selectors: false });
  return found.violations.flatMap((rule) => rule.nodes.map((node) => `${rule.id}: ${node.html}`));
}"""


@pytest.fixture(scope="module")
def new_context(chromium):
    """Return a function that makes a browser profile at which the samples are, by their names."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Samples)
    Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield partial(chromium.new_context, base_url=f"http://localhost:{server.server_port}")
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def page(new_context):
    """A page that looks at itself with axe."""
    assert AXE.exists(), "axe-core is not there: make axe"
    with closing(new_context(bypass_csp=True, reduced_motion="reduce")) as context:
        yield context.new_page()


@pytest.fixture(scope="module")
def quiet_page(new_context):
    """A page without JavaScript."""
    with closing(new_context(java_script_enabled=False)) as context:
        yield context.new_page()


class Samples(BaseHTTPRequestHandler):
    """Serves the samples and what they load; Chromium keeps the files, as it does those of a hub."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        kept, kind, body = _found(urlsplit(self.path).path)
        self.send_response(200 if body else 404)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "max-age=3600" if kept else "no-store")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Say nothing of requests."""


def _found(path):
    """Return whether a browser may keep what is at *path*, its type, and its bytes: none where nothing is."""
    if path == "/hub/static/theme/colors.css":
        return True, "text/css", colours_of(COLOURS).encode()
    if path == "/axe.js":
        return True, "text/javascript", AXE.read_bytes()
    if path.startswith("/hub/static/"):
        file = page_files.STATIC / ("logo.svg" if "/theme/" in path else path.removeprefix("/hub/static/"))
        return (True, guess_type(file)[0], file.read_bytes()) if file.is_file() else NOTHING
    kind, _, name = path[1:].rpartition("/")
    if kind == "edge" and name in EDGE:
        return False, HTML, EDGE[name].page.encode()
    if kind in {"", "de"} and name in PAGES:
        return False, HTML, html_of(name, has_long_words=kind == "de").encode()
    return NOTHING


def open_sample(page, name):
    answer = page.goto(f"/{name}", wait_until="load")
    assert answer.ok, name


def html_of(name, *, has_long_words=False):
    template, context = PAGES[name]
    if has_long_words:
        context = context | LONG | ({"user": Person(LONG_NAME, admin=True)} if context["user"] else {})
    with speaking(context["language"]):
        return rendering.environment().get_template(template).render(context)


def look(page, name):
    """Return what is wrong with the page in each view."""
    wrong = []
    open_sample(page, name)
    page.add_script_tag(url="/axe.js")
    for size, scheme in VIEWS:
        page.set_viewport_size(size)
        page.emulate_media(color_scheme=scheme)
        for opened in (False, True):
            if opened:
                page.evaluate(OPEN_ALL)
            where = f"{size['width']} px, {scheme}{', all open' if opened else ''}"
            if page.evaluate(IS_CUT):
                wrong.append(f"{where}: wider than the window")
        if (size, scheme) in CHECKED:
            wrong += [f"{where}: {fault}" for fault in page.evaluate(FAULTS)]
    return wrong


def cut(page, where):
    """Return what sticks out of the window or of a box, with all that opens open."""
    page.evaluate(OPEN_ALL)
    wrong = page.evaluate(STICKS_OUT) + (["wider than the window"] if page.evaluate(IS_CUT) else [])
    return [f"{where}: {one}" for one in wrong]


@pytest.mark.parametrize("name", SHOWN)
def test_a_page_fits_and_is_accessible(page, name):
    assert look(page, name) == []


@pytest.fixture
def text(page):
    """Return a function that sets the size of text, as people do in their browser's settings."""
    session = page.context.new_cdp_session(page)
    yield lambda sizes: session.send("Page.setFontSizes", {"fontSizes": sizes})
    session.send("Page.setFontSizes", {"fontSizes": USUAL})
    session.detach()


@pytest.mark.parametrize("name", SHOWN)
def test_long_words_and_large_text_fit(page, text, name):
    page.set_viewport_size(ZOOMED)
    open_sample(page, f"de/{name}")
    wrong = cut(page, "320 px")
    text(LARGE)
    page.set_viewport_size(PHONE)

    assert wrong + cut(page, "text at 200 %") == []


def test_the_menu_is_used_by_keyboard(page):
    page.set_viewport_size(NARROW)
    open_sample(page, "home_first")
    summary = page.locator(".frame-menu > summary")

    reached = []
    while "SUMMARY" not in reached:
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.tagName"))
        assert len(reached) < 10, reached
    page.keyboard.press("Enter")
    assert page.locator(".menu-panel").is_visible()
    inside = []
    for _ in range(page.locator(".menu-panel").locator("a:visible, button:visible").count()):
        page.keyboard.press("Tab")
        inside.append(page.evaluate("document.activeElement.innerText"))
        box = page.locator(":focus").bounding_box()
        assert box["x"] >= 0, inside
        assert box["x"] + box["width"] <= NARROW["width"], inside
        assert box["height"] >= TOUCHED, inside
    page.keyboard.press("Escape")

    assert inside[0] == "Home"
    assert inside[-1] == "Log out"
    assert not page.locator(".menu-panel").is_visible()
    assert summary.evaluate("one => one === document.activeElement")


def test_what_is_chosen_is_seen_in_forced_colours(page):
    page.set_viewport_size(NARROW)
    open_sample(page, "home_first")
    page.emulate_media(forced_colors="active")
    page.locator(".frame-menu > summary").click()
    buttons = page.locator("button[name=theme]")

    outlines = [one.evaluate("one => getComputedStyle(one).outlineStyle") for one in buttons.all()]
    page.emulate_media(forced_colors="none")

    assert [one.get_attribute("aria-pressed") for one in buttons.all()] == ["true", "false", "false"]
    assert outlines == ["solid", "none", "none"]


@pytest.mark.parametrize("name", EDGE)
def test_an_answer_of_the_edge_fits_and_is_accessible(page, name):
    wrong = look(page, f"edge/{name}")
    page.set_viewport_size(ZOOMED)

    assert wrong + cut(page, "320 px") == []


@pytest.mark.parametrize("name", ["login", "home_full", "spawn", "token_full", "admin_full", "error", "edge/cookies"])
def test_focus_and_buttons_are_seen_in_forced_colours(page, name):
    page.emulate_media(forced_colors="active", color_scheme="dark")
    open_sample(page, name)
    page.evaluate(OPEN_ALL)
    bare = page.evaluate(WITHOUT_AN_EDGE)
    page.keyboard.press("Tab")
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    page.emulate_media(forced_colors="none")

    assert bare == []
    assert outline != "none"


@pytest.mark.parametrize("name", ["login", "home_full", "spawn", "token_full", "admin_full", "account", "error"])
def test_nothing_moves_for_readers_who_ask_for_that(page, name):
    open_sample(page, name)

    assert page.evaluate(MOVES) == []


REFUSED = sorted(name for name, (_, context) in PAGES.items() if context.get("error") and name in SHOWN)


@pytest.mark.parametrize("name", REFUSED)
def test_the_focus_is_at_what_was_refused_without_javascript(quiet_page, name):
    open_sample(quiet_page, name)
    focused = quiet_page.locator(":focus")

    expect(focused).to_have_count(1)  # autofocus comes after the page has loaded
    described = (focused.get_attribute("aria-describedby") or "").split()
    assert focused.get_attribute("id") == "error" or "error" in described
    assert "none" not in focused.evaluate("(one) => getComputedStyle(one).outlineStyle")


def test_times_are_dates_in_the_readers_zone_and_language(new_context):
    context = new_context(timezone_id="Pacific/Auckland", bypass_csp=True)
    page = context.new_page()
    open_sample(page, "token_full")
    time = page.locator("time[data-relative]").first
    shown = [time.text_content(), time.get_attribute("title")]
    context.close()

    assert shown == ["Mar 14, 2026", "Saturday, March 14, 2026 at 10:26 PM"]  # 09:26 in UTC, which pages say at first


@pytest.mark.parametrize("template", sorted({PAGES[name][0] for name in SHOWN}))
def test_a_keyboard_can_skip_to_the_page_and_is_held_nowhere(page, template):
    name = max((name for name in SHOWN if PAGES[name][0] == template), key=lambda name: len(html_of(name)))
    page.set_viewport_size(WIDE)
    open_sample(page, name)
    first, parts = page.evaluate(REACHABLE)
    page.evaluate(NOTE_FOCUS)
    for _ in range(2 * parts + 3):  # past the end of the page, and beyond where it began
        page.keyboard.press("Tab")
    focused, stuck = page.evaluate("[window.focused.size, window.stuck]")

    assert first == "skip"
    assert stuck == []
    assert focused == parts


def test_a_bad_page_is_noticed(page, monkeypatch):
    _, context = PAGES["login"]
    monkeypatch.setitem(PAGES, "bad", ("login.html", context | {"hub_name": "x" * 200, "username": "\u00ad"}))
    style = "label { display: none } @media (prefers-color-scheme: dark) { button { color: #777; background: #888 } }"
    page.route("**/hub/static/style.css*", lambda route: route.fulfill(content_type="text/css", body=style))

    wrong = look(page, "bad")
    page.unroute("**/hub/static/style.css*")

    assert any("wider than the window" in fault for fault in wrong)
    assert any("label: <input" in fault for fault in wrong)
    assert any("dark, all open: color-contrast: <button" in fault for fault in wrong)


@pytest.mark.parametrize(
    "name", ["login_with_many_providers", "login_at_many_providers_only", "account_with_many_logins"]
)
def test_long_names_fit_without_javascript(new_context, name):
    context = new_context(java_script_enabled=False, viewport=NARROW)
    page = context.new_page()
    open_sample(page, name)

    boxes = [button.bounding_box() for button in page.locator(".button:visible").all()]
    context.close()

    assert boxes
    assert all(box["x"] >= 0 and box["x"] + box["width"] <= NARROW["width"] for box in boxes)
