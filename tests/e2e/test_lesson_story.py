"""A first lesson as docs/teachers.md and docs/students.md tell it: a teacher on a laptop, a student on a phone.

The hub has no settings but those that a test needs, as after `make up`. `make pictures` takes the documents' pictures.
"""

import re
import shutil
import tempfile
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.e2e.test_browser import run_first_cell
from tests.support import pictures
from tests.support.local_hub import LocalHub

PASSWORD = "correct horse battery"
PLOT = "import pandas; pandas.Series([2, 3, 5]).plot(); 'a plot'"


@pytest.fixture(scope="module")
def hub():
    folder = Path(tempfile.mkdtemp(prefix="hubless-story-"))
    one = LocalHub(folder, "[servers]\nrun_as_system_users = false\n")
    yield one
    one.close()
    shutil.rmtree(folder, ignore_errors=True)


def choose_password(page, link):
    page.goto(link)
    page.fill("[name=password]", PASSWORD)
    page.fill("[name=again]", PASSWORD)
    page.get_by_role("button", name="Save password").click()
    page.wait_for_url("**/hub/home")


def test_a_teacher_and_a_student_have_a_first_lesson(hub, new_page):
    # The teacher adds the class, and makes a link for each student.
    teacher = new_page()
    choose_password(teacher, re.search(r"http://\S+/hub/set-password\?key=\w+", hub.log())[0])
    teacher.goto(f"{hub.url}/hub/admin")
    teacher.get_by_role("link", name="Add people").click()
    teacher.get_by_label("People", exact=True).fill("maria\nnoah")
    teacher.get_by_role("button", name="Look at the lines").click()
    teacher.get_by_role("button", name="Add 2 people").click()
    expect(teacher.get_by_role("heading", name="2 people are added")).to_be_visible()
    teacher.goto(f"{hub.url}/hub/admin")
    pictures.take(teacher, "teacher-class", pictures.LAPTOP)
    teacher.goto(f"{hub.url}/hub/admin?name_filter=maria")
    teacher.get_by_role("link", name="maria", exact=True).click()
    teacher.get_by_role("button", name="Create password link").click()
    link = teacher.locator("#keep").input_value()

    # The student opens it on a phone, and starts a server.
    student = new_page()
    student.set_viewport_size({"width": pictures.PHONE, "height": pictures.HEIGHTS[pictures.PHONE]})
    student.goto(link)
    pictures.take(student, "student-password", pictures.PHONE)
    choose_password(student, link)
    pictures.take(student, "student-home", pictures.PHONE)
    student.get_by_role("link", name=re.compile("^Start")).first.click()
    student.wait_for_url("**/user/maria/lab**")

    # A cell shows a plot, with what is installed.
    student.set_viewport_size({"width": pictures.LAPTOP, "height": pictures.HEIGHTS[pictures.LAPTOP]})
    student.locator(".jp-LauncherCard[data-category='Notebook']").first.click()
    expect(student.get_by_text("Python 3 (ipykernel) | Idle")).to_be_visible()
    run_first_cell(student, PLOT, "a plot")
    expect(student.locator(".jp-OutputArea-output img")).to_be_visible()
    pictures.take(student, "student-notebook", pictures.LAPTOP)

    # The teacher sees it, and the student stops it.
    teacher.goto(f"{hub.url}/hub/admin")
    pictures.take(teacher, "teacher-lesson", pictures.LAPTOP)
    student.goto(f"{hub.url}/hub/home")
    expect(student.get_by_text("Running").first).to_be_visible()
    pictures.take(student, "student-running", pictures.PHONE)
    student.get_by_role("button", name="Stop your server").click()
    expect(student.locator(".state.stopped").first).to_be_visible()
