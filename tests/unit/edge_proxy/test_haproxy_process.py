"""How a HAProxy is known whose socket and pid file are gone."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from edge_proxy.haproxy_binary import HAProxyBinary
from edge_proxy.haproxy_config import EdgeConfiguration, UnixSocket
from edge_proxy.haproxy_process import HAProxyProcess, haproxies_of
from tests.support.concurrency import eventually


def test_a_haproxy_is_known_by_arguments_and_account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    edge = EdgeConfiguration("127.0.0.1", 8000, UnixSocket(tmp_path / "api.sock"), tmp_path)
    command = [sys.executable, "-c", "input()", "-db", "-f", str(edge.file)]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        eventually(lambda: haproxies_of(edge) == [process.pid])  # Linux names a program's arguments a moment later
        monkeypatch.setattr("os.getuid", lambda: 12_345)
        assert haproxies_of(edge) == []
        process.communicate(b"\n")


def test_who_has_the_id_of_a_replaced_haproxy_by_now_holds_nothing(tmp_path: Path) -> None:
    edge = EdgeConfiguration("127.0.0.1", 8000, UnixSocket(tmp_path / "api.sock"), tmp_path)
    (tmp_path / f"draining.{os.getpid()}").write_text("u-1:s-1")
    assert HAProxyProcess(edge, HAProxyBinary(Path("/usr/sbin/haproxy"))).held_servers() == []
    assert not list(tmp_path.glob("draining.*"))
