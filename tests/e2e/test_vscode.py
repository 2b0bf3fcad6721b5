"""The requests of VS Code's JupyterHub extension 2025.8, byte for byte as it makes them, against a whole hub.

The extension puts names into addresses without encoding them. JavaScript's `URL` then encodes spaces, but no brackets,
`@` or `+`. Bodies are JSON that says it is text. The order and the conditions are those of the extension's
`jupyterHubApi.ts`, `authenticator.ts` and `validator.ts`.
"""

import http.client
import json
import shutil
import tempfile
import time
from pathlib import Path
from urllib.parse import quote, urljoin, urlsplit

import pytest
from websockets.sync.client import connect

from tests.support.local_hub import LocalHub

TOKEN, PASSWORD = "vscode-token-0123456789", "from an editor"
SETTINGS = f"""
[login]
kind = "shared-password"
password = "{PASSWORD}"
[servers]
run_as_system_users = false
named_limit = 1
[[services]]
name = "tests"
admin = true
token = "{TOKEN}"
"""
IN_PATHS = "/!$&'()*+,:;=@[]|~%?"  # what JavaScript's URL leaves in a path and its query, besides letters and digits
TIMEOUT_SECONDS = 120


@pytest.fixture(scope="module")
def hub():
    folder = Path(tempfile.mkdtemp(prefix="hubless-vscode-"))
    one = LocalHub(folder, SETTINGS, admin_token=TOKEN)
    yield one
    one.close()
    shutil.rmtree(folder, ignore_errors=True)


class Extension:
    """What the extension does for one user."""

    def __init__(self, hub, user):
        self.port, self.base, self.user, self.token = hub.port, f"{hub.url}/", user, ""

    def send(self, method, address, *, token=None, body=None):
        """Return the status and the text of the answer; follow no redirect."""
        target = address.removeprefix(self.base.rstrip("/"))
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.putrequest(method, quote(target, safe=IN_PATHS), skip_accept_encoding=True)
        connection.putheader("Accept", "*/*")
        connection.putheader("User-Agent", "node-fetch/1.0 (+https://github.com/bitinn/node-fetch)")
        if token is not None:
            connection.putheader("Authorization", f"token {token}")
        if body is not None:
            connection.putheader("Content-Type", "text/plain;charset=UTF-8")
        content = b"" if body is None else json.dumps(body).encode()
        if method != "GET":
            connection.putheader("Content-Length", str(len(content)))
        connection.endheaders(content or None)
        answer = connection.getresponse()
        status, text = answer.status, answer.read().decode()
        connection.close()
        return status, text

    def version(self, typed):
        status, text = self.send("GET", urljoin(f"{typed}/", "hub/api"))
        return json.loads(text)["version"] if status == 200 else None

    def info(self, token, query=""):
        status, text = self.send("GET", f"{self.base}hub/api/users/{self.user}{query}", token=token)
        return json.loads(text) if status == 200 else None

    def log_in(self, password):
        if self.info(password):  # a token may have been typed for a password
            self.token = password
            return ""
        body = {
            "auth": {"username": self.user, "password": password},
            "note": "Requested by JupyterHub extension in VSCode",
        }
        made = json.loads(self.send("POST", f"{self.base}hub/api/users/{self.user}/tokens", body=body)[1])
        self.token = made["token"]
        return made["id"]

    def start(self, server):
        query = "?include_stopped_servers" if server else ""
        if not self.info(self.token, query)["servers"].get(server, {}).get("ready"):
            path = f"servers/{quote(server, safe='')}" if server else "server"
            status, text = self.send("POST", f"{self.base}hub/api/users/{self.user}/{path}", token=self.token)
            assert status in {201, 202}, text
        give_up_at = time.monotonic() + TIMEOUT_SECONDS
        while not (found := self.info(self.token, query)["servers"].get(server, {})).get("ready"):
            assert time.monotonic() < give_up_at, "never ready"
            time.sleep(0.1)
        return urljoin(self.base, found["url"])

    def run(self, server_url, code):
        """Run *code* in a new kernel and return what it shows."""
        status, text = self.send("POST", f"{server_url}api/kernels?{time.time_ns()}", token=self.token, body={})
        assert status == 201, text
        kernel = json.loads(text)["id"]
        address = urlsplit(f"{server_url}api/kernels/{kernel}/channels")._replace(scheme="ws").geturl()
        header = {"msg_id": "1", "msg_type": "execute_request", "username": "", "session": "s", "version": "5.3"}
        content = {"code": code, "silent": False, "user_expressions": {}, "allow_stdin": False}
        request = {"header": header, "parent_header": {}, "metadata": {}, "content": content, "channel": "shell"}
        sent = {"Authorization": f"token {self.token}"}
        with connect(
            f"{address}?session_id=s&token={self.token}", additional_headers=sent, open_timeout=60
        ) as channels:
            channels.send(json.dumps(request))
            while True:
                received = json.loads(channels.recv(timeout=TIMEOUT_SECONDS))
                if received["msg_type"] == "execute_result" and received["parent_header"].get("msg_id") == "1":
                    return received["content"]["data"]["text/plain"]


@pytest.mark.parametrize(
    ("user", "server"),
    [("ada.b+c@example.org", ""), ("ada [lab]", "gpu-lab")],
    ids=["mail address", "brackets and a named server"],
)
def test_the_extension_logs_in_starts_runs_and_forgets(hub, user, server):
    hub.admin.post(f"/users/{quote(user)}").raise_for_status()
    editor = Extension(hub, user)

    typed = f"{hub.url}/user/{user}/lab"
    assert editor.version(typed) is None  # so the extension tries what is before /user/
    assert editor.version(hub.url) == "6.1.1"

    token_id = editor.log_in(PASSWORD)
    assert [one["note"] for one in tokens_of(hub, user)] == ["Requested by JupyterHub extension in VSCode"]
    assert Extension(hub, user).log_in(editor.token) == ""  # a token is taken where a password is asked for
    assert list(editor.info(editor.token, "?include_stopped_servers")["servers"]) == []

    address = editor.start(server)
    status, text = editor.send("GET", f"{address}api/kernelspecs?{time.time_ns()}", token=editor.token)
    assert (status, list(json.loads(text)["kernelspecs"])) == (200, ["python3"])
    assert editor.run(address, "6 * 7") == "42"

    path = f"hub/api/users/{user}/tokens/{token_id}"
    assert editor.send("DELETE", f"{editor.base}{path}", token=editor.token) == (204, "")
    assert editor.info(editor.token) is None
    assert tokens_of(hub, user) == []


def test_a_wrong_password_gives_the_extension_no_token(hub):
    hub.admin.post("/users/eve").raise_for_status()
    with pytest.raises(KeyError, match="token"):
        Extension(hub, "eve").log_in("a wrong one")
    assert tokens_of(hub, "eve") == []


def tokens_of(hub, user):
    """Return the tokens that are no server's."""
    every = hub.admin.get(f"/users/{quote(user)}/tokens").json()["api_tokens"]
    return [one for one in every if not one["note"].startswith("Server at")]
