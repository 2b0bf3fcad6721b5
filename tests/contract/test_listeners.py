"""Who listens on a port, as the kernel tells it."""

import contextlib
import os
import socket
import subprocess
import sys

import pytest

from hubless.adapters.processes import listeners, own_port

HOLD = """
import socket, sys
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
sys.stdin.read()
"""
# The listener is a child's: `sh` runs it, and waits.
BY_A_CHILD = ["/bin/sh", "-c", '"$@"; exit $?', "sh", sys.executable, "-c", HOLD]


@contextlib.contextmanager
def running(command):
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield process.pid, int(process.stdout.readline())
        process.stdin.close()


@pytest.mark.parametrize(("family", "address"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
def test_a_listening_socket_is_found_by_its_port(family, address):
    with socket.create_server((address, 0), family=family) as ours, socket.create_server(("127.0.0.1", 0)) as other:
        port, its = ours.getsockname()[1], f"socket:[{os.fstat(ours.fileno()).st_ino}]"
        assert its in listeners.sockets_on(port)
        assert listeners.has_one_of(os.getpid(), listeners.sockets_on(port))
        assert its not in listeners.sockets_on(other.getsockname()[1])
    assert its not in listeners.sockets_on(port)  # which another test may have by now


def test_a_connection_is_no_listener():
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        assert listeners.sockets_on(client.getsockname()[1]) == frozenset()


@pytest.mark.parametrize("command", [[sys.executable, "-c", HOLD], BY_A_CHILD], ids=["itself", "by a child"])
@pytest.mark.parametrize("does_tell", [True, False], ids=["sock_diag", "/proc/net/tcp"])
def test_a_server_listens_on_its_own_port_alone(monkeypatch, command, does_tell):
    if not does_tell:
        monkeypatch.delattr(socket, "AF_NETLINK")
    with running(command) as (pid, port), running([sys.executable, "-c", HOLD]) as (other, others):
        assert own_port._listens([pid], port)
        assert not own_port._listens([pid], others)
        assert not own_port._listens([other], port)
        assert own_port._listens([other, pid], port)
    assert not own_port._listens([pid], port)


def test_a_process_that_hides_its_files_or_has_ended_listens_nowhere():
    assert not listeners.has_one_of(2**22 + 1, frozenset({"socket:[1]"}))
    assert not own_port._listens([2**22 + 1], 80)
