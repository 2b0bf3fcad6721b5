"""LTI 1.3 in a real browser: an LMS on another site opens the hub in its frame and in new windows.

The LMS is at 127.0.0.1 and the hub at localhost: two sites, both of which Chromium trusts with `Secure` cookies. It
blocks cookies of other sites here, as browsers with strict settings do.
"""

import shutil
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import expect, sync_playwright

from tests.doubles.lms import INSTRUCTOR, LmsDouble, LmsServer
from tests.e2e.conftest import QUIET, SECONDS
from tests.support.free_port import free_port
from tests.support.local_hub import LocalHub

pytestmark = pytest.mark.real
SETTINGS = """
[hub]
public_url = "http://localhost:{port}"

[login]
allow_all = true

[servers]
run_as_system_users = false

[[profiles]]
name = "waits"
command = ["sleep", "600"]

[[lti_platforms]]
name = "school"
issuer = "{lms}"
client_id = "10000000000042"
authorization_url = "{lms}/auth"
token_url = "{lms}/token"
key_set_url = "{lms}/keys"
"""


class RealClock:
    def now(self):
        return datetime.now(UTC)


@pytest.fixture(scope="module")
def lms():
    server = LmsServer(LmsDouble(RealClock(), kind="canvas"))
    yield server
    server.close()


@pytest.fixture(scope="module")
def hub(lms):
    folder, port = Path(tempfile.mkdtemp(prefix="hubless-lti-")), free_port()
    one = LocalHub(folder, SETTINGS.format(port=port, lms=lms.url), port=port)
    lms.double.hub_url = f"http://localhost:{port}"
    lms.double.hub_keys = lambda: httpx.get(f"{one.url}/hub/lti/jwks", timeout=30).json()
    yield one
    one.close()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def strict_chromium():
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    expect.set_options(timeout=SECONDS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=program, args=[*QUIET, "--test-third-party-cookie-phaseout"]
        )
        yield browser
        browser.close()


@pytest.fixture
def page(strict_chromium, hub, lms):
    lms.double.claims, lms.double.roles = {}, [INSTRUCTOR]
    context = strict_chromium.new_context(viewport={"width": 1200, "height": 900})
    opened = context.new_page()
    opened.set_default_timeout(SECONDS)
    yield opened
    context.close()


def test_a_link_in_a_frame_opens_the_hub_in_a_window_of_its_own(page, lms, hub):
    page.goto(f"{lms.url}/course")
    button = page.frame_locator("iframe[name=tool]").get_by_role("link", name="Open in a new window")

    with page.expect_popup() as opened:
        button.click()
    window = opened.value

    expect(window.get_by_role("heading", name="Your server is starting")).to_be_visible()
    assert window.url.startswith(f"http://localhost:{hub.port}/hub/spawn-pending/ada")
    window.goto(f"http://localhost:{hub.port}/hub/home")
    expect(window.get_by_role("heading", name="Hello, ada")).to_be_visible()


def test_a_link_that_the_lms_opens_in_a_new_tab_leads_into_the_hub(page, lms, hub):
    lms.double.claims = {"https://purl.imsglobal.org/spec/lti/claim/custom": {"next": "/hub/home"}}

    page.goto(f"{lms.url}/start")

    expect(page).to_have_url(f"http://localhost:{hub.port}/hub/home")
    expect(page.get_by_role("heading", name="Hello, ada")).to_be_visible()


def test_a_teacher_chooses_a_link_in_the_frame_with_cookies_blocked(page, lms, hub):
    lms.double.asks_for_a_link()
    page.goto(f"{lms.url}/course?target=/hub/lti/deep-link")
    frame = page.frame_locator("iframe[name=tool]")

    frame.get_by_label("Title of the link").fill("Week 1")
    frame.get_by_label("Path of the notebook").fill("week 1/first.ipynb")
    frame.get_by_role("button", name="Go on").click()
    frame.get_by_role("button", name="Add it to the course").click()

    expect(frame.get_by_text("The link was added.")).to_be_visible()
    (link,) = lms.double.links
    assert link["custom"] == {"next": "/hub/user-redirect/lab/tree/week%201/first.ipynb"}
    assert page.context.cookies(f"http://localhost:{hub.port}/hub/lti/login") != []


def test_two_links_at_once_log_in_both(page, lms, hub):
    lms.double.claims = {"https://purl.imsglobal.org/spec/lti/claim/custom": {"next": "/hub/home"}}
    second = page.context.new_page()

    page.goto(f"{lms.url}/start", wait_until="commit")
    second.goto(f"{lms.url}/start", wait_until="commit")

    for one in (page, second):
        expect(one).to_have_url(f"http://localhost:{hub.port}/hub/home")


def test_a_refusal_is_read_in_the_frame(page, lms, hub):
    lms.double.asks_for_a_link()
    lms.double.claims["aud"] = "another-tool"

    page.goto(f"{lms.url}/course?target=/hub/lti/deep-link")

    expect(page.frame_locator("iframe[name=tool]").get_by_text("proves nothing")).to_be_visible()
