"""People in browsers share servers by link and by name, admins open them, and somebody new has a first day."""

import re
import shutil
import sys
import tempfile
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import expect

from tests.support.bad_days import SERVER
from tests.support.local_hub import LocalHub

PASSWORD, TOKEN = "correct horse battery", "an-admin-service-token-0123456789"
SETTINGS = """
[login]
sign_up = true

[servers]
run_as_system_users = false

[[profiles]]
name = "notebooks"
display_name = "Notebooks"
[[profiles.options]]
name = "course"
display_name = "Course"
choices = [{{ name = "maths", display_name = "Mathematics" }}, {{ name = "physics", display_name = "Physics" }}]

[[profiles]]
name = "lab"
display_name = "Laboratory"
command = ["{missing}"]

[[profiles]]
name = "small"
display_name = "A small program"
command = ["{python}", "-S", "-E", "{program}"]

[[services]]
name = "tests"
token = "{token}"
admin = true
"""
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True}


@pytest.fixture(scope="module")
def hub():
    folder = Path(tempfile.mkdtemp(prefix="hubless-sharing-"))
    program, missing = folder / "server.py", folder / "laboratory"
    program.write_text(SERVER)
    shutil.copy("/bin/true", missing)  # the hub looks for it when it starts
    settings = SETTINGS.format(python=sys.executable, program=program, missing=missing, token=TOKEN)
    one = LocalHub(folder, settings, admin_token=TOKEN)
    missing.unlink()
    for name in ("ada", "ben", "carol", "maria"):
        sign_up(one, name)
    one.admin.post("/groups/class", json={"users": ["ben", "carol"]}).raise_for_status()
    one.admin.post("/users/ada/server").raise_for_status()
    yield one
    one.close()
    shutil.rmtree(folder, ignore_errors=True)


def sign_up(hub, name):
    with httpx.Client(base_url=hub.url) as browser:
        token = re.search(r'name="_xsrf" value="([^"]*)"', browser.get("/hub/sign-up").text)[1]
        form = {"username": name, "password": PASSWORD, "again": PASSWORD, "_xsrf": token}
        answer = browser.post("/hub/sign-up", data=form)
        assert answer.is_redirect, answer.text


def log_in(page, hub, name, path="/hub/home", password=PASSWORD):
    page.goto(f"{hub.url}{path}")
    page.fill("[name=username]", name)
    page.fill("[name=password]", password)
    page.get_by_role("button", name="Log in").click()
    return page


@pytest.fixture
def ada(hub, chromium):
    """A phone without JavaScript; its owner has a server that runs."""
    context = chromium.new_context(java_script_enabled=False, **PHONE)
    page = log_in(context.new_page(), hub, "ada")
    while page.get_by_role("link", name="Open your server").count() == 0:
        page.goto(f"{hub.url}/hub/home")
    page.get_by_role("link", name="Share your server").click()
    expect(page.get_by_role("heading", name="Share your server")).to_be_visible()
    yield page
    context.close()


def is_as_wide_as_its_window(page):
    return page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_a_server_is_shared_by_a_link_that_lets_one_person_in(hub, ada, new_page):
    ada.get_by_role("button", name="Create link").click()
    expect(ada.locator("[data-flash]", has_text="The link is ready.")).to_be_visible()
    link = ada.get_by_label("Link 1").input_value()

    ben = new_page(color_scheme="dark")
    ben.set_viewport_size(PHONE["viewport"])
    log_in(ben, hub, "ben", link.removeprefix(hub.url))
    expect(ben.get_by_text("ada shares a server with you.")).to_be_visible()
    assert is_as_wide_as_its_window(ben)
    ben.get_by_role("button", name="Accept and open").click()
    ben.wait_for_url("**/user/ada/lab**")  # no second question

    carol = log_in(new_page(), hub, "carol", link.removeprefix(hub.url))
    expect(carol.get_by_text("This link does not work any more.")).to_be_visible()

    ada.reload()
    expect(ada.get_by_text("Used up")).to_be_visible()
    expect(ada.get_by_text("Last opened")).to_be_visible()
    ada.get_by_role("button", name="End share with ben").click()
    expect(ada.locator("[data-flash]", has_text="This share has ended.")).to_be_visible()
    ben.goto(f"{hub.url}/hub/open/ada")
    expect(ben.get_by_text("nobody shares it with you any more")).to_be_visible()


def test_an_admin_opens_a_users_server_and_its_owner_reads_so(hub, ada, new_page):
    root = new_page()
    root.goto(re.search(r"http://\S+/hub/set-password\?key=\w+", hub.log())[0])
    root.fill("[name=password]", PASSWORD)
    root.fill("[name=again]", PASSWORD)
    root.get_by_role("button", name="Save password").click()
    root.wait_for_url("**/hub/home")
    root.goto(f"{hub.url}/hub/admin?name_filter=ada")
    root.get_by_role("link", name=re.compile("Open: ada")).click()
    expect(root.get_by_text("your role on this hub lets you in")).to_be_visible()
    root.get_by_role("button", name="Open the server").click()
    root.wait_for_url("**/user/ada/lab**")

    ada.goto(f"{hub.url}/hub/home")
    expect(ada.get_by_text("admin opened a server of yours")).to_be_visible()


