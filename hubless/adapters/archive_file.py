"""An archive as a file of JSON lines: a header, one record a line, and an end by which a cut file is noticed.

The end has the SHA-256 of all bytes before it, which finds accidents and no forgeries. See docs/archive.md.
"""

import hashlib
import json
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import IO, Any

from hubless.domain.archive import VERSION, Archive
from hubless.domain.archive_form import KINDS, from_json, parsed_json, to_json
from hubless.domain.errors import InvalidRequestError

MAX_LINE = 4_000_000  # bytes: a group of 10,000 members whose names have 255 characters needs 2.6 MB
_HEADER, _END = "hubless-archive", "end"


def write(archive: Archive, path: Path, at: datetime) -> int:
    """Write *archive* to *path*, as `write_records` does."""
    records = ((kind, record) for kind, (attribute, _) in KINDS.items() for record in getattr(archive, attribute))
    return write_records(records, path, at, source=archive.source, has_secrets=archive.has_secrets)


def write_records(
    records: Iterable[tuple[str, Any]], path: Path, at: datetime, *, source: str, has_secrets: bool
) -> int:
    """Write records to *path*, readable by its owner alone, one after the other; return their number.

    The file appears whole or not at all, in place of an earlier one.

    Args:
        records: the kind of each (`archive_form.KINDS`), and the record, in any order.
        path: where to.
        at: the present instant.
        source: what they were read from, for people.
        has_secrets: whether they have what opens accounts.

    Raises:
        InvalidRequestError: when the file cannot be written.
    """
    header = {
        "kind": _HEADER,
        "version": VERSION,
        "written_at": at.isoformat(),
        "source": source,
        "has_secrets": has_secrets,
    }
    try:
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # 0600
    except OSError as failed:
        raise InvalidRequestError(f"The archive {path} cannot be written: {failed.strerror}") from failed
    try:
        with os.fdopen(descriptor, "wb") as file:
            number = _write_lines(header, records, file)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except OSError as failed:
        raise InvalidRequestError(f"The archive {path} cannot be written: {failed.strerror}") from failed
    finally:
        with suppress(FileNotFoundError):
            Path(temporary).unlink()
    return number


def _write_lines(header: dict[str, Any], records: Iterable[tuple[str, Any]], file: IO[bytes]) -> int:
    hashed, number = hashlib.sha256(), 0

    def put(line: dict[str, Any]) -> None:
        data = json.dumps(line, ensure_ascii=True).encode() + b"\n"
        if len(data) > MAX_LINE:
            raise InvalidRequestError(f"The {line['kind']} {line.get('name', '')} is too large for an archive")
        hashed.update(data)
        file.write(data)

    put(header)
    for kind, record in records:
        put({"kind": kind} | to_json(record))
        number += 1
    put({"kind": _END, "records": number, "sha256": hashed.hexdigest()})
    return number


def read(path: Path) -> Archive:
    """Return the archive of the file *path*.

    Raises:
        InvalidRequestError: naming the line that is wrong, a newer version, or that the file was cut.
    """
    try:
        with path.open("rb") as file:
            return _Reading(path).archive(file)
    except OSError as failed:
        raise InvalidRequestError(f"The archive {path} cannot be read: {failed.strerror}") from failed


class _Reading:
    """Reads one file, line by line."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._line = 0
        self._hashed = hashlib.sha256()
        self._is_whole = False
        self._found: dict[str, list[Any]] = {attribute: [] for attribute, _ in KINDS.values()}

    def archive(self, file: IO[bytes]) -> Archive:
        lines = self._lines(file)
        has_secrets = self._header(next(lines, {}))
        for line in lines:
            self._take(line)
        if not self._is_whole:
            raise InvalidRequestError(f"The archive {self._path} was cut: its last line is missing. Copy it again")
        found: dict[str, Any] = {attribute: tuple(records) for attribute, records in self._found.items()}
        return Archive(str(self._path), **found, has_secrets=has_secrets)

    def _lines(self, file: IO[bytes]) -> Iterator[dict[str, Any]]:
        while data := file.readline(MAX_LINE + 1):
            self._line += 1
            if len(data) > MAX_LINE:
                raise self._wrong(f"it has more than {MAX_LINE} bytes")
            try:
                line = parsed_json(data)
            except (ValueError, RecursionError):
                raise self._wrong("it is not JSON. Perhaps the file was cut: copy it again") from None
            if not isinstance(line, dict) or not isinstance(line.get("kind"), str):
                raise self._wrong("it is no JSON object with a `kind`")
            yield line
            self._hashed.update(data)

    def _header(self, line: dict[str, Any]) -> bool:
        version = line.get("version")
        if line.get("kind") != _HEADER or type(version) is not int or version < 1:
            raise InvalidRequestError(f"{self._path} is no archive of hubless: its first line is no header of one")
        if version > VERSION:
            raise InvalidRequestError(
                f"The archive {self._path} has version {version} of the form; this hubless reads up to {VERSION}."
                " Use the hubless that wrote it, or a newer one"
            )
        return line.get("has_secrets") is not False

    def _take(self, line: dict[str, Any]) -> None:
        if self._is_whole:
            raise self._wrong("it comes after the end")
        kind = line.pop("kind")
        if kind == _END:
            self._end(line)
            return
        try:
            record = from_json(kind, line)
        except InvalidRequestError as wrong:
            raise self._wrong(str(wrong)) from wrong
        self._found[KINDS[kind][0]].append(record)

    def _end(self, line: dict[str, Any]) -> None:
        number = sum(map(len, self._found.values()))
        if line.get("records") != number or line.get("sha256") != self._hashed.hexdigest():
            raise InvalidRequestError(
                f"The archive {self._path} was changed after it was written: its end does not fit. Copy it again"
            )
        self._is_whole = True

    def _wrong(self, why: str) -> InvalidRequestError:
        return InvalidRequestError(f"Line {self._line} of the archive {self._path} is wrong: {why}")
