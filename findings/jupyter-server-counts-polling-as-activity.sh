#!/usr/bin/env bash
# Jupyter Server's last_activity moves with nearly every request that an idle JupyterLab tab polls.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check jupyter_server==2.21.1 jupyterlab==4.6.6
HOME="$folder" "$folder/bin/python" - "$folder" <<'PYTHON'
import json
import socket
import subprocess
import sys
import time
import urllib.request
from importlib.metadata import version

with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    port = free.getsockname()[1]
server = subprocess.Popen(
    [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", f"--port={port}", "--ServerApp.port_retries=0"]
    + ["--IdentityProvider.token=token", f"--ServerApp.root_dir={sys.argv[1]}"],
    stdout=subprocess.DEVNULL,
    stderr=subprocess.DEVNULL,
)


def ask(path):
    request = urllib.request.Request(f"http://127.0.0.1:{port}/{path}", headers={"Authorization": "token token"})
    with urllib.request.urlopen(request, timeout=10) as response:
        return json.load(response)


def counts(path):
    """Return whether a GET of *path* moves the server's last_activity."""
    before = ask("api/status")["last_activity"]
    time.sleep(0.1)
    ask(path)
    return ask("api/status")["last_activity"] != before


try:
    deadline = time.monotonic() + 60
    while True:
        try:
            ask("api/status")
            break
        except OSError:
            if time.monotonic() > deadline:
                sys.exit("The server did not start within a minute.")
            time.sleep(0.5)
    polled = ("api/kernels", "api/sessions", "api/terminals", "api/contents", "api/me", "api/kernelspecs")
    seen = {path: counts(path) for path in (*polled, "lab/api/workspaces/default", "api/status", "api")}
finally:
    server.terminate()
    server.wait()
print("jupyter_server", version("jupyter_server"), "jupyterlab", version("jupyterlab"))
print("A visible JupyterLab tab polls these each 10 to 60 seconds, so a culler that asks the server never sees it idle.")
for path, moved in seen.items():
    print(f"GET {path:28} {'counts as activity' if moved else 'does not count'}")
sys.exit({path for path, moved in seen.items() if not moved} != {"api/status", "api"})
PYTHON
