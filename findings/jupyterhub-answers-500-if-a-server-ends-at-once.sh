#!/usr/bin/env bash
# JupyterHub 6.1.1 answers 500 without a reason to the start of a server whose program ends at once.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --disable-pip-version-check jupyterhub==6.1.1 requests==2.32.5
cat >"$folder/jupyterhub_config.py" <<'PYTHON'
from jupyterhub.proxy import Proxy


class NoProxy(Proxy):
    """The API is asked at the hub's own port, so there is nothing to route."""

    should_start = False

    async def add_route(self, routespec, target, data):
        pass

    async def delete_route(self, routespec):
        pass

    async def get_all_routes(self):
        return {"/": {"routespec": "/", "target": "http://127.0.0.1:18501", "data": {"hub": True}}}


c = get_config()
c.JupyterHub.proxy_class = NoProxy
c.JupyterHub.bind_url = "http://127.0.0.1:18500"
c.JupyterHub.hub_bind_url = "http://127.0.0.1:18501"
c.JupyterHub.db_url = "sqlite://"
c.JupyterHub.authenticator_class = "dummy"
c.JupyterHub.spawner_class = "simple"
c.Spawner.cmd = ["false"]  # as a program that misses a package
c.JupyterHub.services = [{"name": "tester", "api_token": "a-token-of-the-test"}]
c.JupyterHub.load_roles = [{"name": "tester", "scopes": ["admin:users", "admin:servers"], "services": ["tester"]}]
PYTHON
cd "$folder"
"$folder/env/bin/jupyterhub" -f jupyterhub_config.py >hub.log 2>&1 &
hub=$!; trap 'kill $hub; wait $hub 2>/dev/null; rm -rf "$folder"' EXIT
"$folder/env/bin/python" - <<'PYTHON'
import sys
import time
from importlib.metadata import version
from pathlib import Path

import requests

api = "http://127.0.0.1:18501/hub/api"
head = {"Authorization": "token a-token-of-the-test"}
for _ in range(240):
    try:
        requests.get(api, timeout=5)
        break
    except requests.ConnectionError:
        time.sleep(0.25)
requests.post(f"{api}/users/ada", headers=head, timeout=20).raise_for_status()
answer = requests.post(f"{api}/users/ada/server", headers=head, timeout=60)
raised = [line.strip() for line in Path("hub.log").read_text().splitlines() if "InvalidStateError" in line]
print("jupyterhub", version("jupyterhub"))
print("A server's program ends with 1 before the hub has looked at it. The answer has no reason: another error hides it.")
print("POST /users/ada/server:", answer.status_code, answer.json()["message"], "|", raised[-1] if raised else "")
sys.exit(answer.status_code != 500 or not raised)
PYTHON
