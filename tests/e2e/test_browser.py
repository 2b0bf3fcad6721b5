"""A person in a browser: the whole hub with its real parts, driven through headless Chromium."""

import contextlib
import json
import os
import re
import shutil
import sys
import tempfile
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import SECONDS
from tests.support.local_hub import LocalHub

TOP = Path(__file__).parents[2]
BROKEN = "import sys; print('no module named pandas', file=sys.stderr); sys.exit(3)"
SETTINGS = f"""
[servers]
named_limit = 2
run_as_system_users = false

[[profiles]]
name = "lab"
display_name = "JupyterLab"
description = "Notebooks, text files and consoles."
args = ["--ServerApp.terminals_enabled=False", "--LabApp.news_url=None"]

[[profiles]]
name = "broken"
display_name = "Broken"
description = "Fails to start."
command = ["{sys.executable}", "-c", "{BROKEN}"]

[[roles]]
name = "user"
scopes = ["self", "shares!user", "read:users:name"]

[[roles]]
name = "teacher-of-physics"
scopes = ["groups!group=physics"]
users = ["noah"]

[groups.physics]
"""
PASSWORD = "correct horse battery"


class Hub(LocalHub):
    """A hub with passwords in a folder of its own."""

    def __init__(self, folder: Path):
        super().__init__(folder, SETTINGS)

    def first_admin_link(self):
        return re.search(r"http://\S+/hub/set-password\?key=\w+", self.log())[0]


@pytest.fixture(scope="module")
def hub():
    folder = Path(tempfile.mkdtemp(prefix="hubless-e2e-"))
    one = Hub(folder)
    yield one
    one.close()
    shutil.rmtree(folder, ignore_errors=True)


def shot(page: Page, name: str):
    """Keep a picture where ARTIFACTS names a folder."""
    if folder := os.environ.get("ARTIFACTS"):
        page.screenshot(path=Path(folder) / f"{name}.png")


def log_in(page: Page, name: str, password: str = PASSWORD):
    page.fill("[name=username]", name)
    page.fill("[name=password]", password)
    page.get_by_role("button", name="Log in").click()


def run_first_cell(page: Page, code: str, result: str):
    """Type into the first cell and run it; JupyterLab drops a run that comes while it still connects to the kernel."""
    cell = page.locator(".jp-Notebook .jp-CodeCell").first
    cell.locator(".cm-content").click()
    page.keyboard.type(code)
    for _ in range(10):
        cell.locator(".cm-content").click()
        page.keyboard.press("Control+Enter")
        with contextlib.suppress(AssertionError):
            expect(cell.locator(".jp-OutputArea-output", has_text=result)).to_be_visible(timeout=9000)
            return
    raise AssertionError(f"{code} did not give {result}")


@pytest.fixture(scope="module")
def maria(hub, chromium):
    """The first admin and a student, both made in the browser as a teacher would."""
    context = chromium.new_context()
    page = context.new_page()
    page.set_default_timeout(SECONDS)
    link = hub.first_admin_link()
    page.goto(link)
    page.fill("[name=password]", PASSWORD)
    page.fill("[name=again]", PASSWORD)
    page.get_by_role("button", name="Save password").click()
    page.wait_for_url("**/hub/home")
    assert page.goto(link).status == 404  # it opened once
    page.goto(f"{hub.url}/hub/admin")
    page.get_by_role("link", name="Add people").click()
    page.get_by_label("People", exact=True).fill("maria\nnoah")
    page.get_by_role("button", name="Look at the lines").click()
    page.get_by_role("button", name="Add 2 people").click()
    expect(page.get_by_role("heading", name="2 people are added")).to_be_visible()
    page.goto(f"{hub.url}/hub/admin")
    shot(page, "admin")
    for name in ("maria", "noah"):
        page.goto(f"{hub.url}/hub/admin?name_filter={name}")
        page.get_by_role("link", name=name, exact=True).click()
        page.get_by_role("button", name="Create password link").click()
        student_link = page.locator("#keep").input_value()
        student = chromium.new_context()
        choosing = student.new_page()
        choosing.goto(student_link)
        choosing.fill("[name=password]", PASSWORD)
        choosing.fill("[name=again]", PASSWORD)
        choosing.get_by_role("button", name="Save password").click()
        choosing.wait_for_url("**/hub/home")
        student.close()
    context.close()
    return "maria"


