"""Records the metrics of JupyterHub, before and after what `metrics_scenario` does: `tests/data/metrics-jupyterhub-*`.

python -m tests.support.record_metrics path/to/configurable-http-proxy
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx

from tests.support.free_port import free_port
from tests.support.metrics_scenario import ADMIN_TOKEN, PASSWORD, live_through

TOP = Path(__file__).parents[2]
CONFIG = """
c.JupyterHub.bind_url, c.JupyterHub.hub_bind_url = {urls[0]!r}, {urls[1]!r}
c.ConfigurableHTTPProxy.command, c.ConfigurableHTTPProxy.api_url = [{proxy!r}], {urls[2]!r}
c.JupyterHub.authenticator_class, c.JupyterHub.spawner_class = "dummy", "simple"
c.DummyAuthenticator.password, c.Authenticator.allow_all = {password!r}, True
c.Spawner.cmd = [{server!r}, "--allow-root"]
c.JupyterHub.active_server_limit = 1
c.JupyterHub.services = [{{"name": "admin", "api_token": {token!r}, "admin": True}}]
"""


def main(proxy):
    with tempfile.TemporaryDirectory() as folder:
        urls = [f"http://127.0.0.1:{free_port()}" for _ in range(3)]
        facts = {"urls": urls, "proxy": proxy, "password": PASSWORD, "token": ADMIN_TOKEN}
        server = str(TOP / ".venv-servers/bin/jupyterhub-singleuser")
        (Path(folder) / "config.py").write_text(CONFIG.format(server=server, **facts))
        command = [TOP / ".venv/bin/jupyterhub", "-f", "config.py"]
        with subprocess.Popen(command, cwd=folder, env=os.environ | {"CONFIGPROXY_AUTH_TOKEN": "x" * 64}) as hub:
            try:
                before = _metrics(urls[0])
                live_through(urls[0])
                after = _metrics(urls[0])
            finally:
                hub.terminate()
    for name, text in (("before", before), ("after", after)):
        lines = [line for line in text.splitlines() if "python_" not in line and "process_" not in line]
        (TOP / f"tests/data/metrics-jupyterhub-6.1.1-{name}.txt").write_text("\n".join(lines) + "\n")


def _metrics(url):
    headers = {"Authorization": f"token {ADMIN_TOKEN}"}
    for _ in range(60):
        try:
            return httpx.get(f"{url}/hub/metrics", headers=headers).raise_for_status().text
        except httpx.HTTPError:
            time.sleep(0.5)
    raise RuntimeError("JupyterHub does not start")


if __name__ == "__main__":
    main(sys.argv[1])
