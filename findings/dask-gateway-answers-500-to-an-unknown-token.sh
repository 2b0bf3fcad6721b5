#!/usr/bin/env bash
# dask-gateway-server 2026.3.0 answers 500 to a user's token that JupyterHub does not know, instead of 401.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --disable-pip-version-check \
  jupyterhub==6.1.1 dask-gateway-server==2026.3.0 requests==2.32.5
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
        return {"/": {"routespec": "/", "target": "http://127.0.0.1:18521", "data": {"hub": True}}}


c = get_config()
c.JupyterHub.proxy_class = NoProxy
c.JupyterHub.bind_url = "http://127.0.0.1:18520"
c.JupyterHub.hub_bind_url = "http://127.0.0.1:18521"
c.JupyterHub.db_url = "sqlite://"
c.JupyterHub.authenticator_class = "dummy"
c.JupyterHub.services = [{"name": "dask-gateway", "api_token": "a-token-of-the-gateway"}]
c.JupyterHub.load_roles = [
    {"name": "user", "scopes": ["self", "access:services!service=dask-gateway"]},
    {"name": "tester", "scopes": ["admin:users", "tokens"], "services": ["dask-gateway"]},
]
PYTHON
cd "$folder"
"$folder/env/bin/jupyterhub" -f jupyterhub_config.py >hub.log 2>&1 &
hub=$!; trap 'kill $hub; wait $hub 2>/dev/null; rm -rf "$folder"' EXIT
"$folder/env/bin/python" - <<'PYTHON'
import asyncio
import os
import sys
import time
from importlib.metadata import version
from types import SimpleNamespace

import requests

api = "http://127.0.0.1:18521/hub/api"
os.environ |= {
    "JUPYTERHUB_API_TOKEN": "a-token-of-the-gateway",
    "JUPYTERHUB_API_URL": api,
    "JUPYTERHUB_SERVICE_NAME": "dask-gateway",
}
from aiohttp import web  # noqa: E402 the authenticator reads the environment
from dask_gateway_server.auth import JupyterHubAuthenticator  # noqa: E402

for _ in range(240):
    try:
        requests.get(api, timeout=5)
        break
    except requests.ConnectionError:
        time.sleep(0.25)
head = {"Authorization": "token a-token-of-the-gateway"}
requests.post(f"{api}/users/ada", headers=head, timeout=20).raise_for_status()
known = requests.post(f"{api}/users/ada/tokens", headers=head, timeout=20).json()
revoked = requests.post(f"{api}/users/ada/tokens", headers=head, timeout=20).json()
requests.delete(f"{api}/users/ada/tokens/{revoked['id']}", headers=head, timeout=20).raise_for_status()


async def ask(token):
    """Return the user's name, or the status and the reason."""
    authenticator = JupyterHubAuthenticator()
    await authenticator.setup(SimpleNamespace(on_cleanup=[], log=None))
    try:
        request = SimpleNamespace(headers={"Authorization": f"jupyterhub {token}"})
        return (await authenticator.authenticate(request)).name, ""
    except web.HTTPException as refused:
        return refused.status, refused.reason
    finally:
        await authenticator.cleanup()


told = [asyncio.run(ask(one["token"])) for one in (known, revoked)]
print("jupyterhub", version("jupyterhub"), "| dask-gateway-server", version("dask-gateway-server"))
print("The hub answers 403 where it does not know a token, which the gateway takes for a refusal of its own token.")
print("a user's token:", told[0][0], "| the same user's revoked one:", *told[1])
sys.exit([one[0] for one in told] != ["ada", 500])
PYTHON
