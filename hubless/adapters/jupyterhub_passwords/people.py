"""What the readers of this folder share: an archive with more about its users, and remarks."""

from collections.abc import Iterable
from dataclasses import replace

from hubless.domain import names
from hubless.domain.archive import Archive, ArchivedUser, Remark
from hubless.domain.bounds import MAX_TYPED_NAME
from hubless.domain.imported_passwords import cost_of

_SHOWN = 255  # characters
ONE_TIME_LINK = "Give the user a one-time link (`hubless user passwd NAME`)."


def hash_of(stored: object) -> str | None:
    """Return the stored hash if the hub can check passwords with it."""
    text = stored.decode("ascii", "replace") if isinstance(stored, bytes) else stored
    return text if isinstance(text, str) and cost_of(text) is not None else None


def name_of(stored: object) -> str | None:
    """Return the stored name as text, or None if it cannot be anybody's."""
    if isinstance(stored, bytes):
        try:
            stored = stored.decode()
        except UnicodeDecodeError:
            return None
    return stored if isinstance(stored, str) and 0 < len(stored) <= MAX_TYPED_NAME else None


def left_out(kind: str, name: object, what: str, to_do: str = "") -> Remark:
    """Return the remark that something is left out because of *what*."""
    subject = name if isinstance(name, str) and name.isprintable() and len(name) <= _SHOWN else names.shown(str(name))
    return Remark(kind, subject, what, to_do, is_left_out=True)


def with_users(archive: Archive, changed: Iterable[ArchivedUser], remarks: Iterable[Remark]) -> Archive:
    """Return the archive with these users in place of those of the same names, or added, and with more remarks."""
    after = {user.name: user for user in archive.users} | {user.name: user for user in changed}
    return replace(archive, users=tuple(after.values()), remarks=(*archive.remarks, *remarks))
