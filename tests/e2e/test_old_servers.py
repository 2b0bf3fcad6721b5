"""Servers of other versions of JupyterHub on this hub: start, login, a kernel at work, activity, logout.

`make test` tries one of them, `make matrix` all. tests/support/server_versions.txt says what each is installed with.
"""

import json
import re
import shutil
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from websockets.sync.client import connect

from hubless.domain import jupyterhub_versions
from tests.support.local_hub import LocalHub

TOP = Path(__file__).parents[2]
ADMIN_TOKEN, PASSWORD = "old-servers-token-0123456789", "servers of old"
IN_EACH_RUN = "4.1.6"  # the first whose server is an extension and whose forms are guarded by XSRF tokens of HubOAuth
TIMEOUT_SECONDS = 120
ACTIVITY = re.compile(r'request_duration_seconds_count\{[^}]*code="200"[^}]*ActivityAPIHandler[^}]*\} (\S+)')


def versions():
    every = (TOP / "tests" / "support" / "server_versions.txt").read_text().splitlines()
    of_all = [line.split()[0] for line in every if line and not line.startswith("#")]
    assert IN_EACH_RUN in of_all
    return [one if one == IN_EACH_RUN else pytest.param(one, marks=pytest.mark.matrix) for one in of_all]


class Hub(LocalHub):
    """A hub whose only profile has servers of one version."""

    def __init__(self, folder, version):
        self.programs = TOP / f".venv-matrix-{version}" / "bin"
        program = self.programs / "jupyterhub-singleuser"
        assert program.exists(), f"The servers of JupyterHub {version} are not installed: make test or make matrix does"
        settings = f"""
[login]
kind = "shared-password"
password = "{PASSWORD}"
[servers]
run_as_system_users = false
[[profiles]]
name = "old"
command = ["{program}"]
[[services]]
name = "tests"
admin = true
token = "{ADMIN_TOKEN}"
"""
        super().__init__(folder, settings, admin_token=ADMIN_TOKEN)

    def until(self, what):
        give_up_at = time.monotonic() + TIMEOUT_SECONDS
        while not (found := what()):
            assert time.monotonic() < give_up_at, f"never\n{self.log()[-3000:]}"
            time.sleep(0.1)
        return found

    def reports(self):
        """Return how many reports of activity the hub has taken."""
        return sum(float(count) for count in ACTIVITY.findall(self.admin.get("/metrics").text))


@pytest.fixture(params=versions())
def hub(request):
    folder = Path(tempfile.mkdtemp(prefix="hubless-old-"))
    one = Hub(folder, request.param)
    one.version = request.param
    yield one
    one.close()
    shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def logged_in(hub):
    """Yield a client that follows redirects and has logged in at the hub."""
    with httpx.Client(base_url=hub.url, follow_redirects=True, timeout=60, headers={"Accept": "text/html"}) as client:
        client.get("/hub/login")
        form = {"username": "ada", "password": PASSWORD, "_xsrf": client.cookies.get("_xsrf", path="/hub/")}
        assert client.post("/hub/login", data=form, follow_redirects=False).status_code == 302
        yield client


def guarded(browser):
    """Return the header by which a page of the server shows that a request is its own."""
    token = next((c.value for c in browser.cookies.jar if c.name == "_xsrf" and c.path == "/user/ada/"), "")
    return {"X-XSRFToken": token}


def run(hub, browser, code):
    """Run *code* in a new kernel, as the user's browser does, and return what it prints and shows."""
    made = browser.post("/user/ada/api/kernels", headers=guarded(browser), json={})
    assert made.status_code == 201, made.text
    sent = "; ".join(f"{c.name}={c.value}" for c in browser.cookies.jar if c.path in {"/user/ada/", "/"})
    header = {"msg_id": "m", "msg_type": "execute_request", "username": "", "session": "s", "version": "5.3"}
    content = {"code": code, "silent": False, "user_expressions": {}, "allow_stdin": False}
    request = {"header": header, "parent_header": {}, "metadata": {}, "content": content, "channel": "shell"}
    shown = []
    address = f"ws://127.0.0.1:{hub.port}/user/ada/api/kernels/{made.json()['id']}/channels"
    with connect(address, additional_headers={"Cookie": sent, "Origin": hub.url}, open_timeout=60) as kernel:
        kernel.send(json.dumps(request))
        while True:
            received = json.loads(kernel.recv(timeout=TIMEOUT_SECONDS))
            if received["parent_header"].get("msg_id") != "m":
                continue
            if received["msg_type"] == "stream":
                shown.append(received["content"]["text"].strip())
            if received["msg_type"] == "execute_result":
                shown.append(received["content"]["data"]["text/plain"])
            if received["msg_type"] == "execute_reply":
                return shown


def test_a_server_of_this_version_works_from_start_to_logout(hub):
    hub.admin.post("/users/ada")
    hub.admin.post("/users/ada/server").raise_for_status()
    hub.until(lambda: hub.admin.get("/users/ada/server").json()["ready"])
    assert httpx.get(f"{hub.url}/user/ada/api/kernels").status_code in {302, 403}

    with logged_in(hub) as browser:
        page = browser.get("/user/ada/lab")
        assert (page.status_code, page.url.path) == (200, "/user/ada/lab")
        kernels = browser.get("/user/ada/api/kernels", headers=guarded(browser))
        assert (kernels.status_code, kernels.json()) == (200, [])
        assert run(hub, browser, "1 + 1") == ["2"]
        assert run(hub, browser, "!command -v python") == [str(hub.programs / "python")]
        hub.until(lambda: hub.reports())

        browser.get("/user/ada/logout")
        assert browser.get("/user/ada/api/kernels", headers=guarded(browser)).status_code == 403
        assert browser.get("/user/ada/lab").url.path == "/hub/login"

    warned = hub.log().count(f"jupyterhub version 6.1.1 != jupyterhub-singleuser version {hub.version}")
    assert warned == int(jupyterhub_versions.is_other(hub.version))
