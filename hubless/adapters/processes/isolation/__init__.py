"""Kinds of isolation: each keeps a server's process away from the hub and from other servers."""

from collections.abc import Mapping, Sequence
from dataclasses import field
from pathlib import Path
from typing import Protocol

from hubless.adapters.processes.accounts import Account
from hubless.adapters.processes.launch_folder import ACCOUNTS, NONE, SANDBOX, LaunchFolder
from hubless.domain.values import value


@value
class Start:
    """A program that is to start.

    Args:
        command: the program's absolute path, and its arguments.
        account: who runs it.
        folder: the launch's.
        lock: a descriptor that the process which the launcher starts inherits, and by which it holds the launch's lock.
        environment: the program's, as a whole.
        calls: absolute paths of other programs that it must be able to run.
        late: variables that only the program itself gets, in place of those in *environment*; not what isolates it.
    """

    command: Sequence[str]
    account: Account
    folder: LaunchFolder
    lock: int
    environment: Mapping[str, str]
    calls: Sequence[Path] = ()
    late: Mapping[str, str] = field(default_factory=dict, hash=False)

    @property
    def argv(self) -> list[str]:
        """Return what is executed in the end: the command, with its late variables."""
        if not self.late:
            return list(self.command)
        return ["/usr/bin/env", *(f"{name}={text}" for name, text in self.late.items()), *self.command]


class Isolation(Protocol):
    """One kind of isolation."""

    @property
    def name(self) -> str:
        """Return the kind's name in the settings."""
        ...

    def account(self, owner_name: str, owner_id: str) -> Account:
        """Return the account for the servers of this owner; never root.

        Raises:
            LaunchFailedError: when this owner may not start servers here.
        """
        ...

    def trial_accounts(self) -> tuple[Account, Account]:
        """Return two accounts that are nobody's, as those of two owners would be: for a trial."""
        ...

    def prepare(self, account: Account) -> None:
        """Make the home of *account*, or give it to the account if it belongs to another.

        Raises:
            LaunchFailedError: when that is impossible; the message says what to do.
        """
        ...

    def wrap(self, start: Start) -> list[str]:
        """Return the command that runs the program isolated. The hub's own account runs it, in the home as cwd."""
        ...


__all__ = ["ACCOUNTS", "NONE", "SANDBOX", "Isolation", "Start"]
