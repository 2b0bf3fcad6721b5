"""What a link on another site does in a real browser, which says by itself where a request comes from."""

import shutil
import tempfile
from pathlib import Path

import pytest

from tests.e2e.test_fragments import PASSWORD, SETTINGS
from tests.support.local_hub import LocalHub

REST = "lab/tree/x?a=1#/section/2"


@pytest.fixture
def hub():
    folder = Path(tempfile.mkdtemp(prefix="hubless-e2e-"))
    hub = LocalHub(folder, SETTINGS.replace('[[profiles]]\nname = "other"\n', ""))
    yield hub
    hub.close()
    shutil.rmtree(folder, ignore_errors=True)


def test_a_link_on_another_site_starts_a_server_after_a_click(hub, new_page):
    page = new_page()
    page.goto(f"{hub.url}/hub/login?next=/hub/home")
    page.fill("[name=username]", "ann")
    page.fill("[name=password]", PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url("**/hub/home")

    link = f"{hub.url}/hub/user-redirect/{REST}"
    page.route(
        "http://elsewhere.localhost/",
        lambda route: route.fulfill(body=f'<a href="{link}">course</a>', content_type="text/html"),
    )
    page.goto("http://elsewhere.localhost/")
    page.get_by_role("link", name="course").click()
    page.get_by_role("heading", name="Start your server?").wait_for()
    assert page.context.request.get(f"{hub.url}/hub/api/users/ann").json()["servers"] == {}

    page.get_by_role("button", name="Start my server").click()
    page.get_by_role("heading", name="the server").wait_for()
    assert page.url == f"{hub.url}/user/ann/{REST}"
