"""Whole hubs on which tests and benchmarks bring bad days: killed processes, restored databases, full disks."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

import httpx
import psutil

from tests.support.free_port import free_port

TOP = Path(__file__).parents[2]
TOKEN = "bad-days-token-0123456789"
TIMEOUT_SECONDS = 60  # seconds until something that must happen counts as lost
UNHEARD_SECONDS = 0.05  # until somebody whom the hub does not answer asks again
SERVER = """
import os
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import urlsplit
class Answer(BaseHTTPRequestHandler):
    def do_GET(self):
        body = os.environ["JUPYTERHUB_USER"].encode()
        self.send_response(200); self.send_header("Content-Length", str(len(body))); self.end_headers()
        self.wfile.write(body)
    def log_message(self, *args): pass
HTTPServer(("127.0.0.1", urlsplit(os.environ["JUPYTERHUB_SERVICE_URL"]).port), Answer).serve_forever()
"""
ISOLATING = {"sh", "bwrap", "setpriv"}  # they have the server's program among their arguments
ROLES = {
    "api": "embedded.api",
    "worker": "embedded.worker",
    "edge": "embedded.edge",
    "preloader": "embedded.preloader",
    "haproxy": "haproxy.cfg",
}


class AnyHub:
    """A hub whose servers are small programs, as a client of its REST API sees it."""

    def __init__(self, url, program):
        self.url, self.program = url, program
        self.http = httpx.Client(base_url=url, headers={"Authorization": f"token {TOKEN}"}, timeout=20)

    def log(self):
        """Return what the hub has logged."""
        raise NotImplementedError

    def ask(self, method, path, **options):
        """Return the answer; None when the hub could not give one."""
        with contextlib.suppress(httpx.HTTPError):
            answer = self.http.request(method, path, **options)
            return answer if answer.status_code != 503 else None
        return None

    def until(self, what, *args):
        """Wait for what must come and return it."""
        give_up_at = time.monotonic() + TIMEOUT_SECONDS
        while not (found := what(*args)):
            assert time.monotonic() < give_up_at, f"never: {what.__name__}{args}\n{self.log()[-3000:]}"
            time.sleep(0.1)
        return found

    def server(self, user):
        answer = self.ask("GET", f"/hub/api/users/{user}/server")
        return answer.json() if answer is not None and answer.status_code == 200 else None

    def is_ready(self, user):
        server = self.server(user)
        return server is not None and server["ready"]

    def is_reached(self, user):
        answer = self.ask("GET", f"/user/{user}/api")
        return answer is not None and answer.status_code == 200 and answer.text == user

    def start(self, user):
        self.until(self.ask, "POST", f"/hub/api/users/{user}")
        self.until(self.ask, "POST", f"/hub/api/users/{user}/server")
        self.until(self.is_ready, user)
        return self.server(user)["state"].get("launch_id")  # JupyterHub has none

    def servers_running(self):
        """Return the process ids of all server programs."""
        found = set()
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                names_program = str(self.program) in process.cmdline() and process.status() != psutil.STATUS_ZOMBIE
                if names_program and process.name() not in ISOLATING:
                    found.add(process.pid)
        return found

    def environments(self):
        """Return the variables of each server program that runs."""
        found = []
        for pid in self.servers_running():
            with contextlib.suppress(psutil.Error):
                found.append(psutil.Process(pid).environ())
        return found

    def owners_running(self):
        """Count the server programs that run, by the name of their owner."""
        return Counter(environment.get("JUPYTERHUB_USER", "") for environment in self.environments())

    def close(self):
        self.http.close()
        for pid in self.servers_running():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


class Hub(AnyHub):
    """`hubless up` in a folder of its own."""

    def __init__(self, *options, login="kind = 'shared-password'\npassword = 'bad-days'", culling="", program=SERVER):
        self.folder = Path(tempfile.mkdtemp(prefix="hubless-bad-"))
        self.port, self.options, self.process = free_port(), options, None
        super().__init__(f"http://127.0.0.1:{self.port}", self.folder / "server.py")
        self.program.write_text(program)
        (self.folder / "hubless.toml").write_text(
            f"[login]\n{login}\n"
            f"[servers]\nrun_as_system_users = false\nnamed_limit = 0\n[culling]\nsweep_every = '2s'\n{culling}\n"
            f"[[profiles]]\nname = 'small'\ncommand = ['{sys.executable}', '-S', '-E', '{self.program}']\n"
            f"[[services]]\nname = 'tests'\nadmin = true\ntoken = '{TOKEN}'\n"
        )

    def up(self):
        self.process = self.popen()
        assert self.process.stdout.readline() == "ready\n", self.log()
        return self

    def popen(self, **environment):
        with (self.folder / "log").open("ab") as log:
            return subprocess.Popen(
                [
                    TOP / ".venv/bin/hubless",
                    "up",
                    "--data",
                    self.folder / "data",
                    "--settings",
                    self.folder / "hubless.toml",
                    "--port",
                    str(self.port),
                    "--ready-line",
                    *self.options,
                ],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,
                env=os.environ | environment,
            )

    def refused(self, **environment):
        """Start where it cannot, and return what it says."""
        with self.popen(**environment) as process:
            assert process.wait(TIMEOUT_SECONDS) == 1
        return self.log()

    def command(self, *words):
        """Run a command on the hub's data folder, and return it with what it said."""
        where = ("--data", self.folder / "data", "--settings", self.folder / "hubless.toml")
        program = (TOP / ".venv/bin/hubless", *words, *where)
        return subprocess.run(program, capture_output=True, text=True, check=False, timeout=TIMEOUT_SECONDS)

    def log(self):
        return (self.folder / "log").read_text()

    def of_role(self, role):
        mark, found = ROLES[role], []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                words = process.cmdline()
                if any(mark in word for word in words) and str(self.program) not in words and self._is_mine(process):
                    found.append(process)
        return found

    def _is_mine(self, process):
        if str(self.folder) in " ".join(process.cmdline()) or self.process.pid in {p.pid for p in process.parents()}:
            return True
        locked = self.folder / "data/lock-tree"  # by all children, also those whose preloader has died
        return any(_is_same(file, locked) for file in Path(f"/proc/{process.pid}/fd").glob("*"))

    def kill(self, role):
        if role in {"supervisor", "all"}:
            others = [p for r in ROLES for p in self.of_role(r)] if role == "all" else []
            for process in [psutil.Process(self.process.pid), *others]:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
            self.process.wait()
            self.process.stdout.close()
            self.up()
        else:
            killed = self.of_role(role)
            assert killed, role
            for process in killed:
                process.kill()

    def end(self):
        self.process.send_signal(signal.SIGINT)
        code = self.process.wait(TIMEOUT_SECONDS)
        self.process.stdout.close()
        return code

    def close(self):
        if self.process is not None and self.process.poll() is None:
            self.end()
        super().close()
        shutil.rmtree(self.folder, ignore_errors=True)


