"""The hub before JupyterHub's black-box checks, where they are at hand; `make conformance` runs them by themselves."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.support.free_port import free_port

HERE = Path(__file__).parent
CHECKS = Path(os.environ.get("CONFORMANCE") or HERE.parents[2] / "shared/conformance")


@pytest.mark.timeout(1200)
def test_what_a_client_of_jupyterhub_observes_is_jupyterhub(record_property):
    if not os.access(CHECKS / "run", os.X_OK):
        pytest.skip(f"no conformance checks at {CHECKS}")
    done = subprocess.run(
        [HERE / "check", CHECKS],
        env=os.environ | {"HUB_PORT": str(free_port())},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    assert done.returncode == 0, done.stdout
    record_property("summary", f"conformance: {done.stdout.splitlines()[-1]}")
