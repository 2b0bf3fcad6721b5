"""A whole hub whose server runs into its memory limit: from the start of the hub to its owner's page."""

import contextlib
import shutil
import tempfile
import time
from pathlib import Path

import httpx
import pytest

from tests.support.local_hub import LocalHub
from tests.support.processes import python_for_all

TOKEN = "limits-token-0123456789"
PASSWORD = "limits of memory"
SERVER = """
import os, subprocess, sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import urlsplit

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
    def log_message(self, *_):
        pass

url = urlsplit(os.environ["JUPYTERHUB_SERVICE_URL"])
server = HTTPServer((url.hostname, url.port), Handler)
open("notes", "wb").write(os.urandom(3_000_000))
kernel = subprocess.Popen([sys.executable, "-c", "held = b'x' * (400 << 20); import time; time.sleep(600)"])
server.serve_forever()
"""
SETTINGS = f"""
[login]
kind = "shared-password"
password = "{PASSWORD}"
[servers]
home_limit = "1M"
run_as_system_users = false
[[profiles]]
name = "default"
command = ["{python_for_all()}", "-c", '''{SERVER}''']
memory = "200M"
[[services]]
name = "tests"
admin = true
token = "{TOKEN}"
"""
NEVER_SECONDS = 120


class Hub(LocalHub):
    def log_in(self, name):
        browser = httpx.Client(base_url=self.url, follow_redirects=False, timeout=30)
        browser.get("/hub/login")
        form = {"username": name, "password": PASSWORD, "_xsrf": browser.cookies["_xsrf"]}
        assert browser.post("/hub/login", data=form).status_code == 302
        return browser


def until(what):
    give_up_at = time.monotonic() + NEVER_SECONDS
    while not (found := what()):
        assert time.monotonic() < give_up_at
        time.sleep(0.2)
    return found


@pytest.fixture
def hub():
    folder = Path(tempfile.mkdtemp(prefix="hubless-limits-"))
    one = Hub(folder, SETTINGS, admin_token=TOKEN)
    yield one
    with contextlib.suppress(httpx.HTTPError):
        one.admin.delete("/users/alice/server")
    one.close()
    shutil.rmtree(folder)


def test_a_program_that_takes_too_much_memory_is_ended_and_home_says_so(hub):
    assert "\nResource limits: " in hub.log()
    with contextlib.closing(hub.log_in("alice")) as alice:
        hub.admin.post("/users/alice/server").raise_for_status()
        until(lambda: "reached its memory limit of 200 MiB" in alice.get("/hub/home").text)
        assert hub.admin.get("/users/alice").json()["servers"][""]["ready"]
        until(lambda: "more than the 1 MiB" in alice.get("/hub/home").text)
