#!/usr/bin/env bash
# JupyterHub's HubOAuth takes the server's prefix from the environment at import, and everything else when it is made.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check jupyterhub==6.1.1
"$folder/bin/python" - <<'PYTHON'
import os
import sys
from importlib.metadata import version


def become(user):
    """Set the environment of a user's server, as a process that forks servers does in each child."""
    os.environ["JUPYTERHUB_SERVICE_PREFIX"] = f"/user/{user}/"
    os.environ["JUPYTERHUB_API_URL"] = f"http://127.0.0.1:8081/hub-of-{user}/api"
    os.environ["JUPYTERHUB_API_TOKEN"] = f"token-of-{user}"
    os.environ["JUPYTERHUB_CLIENT_ID"] = f"jupyterhub-user-{user}"


become("alice")
from jupyterhub.services.auth import HubOAuth

become("bob")
auth = HubOAuth()
names = ("base_url", "cookie_path", "api_url", "api_token", "oauth_client_id")
frozen = [name for name in names if "alice" in getattr(auth, name)]
print("jupyterhub", version("jupyterhub"))
print("The prefix and the path of its cookies stay alice's in a server that became bob's after the import.")
for name in names:
    print(f"{name:16} {getattr(auth, name)}")
sys.exit(frozen != ["base_url", "cookie_path"])
PYTHON
