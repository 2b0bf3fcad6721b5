"""Chooses the strongest kind of isolation that works on this machine; each is tried for real."""

import os
from collections.abc import Callable, Mapping, Sequence

from hubless.adapters.processes.isolation import ACCOUNTS, NONE, SANDBOX, Isolation, setpriv
from hubless.adapters.processes.isolation.kinds import (
    ROOT,
    Programs,
)
from hubless.adapters.processes.isolation.trial import Stakes, reason_against
from hubless.domain.errors import IsolationError
from hubless.domain.values import value

INSTALL = "install bubblewrap (Debian, Ubuntu: apt-get install bubblewrap; Fedora: dnf install bubblewrap)"
_AS_ROOT, _WITHOUT_ROOT = (SANDBOX, ACCOUNTS), (SANDBOX, NONE)
# What a program says, and what to do about it.
_REMEDIES = {
    "setting up uid map": "allow user namespaces (Ubuntu: sysctl -w kernel.apparmor_restrict_unprivileged_userns=0)",
    "namespace": "allow namespaces (Docker: --security-opt seccomp=unconfined; else: sysctl user.max_user_namespaces)",
    "mount proc": "give the container an unmasked /proc (Docker: --security-opt systempaths=unconfined)",
    "nknown option": "install bubblewrap 0.8 or newer",
    "Invalid argument": "name user ids of this container as servers.uid_range (/proc/self/uid_map lists them)",
    "can read": "take it away from other accounts (chmod go-rwx)",
    "cannot run": "install it where every account may read it, and name that as servers.virtual_environment",
}


@value
class Choice:
    """The chosen kind, why each stronger one does not work here, and why control groups do not hold with it."""

    isolation: Isolation
    refused: Mapping[str, str]
    weak_limits: str | None = None


def kinds_for_this_account() -> Sequence[str]:
    """Return the kinds that the hub's account may use by itself, the strongest first."""
    return _AS_ROOT if os.geteuid() == ROOT else _WITHOUT_ROOT


def choose(kinds: Mapping[str, Callable[[], Isolation]], named: str, stakes: Callable[[str], Stakes]) -> Choice:
    """Return the kind that is *named*, or else the strongest that works.

    Args:
        kinds: makes each kind.
        named: what the settings name, or "".
        stakes: what each kind is tried with, by its name.

    Raises:
        IsolationError: when the named kind does not work, or none does.
    """
    refused: dict[str, str] = {}
    for name in [named] if named else kinds_for_this_account():
        isolation = kinds[name]()
        reason = _unfit(name) or (None if name == NONE else reason_against(isolation, stakes(name)))
        if reason is None:
            return Choice(isolation, refused)
        refused[name] = _with_remedy(reason)
    raise IsolationError(_message(named, refused))


def _unfit(name: str) -> str | None:
    """Return why *name* cannot work for this account and with these programs; None if a trial must tell."""
    is_root, programs = os.geteuid() == ROOT, Programs.found()
    if name == NONE:
        return "root never runs a server: run the hub as another user" if is_root else None
    if name == ACCOUNTS and not is_root:
        return "only root can give servers other accounts: run the hub as root, or use the sandbox"
    if name == SANDBOX and not programs.bubblewrap:
        return f"bubblewrap is not installed: {INSTALL}"
    if is_root and not programs.setpriv:
        return f"{setpriv.PROGRAM} is not installed: install util-linux"
    return None


def _with_remedy(reason: str) -> str:
    remedy = next((what for said, what in _REMEDIES.items() if said in reason), "")
    return f"{reason}. To change that, {remedy}" if remedy else reason


def _message(named: str, refused: Mapping[str, str]) -> str:
    if named:
        return (
            f'The settings name isolation = "{named}", which does not work here: {refused[named]}. '
            "Mend that, or take isolation out of [servers]: then the hub uses the strongest kind that works."
        )
    reasons = "".join(f"\n  {name}: {reason}." for name, reason in refused.items())
    return (
        f"The hub cannot keep users' servers away from its secrets and from each other:{reasons}\n"
        "Mend one of these. Root never runs a server without isolation."
    )
