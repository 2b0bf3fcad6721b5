"""Caddy and nginx in front of a hub, with the lines that README.md shows: login, a server, a WebSocket, uploads."""

import re
import shutil
import ssl
import subprocess
import tempfile
import time
from pathlib import Path

import httpx
import pytest

from tests.support import kernels
from tests.support.free_port import free_port
from tests.support.local_hub import LocalHub

TOP = Path(__file__).parents[2]
PROGRAMS = {name: TOP / f".venv-{name}" / name for name in ("caddy", "nginx")}  # make caddy nginx
TOKEN, PASSWORD, TIMEOUT_SECONDS = "tls-proxies-token-0123456789", "behind a proxy", 120
LARGE = 3 * 1024**2  # bytes of an upload; nginx takes 1 MB where nothing else is said
MORE_SETTINGS = f"""
[login]
kind = "shared-password"
password = "{PASSWORD}"
[servers]
run_as_system_users = false
[[services]]
name = "tests"
admin = true
token = "{TOKEN}"
"""
# What the test needs beside README's lines: no root, no port 80, no certificate from the internet.
CADDY = """
{{
    admin off
    skip_install_trust
    auto_https disable_redirects
}}
{lines}
"""
NGINX = """
daemon off;
master_process off;
pid nginx.pid;
error_log stderr;
events {{}}
http {{
    access_log off;
    client_body_temp_path bodies;
    proxy_temp_path answers;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    {lines}
}}
"""


def shown(language: str) -> str:
    """Return the block of README.md in *language*."""
    (block,) = re.findall(rf"```{language}\n(.*?)```", (TOP / "README.md").read_text(), re.DOTALL)
    return block


def caddy(folder, port, hub_port):
    lines = shown("caddy").replace("hub.example.org", f"localhost:{port}").replace(":8000", f":{hub_port}")
    (folder / "Caddyfile").write_text(CADDY.format(lines=lines))
    made = folder / "caddy/pki/authorities/local/root.crt"
    return [PROGRAMS["caddy"], "run", "--config", folder / "Caddyfile", "--adapter", "caddyfile"], made


def nginx(folder, port, hub_port):
    certificate, key = folder / "fullchain.pem", folder / "privkey.pem"
    names = ("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost")
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *names]
    subprocess.run([*command, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    lines = shown("nginx").replace("listen 443", f"listen {port}").replace("hub.example.org;", "localhost;")
    lines = lines.replace("/etc/letsencrypt/live/hub.example.org", str(folder)).replace(":8000", f":{hub_port}")
    (folder / "nginx.conf").write_text(NGINX.format(lines=lines))
    return [PROGRAMS["nginx"], "-p", folder, "-c", folder / "nginx.conf", "-e", "stderr"], certificate


class ProxiedHub(LocalHub):
    """A hub with one of the proxies in front of it."""

    def __init__(self, folder, proxy):
        port, hub_port = free_port(), free_port()
        self.public_url = f"https://localhost:{port}"
        settings = shown("toml").replace("https://hub.example.org", self.public_url)
        super().__init__(folder, settings + MORE_SETTINGS, port=hub_port, admin_token=TOKEN)
        command, certificate = {"caddy": caddy, "nginx": nginx}[proxy](folder, port, hub_port)
        with (folder / "proxy.log").open("wb") as log:
            self.proxy = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=folder,
                env={"XDG_DATA_HOME": str(folder), "HOME": str(folder), "PATH": "/usr/bin:/bin"},
            )
        self.until(lambda: certificate.exists() and self._answers(port))
        self.tls = ssl.create_default_context(cafile=certificate)

    def _answers(self, port):
        assert self.proxy.poll() is None, (self.folder / "proxy.log").read_text()
        try:
            return httpx.get(f"https://localhost:{port}/hub/health", verify=False).status_code == 200
        except httpx.TransportError:
            return False

    def until(self, what):
        give_up_at = time.monotonic() + TIMEOUT_SECONDS
        while not what():
            assert time.monotonic() < give_up_at, f"never\n{(self.folder / 'proxy.log').read_text()[-3000:]}"
            time.sleep(0.1)

    def close(self):
        self.proxy.terminate()
        self.proxy.wait()
        super().close()


@pytest.fixture(params=PROGRAMS)
def hub(request):
    assert PROGRAMS[request.param].exists(), f"{request.param} is not here: run `make {request.param}`"
    folder = Path(tempfile.mkdtemp(prefix="hubless-proxied-"))
    one = ProxiedHub(folder, request.param)
    yield one
    one.close()
    shutil.rmtree(folder, ignore_errors=True)


def test_a_student_works_through_the_proxy_that_readme_shows(hub):
    with httpx.Client(
        base_url=hub.public_url, verify=hub.tls, follow_redirects=True, timeout=60, headers={"Accept": "text/html"}
    ) as browser:
        asked = browser.get("/user/maria/lab")  # a link that somebody sent
        assert asked.url.path == "/hub/login"
        assert [cookie.secure for cookie in browser.cookies.jar] != []
        assert all(cookie.secure for cookie in browser.cookies.jar)
        form = {"username": "maria", "password": PASSWORD, "_xsrf": browser.cookies.get("_xsrf", path="/hub/")}
        origin = {"Origin": hub.public_url}
        assert browser.post("/hub/login", data=form, headers=origin).status_code == 200

        hub.admin.post("/users/maria/server").raise_for_status()
        hub.until(lambda: hub.admin.get("/users/maria/server").json()["ready"])
        assert browser.get("/user/maria/lab").status_code == 200

        # An upload as JupyterLab makes it, and a cell over a WebSocket.
        server = f"{hub.public_url}/user/maria/"
        body = {"type": "file", "format": "text", "content": "x" * LARGE}
        sent = {"Authorization": f"token {TOKEN}"}
        saved = browser.put("/user/maria/api/contents/large.txt", json=body, headers=sent)
        assert saved.status_code == 201
        assert kernels.run(server, TOKEN, "len(open('large.txt').read())", tls=hub.tls) == str(LARGE)