def _is_same(file, other):
    """Say whether both are one file; a process may close its own, or end, at any moment."""
    try:
        return file.samefile(other)
    except OSError:
        return False


class Load(threading.Thread):
    """Somebody who makes users and starts and stops their servers while this is open."""

    def __init__(self, hub, prefix="user", pause=0.0):
        super().__init__()
        self._hub, self._prefix, self._pause, self._is_over = hub, prefix, pause, threading.Event()
        self.asked, self.acknowledged = [], []
        self.servers = []  # owners of servers whose start was acknowledged, and that nobody stops

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self._is_over.set()
        self.join()

    def run(self):
        number = 0
        while not self._is_over.wait(self._pause):
            name = f"{self._prefix}{number}"
            self.asked.append(name)
            made = self._hub.ask("POST", f"/hub/api/users/{name}")
            if made is None:  # a name that nobody hears is still looked for afterwards
                self._is_over.wait(UNHEARD_SECONDS)
            elif made.status_code == 201:
                self.acknowledged.append(name)
            if number % 4 == 0:
                asked = self._hub.ask("POST", f"/hub/api/users/{name}/server")
                if number % 8 and asked is not None and asked.is_success:
                    self.servers.append(name)
            if number % 8 == 0:
                self._hub.ask("DELETE", f"/hub/api/users/{name}/server")
            number += 1

    def has_acknowledged(self, count):
        return len(self.acknowledged) >= count

    def lost(self):
        """Return the users whose creation was acknowledged and who are not there, each with the answer's status."""
        found = {name: self._hub.until(self._hub.ask, "GET", f"/hub/api/users/{name}") for name in self.acknowledged}
        return [f"{name}: {answer.status_code}" for name, answer in found.items() if answer.is_error]

    def models(self):
        """Return the models of the servers of all users for whom it asked."""
        return [model for name in self.asked if (model := self._hub.server(name)) is not None]
