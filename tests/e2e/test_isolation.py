"""Each server guards itself: a real jupyterhub-singleuser behind the edge serves only those who may access it."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import httpx
import psutil
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.support.local_hub import LocalHub

TOP = Path(__file__).parents[2]
ADMIN_TOKEN = "isolation-token-0123456789"
TIMEOUT_SECONDS = 120
SETTINGS = f"""
[login]
kind = "shared-password"
password = "isolation"
[servers]
run_as_system_users = false
fork_kernels = true
[[profiles]]
name = "default"
args = ["--ServerApp.terminals_enabled=False"]
[[services]]
name = "tests"
admin = true
token = "{ADMIN_TOKEN}"
"""


class Hub(LocalHub):
    def __init__(self, folder):
        super().__init__(folder, SETTINGS, admin_token=ADMIN_TOKEN)

    def start(self, user):
        self.admin.post(f"/users/{user}")
        self.admin.post(f"/users/{user}/server").raise_for_status()
        self.until(lambda: self.admin.get(f"/users/{user}/server").json()["ready"])

    def until(self, what):
        give_up_at = time.monotonic() + TIMEOUT_SECONDS
        while not what():
            assert time.monotonic() < give_up_at, f"never\n{self.log()[-3000:]}"
            time.sleep(0.2)

    def token(self, user, *scopes):
        self.admin.post(f"/users/{user}")
        made = self.admin.post(f"/users/{user}/tokens", json={"scopes": list(scopes)} if scopes else {})
        assert made.status_code == 201, made.text
        return made.json()["token"]

    def http(self, path, token=None, **headers):
        sent = ({"Authorization": f"token {token}"} if token else {}) | headers
        return httpx.get(self.url + path, headers=sent, timeout=30).status_code

    def socket(self, path, token=None, **headers):
        """Return the status that an upgrade is answered with."""
        sent = ({"Authorization": f"token {token}"} if token else {}) | headers
        try:
            with connect(f"ws://127.0.0.1:{self.port}{path}", additional_headers=sent, open_timeout=30):
                return 101
        except InvalidStatus as refused:
            return refused.response.status_code


@pytest.fixture(scope="module")
def hub():
    folder = Path(tempfile.mkdtemp(prefix="hubless-isolation-"))
    one = Hub(folder)
    one.start("alice")
    yield one
    one.close()
    shutil.rmtree(folder, ignore_errors=True)


PAGE, SOCKET = "/user/alice/api/contents", "/user/alice/api/events/subscribe"


def test_the_owner_is_let_in_by_http_and_by_websocket(hub):
    token = hub.token("alice")
    assert hub.http(PAGE, token) == 200
    assert hub.socket(SOCKET, token) == 101


def test_the_server_was_forked(hub):
    assert len([*hub.folder.glob("data/servers/*/server")]) == 1


@pytest.mark.parametrize(
    "who", ["nobody", "a made-up token", "another user", "a token without access", "a session id", "an address"]
)
def test_nobody_else_is_by_neither(hub, who):
    query, token, headers = "", None, {}
    if who == "a made-up token":
        token = "0123456789abcdef" * 2
    if who == "another user":
        token = hub.token("bob")
    if who == "a token without access":
        token = hub.token("alice", "read:users!user")
    if who == "a session id":
        headers = {
            "Cookie": "jupyterhub-session-id=made-up; jupyterhub-user-alice=made-up; jupyterhub-hub-login=made-up"
        }
    if who == "an address":
        query = f"?token={hub.token('alice')}"
    assert hub.http(PAGE + query, token, **headers) in {302, 403}
    assert hub.socket(SOCKET + query, token, **headers) == 403


def test_a_foreign_page_opens_no_websocket_with_somebodys_cookies(hub):
    with httpx.Client(base_url=hub.url, follow_redirects=True, timeout=30, headers={"Accept": "text/html"}) as browser:
        browser.get("/hub/login")
        form = {"username": "alice", "password": "isolation", "_xsrf": browser.cookies.get("_xsrf", path="/hub/")}
        browser.post("/hub/login", data=form)
        assert browser.get("/user/alice/lab").status_code == 200
        kept = "; ".join(f"{c.name}={c.value}" for c in browser.cookies.jar if c.path in {"/user/alice/", "/"})
    assert hub.http(PAGE, Cookie=kept) == 200
    assert hub.socket(SOCKET, Cookie=kept, Origin=hub.url) == 101
    assert hub.socket(SOCKET, Cookie=kept, Origin="http://evil.example") == 403


def run_in_notebook(hub, user, code):
    """Run *code* in a kernel of the user's server, and return what it prints."""
    headers = {"Authorization": f"token {hub.token(user)}"}
    kernel = httpx.post(f"{hub.url}/user/{user}/api/kernels", headers=headers, timeout=TIMEOUT_SECONDS).json()["id"]
    address = f"ws://127.0.0.1:{hub.port}/user/{user}/api/kernels/{kernel}/channels"
    request = {
        "header": {"msg_id": "m", "msg_type": "execute_request", "username": "", "session": "s", "version": "5.3"},
        "parent_header": {},
        "metadata": {},
        "content": {"code": code, "silent": False, "user_expressions": {}, "allow_stdin": False},
        "channel": "shell",
    }
    printed = ""
    with connect(address, additional_headers=headers, open_timeout=30) as kernels:
        kernels.send(json.dumps(request))
        for received in map(json.loads, kernels):
            if received["parent_header"].get("msg_id") != "m":
                continue
            if received["msg_type"] == "stream":
                printed += received["content"]["text"]
            if received["msg_type"] == "execute_reply":
                return printed
    raise AssertionError(printed)


