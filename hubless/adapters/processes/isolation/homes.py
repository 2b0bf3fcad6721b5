"""Homes of owners with a uid of their own: makes them, and hands over those of hubs that were set up otherwise."""

import logging
import os
import stat
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from hubless.adapters.processes.accounts import Account
from hubless.domain.errors import LaunchFailedError
from hubless.domain.values import value

logger = logging.getLogger(__name__)

PRIVATE = 0o700
ENTER = 0o011  # bits of a folder's mode: others may enter it, and not list it
# A device file stays root's: whoever owns it can open the device.
_HANDED_OVER = (stat.S_ISREG, stat.S_ISDIR, stat.S_ISLNK, stat.S_ISFIFO, stat.S_ISSOCK)


def make_home(account: Account) -> None:
    """Make the home of *account* with mode 0700, if the hub makes it; hand over one that belongs to another account.

    Raises:
        LaunchFailedError: when the home cannot be made, or is no folder.
    """
    if not account.managed:
        return
    try:
        account.home.mkdir(mode=PRIVATE, parents=True, exist_ok=True)
        if account.uid is not None and account.gid is not None:
            hand_over(account.home, account.uid, account.gid)
    except OSError as error:
        raise LaunchFailedError(
            f"The home {account.home} cannot be used: {error.strerror}. An admin must look at that folder."
        ) from error
    except RecursionError:
        raise LaunchFailedError(
            f"The home {account.home} has too many folders in each other to change their owner. An admin must remove"
            " the innermost ones."
        ) from None


def open_way(folders: Iterable[Path], home: Path) -> None:
    """Let other accounts enter the hub's *folders* without listing them, as they must on the way to their *home*.

    Raises:
        LaunchFailedError: when another folder on the way is closed.
    """
    for folder in folders:
        if (mode := stat.S_IMODE(folder.stat().st_mode)) & ENTER != ENTER:
            folder.chmod(mode | ENTER)
    if (closed := _first_closed_folder(home.parent)) is not None:
        raise LaunchFailedError(
            f"other accounts may not enter {closed}, which leads to {home}: choose a folder elsewhere with --data,"
            " such as /srv/hubless"
        )


def _first_closed_folder(path: Path) -> Path | None:
    """Return the first folder on the way to *path* that other accounts may not enter, or None."""
    for folder in (*reversed(path.parents), path):
        try:
            if not folder.stat().st_mode & stat.S_IXOTH:
                return folder
        except OSError:
            return folder
    return None


@value
class _Found:
    """One entry of a home, below an open folder."""

    folder: int  # a descriptor, so that nobody can lead elsewhere what is done to the entry
    name: str
    status: os.stat_result


def hand_over(home: Path, uid: int, gid: int) -> None:
    """Give *home* with all that belongs to its present owner to *uid*, the home itself last.

    So a crash leaves a home that is not *uid*'s, and the next launch goes on. Nothing outside the home changes: links
    are not followed, other file systems are not entered, and a file that has links elsewhere stays as it is.

    Raises:
        LaunchFailedError: when it is no folder.
        OSError: when an entry cannot be given away.
        RecursionError: when too many folders are in each other.
    """
    status = home.lstat()
    if status.st_uid == uid:
        return
    if not stat.S_ISDIR(status.st_mode):
        raise LaunchFailedError(f"The home {home} is no folder. An admin must look at it.")
    links = Counter((one.status.st_ino) for one in _entries(home, status) if one.status.st_nlink > 1)
    changed = left = 0
    for one in _entries(home, status):
        if _is_of_home_only(one.status, links):
            os.chown(one.name, uid, gid, dir_fd=one.folder, follow_symlinks=False)
            changed += 1
        else:
            left += 1
    os.chown(home, uid, gid, follow_symlinks=False)
    home.chmod(PRIVATE)
    if changed or left:
        logger.warning(
            "handed over the home %s with %d files from uid %d to uid %d; %d files stayed, because they are devices or "
            "have links outside", home, changed, status.st_uid, uid, left,
        )  # fmt: skip


def _entries(home: Path, of: os.stat_result) -> Iterator[_Found]:
    """Yield all entries below *home* that have its owner and file system, the deepest first."""
    for _, folders, files, descriptor in os.fwalk(home, topdown=False, follow_symlinks=False):
        for name in (*files, *folders):
            status = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
            if (status.st_uid, status.st_dev) == (of.st_uid, of.st_dev):
                yield _Found(descriptor, name, status)


def _is_of_home_only(status: os.stat_result, links: Counter[int]) -> bool:
    if not any(is_kind(status.st_mode) for is_kind in _HANDED_OVER):
        return False
    return stat.S_ISDIR(status.st_mode) or status.st_nlink == 1 or links[status.st_ino] == status.st_nlink
