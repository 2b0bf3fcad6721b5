"""The two hubs that bad days come to: this one and JupyterHub 6.1.1, with the same small program as servers."""

import contextlib
import shutil
import sys
import tempfile
import time
from pathlib import Path

import psutil
from faults import memory
from peer import JupyterHub
from peer import memory as peer_memory

from tests.support.bad_days import ROLES, TOKEN, AnyHub, Hub

TOP = Path(__file__).parents[2]
PROGRAM = (Path(__file__).parent / "server.py").read_text()
CONFIGURATION = """
c.Spawner.cmd = ["{python}", "-S", "-E", "{program}"]
c.JupyterHub.allow_named_servers = True
c.JupyterHub.concurrent_spawn_limit = 0
"""


class Pids:
    def pids(self):
        """Return the ids of the hub's processes that can be killed one by one."""
        return {one.pid for role in self.roles if role not in ("supervisor", "all") for one in self.of_role(role)}


class Ours(Pids, Hub):
    name = "hubless"
    roles = (*ROLES, "supervisor", "all")

    def __init__(self, *options, **facts):
        super().__init__(*options, **facts, program=PROGRAM)

    @property
    def database(self):
        return self.folder / "data/hub.sqlite"

    def megabytes(self):
        """Return the memory of all processes except servers."""
        return sum(memory.megabytes(self.process.pid).values())

    def change(self, old, new):
        """Change a text of the settings; the next start reads it."""
        file = self.folder / "hubless.toml"
        file.write_text(file.read_text().replace(old, new))


class Theirs(Pids, AnyHub):
    """JupyterHub with SimpleLocalProcessSpawner and configurable-http-proxy; nobody but us starts it again."""

    name = "JupyterHub"
    roles = ("hub", "proxy", "all")

    def __init__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="hubless-bench-"))
        program = self.folder / "server.py"
        program.write_text(PROGRAM)
        more = CONFIGURATION.format(python=sys.executable, program=program)
        self.peer = JupyterHub(self.folder, users=0, token=TOKEN, more=more, is_up=False)
        self.port = self.peer.port
        super().__init__(f"http://127.0.0.1:{self.port}", program)

    def up(self):
        self.peer.up()
        return self

    @property
    def database(self):
        return self.peer.folder / "jupyterhub.sqlite"

    def megabytes(self):
        """Return the memory of the hub and its proxy; no server runs meanwhile."""
        return peer_memory(self.peer.process.pid)[0]

    def log(self):
        return (self.peer.folder / "log").read_text()

    def of_role(self, role):
        if role == "hub":
            return [psutil.Process(self.peer.process.pid)]
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                words = process.cmdline()
                if str(self.port) in words and any("configurable-http-proxy" in word for word in words):
                    found.append(process)
        return found

    def kill(self, role):
        """Kill the hub, its proxy or both; who was the hub is started again at once, as a service manager would."""
        for one in ("proxy", "hub") if role == "all" else (role,):
            for process in self.of_role(one):
                process.kill()
        if role != "proxy":
            self.peer.process.wait()
            self.peer.start()
            self.until(self.ask, "GET", "/hub/api")

    def close(self):
        self.peer.close()
        super().close()
        shutil.rmtree(self.folder, ignore_errors=True)


def end_servers_except(hub, owner):
    """Kill the server programs of all others, which the hub has given up or forgotten."""
    for pid in hub.servers_running():
        with contextlib.suppress(psutil.NoSuchProcess):
            process = psutil.Process(pid)
            if process.environ().get("JUPYTERHUB_USER") != owner:
                process.kill()


def is_serving(hub, user):
    """Say whether the hub's API and the user's server answer."""
    return hub.is_ready(user) and hub.is_reached(user)


def seconds_until(what, *args, limit=120, every=0.01):
    """Return after how many seconds *what* was first true, looked at *every* so many; the limit if it never was."""
    began = time.monotonic()
    while not what(*args):
        if time.monotonic() - began > limit:
            return float(limit)
        time.sleep(every)
    return time.monotonic() - began
