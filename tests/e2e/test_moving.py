"""A hub moves here: an old JupyterHub's database becomes a hub that runs, where people and programs go on.

`make moving` tries the same with a JupyterHub that runs (tests/support/move_a_hub).
"""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from tests.support.local_hub import HUBLESS, LocalHub

pytestmark = pytest.mark.real

TOP = Path(__file__).parents[2]
CLIENTS = TOP / ".venv-conformance/bin/python"  # holds jupyterhub-idle-culler
DATA = TOP / "tests/data"
KNOWN = json.loads((DATA / "jupyterhub/jupyterhub-5.4.6.known.json").read_text())
PASSWORDS = {
    name: password for name, (password, _) in json.loads((DATA / "jupyterhub-passwords/known.json").read_text()).items()
}
# Says yes to everything, as far as a hub looks.
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
SETTINGS = f"""
[servers]
run_as_system_users = false
[[profiles]]
name = "small"
command = {json.dumps([sys.executable, "-S", "-E", "-c", SERVER])}
[[services]]
name = "boss"
[[roles]]
name = "idle-culler"
scopes = ["list:users", "read:users:activity", "read:servers", "delete:servers"]
services = ["boss"]
"""
SECONDS = 60  # until a test gives up


class Moved:
    """A hub that was imported before it started for the first time."""

    def __init__(self, folder):
        self.folder, self.old = folder, folder / "old"
        self.old.mkdir()
        shutil.copy(DATA / "jupyterhub/jupyterhub-5.4.6.sqlite", self.old / "jupyterhub.sqlite")
        (folder / "hubless.toml").write_text(SETTINGS)
        self.report = self.bring("--report")
        self.is_untouched_by_the_report = not (folder / "data").exists()
        self.first = self.bring("--yes")
        self.hub = LocalHub(folder, SETTINGS)
        self.url = self.hub.url

    def bring(self, *words):
        passwords = DATA / "jupyterhub-passwords/gnu/passwords.dbm"
        where = ["--data", self.folder / "data", "--settings", self.folder / "hubless.toml", "--passwords", passwords]
        done = subprocess.run(
            [HUBLESS, "import", self.old, *words, *where], capture_output=True, text=True, check=False, cwd=self.folder
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def ask(self, token, method, path, **parts):
        headers = {"Authorization": f"token {token}"}
        return httpx.request(method, f"{self.url}/hub/api{path}", headers=headers, timeout=30, **parts)


@pytest.fixture(scope="module")
def moved(tmp_path_factory):
    moved = Moved(tmp_path_factory.mktemp("moved"))
    yield moved
    moved.hub.close()


def token_of(user, note):
    return next(one["token"] for one in KNOWN["tokens"] if (one["user"], one["asked"].get("note")) == (user, note))


def status_of_login(moved, name, password):
    with httpx.Client(base_url=moved.url, timeout=30) as browser:
        page = browser.get("/hub/login")
        form = {"username": name, "password": password}
        form["_xsrf"] = re.search(r'name="_xsrf" value="([^"]*)"', page.text)[1]
        return browser.post("/hub/login", data=form).status_code


def test_a_report_makes_no_hub(moved):
    assert moved.is_untouched_by_the_report
    assert "Becomes an admin: ada." in moved.report


def test_people_log_in_with_their_old_passwords(moved):
    assert status_of_login(moved, "bob", f"{PASSWORDS['bob']}x") == 403
    for name in ("ada", "bob", "zoë"):
        assert status_of_login(moved, name, PASSWORDS[name]) == 302, name
        assert status_of_login(moved, name, PASSWORDS[name]) == 302, f"{name}, whose password is hashed anew"


def test_old_tokens_may_what_they_might(moved):
    admins = token_of("ada", "admin's own")
    assert {user["name"] for user in moved.ask(admins, "GET", "/users").json()} >= {"ada", "bob", "carol", "zoë"}
    assert moved.ask(admins, "POST", "/users/made-by-script").status_code == 201
    assert moved.ask(admins, "DELETE", "/users/made-by-script").status_code == 204
    assert moved.ask(token_of("bob", "bob's script"), "GET", "/user").json()["name"] == "bob"
    assert moved.ask(token_of("bob", "bob's script"), "GET", "/users").status_code == 403
    assert moved.ask(token_of("bob", "gone"), "GET", "/user").status_code == 403


def test_the_idle_culler_goes_on_with_its_old_token(moved):
    admins = token_of("ada", "admin's own")
    moved.ask(admins, "POST", "/users/bob/servers/old").raise_for_status()
    url = f"--url={moved.url}/hub/api"
    culler = subprocess.Popen(
        [CLIENTS, "-m", "jupyterhub_idle_culler", "--timeout=1", "--cull-every=1", url],
        env=os.environ | {"JUPYTERHUB_API_TOKEN": KNOWN["services"]["boss"]},
        stderr=subprocess.DEVNULL,
    )
    try:
        give_up_at = time.monotonic() + SECONDS
        while "old" in moved.ask(admins, "GET", "/users/bob").json()["servers"]:
            assert time.monotonic() < give_up_at, "the culler never stopped an idle server"
            time.sleep(0.1)
    finally:
        culler.terminate()
        culler.wait(SECONDS)


def test_a_second_import_beside_the_hub_brings_nothing(moved):
    assert "There is nothing to import: what is not left out is here already." in moved.bring("--yes")
    assert status_of_login(moved, "bob", PASSWORDS["bob"]) == 302