def test_who_may_starts_the_server_that_is_shared_with_a_group(hub, new_page):
    carol = new_page()
    carol.set_viewport_size(PHONE["viewport"])
    log_in(carol, hub, "carol", "/hub/share/carol")
    carol.get_by_label("Username or group").fill("cla")
    carol.get_by_role("button", name="Find").click()
    carol.get_by_role("button", name="Share with class").click()
    carol.get_by_role("button", name=re.compile("Allow starts")).click()
    expect(carol.get_by_text("They may start the server now")).to_be_visible()
    assert is_as_wide_as_its_window(carol)

    ben = new_page()
    ben.set_viewport_size(PHONE["viewport"])
    log_in(ben, hub, "ben")
    expect(ben.get_by_text("Shared with the group class")).to_be_visible()
    ben.get_by_role("link", name=re.compile("^Open.*Server of carol")).click()
    expect(ben.get_by_text("You can also start the server")).to_be_visible()
    ben.get_by_role("button", name="Start and open").click()
    ben.get_by_label("A small program").check()  # nobody has started it before
    ben.get_by_role("button", name="Start").click()
    ben.wait_for_url("**/user/carol/**")
    expect(ben.get_by_text("carol")).to_be_visible()


def test_somebody_new_has_a_first_day_on_a_phone(hub, new_page):
    """Issue by issue what a student meets, without reading anything: each button is found by what it says."""
    maria = new_page()
    maria.set_viewport_size(PHONE["viewport"])
    log_in(maria, hub, "maria")

    # A server that cannot start says so in words, and what to do.
    maria.get_by_role("link", name=re.compile("^Start")).click()
    maria.get_by_label("Laboratory").check()
    maria.get_by_role("button", name="Start").click()
    expect(maria.get_by_role("heading", name="Your server failed to start")).to_be_visible()
    expect(maria.get_by_text("The program of this server type is not installed.")).to_be_visible()
    assert is_as_wide_as_its_window(maria)

    # Another kind of server, with an option, starts.
    maria.get_by_role("link", name="Try again").click()
    maria.get_by_label("Notebooks").check()
    maria.get_by_label("Physics").check()
    maria.get_by_role("button", name="Start").click()
    maria.wait_for_url("**/user/maria/lab**")

    # The password changes; the page says so.
    maria.goto(f"{hub.url}/hub/home")
    expect(maria.locator("[data-server='maria/']")).to_contain_text("Course: Physics")
    maria.locator(".frame-menu > summary").click()
    maria.get_by_role("link", name="Account").click()
    maria.get_by_role("link", name="Change your password").click()
    maria.fill("[name=password]", f"new {PASSWORD}")
    maria.fill("[name=again]", f"new {PASSWORD}")
    maria.get_by_role("button", name="Change password").click()
    expect(maria.locator("[data-flash]", has_text="Your password is changed.")).to_be_visible()

    # She shares the server with ben by name, and ben is in after one page.
    maria.goto(f"{hub.url}/hub/home")
    maria.get_by_role("link", name="Share your server").click()
    maria.get_by_label("Username or group").fill("ben")
    maria.get_by_role("button", name="Find").click()
    maria.get_by_role("button", name="Share with ben").click()
    expect(maria.locator("[data-flash]", has_text="The server is shared.")).to_be_visible()
    ben = new_page()
    ben.set_viewport_size(PHONE["viewport"])
    log_in(ben, hub, "ben")
    ben.get_by_role("link", name=re.compile("^Open.*Server of maria")).click()
    expect(ben.get_by_text("maria shares a server with you.")).to_be_visible()
    ben.get_by_role("button", name="Open the server").click()
    ben.wait_for_url("**/user/maria/lab**")

    # She sees that ben was there, and ends the share.
    maria.reload()
    expect(maria.get_by_text("Last opened")).to_be_visible()
    maria.get_by_role("button", name="End share with ben").click()
    expect(maria.locator("[data-flash]", has_text="This share has ended.")).to_be_visible()
    ben.goto(f"{hub.url}/hub/home")
    expect(ben.get_by_role("link", name=re.compile("^Open.*Server of maria"))).to_have_count(0)

    # The new password is what counts now.
    again = new_page()
    log_in(again, hub, "maria", password=PASSWORD)
    expect(again.get_by_role("alert")).to_be_visible()
    log_in(again, hub, "maria", password=f"new {PASSWORD}")
    expect(again.get_by_role("heading", name="Hello, maria")).to_be_visible()
