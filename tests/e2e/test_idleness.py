"""Idleness is judged by work: real servers and kernels, and real `jupyterhub-idle-culler`, on one machine."""

import contextlib
import json
import os
import shutil
import subprocess
import tempfile
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from websockets.sync.client import connect

from tests.support.local_hub import LocalHub

CLIENTS = Path(__file__).parents[2] / ".venv-conformance/bin/python"  # holds jupyterhub-idle-culler
ADMIN_TOKEN, CULLER_TOKEN = "admin-service-token", "culler-service-token"
GIVE_UP_SECONDS = 150
SETTINGS = f"""
[login]
kind = "shared-password"
password = "correct horse battery"

[servers]
run_as_system_users = false

[culling]
sweep_every = "1s"
users = {{ printer = {{ idle_after = "30s" }}, thinker = {{ idle_after = "30s" }}, watcher = {{ idle_after = "12s" }} }}

[[services]]
name = "tests"
admin = true
token = "{ADMIN_TOKEN}"

[[services]]
name = "culler"
token = "{CULLER_TOKEN}"

[[roles]]
name = "culler"
scopes = ["list:users", "read:users:activity", "read:servers", "delete:servers"]
services = ["culler"]
"""
# What a visible JupyterLab tab that nobody touches asks every ten seconds (watched, 4.6.6).
READS = ("api/kernels", "api/sessions", "api/terminals", "api/contents?content=1", "lab/api/workspaces")
LAYOUT = "lab/api/workspaces/default"


class Person:
    """A user with a running server, reached through the edge."""

    def __init__(self, hub, name):
        self.hub, self.name = hub, name
        hub.admin.post(f"/users/{name}").raise_for_status()
        hub.admin.post(f"/users/{name}/server").raise_for_status()
        eventually(lambda: self.server["ready"])
        self.token = hub.admin.post(f"/users/{name}/tokens").json()["token"]
        self._headers = {"Authorization": f"token {self.token}"}
        self.client = httpx.Client(base_url=f"{hub.url}/user/{name}", headers=self._headers, timeout=30)

    @property
    def server(self):
        return self.hub.admin.get(f"/users/{self.name}?include_stopped_servers").json()["servers"][""]

    def run(self, code):
        """Start a kernel, let it run *code*, and leave once it is busy with it."""
        kernel = self.client.post("/api/kernels", json={"name": "python3"}).raise_for_status().json()["id"]
        address = f"{self.hub.url.replace('http', 'ws')}/user/{self.name}/api/kernels/{kernel}/channels"
        header = {"msg_id": uuid.uuid4().hex, "msg_type": "execute_request", "version": "5.4"}
        header |= {"session": "s", "username": "u", "date": "2026-01-01T00:00:00Z"}
        message = {"channel": "shell", "header": header, "parent_header": {}, "metadata": {}}
        with connect(address, additional_headers=self._headers, proxy=None, open_timeout=60) as channel:
            channel.send(json.dumps(message | {"content": {"code": code, "silent": False}}))
            while True:
                received = json.loads(channel.recv(timeout=60))
                if received["msg_type"] == "execute_input" and received["parent_header"]["msg_id"] == header["msg_id"]:
                    return

    def watch(self):
        """Ask what an open tab asks by itself; the server may be stopped meanwhile."""
        with contextlib.suppress(httpx.HTTPError):
            for path in READS:
                self.client.get(f"/{path}", headers={"Sec-Fetch-Mode": "cors"})
            self.client.put(
                f"/{LAYOUT}",
                json={"data": {}, "metadata": {"id": "default"}},
                headers={"Sec-Fetch-Mode": "same-origin", "Origin": self.hub.url},
            )


def eventually(what):
    give_up_at = time.monotonic() + GIVE_UP_SECONDS
    while not what():
        assert time.monotonic() < give_up_at, "never"
        time.sleep(0.2)


@pytest.fixture(scope="module")
def hub():
    folder = Path(tempfile.mkdtemp(prefix="hubless-idleness-"))
    one = LocalHub(folder, SETTINGS, admin_token=ADMIN_TOKEN)
    yield one
    one.close()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def people(hub):
    names = ("left", "printer", "thinker", "watcher")
    with ThreadPoolExecutor(len(names)) as pool:
        everybody = list(pool.map(lambda name: Person(hub, name), names))
    yield everybody
    for one in everybody:
        one.client.close()


@pytest.fixture
def culler(hub):
    """The real idle-culler, which knows only what the REST API says."""
    assert CLIENTS.exists(), "JupyterHub's clients are not installed: make test does"
    command = [CLIENTS, "-m", "jupyterhub_idle_culler", "--timeout=50", "--cull-every=1", f"--url={hub.url}/hub/api"]
    process = subprocess.Popen(
        command,
        env=os.environ | {"JUPYTERHUB_API_TOKEN": CULLER_TOKEN},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    yield process
    process.terminate()
    process.wait(10)


def test_kernels_at_work_keep_their_servers_and_open_tabs_do_not(people, culler):
    left, printer, thinker, watcher = people
    printer.run("import time\nwhile True:\n    print('on')\n    time.sleep(2)")
    thinker.run("import time\ntime.sleep(900)")
    began = {one.name: one.server["last_activity"] for one in (printer, thinker)}
    assert watcher.client.get("/api/kernels").status_code == 200
    assert watcher.client.put(f"/{LAYOUT}", json={"data": {}, "metadata": {"id": "default"}}).status_code == 204

    def watcher_is_stopped():
        watcher.watch()
        return watcher.server["stopped"]

    eventually(watcher_is_stopped)  # by the hub
    eventually(lambda: left.server["stopped"])  # by the culler
    assert culler.poll() is None
    for one in (printer, thinker):
        assert one.server["ready"], f"the server of {one.name} was stopped at work"
        assert one.server["last_activity"] > began[one.name]
