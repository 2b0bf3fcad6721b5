"""A class of 30 presses start at once on this machine, with real servers."""

import json
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.support.local_hub import LocalHub

pytestmark = pytest.mark.real
TOKEN = "token-of-the-class-0123456789"
CLASS = [f"student{number:02}" for number in range(30)]
GIVE_UP_SECONDS = 240  # on a busy machine
SETTINGS = f"""
[login]
kind = "shared-password"
password = "for all of the class"
[[services]]
name = "class"
admin = true
token = "{TOKEN}"
"""


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    folder = tmp_path_factory.mktemp("class")
    made = LocalHub(folder, SETTINGS, admin_token=TOKEN)
    yield made
    made.close()


def test_all_of_a_class_of_30_get_their_server(hub):
    hub.admin.post("/users", json={"usernames": CLASS}).raise_for_status()
    with ThreadPoolExecutor(len(CLASS)) as pool:
        ends = dict(zip(CLASS, pool.map(lambda name: start(hub, name), CLASS), strict=True))
    assert {name: end for name, end in ends.items() if not end.get("ready")} == {}, hub.log()[-3000:]
    with httpx.Client(base_url=hub.url, timeout=30) as edge:
        for name in CLASS:
            assert "version" in edge.get(f"/user/{name}/api").raise_for_status().json()


def start(hub, name):
    """Press start, follow the start, and return its last event."""
    hub.admin.post(f"/users/{name}/server").raise_for_status()
    with hub.admin.stream("GET", f"/users/{name}/server/progress", timeout=GIVE_UP_SECONDS) as events:
        return [json.loads(line.removeprefix("data: ")) for line in events.iter_lines() if line.startswith("data: ")][
            -1
        ]
