"""The REST API against JupyterHub 6.1.1: the same requests to one API process each, port direct, 16 connections.

Bounded: a few seconds a measurement, loopback only, one hub at a time. Both hold 10,000 users; hubless also 50,000
tokens and 2,000 running servers. Needs `wrk` (Debian: apt-get install wrk), and npm or what peer.py names. Prints a
Markdown table; the ratio of CPU time says more than that of requests/s where other programs run. ONLY chooses the cases
whose name has that text.
"""

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx
import psutil
from peer import JupyterHub, free_port

from hubless.adapters.sqlite.database import Database
from hubless.adapters.sqlite.servers import SqliteServerStore
from hubless.adapters.sqlite.tokens import SqliteTokenStore
from hubless.adapters.sqlite.users import SqliteUserStore
from hubless.domain.lifecycle import Server, State
from hubless.domain.tokens import OwnerKind, Token, sha256
from hubless.domain.users import User

SECONDS = int(os.environ.get("SECONDS_EACH", "6"))
ONLY = os.environ.get("ONLY", "")
ROUNDS = int(os.environ.get("ROUNDS", "5"))
TOP = Path(__file__).parents[1]
CONNECTIONS = 16
USERS, TOKENS, SERVERS = 10_000, 50_000, 2_000
BULK, BULKS = 100, 10
TOKEN = "benchmark-token-0123456789"
FILL = """
import sys
from pathlib import Path
sys.path.insert(0, "benchmarks")
import bench_api
bench_api.fill(Path(sys.argv[1]))
"""
SERVE = """
import gc, sys, uvicorn
from pathlib import Path
from functions.api.app import create_app
from hubless import settings
from hubless.bootstrap import machine
hub = machine.build(settings.load(Path(sys.argv[1]) / "hubless.toml", Path(sys.argv[1])))
app = create_app(hub)
gc.collect()
gc.freeze()  # as the embedded hub does
uvicorn.run(app, port=int(sys.argv[2]), access_log=False, log_level="warning", loop="uvloop", http="httptools")
"""


@dataclass(frozen=True)
class Case:
    """One kind of request: what is asked, as Lua, and how many times JupyterHub's requests/s are the goal."""

    name: str
    goal: int
    method: str
    path: str
    body: str = '""'
    as_user: bool = False


RANDOM = '"/hub/api/users/" .. string.format("user%05d", math.random(0, 9999))'
ALL_CASES = [
    Case("`GET /user`", 3, "GET", '"/hub/api/user"', as_user=True),
    Case("`GET /users/{name}`", 6, "GET", RANDOM),
    Case("`GET /users?limit=50`", 20, "GET", '"/hub/api/users?limit=50&offset=" .. math.random(0, 9900)'),
    Case(
        "`GET /users?name_filter=`",
        20,
        "GET",
        '"/hub/api/users?name_filter=" .. string.format("%04d", math.random(0, 999))',
    ),
    Case("`POST /users/{name}/activity`", 8, "POST", RANDOM + ' .. "/activity"', r'"{\"last_activity\":\"NOW\"}"'),
    Case("`POST /users/{name}/tokens`", 8, "POST", RANDOM + ' .. "/tokens"', '"{}"'),
]
CASES = [case for case in ALL_CASES if ONLY in case.name]


def script(case, token):
    body = case.body.replace("NOW", datetime.now(UTC).isoformat())
    return f"""
local headers = {{ ["Authorization"] = "token {token}", ["Content-Type"] = "application/json" }}
math.randomseed(7)
request = function() return wrk.format("{case.method}", {case.path}, headers, {body}) end
local bad = 0
response = function(status) if status >= 400 then bad = bad + 1 end end
"""