def test_a_person_logs_in_works_and_logs_out(hub, maria, new_page):
    page = new_page()

    # A deep link survives login, the choice of a profile and the start.
    page.goto(f"{hub.url}/hub/user-redirect/lab?reset")
    shot(page, "login")
    log_in(page, maria)
    page.get_by_label("JupyterLab").check()
    shot(page, "spawn")
    page.get_by_role("button", name="Start").click()
    page.wait_for_url("**/hub/spawn-pending/maria**")
    expect(page.locator("progress")).to_be_visible()
    shot(page, "progress")
    page.wait_for_url("**/user/maria/lab**")

    # A cell runs.
    page.locator(".jp-LauncherCard[data-category='Notebook']").first.click()
    expect(page.get_by_text("Python 3 (ipykernel) | Idle")).to_be_visible(timeout=SECONDS)
    run_first_cell(page, "6*7", "42")
    shot(page, "lab")

    # Back to the hub, as JupyterLab offers it; a second, named server.
    page.locator(".lm-MenuBar-itemLabel", has_text="File").click()
    with page.context.expect_page() as opened:
        page.locator(".lm-Menu-itemLabel", has_text="Hub Control Panel").click()
    home = opened.value
    home.set_default_timeout(SECONDS)
    home.wait_for_url("**/hub/home")
    expect(home.get_by_text("Running")).to_be_visible()
    home.fill("[name=server_name]", "second")
    home.get_by_role("button", name="Create and start").click()
    home.get_by_label("JupyterLab").check()
    home.get_by_role("button", name="Start").click()
    home.wait_for_url("**/user/maria/second/lab**")
    # JupyterLab changes its own address at its start.
    expect(home.locator(".jp-LauncherCard").first).to_be_visible(timeout=SECONDS)
    home.goto(f"{hub.url}/hub/home")
    expect(home.locator(".state.ready")).to_have_count(2)
    shot(home, "home")
    home.goto(f"{hub.url}/hub/account")
    expect(home.get_by_text("this browser", exact=True)).to_be_visible()
    shot(home, "account")
    home.goto(f"{hub.url}/hub/token")
    shot(home, "token")

    # Both stop; the page follows by itself.
    home.goto(f"{hub.url}/hub/home")
    home.get_by_role("button", name="Stop second").click()
    home.wait_for_url("**/hub/home")
    home.get_by_role("button", name="Stop your server").click()
    expect(home.locator(".state.stopped")).to_have_count(2, timeout=SECONDS)

    # After logging out the old tab is refused.
    home.locator(".frame-menu > summary").click()
    home.get_by_role("link", name="Log out").click()
    home.wait_for_url("**/hub/login")
    page.reload()
    page.wait_for_url("**/hub/login?next=**")


def test_after_logging_out_a_running_servers_tab_is_refused(hub, maria, new_page):
    page = new_page()
    page.goto(f"{hub.url}/hub/spawn/noah?opt-profile=lab")
    log_in(page, "noah")
    page.wait_for_url("**/user/noah/lab**")
    assert page.request.get(f"{hub.url}/user/noah/api/contents").status == 200
    kept = [c for c in page.context.cookies() if c["path"].startswith("/user/")]

    page.goto(f"{hub.url}/hub/logout")
    page.context.add_cookies([{k: c[k] for k in ("name", "value", "domain", "path")} for c in kept])

    assert page.request.get(f"{hub.url}/user/noah/api/contents").status == 403
    page.goto(f"{hub.url}/user/noah/lab")
    assert "/hub/login?next=" in page.url


FETCH = """([method, path, body]) => fetch(path, {method, headers: {"Content-Type": "application/json",
    "X-XSRFToken": document.cookie.match(/_xsrf=([^;]+)/)[1]}, body: JSON.stringify(body)})
    .then(answer => answer.text())"""


def test_a_server_is_shared_by_a_code_until_it_is_taken_back(hub, maria, new_page):
    owner, guest = new_page(), new_page()
    owner.goto(f"{hub.url}/hub/spawn?opt-profile=lab")
    log_in(owner, maria)
    owner.wait_for_url("**/user/maria/lab**")
    owner.goto(f"{hub.url}/hub/home")
    code = json.loads(owner.evaluate(FETCH, ["POST", "/hub/api/share-codes/maria/", {}]))

    # Without it a login fails.
    guest.goto(f"{hub.url}/hub/home")
    log_in(guest, "noah")
    guest.wait_for_url("**/hub/home")
    guest.goto(f"{hub.url}/user/maria/lab")
    expect(guest.get_by_text("do not have permission")).to_be_visible()

    # With it one is asked once: the button is also the consent that the server may know who one is.
    guest.goto(hub.url + code["accept_url"])
    expect(guest.get_by_role("heading", name="maria\u2019s server")).to_be_visible()
    shot(guest, "accept_share")
    guest.get_by_role("button", name="Accept and open").click()
    guest.wait_for_url("**/user/maria/lab**")
    expect(guest.locator("#jp-top-panel")).to_be_visible()
    guest.goto(f"{hub.url}/hub/home")
    expect(guest.get_by_text("Shared with you")).to_be_visible()
    shot(guest, "home_shared")

    # After it is revoked, new visitors cannot enter.
    assert owner.evaluate(FETCH, ["PATCH", "/hub/api/shares/maria/", {"user": "noah"}]) == "{}"
    guest.reload()
    expect(guest.get_by_text("Shared with you")).to_have_count(0)
    guest.context.clear_cookies(path="/user/maria/")
    guest.goto(f"{hub.url}/user/maria/lab")
    expect(guest.get_by_text("do not have permission")).to_be_visible()
    owner.evaluate(FETCH, ["DELETE", "/hub/api/users/maria/server", {}])

    # A start while it still stops leads to the choice when it has stopped.
    owner.goto(f"{hub.url}/hub/spawn")
    expect(owner.get_by_role("button", name="Start")).to_be_visible(timeout=SECONDS)