def test_a_notebook_gets_nothing_of_the_hub(hub):
    code = f"""
import json, os, pathlib, subprocess
data = pathlib.Path({str(hub.folder / "data")!r})
def refused(function):
    try:
        function()
    except OSError:
        return True
    return False
command = [{str(TOP / ".venv/bin/hubless")!r} + " user passwd admin --data " + str(data)]
link = subprocess.run(command, shell=True, capture_output=True, text=True)
print(json.dumps({{
    "secret": refused((data / "secret").read_bytes), "database": refused((data / "hub.sqlite").read_bytes),
    "settings": refused((data.parent / "hubless.toml").read_bytes), "link": link.returncode != 0,
    "homes": [p for p in os.listdir(data / "homes") if p != pathlib.Path.home().name] == [],
    "forked": b"kernels" in pathlib.Path(f"/proc/{{os.getppid()}}/cmdline").read_bytes(),
    "root": os.getuid() != 0, "home": pathlib.Path("kept").write_text("text") == 4,
    "shell": subprocess.run("whoami", capture_output=True, text=True).stdout.strip(),
}}))
"""
    assert json.loads(run_in_notebook(hub, "alice", code)) == dict.fromkeys(
        ("secret", "database", "settings", "link", "homes", "forked", "root", "home"), True
    ) | {"shell": "alice"}


def test_the_hub_names_its_isolation(hub):
    assert "Isolation: sandbox." in hub.log()
    command = [TOP / ".venv/bin/hubless", "status", "--data", hub.folder / "data"]
    assert "isolation sandbox." in subprocess.run(command, capture_output=True, text=True, check=True).stdout


def doctor(hub, *options):
    return subprocess.Popen(
        [TOP / ".venv/bin/hubless", "doctor", "--url", hub.url, "--token-env", "DOCTORS", *options],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"DOCTORS": ADMIN_TOKEN},
        # A shell lets its background processes ignore Ctrl-C, and so do all their children.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 no thread of ours holds a lock
    )


def users(hub):
    return {user["name"] for user in hub.admin.get("/users").json() if user["name"].startswith("doctor-")}


def test_the_doctor_finds_a_hub_well_and_leaves_it_as_it_was(hub):
    process = doctor(hub, "--json")
    received = json.loads(process.communicate(timeout=TIMEOUT_SECONDS)[0])

    assert {step["check"]: step["message"] for step in received if step["level"] != "ok"} == {}
    assert (
        next(step["message"] for step in received if step["check"] == "kernel") == "6 * 7 returned 42 over a WebSocket"
    )
    assert (
        next(step["message"] for step in received if step["check"] == "access")
        == "without a token the server answers 403"
    )
    assert (process.returncode, users(hub)) == (0, set())


def test_a_doctor_who_is_sent_away_removes_what_was_made(hub):
    process = doctor(hub)
    lines = iter(process.stdout.readline, "")
    assert any("requested a server" in line for line in lines)
    assert len(users(hub)) == 1
    process.send_signal(signal.SIGINT)

    said = process.communicate(timeout=TIMEOUT_SECONDS)[0]

    assert "removed the user" in said
    assert (process.returncode, users(hub)) == (1, set())


def test_the_token_of_one_server_opens_no_other(hub):
    hub.start("bob")
    tokens = {}
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            environment = process.environ()
            if environment.get("JUPYTERHUB_API_URL", "").startswith(hub.url):
                tokens[environment["JUPYTERHUB_USER"]] = environment["JUPYTERHUB_API_TOKEN"]
    assert {"alice", "bob"} <= set(tokens)  # a server of the test before may just be ending
    assert hub.http(PAGE, tokens["alice"]) == 200
    assert hub.http(PAGE, tokens["bob"]) == 403
    assert hub.socket(SOCKET, tokens["bob"]) == 403
    assert hub.http("/hub/api/users", tokens["bob"]) == 403
    hub.admin.delete("/users/bob/server")


def test_a_stopped_servers_prefix_leads_nowhere_once_its_address_is_reused(hub):
    hub.start("carol")
    token = hub.token("carol")
    assert hub.http("/user/carol/api/contents", token) == 200
    hub.admin.delete("/users/carol/server")
    hub.until(lambda: hub.admin.get("/users/carol/server").json()["stopped"])
    hub.start("dave")
    assert hub.http("/user/carol/api/contents", token) in {302, 424}
    assert hub.http("/user/dave/api/contents", token) == 403
    hub.admin.delete("/users/dave/server")
