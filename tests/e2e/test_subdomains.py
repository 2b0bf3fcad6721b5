"""Hosts of their own in a real browser: users reach their servers there, and no page touches another user's server.

`*.localhost` is this machine to Chromium, and a host of its own each time: no name has to be set up.
"""

import shutil
import tempfile
from pathlib import Path

import httpx
import pytest

from tests.e2e.conftest import SECONDS
from tests.support.free_port import free_port
from tests.support.local_hub import LocalHub

TOP = Path(__file__).parents[2]
ADMIN_TOKEN, PASSWORD = "subdomains-token-0123456789", "all know it"
SETTINGS = """
[hub]
public_url = "{url}"
subdomains = true
[login]
kind = "shared-password"
password = "{password}"
[servers]
run_as_system_users = false
[[profiles]]
name = "default"
args = ["--ServerApp.terminals_enabled=False", "--LabApp.news_url=None"]
[[services]]
name = "tests"
admin = true
token = "{token}"
"""
RUN = """async (prefix) => {
  const xsrf = document.cookie.match(/_xsrf=([^;]+)/)[1];
  const made = await fetch(`${prefix}api/kernels`, {method: "POST", headers: {"X-XSRFToken": xsrf}, body: "{}"});
  const {id} = await made.json();
  const socket = new WebSocket(`${location.origin.replace("http", "ws")}${prefix}api/kernels/${id}/channels`);
  const flags = {silent: false, store_history: false, allow_stdin: false, stop_on_error: true};
  const content = {code: "6 * 7", user_expressions: {}, ...flags};
  const date = new Date().toISOString();
  const header = {msg_id: "1", username: "", session: "1", msg_type: "execute_request", version: "5.3", date};
  return new Promise((tell) => {
    const message = {header, parent_header: {}, metadata: {}, content, channel: "shell", buffers: []};
    socket.onopen = () => socket.send(JSON.stringify(message));
    socket.onerror = () => tell("refused");
    socket.onmessage = (message) => {
      const {msg_type, content} = JSON.parse(message.data);
      if (msg_type === "execute_result") tell(content.data["text/plain"]);
    };
  });
}"""
# What a hostile page tries with somebody's cookies: each returns what it got.
READ = """(url) => {
  const headers = url.startsWith('/user/') ? {'X-XSRFToken': document.cookie.match(/_xsrf=([^;]+)/)[1]} : {};
  const text = async (answer) => `${answer.status} ${await answer.text()}`;
  return fetch(url, {credentials: 'include', headers}).then(text, () => 'unreadable') }"""
SEND = """([url, headers]) =>
  fetch(url, {method: 'POST', mode: 'no-cors', credentials: 'include', headers, body: '{}'})
    .then((answer) => answer.type, () => 'not sent')"""
LISTEN = """(url) => new Promise((tell) => {
  const socket = new WebSocket(url); socket.onopen = () => tell('open'); socket.onerror = () => tell('refused') })"""
FRAME = """(url) => new Promise((tell) => {
  const frame = document.createElement('iframe'); frame.src = url; document.body.append(frame);
  frame.onload = () => { try { tell(frame.contentDocument ? 'readable' : 'sealed') } catch { tell('sealed') } } })"""
SUBMIT = """(url) => { const form = document.createElement('form'); form.method = 'post'; form.action = url;
  document.body.append(form); setTimeout(() => form.submit()) }"""


class Hub(LocalHub):
    def __init__(self, folder: Path):
        port = free_port()
        url = f"http://hub.localhost:{port}"
        super().__init__(
            folder,
            SETTINGS.format(url=url, password=PASSWORD, token=ADMIN_TOKEN),
            port=port,
            admin_token=ADMIN_TOKEN,
        )
        self.url = url

    def at(self, name):
        return f"http://{name}.hub.localhost:{self.port}"

    def kernels_of(self, name):
        """Return the kernels of somebody's server, asked for at its host as a program would."""
        token = self.admin.post(f"/users/{name}/tokens", json={}).json()["token"]
        headers = {"Authorization": f"token {token}", "Host": f"{name}.hub.localhost:{self.port}"}
        return httpx.get(f"http://127.0.0.1:{self.port}/user/{name}/api/kernels", headers=headers, timeout=30).json()


@pytest.fixture(scope="module")
def hub():
    folder = Path(tempfile.mkdtemp(prefix="hubless-subdomains-"))
    one = Hub(folder)
    for name in ("alice", "bob"):
        one.admin.post(f"/users/{name}")
        one.admin.post(f"/users/{name}/server").raise_for_status()
    yield one
    one.close()
    shutil.rmtree(folder, ignore_errors=True)


