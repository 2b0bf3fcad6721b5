"""An idle hub: its memory and CPU time with 10,000 users and 50 running servers, beside JupyterHub 6.1.1's.

Both hubs run at the same time, with the same small servers, which report activity every five minutes, as
`jupyterhub-singleuser` does. Nobody asks the hubs for anything. All processes of a hub count, without those of users'
servers: of ours also the fork server, whose memory is in a row of its own. Prints a table, and what each of our
processes took; fails if JupyterHub needs less. MINUTES (2) says how long the hubs are watched. Takes 1.5 minutes more.
"""

import concurrent.futures
import json
import os
import sys
import tempfile
import time
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
from peer import JupyterHub

TOP = Path(__file__).parents[1]
sys.path.insert(0, str(TOP))

from tests.support.local_hub import LocalHub  # noqa: E402 of this checkout

USERS, SERVERS = 10_000, 50
AT_ONCE = 10  # starts
MINUTES = float(os.environ.get("MINUTES", "2"))
HAS_PEER = os.environ.get("PEER", "1") != "0"
SETTLE_SECONDS = 15
GIVE_UP_SECONDS = 120
TOKEN = "benchmark-token-0123456789"
PROGRAMS = TOP / ".venv-servers" / "bin"
MARK = "idle-benchmark-server"  # in the command line of each server
SERVER = f"""
# {MARK}
import json, os, threading, time
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import urlsplit
from urllib.request import Request, urlopen
class Answer(BaseHTTPRequestHandler):
    def do_GET(self):
        body = b"[]" if "/api/kernels" in self.path or "/api/terminals" in self.path else b"{{}}"
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *args):
        pass
def report():
    every, headers = 300, {{"Authorization": "token " + os.environ["JUPYTERHUB_API_TOKEN"]}}
    time.sleep(int(os.environ["JUPYTERHUB_USER"].removeprefix("user")) % {SERVERS} * every / {SERVERS})
    while True:
        now = datetime.now(UTC).isoformat()
        said = {{"servers": {{"": {{"last_activity": now}}}}, "last_activity": now}}
        urlopen(Request(os.environ["JUPYTERHUB_ACTIVITY_URL"], json.dumps(said).encode(), headers)).close()
        time.sleep(every)
threading.Thread(target=report, daemon=True).start()
HTTPServer(("127.0.0.1", urlsplit(os.environ["JUPYTERHUB_SERVICE_URL"]).port), Answer).serve_forever(3600)
"""
COMMAND = [str(PROGRAMS / "python"), "-S", "-E", "-c", SERVER]
# The profile of real servers lets the hub have its fork server, as it has by default.
OURS = f"""
[login]
kind = "shared-password"
password = "benchmark"
[[profiles]]
name = "small"
command = {json.dumps(COMMAND)}
[[profiles]]
name = "lab"
command = ["{PROGRAMS / "jupyterhub-singleuser"}"]
[[services]]
name = "benchmark"
admin = true
token = "{TOKEN}"
"""
THEIRS = f"c.Spawner.cmd = {COMMAND!r}\n"


class Ours(LocalHub):
    """This hub with its default settings; servers run in a sandbox."""

    name = "hubless"

    def __init__(self, folder):
        (place := folder / "hubless").mkdir()
        super().__init__(place, OURS, admin_token=TOKEN)
        self.proxy = self.url
        for first in range(0, USERS, 1000):
            names = [f"user{number:05}" for number in range(first, first + 1000)]
            self.admin.post("/users", json={"usernames": names}).raise_for_status()

    def fork_servers(self):
        """Return the processes that servers are forked from."""
        said = {one: " ".join(_words(one)) for one in psutil.process_iter()}
        return [one for one, words in said.items() if "fork_server" in words and str(self.folder) in words]


class Theirs(JupyterHub):
    """JupyterHub with SimpleLocalProcessSpawner."""

    name = "JupyterHub"

    def __init__(self, folder):
        super().__init__(folder, users=USERS, token=TOKEN, more=THEIRS)
        self.proxy = f"http://127.0.0.1:{self.port}"

    def fork_servers(self):
        """Return none."""
        return []


@dataclass
class Use:
    """What processes have taken: CPU time in s, and how often a thread of theirs slept."""

    cpu: float
    sleeps: int

    def __sub__(self, earlier):
        return Use(self.cpu - earlier.cpu, self.sleeps - earlier.sleeps)


