"""A whole hub behind a proxy that logs people in: HAProxy, which names the person of a cookie, and real browsers."""

import shutil
import subprocess
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from edge_proxy.haproxy_binary import find_haproxy
from tests.support.free_port import free_port
from tests.support.local_hub import LocalHub

SECRET = "a secret of some length"
# It shows which headers reached it.
SERVER = """
import http.server, os, urllib.parse
class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header('Content-Type', 'text/html')
        self.end_headers()
        self.wfile.write(b'<h1>the server</h1><p>' + ' '.join(self.headers.keys()).lower().encode() + b'</p>')
at = urllib.parse.urlsplit(os.environ['JUPYTERHUB_SERVICE_URL'])
http.server.ThreadingHTTPServer((at.hostname, at.port), Page).serve_forever()
"""
SETTINGS = """
[hub]
public_url = "{gate}"
trusted_proxies = ["127.0.0.1"]
contact = "the help desk"

[login]
kind = "none"
allow_users = ["ada", "bob"]

[[login_proxies]]
name = "gate"
kind = "header"
header = "X-Remote-User"
secret_header = "X-Remote-Secret"
secret_env = "GATE_SECRET"
logout_url = "/gate/out"

[[profiles]]
name = "page"
command = ["python3", "-c", '''{server}''']
"""
GATE = """
global
    maxconn 200
defaults
    mode http
    timeout connect 5s
    timeout client 1m
    timeout server 1m
frontend gate
    bind 127.0.0.1:{port}
    http-request return status 200 content-type text/html string "<h1>out at the gate</h1>" if {{ path /gate/out }}
    http-request del-header X-Remote-User
    http-request set-header X-Remote-User %[req.cook(who)] if {{ req.cook(who) -m found }}
    http-request set-header X-Remote-Secret "{secret}"
    http-request set-header X-Forwarded-Host %[req.hdr(Host)]
    http-request set-header X-Forwarded-Proto http
    option forwardfor
    default_backend hub
backend hub
    server hub 127.0.0.1:{hub}
"""


@pytest.fixture
def gate(monkeypatch):
    """The address of the proxy before a hub, and the hub."""
    monkeypatch.setenv("GATE_SECRET", SECRET)
    folder, port = Path(tempfile.mkdtemp(prefix="hubless-e2e-")), free_port()
    url = f"http://localhost:{port}"
    hub = LocalHub(folder, SETTINGS.replace("{gate}", url).replace("{server}", SERVER))
    (folder / "gate.cfg").write_text(GATE.format(port=port, secret=SECRET, hub=hub.port))
    proxy = subprocess.Popen([find_haproxy().program, "-db", "-f", folder / "gate.cfg"], stderr=subprocess.DEVNULL)
    with httpx.Client(transport=httpx.HTTPTransport(retries=20)) as client:
        assert client.get(f"{url}/gate/out").status_code == 200
    yield url, hub
    proxy.terminate()
    proxy.wait()
    hub.close()
    shutil.rmtree(folder, ignore_errors=True)


def become(page, url, name):
    page.context.add_cookies([{"name": "who", "value": name, "url": url}])


def test_whoever_the_proxy_names_uses_the_hub_without_a_login(gate, new_page):
    url, hub = gate
    page = new_page()
    become(page, url, "ada")

    page.goto(f"{url}/user/ada/lab")
    page.get_by_role("link", name="Start server").click()
    page.get_by_role("heading", name="the server").wait_for()
    seen = page.locator("p").inner_text().split()
    assert "user-agent" in seen
    assert not {"x-remote-user", "x-remote-secret"} & set(seen)

    page.goto(f"{url}/hub/home")
    page.locator("header").get_by_text("ada").wait_for()
    become(page, url, "bob")
    page.goto(f"{url}/hub/home")
    page.locator("header").get_by_text("bob").wait_for()

    page.locator(".frame-menu > summary").click()
    page.get_by_role("link", name="Log out").click()
    page.get_by_role("heading", name="out at the gate").wait_for()

    become(page, url, "mallory")
    page.goto(f"{url}/hub/home")
    page.get_by_text("not allowed").wait_for()
    page.locator("main").get_by_text("the help desk").wait_for()
    assert SECRET not in hub.log()
    assert urlsplit(page.url).path == "/hub/login"
