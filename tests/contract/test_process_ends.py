"""Whoever follows servers' processes learns from the kernel when one ends."""

import os
import select
import subprocess
from contextlib import closing

import pytest

from hubless.adapters.processes.launch_folder import LaunchFolder
from hubless.adapters.processes.process_ends import ProcessEnds
from hubless.adapters.processes.process_use import start_of

NEVER_MILLISECONDS = 60_000


@pytest.fixture
def server(tmp_path):
    """A process that ends when told, noted as that of launch l1."""
    folder = LaunchFolder(tmp_path / "servers" / "l1")
    folder.make()
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as process:
        folder.pid_file.write_text(f"{process.pid} {start_of(process.pid)}")
        yield process


def ends_within(ends, milliseconds):
    poll = select.poll()
    poll.register(ends.fileno(), select.POLLIN)
    return bool(poll.poll(milliseconds))


def test_an_end_is_told_once(tmp_path, server):
    with closing(ProcessEnds(tmp_path / "servers")) as ends:
        ends.follow()
        ends.follow()
        assert not ends_within(ends, 0)
        assert not ends.take()
        server.stdin.close()
        assert ends_within(ends, NEVER_MILLISECONDS)
        assert ends.take()
        assert not ends.take()
        assert not ends_within(ends, 0)


def test_a_process_that_has_another_ones_id_is_not_followed(tmp_path, server):
    LaunchFolder(tmp_path / "servers" / "l1").pid_file.write_text(f"{server.pid} 1")
    with closing(ProcessEnds(tmp_path / "servers")) as ends:
        ends.follow()
        server.stdin.close()
        server.wait()
        assert not ends.take()


def test_a_hub_without_servers_follows_none(tmp_path):
    with closing(ProcessEnds(tmp_path / "servers")) as ends:
        ends.follow()
        assert not ends.take()
        assert ends.is_told


@pytest.mark.parametrize("error", [OSError(38, "Function not implemented"), AttributeError("pidfd_open")])
def test_a_kernel_or_a_python_that_tells_nothing_is_known(tmp_path, server, monkeypatch, error):
    def refuse(_pid):
        raise error

    monkeypatch.setattr(os, "pidfd_open", refuse)
    with closing(ProcessEnds(tmp_path / "servers")) as ends:
        ends.follow()
        assert not ends.is_told
        assert not ends.take()