def _words(process):
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def hub_processes(hub):
    """Return a hub's processes by a name that tells them apart; servers, and what is below them, are left out."""
    found, left = {}, [psutil.Process(hub.process.pid)]
    while left:
        process = left.pop()
        words = _words(process)
        if not any(MARK in word for word in words):
            found[process] = " ".join(Path(word).name for word in words[:4])
            left += process.children()
    return found


def use_since(process, before):
    """Return what one process has taken since; nothing of one that ended, whose parent counts it where it waits."""
    try:
        return use(process) - before
    except psutil.NoSuchProcess:
        return Use(0.0, 0)


def use(process):
    """Return what one process and its ended children have taken."""
    times, sleeps = process.cpu_times(), 0
    for thread in Path(f"/proc/{process.pid}/task").iterdir():
        status = (thread / "status").read_text()
        sleeps += int(status.split("\nvoluntary_ctxt_switches:")[1].split()[0])
    return Use(times.user + times.system + times.children_user + times.children_system, sleeps)


def memory(processes):
    """Return (PSS, private) in MB."""
    facts = [process.memory_full_info() for process in processes]
    return sum(one.pss for one in facts) / 1e6, sum(one.uss for one in facts) / 1e6


def start_servers(hub):
    headers = {"Authorization": f"token {TOKEN}"}

    def start(name):
        with httpx.Client(base_url=f"{hub.proxy}/hub/api", headers=headers, timeout=60) as http:
            http.post(f"/users/{name}/server").raise_for_status()
            give_up_at = time.monotonic() + GIVE_UP_SECONDS
            while not http.get(f"/users/{name}").json()["servers"].get("", {}).get("ready"):
                if time.monotonic() > give_up_at:
                    raise RuntimeError(f"{hub.name}: the server of {name} never came")
                time.sleep(0.2)

    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(start, [f"user{number:05}" for number in range(SERVERS)]))


def watch(hubs):
    """Return, for each hub, what each of its processes takes in the time, by its name."""
    watched = {hub.name: hub_processes(hub) | dict.fromkeys(hub.fork_servers(), "fork server") for hub in hubs}
    before = {process: use(process) for of_hub in watched.values() for process in of_hub}
    time.sleep(MINUTES * 60)
    return {
        name: [(said, use_since(process, before[process])) for process, said in of_hub.items()]
        for name, of_hub in watched.items()
    }


def main():
    folder = Path(tempfile.mkdtemp(prefix="hubless-bench-"))
    folder.chmod(0o755)
    with ExitStack() as stack:
        hubs = [stack.enter_context(closing(kind(folder))) for kind in ((Ours, Theirs) if HAS_PEER else (Ours,))]
        for hub in hubs:
            start_servers(hub)
        time.sleep(SETTLE_SECONDS)
        taken = watch(hubs)
        sizes = {hub.name: memory(hub_processes(hub)) for hub in hubs}
        shared = memory(hubs[0].fork_servers())
    print(f"{USERS} users, {SERVERS} running servers, watched for {MINUTES:g} minutes; of hubless:\n")
    print("| process | CPU, s/h | sleeps/s |\n| --- | --- | --- |")
    for said, one in taken["hubless"]:
        print(f"| {said} | {one.cpu * 60 / MINUTES:.1f} | {one.sleeps / MINUTES / 60:.1f} |")
    print()
    if HAS_PEER:
        sys.exit(compare(taken, sizes, shared))


def compare(taken, sizes, shared):
    """Print both hubs' figures, and say whether JupyterHub's are better anywhere."""
    cpu, sleeps = (
        {name: sum(getattr(one, what) for _, one in each) / MINUTES / 60 for name, each in taken.items()}
        for what in ("cpu", "sleeps")
    )
    rows = [
        ("CPU of all processes, s/h", cpu["hubless"] * 3600, cpu["JupyterHub"] * 3600),
        ("sleeps of all threads a second", sleeps["hubless"], sleeps["JupyterHub"]),
        ("memory, MB (PSS)", sizes["hubless"][0], sizes["JupyterHub"][0]),
        ("private memory, MB", sizes["hubless"][1], sizes["JupyterHub"][1]),
    ]
    print("| | hubless | JupyterHub | ratio | goal | |\n| --- | --- | --- | --- | --- | --- |")
    for name, mine, its in rows:
        verdict = "met" if mine <= its else "**missed**"
        print(f"| {name} | {mine:.1f} | {its:.1f} | {mine / its:.2f} | ≤ 1 | {verdict} |")
    print(f"| fork server, which servers share: PSS; private | {shared[0]:.0f}; {shared[1]:.0f} | | | | |")
    return any(mine > its for _, mine, its in rows)


if __name__ == "__main__":
    main()
