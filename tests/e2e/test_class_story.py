"""What an admin does for a class, by what they see alone: links, buttons and labels, and no address that they type."""

import csv
import re
import shutil
import sqlite3
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import expect

from hubless.adapters.sqlite.database import Database
from hubless.adapters.sqlite.usage import SqliteUsageLog
from hubless.domain.metering import Metering
from hubless.domain.usage import Usage
from tests.e2e.test_lesson_story import choose_password
from tests.support.bad_days import SERVER
from tests.support.concurrency import eventually
from tests.support.local_hub import LocalHub

TOKEN = "an-admin-service-token-0123456789"
SETTINGS = """
[hub]
currency = "€"

[servers]
run_as_system_users = false

[[profiles]]
name = "usual"
display_name = "Usual"
command = ["{python}", "-S", "-E", "{program}"]

[[profiles]]
name = "lab"
display_name = "Physics lab"
groups = ["physics"]
command = ["{python}", "-S", "-E", "{program}"]

[[services]]
name = "tests"
token = "{token}"
admin = true
"""
PASTED = "First name\tLast name\tE-mail\tClass\n" + "".join(
    f"Ada\tStudent{number:02}\tada{number:02}@school.example\tphysics\n" for number in range(30)
)
STARTED = [f"ada.student{number:02}" for number in range(3)]  # of these the last one works
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


@pytest.fixture(scope="module")
def hub():
    folder = Path(tempfile.mkdtemp(prefix="hubless-class-"))
    program = folder / "server.py"
    program.write_text(SERVER)
    one = LocalHub(folder, SETTINGS.format(python=sys.executable, program=program, token=TOKEN), admin_token=TOKEN)
    yield one
    one.close()
    shutil.rmtree(folder, ignore_errors=True)


