"""Where the supervisor can watch processes that another one has forked."""

import os

import pytest

from embedded import forking


def test_a_python_without_pidfd_forks_from_no_preloader(monkeypatch: pytest.MonkeyPatch) -> None:
    assert forking.is_possible()
    monkeypatch.delattr(os, "pidfd_open")
    assert not forking.is_possible()
