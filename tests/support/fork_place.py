"""A folder with a fork server, and what it forks: servers that write down what they have."""

import json
import os
import signal

import psutil

from hubless.adapters.processes.fork_servers import ForkRequest, ForkServers
from tests.support.concurrency import eventually
from tests.support.processes import is_alive

PATH = {"PATH": os.environ["PATH"]}


class Place:
    """A folder with a fork server and what it forks."""

    def __init__(self, folder, command, environment=PATH, *, patience=0, kernels=False):
        self.folder, self.command, self.environment = folder, command, environment
        self.home = folder / "home"
        self.home.mkdir(exist_ok=True)
        self.forks = ForkServers(folder / "fork-servers", environment, patience=patience, kernels=kernels)
        self.pids = []

    def fork(self, name="a", *arguments, forks=None, account=None, **variables):
        """Fork a server, and return what it says of itself. *account* is its user id, group id and further groups."""
        answer = self.folder / f"{name}.json"
        if account is not None:
            answer.touch()
            for own in (answer, self.home):
                os.chown(own, *account[:2])
        (launch := self.folder / name).mkdir()
        opened = [os.open(launch / file, os.O_CREAT | os.O_RDWR) for file in ("log", "lock", "pid")]
        given = {**self.environment, "HOME": str(self.home), "USER": "ada", "ANSWER": str(answer), **variables}
        request = ForkRequest(
            arguments, given, self.home, opened[0], opened[1:], launch, account, None, (), None, 500
        )  # fmt: skip
        try:
            (forks or self.forks).fork(self.command, self.environment["PATH"], request, self.pids.append)
        finally:
            for descriptor in opened:
                os.close(descriptor)
        return eventually(lambda: _whole(answer))

    def processes(self):
        """Return the processes of the fork servers themselves."""
        found = [one for one in psutil.process_iter() if str(self.folder / "fork-servers") in " ".join(_words(one))]
        return [one.pid for one in found if is_alive(one.pid)]

    def close(self):
        for pid in self.pids:
            if is_alive(pid):
                os.kill(pid, signal.SIGKILL)
        self.forks.close()
        eventually(lambda: not self.processes())


def _whole(answer):
    """Return what the server has written, once it has written all of it."""
    try:
        return json.loads(answer.read_text())
    except (FileNotFoundError, ValueError):
        return None


def _words(process):
    try:
        return process.cmdline()
    except psutil.Error:
        return []
