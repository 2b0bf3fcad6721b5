"""Files of Python's `dbm`, read by their bytes: the Python that wrote one may have other formats than ours.

Each reader takes what it finds in one copy of the file, within bounds, and runs nothing of it.
"""

import fcntl
from collections.abc import Callable, Iterable
from pathlib import Path

from hubless.adapters.jupyterhub_passwords import berkeley_file, dumb_file, gdbm_file, sqlite_file
from hubless.domain.errors import InvalidRequestError
from hubless.domain.values import value

MAX_FILE = 256 * 2**20  # bytes: a password of FirstUseAuthenticator's needs 512 at most
MAX_ENTRIES = 500_000
_WAY_OUT = "Copy it while the old hub is stopped, or have the old hub's Python write it anew (docs/moving-logins.md)"
DUMB_SUFFIXES = (".dat", ".bak", ".dir")


@value
class Entries:
    """What a file holds, and what its reader has to say of it."""

    path: Path
    pairs: tuple[tuple[bytes, bytes], ...]
    warning: str = ""


def read(path: Path) -> Entries:
    """Return the entries of the file that Python's `dbm.open(path)` reads, whatever suffixes its format adds.

    Raises:
        InvalidRequestError: when there is none, or more than one, or it is broken, too large or in use.
    """
    found = _found(path)
    if found.suffix in DUMB_SUFFIXES:
        return _dumb(found)
    content = _content(found)
    if gdbm_file.is_one(content):
        return Entries(found, _pairs(found, lambda: gdbm_file.entries(content)))
    if berkeley_file.is_one(content):
        return Entries(found, _pairs(found, lambda: berkeley_file.entries(content)))
    if sqlite_file.is_one(content):
        log = found.with_name(found.name + "-wal")
        more = _content(log) if log.exists() else b""
        return Entries(found, _pairs(found, lambda: sqlite_file.entries(content, more, at_most=MAX_ENTRIES)))
    raise InvalidRequestError(
        f"{found} has none of the formats that Python's dbm writes: GNU dbm, Berkeley DB, SQLite, dbm.dumb. {_WAY_OUT}"
    )


def _found(path: Path) -> Path:
    base = path.with_suffix("") if path.suffix in {*DUMB_SUFFIXES, ".db", ".pag"} and not _is_whole(path) else path
    candidates = [base, _with(base, ".db"), _with(base, ".pag")]
    found = [one for one in candidates if one.is_file()]
    if not found:  # `.dir` also stands beside `.pag`
        found = [one for one in (_with(base, ".dir"), _with(base, ".bak")) if one.is_file()][:1]
    elif _with(base, ".dat").is_file():
        found.append(_with(base, ".dat"))
    if not found:
        raise InvalidRequestError(f"No file of passwords is at {path}, nor with .db, .pag or .dir behind that name")
    if len(found) > 1:
        names = " and ".join(one.name for one in found)
        raise InvalidRequestError(f"{names} are both in {path.parent}: move the one away that the old hub does not use")
    return found[0]


def _is_whole(path: Path) -> bool:
    """Say whether a file with such a suffix is a file of its own, such as `passwords.db` without another suffix."""
    return path.suffix == ".db" and path.is_file() and not path.with_suffix("").is_file()


def _with(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def _dumb(index: Path) -> Entries:
    data = index.with_suffix(".dat")
    if not data.is_file():
        raise InvalidRequestError(f"{data.name} is missing beside {index}: copy the .dat file too")
    texts, values = _content(index), _content(data)
    pairs = _pairs(index, lambda: dumb_file.entries(texts, values))
    warning = "" if index.suffix == ".dir" else f"{index.with_suffix('.dir').name} is missing: the newest may lack"
    return Entries(index, pairs, warning)


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as opened:
            fcntl.flock(opened, fcntl.LOCK_SH | fcntl.LOCK_NB)  # GNU dbm locks while it writes
            content = opened.read(MAX_FILE + 1)
    except BlockingIOError:
        raise InvalidRequestError(f"Another program writes {path} now: stop the old hub, then try again") from None
    except OSError as failed:
        raise InvalidRequestError(f"{path} cannot be read: {failed.strerror}") from failed
    if len(content) > MAX_FILE:
        raise InvalidRequestError(f"{path} is larger than {MAX_FILE} bytes: it cannot be a file of passwords")
    return content


def _pairs(path: Path, entries: Callable[[], Iterable[tuple[bytes, bytes]]]) -> tuple[tuple[bytes, bytes], ...]:
    pairs: list[tuple[bytes, bytes]] = []
    try:
        for pair in entries():
            pairs.append(pair)
            if len(pairs) > MAX_ENTRIES:
                raise InvalidRequestError(f"{path} has more than {MAX_ENTRIES} entries")
    except ValueError as broken:
        raise InvalidRequestError(f"{path} cannot be read: {broken}. {_WAY_OUT}") from None
    return tuple(pairs)
