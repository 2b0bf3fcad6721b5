"""Starts and memory of the embedded hub: from a server's first answer to ready, first requests, idle size.

Bounded: STARTS starts of a small server program, 20 at once; loopback only. JupyterHub 6.1.1's idle size beside it.
Prints a Markdown table with the goals.
"""

import concurrent.futures
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path

import httpx
from peer import JupyterHub, free_port, memory

TOP = Path(__file__).parents[1]
STARTS = int(os.environ.get("STARTS", "1000"))
AT_ONCE = 20
USERS = 10_000
TOKEN = "benchmark-token-0123456789"
SERVER = """
import os, sys, time
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import urlsplit
url = urlsplit(os.environ["JUPYTERHUB_SERVICE_URL"])
class Answer(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.send_header("Content-Length", "2"); self.end_headers(); self.wfile.write(b"{}")
    def log_message(self, *args): pass
server = HTTPServer(("127.0.0.1", url.port), Answer)
open(os.path.join(sys.argv[1], os.environ["JUPYTERHUB_USER"]), "w").write(repr(time.time()))
server.serve_forever()
"""


def settings(folder):
    (folder / "server.py").write_text(SERVER)
    (folder / "times").mkdir()
    command = [sys.executable, "-S", "-E", str(folder / "server.py"), str(folder / "times")]
    (folder / "hubless.toml").write_text(
        "[login]\nkind = 'shared-password'\npassword = 'benchmark'\n[servers]\nrun_as_system_users = false\n"
        f"[[profiles]]\nname = 'small'\ncommand = {command!r}\n"
        f"[[services]]\nname = 'benchmark'\nadmin = true\ntoken = '{TOKEN}'\n"
    )


def start_hub(folder, port):
    began = time.monotonic()
    hub = subprocess.Popen(
        [
            TOP / ".venv/bin/hubless",
            "up",
            "--data",
            folder / "data",
            "--settings",
            folder / "hubless.toml",
            "--port",
            str(port),
            "--stop-servers-on-exit",
            "--ready-line",
        ],
        stdout=subprocess.PIPE,
        stderr=(folder / "log").open("ab"),
        text=True,
    )
    assert hub.stdout.readline() == "ready\n", (folder / "log").read_text()
    return hub, time.monotonic() - began


def one_start(folder, http, url, name):
    """Return (seconds from listening to ready, whether the first request through the edge succeeded)."""
    http.post(f"/hub/api/users/{name}/server").raise_for_status()
    while not (server := http.get(f"/hub/api/users/{name}/server").json())["ready"]:
        if server["stopped"]:
            raise RuntimeError(f"{name} failed")
        time.sleep(0.02)
    first = httpx.get(f"{url}/user/{name}/api", timeout=20).status_code == 200
    listening = float((folder / "times" / name).read_text())
    ready = datetime.fromisoformat(server["started"]).timestamp()
    http.delete(f"/hub/api/users/{name}/server")
    return ready - listening, first


def main():
    folder, port = Path(tempfile.mkdtemp(prefix="hubless-bench-")), free_port()
    url = f"http://127.0.0.1:{port}"
    settings(folder)
    hub, first_start = start_hub(folder, port)
    http = httpx.Client(base_url=url, headers={"Authorization": f"token {TOKEN}"}, timeout=120)
    began = time.monotonic()
    for i in range(0, USERS, 1000):
        http.post("/hub/api/users", json={"usernames": [f"user{n:05}" for n in range(i, i + 1000)]}).raise_for_status()
    users_per_second = USERS / (time.monotonic() - began)
    hub.send_signal(signal.SIGINT)
    hub.wait(60)
    hub, next_start = start_hub(folder, port)
    time.sleep(5)
    pss, rss = memory(hub.pid)
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        done = list(pool.map(lambda n: one_start(folder, http, url, f"user{n:05}"), range(STARTS)))
    alone = [one_start(folder, http, url, f"user{9000 + n:05}")[0] * 1000 for n in range(20)]
    hub.send_signal(signal.SIGINT)
    hub.wait(120)
    peer = JupyterHub(folder, users=USERS, token=TOKEN)
    time.sleep(5)
    peer_pss, peer_rss = peer.memory()
    peer.close()
    busy = sorted(1000 * seconds for seconds, _ in done)
    rows = [
        ("`hubless up`, first start, s", f"{first_start:.1f}", ""),
        (f"`hubless up`, with {USERS} users stored, s", f"{next_start:.1f}", "< 3"),
        (
            "listening to `ready`, one start at a time, ms (median, maximum of 20)",
            f"{statistics.median(alone):.0f}, {max(alone):.0f}",
            "≤ 250",
        ),
        (
            f"listening to `ready`, {AT_ONCE} starts at once, ms (median, p99 of {STARTS})",
            f"{statistics.median(busy):.0f}, {busy[int(len(busy) * 0.99) - 1]:.0f}",
            "",
        ),
        (
            "first request through the edge after `ready` succeeded",
            f"{sum(ok for _, ok in done)} of {STARTS}",
            f"{STARTS} of {STARTS}",
        ),
        (f"idle, {USERS} users, all processes, MB (PSS; sum of RSS)", f"{pss:.0f}; {rss:.0f}", "≤ 200"),
        ("the same, JupyterHub 6.1.1 with its proxy", f"{peer_pss:.0f}; {peer_rss:.0f}", ""),
        ("bulk creation of users, users/s", f"{users_per_second:.0f}", ""),
    ]
    print("| measured | here | goal |\n| --- | --- | --- |")
    for row in rows:
        print("| " + " | ".join(row) + " |")


if __name__ == "__main__":
    main()
