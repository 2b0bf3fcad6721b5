"""The part of an address after #, which browsers send to no server: it outlives logins, starts and waiting pages."""

import shutil
import tempfile
from pathlib import Path

import pytest

from functions.api.page_files import STATIC
from hubless.domain.routes import Route
from tests.support.edge_world import edge_world
from tests.support.free_port import free_port
from tests.support.http_servers import Echo
from tests.support.local_hub import LocalHub

PASSWORD = "correct horse battery"
REST = "lab/tree/x?a=1#/section/2"
SERVER = """
import http.server, os, urllib.parse
class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header('Content-Type', 'text/html')
        self.end_headers()
        self.wfile.write(b'<h1>the server</h1>')
at = urllib.parse.urlsplit(os.environ['JUPYTERHUB_SERVICE_URL'])
http.server.ThreadingHTTPServer((at.hostname, at.port), Page).serve_forever()
"""
SETTINGS = f"""
[login]
kind = "shared-password"
password = "{PASSWORD}"

[servers]
fork_servers = false  # nobody starts one that could be

[[profiles]]
name = "page"
command = ["python3", "-c", '''{SERVER}''']

[[profiles]]
name = "other"
"""


@pytest.fixture
def hub():
    folder = Path(tempfile.mkdtemp(prefix="hubless-e2e-"))
    hub = LocalHub(folder, SETTINGS)
    yield hub
    hub.close()
    shutil.rmtree(folder, ignore_errors=True)


def test_the_part_after_the_hash_survives_a_login_and_a_start(hub, new_page):
    page = new_page()
    page.goto(f"{hub.url}/user/ann/{REST}")
    page.fill("[name=username]", "ann")
    page.fill("[name=password]", PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.get_by_role("link", name="Start server").click()
    page.locator("main form button").last.click()
    page.get_by_role("heading", name="the server").wait_for()
    assert page.url == f"{hub.url}/user/ann/{REST}"


class Hub(Echo):
    """The hub of this test: its script, and a page at every other path."""

    def do_GET(self):
        is_script = self.path.startswith("/hub/static/")
        content = (STATIC / "refresh.js").read_bytes() if is_script else b"<h1>the hub</h1>"
        self.send_response(200)
        self.send_header("Content-Type", "text/javascript" if is_script else "text/html")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def test_the_part_after_the_hash_survives_a_server_that_does_not_answer(tmp_path, new_page):
    with edge_world(tmp_path / "hub.sqlite") as world:
        world.api.RequestHandlerClass = Hub
        world.routes.put(Route("/user/ann/", f"127.0.0.1:{free_port()}", "launch-1"))
        world.started()
        page = new_page()
        page.goto(f"http://127.0.0.1:{world.port}/user/ann/{REST}")
        page.get_by_role("heading", name="the hub").wait_for()
        assert page.url == f"http://127.0.0.1:{world.port}/hub/user/ann/{REST}"
