"""Bad days of fork servers: whatever fails in the middle of a start, each server runs once, or is told why not."""

import os
import signal
import sys
from contextlib import closing

import pytest

from hubless.adapters.processes.fork_servers import ForkServers, UnfitError
from tests.support.concurrency import concurrently, eventually
from tests.support.fork_place import Place
from tests.support.processes import is_alive, make_environment

# A server that notes each run of it.
SERVER = """
import json, os, sys, time
with open("../runs", "a") as runs:
    runs.write(os.path.basename(os.environ["ANSWER"]) + "\\n")
with open(os.environ["ANSWER"], "w") as answer:
    json.dump({"pid": os.getpid(), "modules": sorted(sys.modules)}, answer)
time.sleep(600)
"""
# A package of the servers, which the fork server loads: its next fork(2) fails as the file says.
FAULTS = """
import errno, os, signal
real = os.fork

def fork():
    try:
        with open(FILE) as file:
            fault = file.read()
    except FileNotFoundError:
        return real()
    if fault == "no memory":
        raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))
    os.unlink(FILE)
    if fault == "killed before it":
        os.kill(os.getpid(), signal.SIGKILL)
    pid = real()
    if (fault == "killed after it") == (pid != 0):
        os.kill(os.getpid(), signal.SIGKILL)
    return pid

os.fork = fork
"""


class FaultyPlace(Place):
    """A fork server whose next fork fails as it is told."""

    def __init__(self, folder):
        super().__init__(folder, make_environment(folder / "venv", sys.executable, SERVER))
        (self.package,) = (folder / "venv").glob("lib/python3*/site-packages/jupyterhub")
        self.fault = folder / "fault"
        (self.package / "faults.py").write_text(f"FILE = {str(self.fault)!r}\n{FAULTS}")
        self.imports("jupyterhub.faults")

    def imports(self, module):
        file = self.package / "singleuser" / "__init__.py"
        file.write_text(f"import {module}\n{file.read_text()}")

    def runs(self):
        return sorted((self.folder / "runs").read_text().split())

    def fork_many(self, times, before=lambda _number: None):
        """Fork as many servers at once, and return what became of each that did not run; call *before* each."""

        def fork(number):
            before(number)
            self.fork(f"s{number:02}")

        outcomes = concurrently(fork, times)
        return [one for one in outcomes if one is not None]


@pytest.fixture
def place(tmp_path):
    made = FaultyPlace(tmp_path)
    yield made
    made.close()


@pytest.mark.parametrize("fault", ["killed before it", "killed after it", "the child is killed"])
def test_a_kill_in_the_middle_of_a_fork_starts_the_server_once(place, fault):
    place.fork("first")
    (parent,) = place.processes()
    place.fault.write_text(fault)
    said = place.fork("second")
    assert not place.fault.exists()
    assert place.runs() == ["first.json", "second.json"]
    assert place.pids[-1] == said["pid"]
    assert is_alive(said["pid"])
    eventually(lambda: is_alive(parent) == (fault == "the child is killed"))
    place.fork("third")
    assert len(place.processes()) == 1


def test_without_memory_for_a_fork_servers_start_in_the_usual_way(place):
    place.fork("first")
    (parent,) = place.processes()
    place.fault.write_text("no memory")
    with pytest.raises(UnfitError, match=r"cannot fork: .*Cannot allocate memory"):
        place.fork("second")
    place.fault.unlink()
    place.fork("third")
    assert place.runs() == ["first.json", "third.json"]
    assert place.processes() == [parent]


def test_an_upgrade_while_servers_start_starts_each_once(place):
    def upgrade(number):
        if number == 5:
            (place.package / "newer.py").touch()
            place.imports("jupyterhub.newer")
            (place.package.parent / "jupyterhub-7.dist-info").mkdir()  # as each installation does

    place.fork("first")
    assert place.fork_many(12, upgrade) == []
    assert place.runs() == ["first.json", *(f"s{number:02}.json" for number in range(12))]
    assert "jupyterhub.newer" in place.fork("last")["modules"]
    eventually(lambda: len(place.processes()) == 1)


def test_a_hub_lets_go_of_a_fork_server_that_another_hub_replaced(place):
    other = ForkServers(place.folder / "fork-servers", place.environment, patience=0)
    with closing(other):
        place.fork("first")
        os.kill(*place.processes(), signal.SIGKILL)
        place.fork("second", forks=other)
        place.fork("third")  # a connection that is left open fails the test
        assert len(place.processes()) == 1


def test_a_hundred_requests_while_the_fork_server_dies_run_once_each(place):
    place.fork("first")
    (parent,) = place.processes()

    def kill(number):
        if number == 30:
            eventually(lambda: len(place.runs()) > 10)
            os.kill(parent, signal.SIGKILL)

    assert place.fork_many(100, kill) == []
    assert place.runs() == ["first.json", *(f"s{number:02}.json" for number in range(100))]
    assert parent not in place.processes()
    assert len({*place.pids}) == len(place.pids) == 101
