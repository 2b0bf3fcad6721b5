"""The system user and the home folder of a server."""

import os
import pwd
from pathlib import Path

from hubless.domain.errors import LaunchFailedError
from hubless.domain.values import value

FIRST_USER_ID = 1000  # smaller ids belong to root and system services (UID_MIN in login.defs)


@value
class Account:
    """The account of a process; *uid* None: that of the hub itself."""

    name: str
    home: Path
    shell: str
    uid: int | None = None
    gid: int | None = None
    groups: tuple[int, ...] = ()


def account_of(owner_name: str, owner_id: str, homes: Path, *, as_system_users: bool) -> Account:
    """Return the account for the servers of this owner.

    If root runs the hub and a system user has the owner's name, that user. Otherwise the account of the hub, with a
    folder named by the owner's id: a renamed user keeps it, and a user created again does not inherit it.

    Raises:
        LaunchFailedError: if that is root or a system service.
    """
    entry = _entry(owner_name) if as_system_users and os.geteuid() == 0 else None
    if entry is None:
        return Account(owner_name, homes / owner_id, "/bin/sh")
    if entry.pw_uid < FIRST_USER_ID:
        raise LaunchFailedError(
            f"No server may run as {owner_name}, which is a system account of this machine (uid {entry.pw_uid})."
            " Rename the user."
        )
    return Account(
        owner_name,
        Path(entry.pw_dir),
        entry.pw_shell or "/bin/sh",
        entry.pw_uid,
        entry.pw_gid,
        tuple(os.getgrouplist(owner_name, entry.pw_gid)),
    )


def is_system_user(name: str, *, as_system_users: bool) -> bool:
    """Say whether servers of an owner with this name run as a system user."""
    return as_system_users and os.geteuid() == 0 and _entry(name) is not None


def _entry(name: str) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam(name)
    except (KeyError, ValueError):
        return None
