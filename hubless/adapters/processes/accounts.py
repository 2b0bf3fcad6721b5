"""The system user and the home folder of a server."""

import os
import pwd
import re
from collections.abc import Callable, Iterator
from functools import cached_property
from hashlib import sha256
from itertools import chain
from pathlib import Path

from hubless.domain.errors import LaunchFailedError
from hubless.domain.values import value
from hubless.ports.owner_uids import OwnerUidStore

FIRST_USER_ID = 1000  # smaller ids belong to root and system services (UID_MIN in login.defs)
RESERVED_UIDS = 2  # the last ones of the range try the isolation at each start of the hub
_NOT_IN_LOGIN_NAMES = re.compile(r"[:/\s\x00-\x1f\x7f]")  # these would break a line of /etc/passwd


@value
class Account:
    """The account of a process; *uid* None: that of the hub itself. *managed*: the hub makes and owns the home."""

    name: str
    home: Path
    shell: str
    uid: int | None = None
    gid: int | None = None
    groups: tuple[int, ...] = ()
    managed: bool = True

    @property
    def login_name(self) -> str:
        """Return the name as a line of /etc/passwd can hold it."""
        return _NOT_IN_LOGIN_NAMES.sub("_", self.name) or "_"


def account_of(
    owner_name: str,
    owner_id: str,
    homes: Path,
    *,
    as_system_users: bool,
    uid_of: Callable[[str], int] | None = None,
) -> Account:
    """Return the account for the servers of this owner.

    If root runs the hub and a system user has the owner's name, that user. Otherwise the uid that *uid_of* returns for
    the owner's id, or the account of the hub without *uid_of*. The folder is named by the owner's id: a renamed user
    keeps it, and a user created again does not inherit it.

    Raises:
        LaunchFailedError: if that is root or a system service, or *uid_of* has no uid.
    """
    entry = _entry(owner_name) if as_system_users and os.geteuid() == 0 else None
    if entry is None:
        uid = uid_of(owner_id) if uid_of is not None else None
        return Account(owner_name, homes / owner_id, "/bin/sh", uid, uid)
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
        managed=False,
    )


def is_system_user(name: str, *, as_system_users: bool) -> bool:
    """Say whether servers of an owner with this name run as a system user."""
    return as_system_users and os.geteuid() == 0 and _entry(name) is not None


class OwnerUids:
    """Gives each owner a uid of their own from a range of the hub's; the last RESERVED_UIDS stay free for trials."""

    def __init__(self, store: Callable[[], OwnerUidStore], first: int, last: int, *, hub: str = "") -> None:
        """*store* opens the store, at first use: a trial needs none. Each *hub*, a name, begins elsewhere in the range.

        Otherwise owners in two hubs of one machine would share a uid, and could read and end each other's processes.
        """
        self._open_store = store
        self._first, self._last = first, last - RESERVED_UIDS
        half = (self._last - first + 1) // 2
        place = int.from_bytes(sha256(hub.encode()).digest()[:8]) % half if hub else 0
        self._begin = first + place

    @property
    def for_trials(self) -> tuple[int, int]:
        """Return the uids that no owner gets: of who tries, and of a neighbour."""
        return self._last + 1, self._last + 2

    @cached_property
    def _store(self) -> OwnerUidStore:
        return self._open_store()

    def claim_hubs(self, owner_id: str) -> bool:
        """Say whether the hub's own uid belongs to this owner: the first who asks has it until that user is removed."""
        uid = os.geteuid()
        return self._store.claim(owner_id, uid) or self._store.claim_of_removed(owner_id, uid)

    def uid_of(self, owner_id: str) -> int:
        """Return the owner's uid; give the owner the next one at first use.

        Raises:
            LaunchFailedError: when all uids of the range are in use.
        """
        store = self._store
        if (known := store.uid_of(owner_id)) is not None:
            return known
        for uid in chain(self._free(self._begin, self._last), self._free(self._first, self._begin - 1)):
            if not _is_taken(uid) and store.claim(owner_id, uid):
                return uid
            if (known := store.uid_of(owner_id)) is not None:  # another launch of this owner was faster
                return known
        raise LaunchFailedError(
            f"All user ids from {self._first} to {self._last} belong to somebody. An admin must raise the end of"
            " servers.uid_range in the settings."
        )

    def _free(self, first: int, last: int) -> Iterator[int]:
        """Yield the uids from *first* to *last* above the highest one that belongs to an owner."""
        highest = self._store.highest(first, last)
        yield from range(first if highest is None else highest + 1, last + 1)


def _is_taken(uid: int) -> bool:
    """Say whether a system user has this uid."""
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True


def _entry(name: str) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam(name)
    except (KeyError, ValueError):
        return None