def log_in(page, hub, name):
    page.goto(f"{hub.url}/user/{name}/")  # led to the login and back
    page.fill("[name=username]", name)
    page.fill("[name=password]", PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url(f"{hub.at(name)}/user/{name}/lab*")


def opened(chromium, hub, name):
    page = chromium.new_context().new_page()
    page.context.route("**/static/lab/*.js", lambda route: route.abort())  # the page is enough, and so much to load
    page.set_default_timeout(SECONDS)
    log_in(page, hub, name)
    return page


@pytest.fixture(scope="module")
def bob(hub, chromium):
    """Return Bob's browser: his server runs with a kernel, and he has opened the server that Alice shares with him."""
    page = opened(chromium, hub, "bob")
    assert page.evaluate(RUN, "/user/bob/") == "42"
    hub.admin.post("/shares/alice/", json={"user": "bob"}).raise_for_status()
    page.goto(f"{hub.at('alice')}/user/alice/lab")
    page.get_by_role("button", name="Open the server").click()
    page.wait_for_url(f"{hub.at('alice')}/user/alice/lab*")
    yield page
    page.context.close()


def test_a_login_leads_to_the_users_own_host_where_a_kernel_runs(hub, chromium):
    alice = opened(chromium, hub, "alice")
    assert alice.evaluate(RUN, "/user/alice/") == "42"
    kept = {(cookie["name"], cookie["domain"]) for cookie in alice.context.cookies()}
    assert ("jupyterhub-hub-login", "hub.localhost") in kept
    assert ("jupyterhub-session-id", ".hub.localhost") in kept
    assert {domain for name, domain in kept if name.startswith("jupyterhub-user-")} == {"alice.hub.localhost"}
    alice.goto(f"{hub.at('bob')}/user/alice/lab")
    assert alice.url.startswith(f"{hub.at('alice')}/user/alice/lab")
    alice.goto(f"{hub.at('alice')}/hub/home")
    assert alice.url == f"{hub.url}/hub/home"
    alice.get_by_role("link", name="Open").click()
    alice.wait_for_url(f"{hub.at('alice')}/user/alice/lab*")
    alice.context.close()


def test_another_users_page_reads_neither_my_server_nor_the_hub(hub, bob):
    assert bob.evaluate(READ, "/user/alice/api/status").startswith("200")  # its own it does
    for url in (
        f"{hub.at('bob')}/user/bob/api/contents",
        f"{hub.url}/hub/api/user",
        f"{hub.url}/hub/token",
        "/hub/api/oauth2/authorize",
    ):
        assert bob.evaluate(READ, url) == "unreadable"
    assert bob.evaluate(READ, "/user/bob/api/contents") == "unreadable"
    assert bob.evaluate(READ, "/hub/api/user").startswith("403")
    assert "jupyterhub-" not in bob.evaluate("document.cookie")


def test_it_does_nothing_in_my_name(hub, bob):
    (kernel,) = hub.kernels_of("bob")
    tokens = len(hub.admin.get("/users/bob/tokens").json()["api_tokens"])
    for url in (
        f"{hub.at('bob')}/user/bob/api/kernels",
        f"{hub.at('bob')}/user/bob/api/kernels/{kernel['id']}/restart",
        f"{hub.url}/hub/api/users/bob/tokens",
        f"{hub.url}/hub/api/users/bob/servers/another",
    ):
        for headers in ({}, {"Content-Type": "application/x-www-form-urlencoded"}):
            bob.evaluate(SEND, [url, headers])
    channels = f"{hub.at('bob').replace('http', 'ws')}/user/bob/api/kernels/{kernel['id']}/channels"
    assert bob.evaluate(LISTEN, channels) == "refused"
    assert [k["id"] for k in hub.kernels_of("bob")] == [kernel["id"]]
    asked = hub.admin.get("/users/bob").json()
    assert asked["servers"].keys() == {""}
    assert (
        len(hub.admin.get("/users/bob/tokens").json()["api_tokens"]) == tokens + 1
    )  # the one with which kernels were listed


def test_it_frames_neither_my_server_nor_the_hub(hub, bob):
    for url in (f"{hub.at('bob')}/user/bob/api", f"{hub.at('bob')}/user/bob/lab", f"{hub.url}/hub/home"):
        assert bob.evaluate(FRAME, url) == "sealed"
    framed = [frame.url for frame in bob.frames[1:]]
    assert len(framed) == 3
    assert all(url.startswith("chrome-error:") for url in framed), framed


def test_a_form_of_it_stops_no_server_and_logs_nobody_in(hub, bob):
    page = bob.context.new_page()
    for path in ("/hub/stop/bob", "/hub/login"):
        page.goto(
            f"{hub.at('alice')}/user/alice/nowhere"
        )  # JupyterLab, in a second tab, goes on to another page by itself
        target = f"{hub.url}{path}"
        with page.expect_navigation(url=target) as done:
            page.evaluate(SUBMIT, target)
        assert done.value.status == 403
    page.close()
    assert hub.admin.get("/users/bob").json()["server"] == f"{hub.at('bob')}/user/bob/"


def test_logging_out_at_the_hub_shuts_every_host(hub, bob):
    here = bob.evaluate(READ, "/user/alice/api/status")
    assert here.startswith("200")
    page = bob.context.new_page()
    page.goto(f"{hub.url}/hub/logout")
    assert bob.evaluate(READ, "/user/alice/api/status")[:3] in {"401", "403"}
    page.goto(f"{hub.at('bob')}/user/bob/lab")
    assert page.url.startswith(f"{hub.url}/hub/login")