def load(folder, url, case, token, seconds):
    """Return (requests/s, p50 ms, p99 ms) and fail on any error answer."""
    (folder / "case.lua").write_text(script(case, token))
    out = subprocess.run(
        [
            "wrk",
            "-t1",
            f"-c{CONNECTIONS}",
            f"-d{seconds}s",
            "--timeout",
            "30s",
            "--latency",
            "-s",
            folder / "case.lua",
            url,
        ],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    if "Non-2xx" in out:
        raise RuntimeError(f"{case.name}: {out}")
    return float(re.search(r"Requests/sec:\s+([\d.]+)", out)[1]), milliseconds(out, "50%"), milliseconds(out, "99%")


def milliseconds(out, which):
    found = re.search(rf"{which}\s+([\d.]+)(us|ms|s|m)\n", out)
    if found is None:
        return float("nan")  # no request was answered in the time
    return float(found[1]) * {"us": 0.001, "ms": 1, "s": 1000, "m": 60_000}[found[2]]


def measure(folder, hub):
    """Return the figures of each case, with the CPU time of a request in s, and users/s of bulk creation."""
    http = httpx.Client(base_url=hub.url, headers={"Authorization": f"token {TOKEN}"}, timeout=120)
    made = http.post("/hub/api/users/user00000/tokens", json={})
    made.raise_for_status()
    figures = []
    for case in CASES:
        token = made.json()["token"] if case.as_user else TOKEN
        load(folder, hub.url, case, token, 1)  # warm
        before = hub.cpu_seconds()
        rate, p50, p99 = load(folder, hub.url, case, token, SECONDS)
        figures.append((rate, p50, p99, (hub.cpu_seconds() - before) / (rate * SECONDS)))
    began = time.monotonic()
    for n in range(BULKS):
        http.post("/hub/api/users", json={"usernames": [f"bulk{n:02}-{i:03}" for i in range(BULK)]}).raise_for_status()
    return figures, BULK * BULKS / (time.monotonic() - began)


def fill(folder):
    """Write what the hub holds, by its own stores."""
    database, now = Database(folder / "hub.sqlite"), datetime.now(UTC)
    users = [User(id=f"u{n:05}", name=f"user{n:05}", created_at=now) for n in range(USERS)]
    SqliteUserStore(database).create(users)
    tokens, servers = SqliteTokenStore(database), SqliteServerStore(database)
    with database.transaction():
        for n in range(TOKENS):
            tokens.create(Token(f"a{n:06}", sha256(f"t{n}"), OwnerKind.USER, f"u{n % USERS:05}", ("inherit",), now))
        for n in range(SERVERS):
            owner = f"u{n * (USERS // SERVERS):05}"
            servers.create(
                Server(
                    id=f"s{n}",
                    owner_id=owner,
                    name="",
                    created_at=now,
                    entered_at=now,
                    state=State.READY,
                    launch_id=f"l{n}",
                    started_at=now,
                    address="127.0.0.1:1",
                    profile="default",
                )
            )
    database.close()


class Hubless:
    """The API process of a worktree by itself, whose own code fills the store; *more* are lines of settings."""

    def __init__(self, folder, tree=TOP, more=""):
        self.folder = folder / tree.name
        self.folder.mkdir()
        (self.folder / "secret").write_bytes(os.urandom(32))
        (self.folder / "hubless.toml").write_text(
            f"[login]\nkind = 'shared-password'\npassword = 'benchmark'\n{more}"
            f"[[services]]\nname = 'benchmark'\nadmin = true\ntoken = '{TOKEN}'\n"
        )
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        how = {"cwd": tree, "env": os.environ | {"PYTHONPATH": str(tree)}}
        subprocess.run([sys.executable, "-c", FILL, self.folder], check=True, **how)
        self.process = subprocess.Popen([sys.executable, "-c", SERVE, self.folder, str(port)], **how)
        for _ in range(100):
            try:
                httpx.get(f"{self.url}/hub/api").raise_for_status()
            except httpx.HTTPError:
                time.sleep(0.1)
            else:
                return
        raise RuntimeError("the API does not answer")

    def cpu_seconds(self):
        used = psutil.Process(self.process.pid).cpu_times()
        return used.user + used.system

    def close(self):
        self.process.terminate()
        self.process.wait(30)


def compare(folder, other):
    """Print this tree's requests/s beside those of the worktree *other*, measured in turns."""
    with ExitStack() as stack:
        trees = [stack.enter_context(closing(Hubless(folder, tree))) for tree in (TOP, other)]
        take_turns(folder, trees)


def take_turns(folder, trees):
    tokens = []
    for tree in trees:
        headers = {"Authorization": f"token {TOKEN}"}
        made = httpx.post(f"{tree.url}/hub/api/users/user00000/tokens", json={}, headers=headers, timeout=30)
        tokens.append(made.raise_for_status().json()["token"])
    print(f"| request | requests/s | {trees[1].folder.name} | ratio | lowest, highest of a round | by CPU time |")
    print("| --- | --- | --- | --- | --- | --- |")
    for case in CASES:
        rates, costs = ([], []), ([], [])
        for turn in range(ROUNDS + 1):
            for which in (0, 1) if turn % 2 else (1, 0):
                token = tokens[which] if case.as_user else TOKEN
                seconds, before = SECONDS if turn else 1, trees[which].cpu_seconds()
                rates[which].append(load(folder, trees[which].url, case, token, seconds)[0])
                costs[which].append((trees[which].cpu_seconds() - before) / (rates[which][-1] * seconds))
        ours, theirs = (each[1:] for each in rates)  # the first turn warms
        cpu = statistics.median(costs[1][1:]) / statistics.median(costs[0][1:])
        ratios = sorted(mine / its for mine, its in zip(ours, theirs, strict=True))
        print(
            f"| {case.name} | {statistics.median(ours):.0f} | {statistics.median(theirs):.0f}"
            f" | {statistics.median(ratios):.2f} | {ratios[0]:.2f}, {ratios[-1]:.2f} | {cpu:.2f} |",
            flush=True,
        )


def main():
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument(
        "--against", type=Path, help="a worktree of another commit, measured in turns in place of JupyterHub"
    )
    other = asked.parse_args().against
    folder = Path(tempfile.mkdtemp(prefix="hubless-bench-"))
    if other is not None:
        compare(folder, other.resolve())
        return
    hubless = Hubless(folder)
    ours, our_bulk = measure(folder, hubless)
    hubless.close()
    print(f"(hubless alone: {[round(rate) for rate, *_ in ours]}, bulk {our_bulk:.0f} users/s)", file=sys.stderr)
    peer = JupyterHub(folder, users=USERS, token=TOKEN)
    theirs, their_bulk = measure(folder, peer)
    peer.close()
    print("| request | requests/s | JupyterHub | ratio | goal | p50, p99 ms | JupyterHub's p50 | ratio of CPU time |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for case, (rate, p50, p99, cpu), (peer_rate, peer_p50, _, peer_cpu) in zip(CASES, ours, theirs, strict=True):
        print(
            f"| {case.name} | {rate:.0f} | {peer_rate:.0f} | {rate / peer_rate:.1f} | ≥ {case.goal} "
            f"| {p50:.1f}, {p99:.1f}"
            f" | {peer_p50:.1f} | {peer_cpu / cpu:.1f} |"
        )
    print(
        f"| `POST /users`, {BULK} at once, users/s | {our_bulk:.0f} | {their_bulk:.0f} "
        f"| {our_bulk / their_bulk:.1f} | ≥ 20 | | | |"
    )


if __name__ == "__main__":
    main()
