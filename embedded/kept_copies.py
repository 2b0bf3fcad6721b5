"""The copies that upgrades and restores keep of the database: old ones go, but never the last good one."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from embedded.database_file import is_whole, schema_of
from hubless.domain.values import value
from hubless.settings import Settings

KEPT = 3  # of each kind
KEPT_FOR = timedelta(days=7)  # all: who restores again and again may want what was there before the first time
_RESTORE, _INSTANT = "before-restore-", "%Y%m%dT%H%M%SZ"


@value
class _Copy:
    path: Path
    database: Path
    made_at: datetime

    def is_good(self) -> bool:
        return (schema_of(self.database) or 0) > 0 and is_whole(self.database)


def name_of_restore(now: datetime) -> str:
    """Return how the name of a folder begins that keeps what a restore replaces."""
    return f"{_RESTORE}{now:{_INSTANT}}-"


def remove_old_copies(settings: Settings, now: datetime, tell: Callable[[str], None]) -> None:
    """Remove old copies; call it with the folder locked, and once the present database is in order.

    Of each kind, `hub.sqlite.schema-N` and `before-restore-…`, the newest `KEPT` and those of `KEPT_FOR` stay. The
    database may have been damaged when they were made. So if none of them is whole, the newest whole one stays too.
    """
    for copies in (_of_upgrades(settings), _of_restores(settings)):
        for copy in _old(list(copies), now):
            _remove(copy.path, tell)


def _of_upgrades(settings: Settings) -> Iterator[_Copy]:
    for file in settings.data.glob(f"{settings.database.name}.schema-*"):
        if file.suffix.removeprefix(".schema-").isdigit() and file.is_file():
            yield _Copy(file, file, datetime.fromtimestamp(file.lstat().st_mtime, UTC))


def _of_restores(settings: Settings) -> Iterator[_Copy]:
    for folder in settings.data.glob(f"{_RESTORE}*"):
        if not folder.is_dir():
            continue  # such as an archive that an operator made of one
        with suppress(ValueError):  # another's folder
            instant = folder.name.removeprefix(_RESTORE).partition("-")[0]
            yield _Copy(folder, folder / settings.database.name, datetime.strptime(f"{instant}+0000", f"{_INSTANT}%z"))


def _old(copies: list[_Copy], now: datetime) -> list[_Copy]:
    """Return which copies of one kind go."""
    newest_first = sorted(copies, key=lambda copy: (copy.made_at, copy.path.name), reverse=True)
    old = [copy for copy in newest_first[KEPT:] if now - copy.made_at > KEPT_FOR]
    if not old or any(copy.is_good() for copy in newest_first if copy not in old):
        return old
    last_good = next((copy for copy in old if copy.is_good()), None)
    return [copy for copy in old if copy != last_good]


def _remove(path: Path, tell: Callable[[str], None]) -> None:
    try:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    except OSError as error:
        tell(f"Cannot remove {path}, an old copy of the database: {error.strerror or error}. Remove it yourself.")
    else:
        tell(
            f"Removed {path}: {KEPT} newer copies of the database are here, and it is older than {KEPT_FOR.days} days."
        )
