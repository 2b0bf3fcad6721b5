"""A backup: one tar file with the database, the hub's secret and, where wanted, users' homes."""

import io
import json
import os
import stat
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from embedded.data_folder import DataFolderError
from embedded.database_file import copy_database, forget_epoch, is_whole, schema_of
from hubless.adapters.sqlite import schema
from hubless.domain.values import value
from hubless.settings import Settings

_FORMAT = 1
_FIELDS = ("taken_at", "hubless", "has_homes", "format")
_FACTS, _DATABASE, _SECRET, _HOMES = "backup.json", "hub.sqlite", "secret", "homes/"
_MOST_FACTS = 64 * 1024  # bytes
_OWNER_ALONE = stat.S_IRUSR | stat.S_IWUSR


@value
class BackupFacts:
    """What a backup says of itself."""

    taken_at: str  # ISO 8601, in UTC
    hubless: str  # the version that wrote it
    has_homes: bool
    format: int = _FORMAT


def write_backup(settings: Settings, target: Path, facts: BackupFacts) -> list[str]:
    """Write a backup of the data folder to *target*, for its owner alone; a hub may run there.

    The database is one state of it, whole. Homes are read file by file, so a file that changes meanwhile may be
    torn. Sockets, pipes and devices are left out, and symbolic links stay links.

    Returns:
        The paths in homes that could not be read.

    Raises:
        DataFolderError: when the file cannot be written, or the database not read.
    """
    draft, skipped = target.with_name(f"{target.name}.new"), list[str]()
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, _OWNER_ALONE)
        with os.fdopen(descriptor, "wb") as out:
            with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
                _add_bytes(archive, _FACTS, json.dumps({name: getattr(facts, name) for name in _FIELDS}).encode())
                _add_bytes(archive, _SECRET, settings.secret_file.read_bytes())
                with _copy_of(settings.database, target.parent) as copy:
                    archive.add(copy, _DATABASE)
                if facts.has_homes:
                    skipped = _add_homes(archive, settings.homes)
            out.flush()
            os.fsync(out.fileno())
        draft.replace(target)
    except OSError as error:
        raise DataFolderError(f"Cannot write the backup {target}: {error.strerror or error}.") from None
    finally:
        draft.unlink(missing_ok=True)
    return skipped


@contextmanager
def _copy_of(database: Path, beside: Path) -> Iterator[Path]:
    """Make a copy that lasts as long as this context, where the backup goes: nobody may write the data folder."""
    with tempfile.TemporaryDirectory(prefix="backup-", dir=beside) as folder:
        copy = Path(folder) / _DATABASE
        copy_database(database, copy)
        forget_epoch(copy)
        yield copy


def _add_bytes(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), _OWNER_ALONE
    archive.addfile(entry, io.BytesIO(content))


def _add_homes(archive: tarfile.TarFile, homes: Path) -> list[str]:
    """Add all homes. Each file is opened from its folder, never by a path: users can change what a path means."""
    skipped = list[str]()

    def refused(error: OSError) -> None:
        skipped.append(str(error.filename))

    for folder, folders, files, descriptor in os.fwalk(homes, onerror=refused, follow_symlinks=False):
        inside = Path(folder).relative_to(homes)
        if inside != Path():
            archive.addfile(_entry(inside, os.fstat(descriptor)))
        for name in (*files, *(one for one in folders if _is_link(one, descriptor))):
            if not _add_file(archive, inside / name, name, descriptor):
                skipped.append(str(inside / name))
    return skipped


def _is_link(name: str, folder: int) -> bool:
    try:
        return stat.S_ISLNK(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode)
    except OSError:
        return False  # it is gone by now


def _add_file(archive: tarfile.TarFile, inside: Path, name: str, folder: int) -> bool:
    """Add a file or a link, and nothing for what is neither; say whether it could be read whole.

    Raises:
        OSError: when the archive cannot be written. What cannot be read raises nothing.
    """
    try:
        found = os.stat(name, dir_fd=folder, follow_symlinks=False)
        target = os.readlink(name, dir_fd=folder) if stat.S_ISLNK(found.st_mode) else ""
        is_file = stat.S_ISREG(found.st_mode)
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder) if is_file else -1
    except OSError:
        return False
    if target:
        entry = _entry(inside, found)
        entry.type, entry.size, entry.linkname = tarfile.SYMTYPE, 0, target
        archive.addfile(entry)
    if not is_file:
        return True
    with os.fdopen(descriptor, "rb") as file:
        now = os.fstat(descriptor)
        content = _Padded(file, now.st_size)
        if stat.S_ISREG(now.st_mode):
            archive.addfile(_entry(inside, now), content)
    return content.is_whole