def go_to(page, name):
    """Follow a link of the admin pages' navigation."""
    page.get_by_role("navigation", name="Admin pages").get_by_role("link", name=name, exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_be_visible()


def go_to_group(page):
    go_to(page, "Groups")
    page.get_by_role("main").get_by_role("link", name="physics", exact=True).click()
    expect(page.get_by_role("heading", level=1, name="physics")).to_be_visible()


def had_a_month(hub):
    """Write that the group used servers for thirty hours in the last month."""
    first = datetime.now(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    ended = first - timedelta(days=3)
    size = Metering(2000, 4096, 0, 500_000, "€", ("physics",))
    database = Database(hub.folder / "data" / "hub.sqlite")
    SqliteUsageLog(database).add(
        Usage("l1", "s1", "u-gone", "lab", ended - timedelta(hours=30), ended, "stopped", size)
    )
    database.close()


def have_servers(hub):
    """Let three of the class start servers, of which two are not used for two hours."""
    for name in STARTED:
        hub.admin.post(f"/users/{name}/server").raise_for_status()
    eventually(lambda: len(hub.admin.get("/users?state=ready").json()) == len(STARTED), within=60)
    with sqlite3.connect(hub.folder / "data" / "hub.sqlite", timeout=30) as database:
        for name in STARTED[:2]:
            database.execute(
                "UPDATE servers SET last_activity_at = entered_at - 7200000000, entered_at = entered_at - 7200000000"
                " WHERE owner_id = (SELECT id FROM users WHERE name = ?)",
                (name,),
            )
    database.close()


def adds_thirty_people_and_prints_their_links(admin):
    go_to(admin, "Add people")
    admin.get_by_label("People", exact=True).fill(PASTED)
    admin.get_by_role("button", name="Look at the lines").click()
    admin.get_by_role("button", name="Add 30 people").click()
    expect(admin.get_by_role("heading", name="30 people are added")).to_be_visible()
    admin.get_by_role("link", name="Print sheet").click()
    strips = admin.get_by_role("main").get_by_role("listitem").filter(has_text="Choose your password here")
    expect(strips).to_have_count(30)
    expect(admin.get_by_role("button", name="Print", exact=True)).to_be_visible()


def gives_the_group_a_budget(admin):
    go_to_group(admin)
    expect(admin.get_by_text("30 members")).to_be_visible()
    expect(admin.get_by_text("They may choose the server type “Physics lab”.")).to_be_visible()
    admin.get_by_role("link", name="Set a budget").click()
    expect(admin.get_by_label("Group", exact=True)).to_have_value("physics")
    admin.get_by_label("Name", exact=True).fill("physics")
    admin.get_by_label("Hours", exact=True).fill("400")
    admin.get_by_role("button", name="Set the budget").click()
    expect(admin.locator("[data-flash]")).to_contain_text("The budget physics counts from now on.")


def schedules_the_class(admin):
    day = DAYS[(datetime.now(UTC) + timedelta(days=3)).weekday()]  # one on which it is not now
    go_to_group(admin)
    expect(admin.get_by_text("Together they may use 400 hours in a month")).to_be_visible()
    admin.get_by_role("link", name="Add a schedule").click()
    expect(admin.get_by_label("Group", exact=True)).to_have_value("physics")
    expect(admin.get_by_label("Time zone")).to_have_value("Europe/Berlin")
    admin.get_by_label("Name", exact=True).fill("Physics lesson")
    admin.get_by_label(day).check()
    admin.get_by_label("Begins at").fill("08:50")
    admin.get_by_label("Ends at").fill("10:30")
    admin.get_by_label("Server type").select_option(label="Physics lab")
    admin.get_by_role("button", name="Add the schedule").click()
    expect(admin.locator("[data-flash]")).to_contain_text("The schedule Physics lesson counts from now on.")
    expect(admin.get_by_text(re.compile(rf"^{day}, \S+, 08:50 to 10:30$")).first).to_be_visible()


def stops_what_nobody_uses(admin):
    go_to_group(admin)
    admin.get_by_role("link", name="Its people and their servers").click()
    expect(admin.locator("#found")).to_contain_text("30 users found")
    admin.get_by_text("More filters, order and columns").click()
    admin.get_by_label("Running and not used for").select_option(label="1 hour")
    expect(admin.locator("#found")).to_contain_text("2 users found")
    admin.get_by_label("Whom").select_option("all")
    admin.get_by_label("What").select_option("stop")
    admin.get_by_role("button", name="Go", exact=True).click()
    expect(admin.locator("[data-flash]")).to_contain_text("The servers of 2 users stop")
    expect(admin.get_by_label("Group", exact=True)).to_have_value("physics")


def tells_what_the_last_month_cost(admin):
    go_to_group(admin)
    admin.get_by_role("link", name="What it used").click()
    admin.get_by_role("link", name="Earlier month").click()
    row = admin.get_by_role("row").filter(has=admin.get_by_role("link", name="physics"))
    expect(row.get_by_role("cell").nth(1)).to_have_text("€15.00")
    with admin.expect_download() as download:
        admin.get_by_role("link", name="Download as CSV").click()
    (found,) = csv.DictReader(Path(download.value.path()).read_text("utf-8-sig").splitlines())
    assert (found["name"], float(found["hours"]), float(found["cost"])) == ("physics", 30, 15)


def test_an_admin_runs_a_class_without_a_manual(hub, new_page):
    admin = new_page(timezone_id="Europe/Berlin")
    choose_password(admin, re.search(r"http://\S+/hub/set-password\?key=\w+", hub.log())[0])
    admin.get_by_role("navigation", name="Main").get_by_role("link", name="Admin", exact=True).click()

    adds_thirty_people_and_prints_their_links(admin)
    gives_the_group_a_budget(admin)
    schedules_the_class(admin)
    have_servers(hub)
    stops_what_nobody_uses(admin)
    eventually(lambda: [one["name"] for one in hub.admin.get("/users?state=active").json()] == STARTED[2:], within=60)
    had_a_month(hub)
    tells_what_the_last_month_cost(admin)
