"""Where HAProxy is found, and what is said when it is not."""

import importlib.util
import shutil
from pathlib import Path

import pytest

from edge_proxy.errors import EdgeError
from edge_proxy.haproxy_binary import HAProxyBinary, find_haproxy


@pytest.fixture
def without_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)


def test_without_the_package_haproxy_is_found_on_the_path(
    without_package: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "haproxy"
    program.touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))

    assert find_haproxy().program == program


def test_a_missing_haproxy_is_explained_with_the_install_command(
    without_package: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda *_args, **_options: None)

    with pytest.raises(EdgeError, match="apt-get install haproxy"):
        find_haproxy()


def test_a_haproxy_that_does_not_run_here_is_named(tmp_path: Path) -> None:
    program = tmp_path / "haproxy"
    program.write_bytes(b"\x7fELF of another machine")
    program.chmod(0o755)

    with pytest.raises(EdgeError, match=f"{program} does not run: "):
        HAProxyBinary(program).version()
