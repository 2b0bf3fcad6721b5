"""Files of `dbm.sqlite3`, which Python writes from 3.13 on: a table `Dict` of keys and values."""

import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

_PAGE = 512  # bytes: no page is smaller
_LONGEST = 1_000_000  # bytes of a row
_MOST_STEPS = 5_000  # of 100,000 instructions of SQLite's machine: some seconds


def is_one(content: bytes) -> bool:
    """Say whether *content* begins as such a file does."""
    return content.startswith(b"SQLite format 3\0")


def entries(content: bytes, log: bytes, *, at_most: int) -> Iterator[tuple[bytes, bytes]]:
    """Return names and values of the file and its write-ahead log; both are empty where one is no text or bytes.

    It reads copies, because SQLite writes beside a file with a log even to read it.

    Raises:
        ValueError: saying what is broken.
    """
    if len(content) % (int.from_bytes(content[16:18], "big") or 1) or len(content) < _PAGE:
        raise ValueError("its length is no number of pages")
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "copy"
        copy.write_bytes(content)
        if log:
            copy.with_name("copy-wal").write_bytes(log)
        try:
            with closing(sqlite3.connect(copy)) as opened:
                opened.text_factory = bytes
                opened.execute("PRAGMA trusted_schema = OFF")
                opened.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LONGEST)
                steps = iter(range(_MOST_STEPS))  # a view called Dict could compute for ever
                opened.set_progress_handler(lambda: next(steps, None) is None, 100_000)
                (verdict,) = opened.execute("PRAGMA quick_check(1)").fetchone()
                if verdict != b"ok":
                    raise ValueError(f"SQLite says: {verdict.decode(errors='replace')[:200]}")
                rows = opened.execute("SELECT key, value FROM Dict LIMIT ?", (at_most + 1,)).fetchall()
        except sqlite3.Error as failed:
            raise ValueError(f"SQLite says: {failed}") from failed
    for key, stored in rows:
        yield (key, stored) if isinstance(key, bytes) and isinstance(stored, bytes) else (b"", b"")
