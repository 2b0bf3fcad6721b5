"""A class on one machine: real servers that start together, here and at JupyterHub 6.1.1, with the same packages.

Both hubs run `jupyterhub-singleuser` of this checkout (`make up` installs it). In turns: one start alone, then
AT_ONCE at once. Measured are the time from the first press until each is reachable through the proxy, the CPU time of
servers with the programs that they ran, and of fork servers, and the private memory of an idle server. Prints a table;
fails if a goal is missed. With PEER=0 only this hub starts its class, and its waits are printed.
"""

import concurrent.futures
import os
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack, closing
from pathlib import Path

import httpx
import psutil
from peer import JupyterHub

TOP = Path(__file__).parents[1]
sys.path.insert(0, str(TOP))

from tests.support.local_hub import LocalHub  # noqa: E402 of this checkout

AT_ONCE = int(os.environ.get("AT_ONCE", "20"))
ROUNDS = int(os.environ.get("ROUNDS", "2"))
HAS_PEER = os.environ.get("PEER", "1") != "0"
PROGRAM = TOP / ".venv-servers" / "bin" / "jupyterhub-singleuser"
TOKEN = "benchmark-token-0123456789"
GIVE_UP_SECONDS = 300
SETTLE_SECONDS = 5  # until servers have finished what they do after their first answer
OURS = f"""
[login]
kind = "shared-password"
password = "benchmark"
[servers]
start_timeout = "5m"
launch_timeout = "5m"
[[profiles]]
name = "default"
command = ["{PROGRAM}"]
[[services]]
name = "benchmark"
admin = true
token = "{TOKEN}"
"""
THEIRS = f"""
c.Spawner.cmd = ["{PROGRAM}"]
c.Spawner.args = ["--allow-root"]
c.Spawner.start_timeout = 300
c.Spawner.http_timeout = 300
c.JupyterHub.concurrent_spawn_limit = 0
"""


class Ours(LocalHub):
    """This hub; its servers run in a sandbox, as they do by default."""

    name = "hubless"

    def __init__(self, folder):
        (place := folder / "hubless").mkdir()
        super().__init__(place, OURS, admin_token=TOKEN)
        self.root, self.proxy = self.process.pid, self.url
        place.chmod(0o755)


class Theirs(JupyterHub):
    """JupyterHub with SimpleLocalProcessSpawner."""

    name = "JupyterHub"

    def __init__(self, folder):
        super().__init__(folder, users=0, token=TOKEN, more=THEIRS)
        self.root, self.proxy = self.process.pid, f"http://127.0.0.1:{self.port}"


def servers():
    """Return the processes of all servers: whoever's command line names the program, and what is below them."""
    found = {}
    for process in psutil.process_iter():
        try:
            words = " ".join(process.cmdline())
            if str(PROGRAM) in words and "fork_server" not in words and "bwrap" not in words:
                found |= {one.pid: one for one in [process, *process.children(recursive=True)]}
        except psutil.Error:
            continue
    return list(found.values())


def starters(hub):
    """Return the hub's fork servers."""
    found = [(one, " ".join(_words(one))) for one in psutil.process_iter()]
    return [one for one, words in found if "fork_server" in words and str(hub.folder) in words]


def _words(process):
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def cpu_seconds(processes):
    total = 0.0
    for process in processes:
        try:
            used = process.cpu_times()
        except psutil.Error:
            continue
        total += used.user + used.system + used.children_user + used.children_system
    return total


def start(hub, names):
    """Start a server for each name at once; return how long each waited, and the CPU seconds of all together."""
    http = httpx.Client(base_url=hub.proxy, headers={"Authorization": f"token {TOKEN}"}, timeout=60)
    http.post("/hub/api/users", json={"usernames": names}).raise_for_status()
    tokens = {name: http.post(f"/hub/api/users/{name}/tokens", json={}).json()["token"] for name in names}
    before, began = cpu_seconds(starters(hub)), time.monotonic()

    def press(name):
        with httpx.Client(base_url=hub.proxy, timeout=60) as browser:
            asked = browser.post(f"/hub/api/users/{name}/server", headers={"Authorization": f"token {TOKEN}"})
            asked.raise_for_status()
            while time.monotonic() - began < GIVE_UP_SECONDS:
                try:
                    answer = browser.get(
                        f"/user/{name}/api/contents", headers={"Authorization": f"token {tokens[name]}"}
                    )
                    if answer.status_code == 200 and "content" in answer.json():
                        return time.monotonic() - began
                except (httpx.HTTPError, ValueError):
                    pass
                time.sleep(0.1)
        raise RuntimeError(f"{hub.name}: the server of {name} never came\n{(hub.folder / 'log').read_text()[-2000:]}")

    with concurrent.futures.ThreadPoolExecutor(len(names)) as pool:
        waits = list(pool.map(press, names))
    time.sleep(SETTLE_SECONDS)
    running = servers()
    used = cpu_seconds(running) + cpu_seconds(starters(hub)) - before
    private = [p.memory_full_info().uss / 1e6 for p in running if p.name().startswith(("jupyterhub", "python"))]
    for name in names:
        http.delete(f"/hub/api/users/{name}/server")
    while servers():
        time.sleep(0.2)
    http.close()
    return waits, used / len(names), statistics.median(private)


def main():
    folder = Path(tempfile.mkdtemp(prefix="hubless-bench-"))
    folder.chmod(0o755)
    figures = {}
    with ExitStack() as stack:
        hubs = [stack.enter_context(closing(kind(folder))) for kind in ((Ours, Theirs) if HAS_PEER else (Ours,))]
        for turn in range(ROUNDS + 1):  # the first one warms
            for hub in hubs if turn % 2 else reversed(hubs):
                alone, _, _ = start(hub, [f"alone{turn}"])
                waits, used, private = start(hub, [f"student{turn}x{number:03}" for number in range(AT_ONCE)])
                if turn:
                    figures.setdefault(hub.name, []).append(
                        (used, max(waits), alone[0], private, statistics.median(waits))
                    )
    medians = {name: [statistics.median(column) for column in zip(*of, strict=True)] for name, of in figures.items()}
    for name, found in medians.items():
        print(f"{name}: {AT_ONCE} at once, all reachable; median wait {found[4]:.1f} s, longest {found[1]:.1f} s")
    if HAS_PEER:
        sys.exit(compare(*medians.values()))


def compare(mine, its):
    """Print both hubs' figures, and say whether a goal was missed."""
    rows = [
        (f"CPU seconds of a server, {AT_ONCE} at once", 1 / 6),
        (f"{AT_ONCE} at once, press to all reachable, s", 1 / 5),
        ("one alone, press to reachable, s", 1 / 3),
        ("private memory of an idle server, MB", 0.6),
    ]
    print("| | hubless | JupyterHub | ratio | goal | |\n| --- | --- | --- | --- | --- | --- |")
    missed = False
    for number, (name, goal) in enumerate(rows):
        ratio = mine[number] / its[number]
        missed |= ratio > goal
        verdict = "met" if ratio <= goal else "**missed**"
        print(f"| {name} | {mine[number]:.2f} | {its[number]:.2f} | {ratio:.2f} | ≤ {goal:.2f} | {verdict} |")
    return missed


if __name__ == "__main__":
    main()
