"""The three kinds of isolation: a sandbox, an account of each owner's own, and none."""

import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path

from hubless.adapters.processes.accounts import Account, OwnerUids, account_of
from hubless.adapters.processes.isolation import ACCOUNTS, NONE, SANDBOX, Start, bubblewrap, setpriv, user_database
from hubless.adapters.processes.isolation.bubblewrap import View
from hubless.adapters.processes.isolation.homes import make_home, open_way
from hubless.domain.errors import LaunchFailedError
from hubless.domain.values import value

ROOT = 0
_TRIAL_NAMES = (".trial-own", ".trial-neighbour")  # no owner's id begins with a dot
# bubblewrap needs the first to enter the home, and setpriv the others to change the account; it gives up all.
_KEPT_FOR_SETPRIV = ("CAP_DAC_READ_SEARCH", "CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP")


@value
class Programs:
    """Absolute paths of the programs that isolate; empty where there is none."""

    bubblewrap: str
    setpriv: str

    @classmethod
    def found(cls) -> "Programs":
        """Return those of this machine."""
        return cls(*(shutil.which(name) or shutil.which(name, path=os.defpath) or "" for name in _NAMES))


_NAMES = (bubblewrap.PROGRAM, setpriv.PROGRAM)


class _OwnUids:
    """What `accounts` and `sandbox` share: as root each owner has a uid of their own."""

    def __init__(self, homes: Path, uids: OwnerUids, programs: Programs, *, as_system_users: bool) -> None:
        self._homes = homes
        self._programs = programs
        self._uids = uids
        self._as_system_users = as_system_users

    def account(self, owner_name: str, owner_id: str) -> Account:
        uid_of = self._uids.uid_of if os.geteuid() == ROOT else None
        return account_of(owner_name, owner_id, self._homes, as_system_users=self._as_system_users, uid_of=uid_of)

    def trial_accounts(self) -> tuple[Account, Account]:
        uids = self._uids.for_trials if os.geteuid() == ROOT else (None, None)
        own, neighbour = (
            Account(f"trial-{number}", self._homes / name, "/bin/sh", uid, uid)
            for number, (name, uid) in enumerate(zip(_TRIAL_NAMES, uids, strict=True))
        )
        return own, neighbour

    def prepare(self, account: Account) -> None:
        make_home(account)


class AccountsIsolation(_OwnUids):
    """Each owner's servers run with a uid of their own; needs root."""

    name = ACCOUNTS

    def __init__(
        self, homes: Path, uids: OwnerUids, programs: Programs, way: tuple[Path, ...], *, as_system_users: bool
    ) -> None:
        """Let other accounts enter the folders of *way*, which lead to *homes*."""
        super().__init__(homes, uids, programs, as_system_users=as_system_users)
        self._way = way

    def prepare(self, account: Account) -> None:
        if account.managed:
            open_way(self._way, account.home)
        super().prepare(account)

    def wrap(self, start: Start) -> list[str]:
        return [*setpriv.arguments(self._programs.setpriv, start.account), *start.argv]


class SandboxIsolation(_OwnUids):
    """Each server runs in a sandbox of bubblewrap; if root runs the hub, with the owner's own uid as well.

    The process that the launcher starts is bubblewrap itself, the monitor: it writes to the lock's file which process
    it started, and how that ended. Only the monitor holds the lock; nothing in the sandbox reaches it.
    """

    name = SANDBOX

    def __init__(self, homes: Path, uids: OwnerUids, programs: Programs, view: View, *, as_system_users: bool) -> None:
        super().__init__(homes, uids, programs, as_system_users=as_system_users)
        self._view = view

    def wrap(self, start: Start) -> list[str]:
        folder, account = start.folder, start.account
        user_database.write(account, folder.users, folder.groups)
        files = bubblewrap.file_system(self._view, start)
        # Explicitly: `--unshare-all` goes on silently without a user namespace where there may be none.
        namespaces = ["--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"]
        outer = [self._programs.bubblewrap, *namespaces, *files, "--json-status-fd", str(start.lock)]
        if account.uid is None:
            uid, gid = str(os.geteuid()), str(os.getegid())
            user = ["--unshare-user", "--uid", uid, "--gid", gid, *self._no_more_namespaces]
            return [*outer, *user, "--", *start.argv]
        kept = [word for capability in _KEPT_FOR_SETPRIV for word in ("--cap-add", capability)]
        inner = setpriv.arguments(self._programs.setpriv, account)
        return [*outer, "--cap-drop", "ALL", *kept, "--", *inner, *start.argv]

    @cached_property
    def _no_more_namespaces(self) -> Sequence[str]:
        """Return what keeps a sandbox without root from making user namespaces, as far as that works here.

        In one of its own a program has all capabilities: it can mount, and reach more of the kernel. Bubblewrap must
        write /proc/sys/user/max_user_namespaces for that, which is read-only in some containers.
        """
        disabled = ["--unshare-user", bubblewrap.DISABLE_USERNS]
        command = [self._programs.bubblewrap, *disabled, "--ro-bind", "/", "/", "--", "/bin/sh", "-c", ":"]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
        return [bubblewrap.DISABLE_USERNS] if done.returncode == 0 else []


class NoIsolation:
    """Servers run as the hub itself. *admit* says whether an owner may; never for a hub that root runs."""

    name = NONE

    def __init__(self, homes: Path, admit: Callable[[str], bool]) -> None:
        self._homes = homes
        self._admit = admit

    def account(self, owner_name: str, owner_id: str) -> Account:
        if not self._admit(owner_id):
            raise LaunchFailedError(
                "This hub does not keep users' servers apart, so only its first user may start one. An admin must"
                ' install bubblewrap and restart the hub, or set isolation = "none" in [servers]: then every user can'
                " read the files of all."
            )
        return account_of(owner_name, owner_id, self._homes, as_system_users=False)

    def trial_accounts(self) -> tuple[Account, Account]:
        own, neighbour = (Account(name, self._homes / name, "/bin/sh") for name in _TRIAL_NAMES)
        return own, neighbour

    def prepare(self, account: Account) -> None:
        make_home(account)

    def wrap(self, start: Start) -> list[str]:
        return start.argv
