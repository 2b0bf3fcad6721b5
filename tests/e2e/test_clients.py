"""JupyterHub's own clients, unmodified, against a whole hub: culler, HubAuth, a HubOAuth service, an admin's script."""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx
import pytest

from tests.support.free_port import free_port
from tests.support.local_hub import LocalHub

TOP = Path(__file__).parents[2]
CLIENTS = TOP / ".venv-conformance/bin/python"  # holds jupyterhub 6.1.1 and jupyterhub-idle-culler
ADMIN_TOKEN, CULLER_TOKEN, WHOAMI_TOKEN = "admin-token-0123456789", "culler-token-0123456789", "whoami-token-0123456789"
PASSWORD = "a class of 30"
OF_THE_CLASS = "a password for names with rights"
TIMEOUT_SECONDS = 60
SERVER = """
import os
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import urlsplit
class Answer(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.send_header("Content-Length", "2"); self.end_headers(); self.wfile.write(b"{}")
    def log_message(self, *args): pass
HTTPServer(("127.0.0.1", urlsplit(os.environ["JUPYTERHUB_SERVICE_URL"]).port), Answer).serve_forever()
"""
WHOAMI = """
import json, os, sys
from jupyterhub.services.auth import HubOAuthCallbackHandler, HubOAuthenticated
from jupyterhub.utils import url_path_join
from tornado.ioloop import IOLoop
from tornado.web import Application, RequestHandler, authenticated
class Whoami(HubOAuthenticated, RequestHandler):
    @authenticated
    def get(self):
        user = self.get_current_user()
        self.write(json.dumps({"name": user["name"], "scopes": user["scopes"]}))
prefix = os.environ["JUPYTERHUB_SERVICE_PREFIX"]
Application([(prefix, Whoami), (url_path_join(prefix, "oauth_callback"), HubOAuthCallbackHandler)],
            cookie_secret=os.urandom(32)).listen(int(sys.argv[1]), "127.0.0.1")
IOLoop.current().start()
"""
# As JupyterHub documents it: ask for a start, follow the stream of events to its end, stop, and wait until it is gone.
START_AND_FOLLOW = """
import json, sys, time
import requests
hub, token, user = sys.argv[1:]
session = requests.Session()
session.headers["Authorization"] = f"token {token}"
asked = session.post(f"{hub}/hub/api/users/{user}/servers/")
asked.raise_for_status()
server = session.get(f"{hub}/hub/api/users/{user}").json()["servers"][""]
followed = session.get(hub + server["progress_url"], stream=True)
followed.raise_for_status()
for line in followed.iter_lines():
    if line.startswith(b"data:"):
        event = json.loads(line.split(b":", 1)[1])
        print(json.dumps(event), flush=True)
        if event.get("ready"):
            break
else:
    sys.exit("never ready")
session.get(hub + event["url"]).raise_for_status()
stopped = session.delete(f"{hub}/hub/api/users/{user}/servers/")
stopped.raise_for_status()
for _ in range(300):
    if "" not in session.get(f"{hub}/hub/api/users/{user}").json()["servers"]:
        break
    time.sleep(0.1)
else:
    sys.exit("never stopped")
"""


class Hub(LocalHub):
    def __init__(self, folder):
        self.service_port = free_port()
        (folder / "server.py").write_text(SERVER)
        settings = f"""
[login]
kind = "shared-password"
password = "{PASSWORD}"
admin_password = "{OF_THE_CLASS}"
[servers]
run_as_system_users = false
named_limit = 3
[[profiles]]
name = "small"
command = ["{sys.executable}", "-S", "-E", "{folder / "server.py"}"]
[[services]]
name = "tests"
admin = true
token = "{ADMIN_TOKEN}"
[[services]]
name = "culler"
token = "{CULLER_TOKEN}"
[[services]]
name = "whoami"
url = "http://127.0.0.1:{self.service_port}"
token = "{WHOAMI_TOKEN}"
oauth_client_allowed_scopes = ["read:users:activity!user", "custom:grades:read"]
[custom_scopes."custom:grades:read"]
description = "Read your grades."
[[roles]]
name = "culler"
scopes = ["list:users", "read:users:activity", "read:servers", "delete:servers"]
services = ["culler"]
[[roles]]
name = "students"
scopes = ["access:services!service=whoami", "custom:grades:read!user"]
groups = ["class"]
[groups.class]
users = ["maria"]
"""
        super().__init__(folder, settings, admin_token=ADMIN_TOKEN)

    def state(self, user):
        return self.admin.get(f"/users/{user}?include_stopped_servers").json()

    def start(self, user):
        self.admin.post(f"/users/{user}")
        self.admin.post(f"/users/{user}/server").raise_for_status()
        until(lambda: self.admin.get(f"/users/{user}/server").json()["ready"])


def until(what):
    give_up_at = time.monotonic() + TIMEOUT_SECONDS
    while not what():
        assert time.monotonic() < give_up_at, "never"
        time.sleep(0.1)


@pytest.fixture(scope="module")
def hub():
    assert CLIENTS.exists(), "JupyterHub's clients are not installed: make test does"
    folder = Path(tempfile.mkdtemp(prefix="hubless-clients-"))
    one = Hub(folder)
    yield one
    one.close()
    shutil.rmtree(folder, ignore_errors=True)


