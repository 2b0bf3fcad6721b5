#!/usr/bin/env bash
# NativeAuthenticator 1.3.0 logs nobody in on JupyterHub 6.1.1: its form uses `statsd`, which handlers no longer have.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --disable-pip-version-check \
  jupyterhub==6.1.1 jupyterhub-nativeauthenticator==1.3.0 requests==2.32.5
cat >"$folder/jupyterhub_config.py" <<'PYTHON'
from jupyterhub.proxy import Proxy


class NoProxy(Proxy):
    """The hub is asked at its own port, so there is nothing to route."""

    should_start = False

    async def add_route(self, routespec, target, data):
        pass

    async def delete_route(self, routespec):
        pass

    async def get_all_routes(self):
        return {"/": {"routespec": "/", "target": "http://127.0.0.1:18491", "data": {"hub": True}}}


c = get_config()
c.JupyterHub.proxy_class = NoProxy
c.JupyterHub.bind_url = "http://127.0.0.1:18490"
c.JupyterHub.hub_bind_url = "http://127.0.0.1:18491"
c.JupyterHub.db_url = "sqlite://"
c.JupyterHub.authenticator_class = "native"
c.NativeAuthenticator.open_signup = True
c.Authenticator.allow_all = True
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

at = "http://127.0.0.1:18491/hub"
browser = requests.Session()
for _ in range(240):
    try:
        browser.get(f"{at}/signup", timeout=5)
        break
    except requests.ConnectionError:
        time.sleep(0.25)
password = "a good password"
form = {"username": "alice", "signup_password": password, "signup_password_confirmation": password}
signed_up = browser.post(f"{at}/signup", data=form | {"_xsrf": browser.cookies["_xsrf"]}, timeout=20)
form = {"username": "alice", "password": password, "_xsrf": browser.cookies["_xsrf"]}
answer = browser.post(f"{at}/login", data=form, timeout=20, allow_redirects=False)
raised = [line for line in Path("hub.log").read_text().splitlines() if "statsd" in line and "Error" in line]
print("jupyterhub", version("jupyterhub"), "| nativeauthenticator", version("jupyterhub-nativeauthenticator"))
print("A user signs up, and the login with the right name and password is an error of the hub.")
print("POST /signup:", signed_up.status_code, "| POST /login:", answer.status_code, "|", raised[-1].strip() if raised else "")
sys.exit(answer.status_code != 500 or not raised)
PYTHON
