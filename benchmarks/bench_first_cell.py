"""The first result of a new notebook: a kernel that starts as a program, and one that is forked, in turns.

Two hubs of this checkout run real `jupyterhub-singleuser`, with `fork_kernels` off and on. Measured are the time from
opening a notebook until the result of `1+1` is there, through the proxy and a WebSocket as JupyterLab does it, and the
kernel's CPU time and private memory. Prints a table; fails if the goal is missed.
"""

import json
import os
import statistics
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

import httpx
import psutil
from websockets.sync.client import connect

TOP = Path(__file__).parents[1]
sys.path.insert(0, str(TOP))

from tests.support.local_hub import LocalHub  # noqa: E402 of this checkout

ROUNDS = int(os.environ.get("ROUNDS", "15"))
PROGRAM = TOP / ".venv-servers" / "bin" / "jupyterhub-singleuser"
TOKEN = "benchmark-token-0123456789"
GIVE_UP_SECONDS = 120
SETTINGS = """
[login]
kind = "shared-password"
password = "benchmark"
[servers]
fork_kernels = {forks}
[[profiles]]
name = "default"
command = ["{program}"]
[[services]]
name = "benchmark"
admin = true
token = "{token}"
"""


class Class:
    """A hub with one running server."""

    def __init__(self, folder, *, forks):
        folder.mkdir(mode=0o755)
        settings = SETTINGS.format(forks=str(forks).lower(), program=PROGRAM, token=TOKEN)
        self.hub = LocalHub(folder, settings, admin_token=TOKEN)
        self.hub.admin.post("/users/ada").raise_for_status()
        token = self.hub.admin.post("/users/ada/tokens", json={}).json()["token"]
        self.hub.admin.post("/users/ada/server").raise_for_status()
        self.headers = {"Authorization": f"token {token}"}
        self.http = httpx.Client(base_url=f"{self.hub.url}/user/ada/", headers=self.headers, timeout=60)
        end = time.monotonic() + GIVE_UP_SECONDS
        while not self._answers():
            if time.monotonic() > end:
                raise RuntimeError(f"the server never came\n{self.hub.log()[-2000:]}")
            time.sleep(0.1)

    def _answers(self):
        answer = self.http.get("api/contents")
        return answer.status_code == 200 and "content" in answer.json()

    def first_result(self):
        """Open a notebook and run a cell; return the seconds until its result, and its kernel's CPU s and MB."""
        began = time.monotonic()
        body = {"path": "a.ipynb", "name": "a.ipynb", "type": "notebook", "kernel": {"name": "python3"}}
        session = self.http.post("api/sessions", json=body).raise_for_status().json()
        address = f"{self.hub.url.replace('http', 'ws', 1)}/user/ada/api/kernels/{session['kernel']['id']}/channels"
        with connect(f"{address}?session_id=s", additional_headers=self.headers) as channels:
            _run(channels, "1+1")
            took = time.monotonic() - began
            kernel = _process_of(session["kernel"]["id"])
            times = kernel.cpu_times()
            private = kernel.memory_full_info().uss / 1e6
        self.http.delete(f"api/sessions/{session['id']}").raise_for_status()
        return took, times.user + times.system, private

    def close(self):
        self.http.close()
        self.hub.close()


def _run(channels, code):
    header = {"msg_id": "1", "msg_type": "execute_request", "username": "", "session": "s", "version": "5.3"}
    content = {"code": code, "silent": False, "user_expressions": {}, "allow_stdin": False}
    request = {"header": header, "parent_header": {}, "metadata": {}, "content": content, "channel": "shell"}
    channels.send(json.dumps(request))
    while json.loads(channels.recv(timeout=GIVE_UP_SECONDS))["msg_type"] != "execute_result":
        pass


def _process_of(kernel):
    for process in psutil.process_iter():
        try:
            words = process.cmdline()
        except psutil.Error:
            continue
        if "ipykernel_launcher" in words and kernel in words[-1]:
            return process
    raise RuntimeError("the kernel has no process")


def main():
    folder = Path(tempfile.mkdtemp(prefix="hubless-bench-"))
    folder.chmod(0o755)
    figures = {True: [], False: []}
    with closing(Class(folder / "off", forks=False)) as off, closing(Class(folder / "on", forks=True)) as on:
        for turn in range(ROUNDS + 1):  # the first one warms
            for forks, one in ((False, off), (True, on)) if turn % 2 else ((True, on), (False, off)):
                figures[forks].append(one.first_result())
                time.sleep(1)  # until the kernel has ended
    measured = {kind: figures[kind][1:] for kind in (False, True)}
    started, forked = ([statistics.median(column) for column in zip(*measured[k], strict=True)] for k in (False, True))
    print("| a new notebook's kernel | as a program | forked | ratio | goal |\n| --- | --- | --- | --- | --- |")
    rows = (("first result, s", 1 / 2), ("CPU of the kernel until then, s", None), ("private memory, MB", None))
    for (what, goal), was, now in zip(rows, started, forked, strict=True):
        print(f"| {what} | {was:.2f} | {now:.2f} | {now / was:.2f} | {f'<= {goal:.2f}' if goal else ''} |")
    slowest = [max(one[0] for one in measured[kind]) for kind in (False, True)]
    print(f"| slowest of {ROUNDS}, s | {slowest[0]:.2f} | {slowest[1]:.2f} | | |")
    sys.exit(forked[0] > started[0] / 2)


if __name__ == "__main__":
    main()