def run(*arguments, **environment):
    done = subprocess.run(
        [CLIENTS, *map(str, arguments)],
        check=False,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def test_the_documented_script_starts_follows_and_stops(hub):
    hub.admin.post("/users/petra")
    events = [json.loads(line) for line in run("-c", START_AND_FOLLOW, hub.url, ADMIN_TOKEN, "petra").splitlines()]
    assert events[-1]["ready"] is True
    assert events[-1]["url"] == "/user/petra/"
    assert [event["progress"] for event in events] == sorted(event["progress"] for event in events)


def test_the_idle_culler_stops_what_is_idle_and_leaves_what_is_at_work(hub):
    for user in ("idle", "busy"):
        hub.start(user)
    culler = subprocess.Popen(
        [
            CLIENTS,
            "-m",
            "jupyterhub_idle_culler",
            "--timeout=4",
            "--cull-every=1",
            "--api-page-size=1",
            f"--url={hub.url}/hub/api",
        ],
        env=os.environ | {"JUPYTERHUB_API_TOKEN": CULLER_TOKEN},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:

        def idle_is_culled():
            now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
            hub.admin.post(
                "/users/busy/activity", json={"servers": {"": {"last_activity": now}}, "last_activity": now}
            ).raise_for_status()
            return hub.state("idle")["servers"][""]["stopped"]

        until(idle_is_culled)
        assert hub.state("busy")["servers"][""]["ready"]
    finally:
        culler.terminate()
        culler.wait(10)
    hub.admin.delete("/users/busy/server")


def test_hubauth_knows_whose_a_token_is_and_that_a_revoked_one_is_nobodys(hub):
    hub.admin.post("/users/tom")
    token = hub.admin.post("/users/tom/tokens", json={}).json()
    ask = (
        "import sys; from jupyterhub.services.auth import HubAuth;"
        "auth = HubAuth(api_url=sys.argv[1] + '/hub/api', api_token=sys.argv[2], cache_max_age=0);"
        "user = auth.user_for_token(sys.argv[3], use_cache=False, sync=True); print(user and user['name'])"
    )
    assert run("-c", ask, hub.url, WHOAMI_TOKEN, token["token"]) == "tom\n"
    hub.admin.delete(f"/users/tom/tokens/{token['id']}").raise_for_status()
    assert run("-c", ask, hub.url, WHOAMI_TOKEN, token["token"]) == "None\n"


@pytest.fixture
def whoami(hub):
    prefix = "/services/whoami/"
    environment = {
        "JUPYTERHUB_API_TOKEN": WHOAMI_TOKEN,
        "JUPYTERHUB_API_URL": f"{hub.url}/hub/api",
        "JUPYTERHUB_BASE_URL": "/",
        "JUPYTERHUB_SERVICE_NAME": "whoami",
        "JUPYTERHUB_SERVICE_PREFIX": prefix,
        "JUPYTERHUB_CLIENT_ID": "service-whoami",
        "JUPYTERHUB_OAUTH_CALLBACK_URL": f"{prefix}oauth_callback",
        "JUPYTERHUB_OAUTH_SCOPES": '["access:services!service=whoami"]',
        "JUPYTERHUB_OAUTH_ACCESS_SCOPES": '["access:services!service=whoami"]',
    }
    service = subprocess.Popen([CLIENTS, "-c", WHOAMI, str(hub.service_port)], env=os.environ | environment)
    until(lambda: answers(hub.service_port))
    yield f"{hub.url}{prefix}"
    service.terminate()
    service.wait(10)


def answers(port):
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


def log_in(page, name, password=PASSWORD):
    page.fill("[name=username]", name)
    page.fill("[name=password]", password)
    page.get_by_role("button", name="Log in").click()


def test_a_huboauth_service_logs_a_browser_in_through_the_edge(hub, whoami, new_page):
    page = new_page()
    page.goto(whoami)
    log_in(page, "maria", OF_THE_CLASS)
    assert "Service whoami" in page.locator("h1").inner_text()
    assert "Read your grades." in page.locator("main").inner_text()
    page.get_by_role("button", name="Allow").click()
    page.wait_for_url(whoami)
    received = json.loads(page.locator("body").inner_text())
    assert received["name"] == "maria"
    assert "custom:grades:read!user=maria" in received["scopes"]
    assert "access:services!service=whoami" in received["scopes"]
    page.goto(whoami)  # known by now: nothing is asked again
    assert json.loads(page.locator("body").inner_text())["name"] == "maria"
    page.goto(f"{hub.url}/hub/token")
    assert "Service whoami" in page.locator("main").inner_text()


def test_a_user_without_access_to_a_service_gets_a_page_that_says_so(hub, whoami, new_page):
    page = new_page()
    page.goto(whoami)
    log_in(page, "stranger")
    assert "do not have permission" in page.locator("main").inner_text()


def test_a_service_added_by_api_is_reached_through_the_edge_until_removed(hub, whoami):
    hub.admin.post("/services/late", json={"url": f"http://127.0.0.1:{hub.service_port}"}).raise_for_status()
    until(lambda: "TornadoServer" in httpx.get(f"{hub.url}/services/late/").headers.get("server", ""))
    hub.admin.delete("/services/late").raise_for_status()
    until(lambda: "TornadoServer" not in httpx.get(f"{hub.url}/services/late/").headers.get("server", ""))
