#!/usr/bin/env bash
# JupyterHub's API keeps the capitals of a user who is added alone, and lowers those of users who are added as a list.
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
        return {"/": {"routespec": "/", "target": "http://127.0.0.1:18481", "data": {"hub": True}}}


c = get_config()
c.JupyterHub.proxy_class = NoProxy
c.JupyterHub.bind_url = "http://127.0.0.1:18480"
c.JupyterHub.hub_bind_url = "http://127.0.0.1:18481"
c.JupyterHub.db_url = "sqlite://"
c.JupyterHub.authenticator_class = "dummy"
c.JupyterHub.services = [{"name": "tester", "api_token": "a-token-of-the-test"}]
c.JupyterHub.load_roles = [{"name": "tester", "scopes": ["admin:users"], "services": ["tester"]}]
PYTHON
cd "$folder"
"$folder/env/bin/jupyterhub" -f jupyterhub_config.py >hub.log 2>&1 &
hub=$!; trap 'kill $hub; wait $hub 2>/dev/null; rm -rf "$folder"' EXIT
"$folder/env/bin/python" - <<'PYTHON'
import sys
import time
from importlib.metadata import version

import requests

api = "http://127.0.0.1:18481/hub/api"
head = {"Authorization": "token a-token-of-the-test"}
for _ in range(240):
    try:
        requests.get(api, timeout=5)
        break
    except requests.ConnectionError:
        time.sleep(0.25)
alone = requests.post(f"{api}/users/Ada", headers=head, timeout=20).json()["name"]
listed = requests.post(f"{api}/users", headers=head, json={"usernames": ["Grace"]}, timeout=20).json()[0]["name"]
print("jupyterhub", version("jupyterhub"))
print("The two ways to add a user store different names, and a login looks for the lower-case one only.")
print("POST /users/Ada:", alone, "| POST /users with Grace:", listed)
sys.exit((alone, listed) != ("Ada", "grace"))
PYTHON
