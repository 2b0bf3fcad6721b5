"""The table of users in a browser: it searches as somebody types, and acts on many by itself."""

import re
import shutil
import sys
import tempfile
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.support.bad_days import SERVER
from tests.support.local_hub import LocalHub

PASSWORD, TOKEN = "a password for everybody", "an-admin-service-token-0123456789"
SETTINGS = """
[login]
kind = "shared-password"
password = "{password}"
admins = ["root"]
shared_password_opens_admins = true

[servers]
run_as_system_users = false

[[profiles]]
name = "small"
command = ["{python}", "-S", "-E", "{program}"]

[[services]]
name = "tests"
token = "{token}"
admin = true
"""
MANY = 120  # more than one batch


@pytest.fixture(scope="module")
def hub():
    folder = Path(tempfile.mkdtemp(prefix="hubless-table-"))
    program = folder / "server.py"
    program.write_text(SERVER)
    settings = SETTINGS.format(password=PASSWORD, python=sys.executable, program=program, token=TOKEN)
    one = LocalHub(folder, settings, admin_token=TOKEN)
    one.admin.post("/users", json={"usernames": ["root", "zoe", *(f"ada-{n:03}" for n in range(MANY))]})
    one.admin.post("/groups/physics").raise_for_status()
    yield one
    one.close()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def page(hub, new_page):
    made = new_page()
    made.goto(f"{hub.url}/hub/admin")
    made.fill("[name=username]", "root")
    made.fill("[name=password]", PASSWORD)
    made.get_by_role("button", name="Log in").click()
    return made


def test_the_table_follows_what_somebody_types(page):
    expect(page.get_by_role("row")).to_have_count(51)
    page.get_by_label("Name", exact=True).press_sequentially("zoe", delay=10)
    expect(page.get_by_role("row")).to_have_count(2)
    expect(page).to_have_url(re.compile("name_filter=zoe"))
    expect(page.get_by_label("Name", exact=True)).to_be_focused()
    expect(page.locator("#live-news")).to_contain_text("1 user found")
    page.get_by_label("Name", exact=True).fill("")
    expect(page.get_by_role("row")).to_have_count(51)


def test_the_page_of_a_user_follows_their_server(hub, page):
    page.goto(f"{hub.url}/hub/admin/users/zoe")
    hub.admin.post("/users/zoe/server").raise_for_status()
    page.reload()
    expect(page.locator(".state.ready")).to_be_visible()
    page.get_by_role("button", name="Stop").click()
    expect(page).to_have_url(f"{hub.url}/hub/admin/users/zoe")
    expect(page.locator(".state.stopped")).to_be_visible()


def test_what_is_done_to_all_goes_on_by_itself_and_names_refusals(hub, page):
    page.goto(f"{hub.url}/hub/admin?name_filter=ada")
    page.get_by_label("Whom").select_option("all")
    page.get_by_label("What").select_option("add")
    page.get_by_label("Group (to add or remove)").fill("physics")
    page.get_by_role("button", name="Go", exact=True).click()
    expect(page.get_by_text("Finished.")).to_be_visible()
    expect(page.get_by_text(f"{MANY} of {MANY} users")).to_be_visible()
    assert len(hub.admin.get("/groups/physics").json()["users"]) == MANY

    page.get_by_role("link", name="Back to the users").click()
    page.get_by_label("Select all on this page").check()
    page.get_by_label("What").select_option("delete")
    page.get_by_role("button", name="Go", exact=True).click()
    page.get_by_role("button", name="Delete 50 users").click()
    expect(page.get_by_text("50 of 50 users")).to_be_visible()
    expect(page.get_by_text("Finished.")).to_be_visible()
    assert hub.admin.get("/users/ada-000").status_code == 404
    assert hub.admin.get("/users/ada-119").status_code == 200
