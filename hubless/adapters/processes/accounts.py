"""As which system user, and in which folder, a server runs."""

import os
import pwd
from pathlib import Path

from hubless.domain.errors import LaunchFailedError
from hubless.domain.values import value

FIRST_PERSON = 1000  # below are root and the accounts of services (login.defs' UID_MIN)


@value
class Account:
    """Who a process is: *uid* None for whoever runs the hub."""

    name: str
    home: Path
    shell: str
    uid: int | None = None
    gid: int | None = None
    groups: tuple[int, ...] = ()


def account_of(owner_name: str, owner_id: str, homes: Path, *, as_system_users: bool) -> Account:
    """Return as whom a server of this owner runs.

    Where root runs the hub and a system user has the owner's name, as that user; else as whoever runs the hub, in a folder
    that is named by the owner's immutable id: a renamed user keeps it and a recreated one does not inherit it.

    Raises:
        LaunchFailedError: when the system user is root or an account of a service.
    """
    entry = _entry(owner_name) if as_system_users and os.geteuid() == 0 else None
    if entry is None:
        return Account(owner_name, homes / owner_id, "/bin/sh")
    if entry.pw_uid < FIRST_PERSON:
        raise LaunchFailedError(
            f"No server runs as {owner_name}: on this machine that is a system account (uid {entry.pw_uid}). Rename the user."
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
    """Say whether a server of an owner of that name would run as a system user."""
    return as_system_users and os.geteuid() == 0 and _entry(name) is not None


def _entry(name: str) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam(name)
    except (KeyError, ValueError):
        return None
