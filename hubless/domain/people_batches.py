"""Batches of people: what somebody pasted to add people, what was done, and the one-time links that came of it."""

import base64
import csv
import hashlib
import hmac
import io
from collections.abc import Iterable
from dataclasses import field
from datetime import datetime
from enum import StrEnum
from typing import Final

from hubless.domain.values import value

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's: no letter looks like a digit, because people type them
BASE32 = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", _ALPHABET)
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")  # with which a spreadsheet takes a text for a formula
_SECRET_BYTES: Final = 10  # 80 bits, of which the store keeps a hash: nobody tries so many within a link's days


class Links(StrEnum):
    """Who gets a one-time link to choose a password."""

    NEW = "new"  # new users to whom no password was given
    ALL = "all"  # and those who are here already
    NONE = "none"


class Stage(StrEnum):
    """How far a batch is."""

    DRAFT = "draft"
    ADDING = "adding"
    DONE = "done"


@value
class Batch:
    """A batch as the store keeps it. Its *id* is part of a page's address, and is shown to nobody but its maker."""

    id: str
    user_id: str  # who adds people
    expires_at: datetime
    sealed: str = field(repr=False)
    revision: int = 0


@value
class AddedPerson:
    """One person of a batch that is being added, or was."""

    user_id: str
    name: str
    is_new: bool
    full_name: str = ""
    email: str = ""
    groups: tuple[str, ...] = ()
    gets_link: bool = False
    password_hash: str = field(default="", repr=False)
    admin: bool = False
    is_lost: bool = False  # somebody else took the name, or removed the user, while the batch was added


def link_secret(key: bytes, batch_id: str, user_id: str) -> str:
    """Return the secret of a one-time link of a batch, the same each time; the store keeps its hash alone.

    It has sixteen digits and letters, so that people can type it from paper.
    """
    mac = hmac.digest(key, f"link of people:{batch_id}:{user_id}".encode(), hashlib.sha256)
    return base64.b32encode(mac[:_SECRET_BYTES]).decode().translate(BASE32)


def csv_of_links(people: Iterable[tuple[AddedPerson, str]], until: datetime | None) -> str:
    """Return a table for spreadsheets of people and their links ("" for none), which are valid *until* then."""
    written = io.StringIO()
    table = csv.writer(written)
    table.writerow(["username", "name", "groups", "link", "valid until"])
    at = until.isoformat(sep=" ", timespec="minutes").replace("+00:00", " UTC") if until else ""
    for one, link in people:
        cells = [one.name, one.full_name, ", ".join(one.groups), link, at if link else ""]
        table.writerow([f"'{cell}" if cell.startswith(_FORMULA) else cell for cell in cells])
    return written.getvalue()