class _Padded(io.RawIOBase):
    """A file of just the size that was announced: what it has lost since, or cannot be read, is filled with zeros."""

    def __init__(self, file: io.BufferedReader, size: int) -> None:
        self._file, self._left = file, size
        self.is_whole = True

    def read(self, size: int = -1, /) -> bytes:
        wanted = self._left if size < 0 else min(size, self._left)
        try:
            content = self._file.read(wanted)
        except OSError:  # the archive goes on: its next entry begins where this one was to end
            content, self.is_whole = b"", False
        self._left -= wanted
        return content.ljust(wanted, b"\0")


def _entry(inside: Path, found: os.stat_result) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(f"{_HOMES}{inside}")
    entry.mode, entry.uid, entry.gid, entry.mtime = (
        stat.S_IMODE(found.st_mode),
        found.st_uid,
        found.st_gid,
        found.st_mtime,
    )
    if stat.S_ISDIR(found.st_mode):
        entry.type = tarfile.DIRTYPE
    else:
        entry.size = found.st_size
    return entry


class Backup:
    """A backup that is being restored."""

    def __init__(self, file: Path) -> None:
        """Read what the backup says of itself.

        Raises:
            DataFolderError: when the file is no backup, or of a newer hubless.
        """
        self.file = file
        try:
            with tarfile.open(file, mode="r:") as archive:
                first = archive.next()
                if first is None or first.name != _FACTS or first.size > _MOST_FACTS:
                    raise DataFolderError(self._no_backup("it does not begin with backup.json"))
                content = archive.extractfile(first)
                facts = json.loads(content.read() if content else b"")
                self.facts = BackupFacts(**{name: facts[name] for name in _FIELDS})
        except OSError as error:
            raise DataFolderError(f"Cannot read the backup {file}: {error.strerror}.") from None
        except (tarfile.TarError, ValueError, KeyError, TypeError) as error:
            raise DataFolderError(self._no_backup(str(error))) from None
        if self.facts.format != _FORMAT:
            raise DataFolderError(
                f"{file} was written by a newer hubless ({self.facts.hubless}). Restore it with that."
            )

    def unpack(self, folder: Path) -> None:
        """Unpack database and secret into *folder*, and check them.

        Raises:
            DataFolderError: when one is missing, damaged or of a newer hubless.
        """
        self._extract((_DATABASE, _SECRET), folder)
        for name in (_DATABASE, _SECRET):
            if not (folder / name).is_file():
                raise DataFolderError(self._no_backup(f"it has no {name}"))
        found = schema_of(folder / _DATABASE)
        if found is None or not is_whole(folder / _DATABASE):
            raise DataFolderError(f"The database in {self.file} is damaged. Restore another backup.")
        if found > schema.VERSION:
            raise DataFolderError(
                f"{self.file} is of a newer hubless ({self.facts.hubless}; schema {found}, this one knows"
                f" {schema.VERSION}). Restore it with that."
            )

    def unpack_homes(self, folder: Path) -> None:
        """Unpack homes into *folder*, which nobody else may enter; as root with their owners."""
        self._extract((_HOMES,), folder)

    def _extract(self, beginnings: tuple[str, ...], folder: Path) -> None:
        closed = list[tuple[Path, int]]()
        try:
            with tarfile.open(self.file, mode="r:") as archive:
                for entry in archive:
                    if not entry.name.startswith(beginnings) or not (entry.isreg() or entry.isdir() or entry.issym()):
                        continue
                    if entry.isdir():  # its owner may be unable to write into it
                        closed.append((folder / entry.name, entry.mode))
                        entry.mode |= stat.S_IRWXU
                    archive.extract(entry, folder, numeric_owner=True, filter=_refuse_outside)
            for path, mode in reversed(closed):
                path.chmod(mode & 0o777)
        except (OSError, tarfile.TarError) as error:
            raise DataFolderError(f"Cannot unpack {self.file} to {folder}: {error}.") from None

    def _no_backup(self, why: str) -> str:
        return f"{self.file} is no backup that `hubless backup` wrote: {why}."


def _refuse_outside(entry: tarfile.TarInfo, path: str) -> tarfile.TarInfo | None:
    """Refuse what would be written outside of the folder, also through a link; links may point anywhere."""
    return tarfile.tar_filter(entry, path)
