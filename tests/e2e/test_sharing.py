"""People in browsers: one shares a server by a link from a phone, another opens it, and so does an admin."""

import re
import shutil
import tempfile
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.support.local_hub import LocalHub

PASSWORD, TOKEN = "a password for everybody", "an-admin-service-token-0123456789"
SETTINGS = f"""
[login]
kind = "shared-password"
password = "{PASSWORD}"
admins = ["root"]
shared_password_opens_admins = true

[servers]
run_as_system_users = false

[[services]]
name = "tests"
token = "{TOKEN}"
admin = true
"""
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True}


@pytest.fixture(scope="module")
def hub():
    folder = Path(tempfile.mkdtemp(prefix="hubless-sharing-"))
    one = LocalHub(folder, SETTINGS, admin_token=TOKEN)
    for name in ("ada", "ben", "carol", "root"):
        one.admin.post(f"/users/{name}")
    one.admin.post("/users/ada/server").raise_for_status()
    yield one
    one.close()
    shutil.rmtree(folder, ignore_errors=True)


def log_in(page, hub, name, path="/hub/home"):
    page.goto(f"{hub.url}{path}")
    page.fill("[name=username]", name)
    page.fill("[name=password]", PASSWORD)
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
    expect(ada.get_by_text("The link is ready.")).to_be_visible()
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
    expect(ada.get_by_text("This share has ended.")).to_be_visible()
    ben.goto(f"{hub.url}/hub/open/ada")
    expect(ben.get_by_text("nobody shares it with you any more")).to_be_visible()


def test_an_admin_opens_a_users_server_and_its_owner_reads_so(hub, ada, new_page):
    root = log_in(new_page(), hub, "root", "/hub/admin?name_filter=ada")
    root.get_by_role("link", name=re.compile("Open ada")).click()
    expect(root.get_by_text("your role on this hub lets you in")).to_be_visible()
    root.get_by_role("button", name="Open the server").click()
    root.wait_for_url("**/user/ada/lab**")

    ada.goto(f"{hub.url}/hub/home")
    expect(ada.get_by_text("root opened a server of yours")).to_be_visible()