def test_a_server_that_fails_says_why_with_its_last_lines_and_a_retry(hub, maria, new_page):
    page = new_page()
    page.goto(f"{hub.url}/hub/spawn/maria")
    log_in(page, maria)
    page.get_by_label("Broken").check()
    page.get_by_role("button", name="Start").click()

    expect(page.get_by_role("heading", name="Your server failed to start")).to_be_visible()
    expect(page.get_by_text("A part of the server's software is missing or does not work.")).to_be_visible()
    expect(page.get_by_text("exited with code 3")).to_be_visible()
    expect(page.get_by_text("no module named pandas")).to_be_visible()
    shot(page, "failed")
    page.get_by_role("link", name="Try again").click()
    expect(page.get_by_label("JupyterLab")).to_be_visible()


def test_the_api_docs_show_the_document_and_ask_as_the_person(hub, maria, new_page):
    page, refused = new_page(), []
    page.on("console", lambda line: refused.append(line.text) if "Content Security Policy" in line.text else None)
    page.goto(f"{hub.url}/hub/login")
    log_in(page, maria)
    page.wait_for_url(re.compile("/hub/spawn|/user/"))

    page.goto(f"{hub.url}/hub/api/docs")
    operation = page.locator("#operations-hub-whoami_hub_api_user_get")
    operation.click()
    operation.get_by_role("button", name="Try it out").click()
    operation.get_by_role("button", name="Execute").click()
    expect(operation.locator(".live-responses-table")).to_contain_text('"name": "maria"')
    shot(page, "api-docs")
    assert refused == []


def test_login_and_start_work_without_javascript(hub, maria, new_page):
    page = new_page(java_script_enabled=False)
    page.goto(f"{hub.url}/hub/spawn/maria/plain")
    log_in(page, maria)
    page.get_by_label("JupyterLab").check()
    page.get_by_role("button", name="Start").click()

    page.wait_for_url("**/user/maria/plain/lab**")

    page.goto(f"{hub.url}/hub/home")
    page.get_by_role("button", name="Stop plain").click()
    page.wait_for_url("**/hub/home")


def test_a_teacher_fills_their_group_on_a_phone_without_javascript(hub, maria, new_page):
    page = new_page(java_script_enabled=False)
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(f"{hub.url}/hub/home")
    log_in(page, "noah")
    page.locator(".frame-menu > summary").click()
    page.locator("nav.down").get_by_role("link", name="Admin").click()
    page.get_by_role("link", name="physics").click()

    page.get_by_label("Usernames").fill("maria; noah\nmax")
    page.get_by_role("button", name="Add to the group").click()
    expect(page.get_by_role("alert")).to_contain_text("There is no user 'max'")
    expect(page.get_by_label("Usernames")).to_have_value("max")
    expect(page.get_by_label("Usernames")).to_be_focused()
    shot(page, "phone-group")
    page.get_by_role("checkbox", name="noah").check()
    page.get_by_role("button", name="Remove the chosen ones").click()

    expect(page.locator("[data-flash]", has_text="The member is removed.")).to_be_visible()
    expect(page.get_by_role("checkbox")).to_have_count(1)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.get_by_role("checkbox", name="maria").check()
    page.get_by_role("button", name="Remove the chosen ones").click()
    expect(page.get_by_text("This group has no members yet.")).to_be_visible()


def test_a_wrong_password_is_refused_in_words_and_many_lock_the_name(hub, maria, new_page):
    page = new_page()
    page.goto(f"{hub.url}/hub/login")
    log_in(page, "nobody-here", "wrong password")
    expect(page.get_by_role("alert")).to_contain_text("Invalid username or password")

    for _ in range(10):
        log_in(page, "nobody-here", "wrong password")

    expect(page.get_by_role("alert")).to_contain_text("Too many wrong guesses")
    shot(page, "locked")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_fit_a_telephone(hub, maria, new_page, scheme):
    page = new_page(color_scheme=scheme)
    page.set_viewport_size({"width": 360, "height": 700})
    page.goto(f"{hub.url}/hub/home")
    log_in(page, "noah")

    for path in ("home", "token", "spawn", f"spawn/noah/{'long' * 7}", "no-such-page"):
        page.goto(f"{hub.url}/hub/{path}")
        shot(page, f"phone-{scheme}-{path.replace('/', '-')}")
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, path
