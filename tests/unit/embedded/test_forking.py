"""Where the supervisor can watch processes that another one has forked."""

import os
from pathlib import Path

import pytest

from embedded import forking


def test_a_python_without_pidfd_forks_from_no_preloader(monkeypatch: pytest.MonkeyPatch) -> None:
    assert forking.is_possible()
    monkeypatch.delattr(os, "pidfd_open")
    assert not forking.is_possible()


def test_process_1_knows_how_an_orphan_that_it_adopted_has_ended() -> None:
    orphan = os.posix_spawn("/bin/sh", ["sh", "-c", "exit 3"], {})
    with Path(os.devnull).open("rb") as errors:
        process = forking.ForkedProcess(orphan, errors, lambda _pid: None)
    assert process.wait() == 3
    with pytest.raises(ChildProcessError):
        os.waitpid(orphan, os.WNOHANG)  # no zombie is left
