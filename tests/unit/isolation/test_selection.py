"""Which kind of isolation a hub gets, by what works."""

import os

import pytest

from hubless.adapters.processes.isolation import ACCOUNTS, NONE, SANDBOX, selection
from hubless.adapters.processes.isolation.kinds import Programs
from hubless.adapters.processes.isolation.selection import choose
from hubless.domain.errors import IsolationError

ALL = Programs("/usr/bin/bwrap", "/usr/bin/setpriv")


class Kind:
    def __init__(self, name):
        self.name = name


@pytest.fixture
def chosen(monkeypatch):
    """Return a function that chooses on a pretended machine: *reasons* say against which kinds a trial speaks."""

    def choose_on(*, root, named="", programs=ALL, **reasons):
        monkeypatch.setattr(os, "geteuid", lambda: 0 if root else 1234)
        monkeypatch.setattr(selection, "reason_against", lambda kind, _: reasons.get(kind.name))
        monkeypatch.setattr(Programs, "found", lambda: programs)
        kinds = {name: lambda name=name: Kind(name) for name in (SANDBOX, ACCOUNTS, NONE)}
        return choose(kinds, named, lambda _: None)

    return choose_on


@pytest.mark.parametrize("root", [True, False])
def test_the_sandbox_is_first(chosen, root):
    choice = chosen(root=root)
    assert (choice.isolation.name, dict(choice.refused)) == (SANDBOX, {})


def test_root_falls_back_on_accounts_and_says_why(chosen):
    choice = chosen(root=True, sandbox="No permissions to create new namespace")
    assert choice.isolation.name == ACCOUNTS
    assert "seccomp=unconfined" in choice.refused[SANDBOX]


def test_without_root_nothing_is_left_but_none(chosen):
    choice = chosen(root=False, programs=Programs("", ""))
    assert choice.isolation.name == NONE
    assert "apt-get install bubblewrap" in choice.refused[SANDBOX]


def test_root_never_starts_a_server_without_isolation(chosen):
    with pytest.raises(IsolationError) as refused:
        chosen(root=True, sandbox="no namespaces", accounts="may not enter /root")
    assert "no namespaces" in str(refused.value)
    assert "may not enter /root" in str(refused.value)
    with pytest.raises(IsolationError, match="root never runs a server"):
        chosen(root=True, named=NONE)


@pytest.mark.parametrize(
    ("named", "root", "programs", "why"),
    [
        (SANDBOX, True, Programs("", "/usr/bin/setpriv"), "bubblewrap is not installed"),
        (SANDBOX, True, Programs("/usr/bin/bwrap", ""), "setpriv is not installed"),
        (ACCOUNTS, False, ALL, "only root"),
    ],
)
def test_a_named_kind_that_cannot_work_ends_the_start(chosen, named, root, programs, why):
    with pytest.raises(IsolationError, match=why):
        chosen(named=named, root=root, programs=programs)


def test_a_named_kind_is_tried_and_no_other_taken_instead(chosen):
    with pytest.raises(IsolationError, match="it can read /x"):
        chosen(root=True, named=ACCOUNTS, accounts="it can read /x")


def test_none_is_taken_where_it_is_named(chosen):
    assert chosen(root=False, named=NONE).isolation.name == NONE


@pytest.mark.parametrize(
    ("said", "remedy"),
    [
        ("bwrap: setting up uid map: Permission denied", "apparmor_restrict_unprivileged_userns"),
        ("bwrap: Creating new namespace failed", "max_user_namespaces"),
        ("bwrap: Can't mount proc on /newroot/proc", "systempaths=unconfined"),
        ("bwrap: Unknown option --size", "0.8"),
        ("setpriv: setresuid failed: Invalid argument", "uid_range"),
    ],
)
def test_a_reason_comes_with_what_to_do(chosen, said, remedy):
    with pytest.raises(IsolationError) as refused:
        chosen(root=True, named=SANDBOX, sandbox=said)
    assert said in str(refused.value)
    assert remedy in str(refused.value)
