"""Hashes of other hubs in SQLite, in the tables of tokens and share codes."""

import sqlite3
from typing import Literal

from hubless.adapters.sqlite.database import Database
from hubless.domain.imported_secrets import MOST

Table = Literal["tokens", "share_codes"]


def candidates(database: Database, table: Table, prefix: str, sha256: str) -> list[str]:
    """Return the imported hashes of *prefix*, and *sha256* if a record has it by now: nothing is adopted in between."""
    rows = database.read(
        f"SELECT sha256 FROM {table} WHERE sha256 = ?2 UNION ALL"  # noqa: S608 fixed words
        f" SELECT * FROM (SELECT sha256 FROM {table} WHERE imported_prefix = ?1 LIMIT ?3)",
        (prefix, sha256, MOST),
    )
    return [row[0] for row in rows]


def adopt(database: Database, table: Table, record_id: str, *, before: str, after: str) -> bool:
    """Replace the hash *before* by *after* in one write, and say whether it was there."""
    try:
        changed = database.write(
            f"UPDATE {table} SET sha256 = ?, imported_prefix = NULL WHERE id = ? AND sha256 = ?",  # noqa: S608 fixed words
            (after, record_id, before),
        )
    except sqlite3.IntegrityError:  # another record has it
        return False
    return bool(changed)
