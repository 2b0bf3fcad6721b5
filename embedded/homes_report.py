"""Where users' files lie at an old hub, and the commands that bring them here or back there. Nothing is moved."""

import os
import shlex
from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from hubless.adapters.ecs.config import HomeFileSystem
from hubless.adapters.processes.accounts import Account, account_of
from hubless.domain.errors import InvalidRequestError, LaunchFailedError
from hubless.domain.limits import size
from hubless.domain.values import value

if TYPE_CHECKING:
    from hubless.bootstrap.hub import Hub
    from hubless.domain.archive import Archive

MOST_FILES = 100_000  # that are counted of a home: larger ones are "at least" so large
MOST_NAMES = 20  # in a line
IN_AWS = HomeFileSystem("")
_LEAST = 2**20  # bytes that `size` tells from none
_TLJH = "jupyter-{username}"
_TLJH_LENGTH = 26  # characters of a system user's name, from which The Littlest JupyterHub cuts it


@value
class _Home:
    """The folder of a user at the old hub, and the id that names the one here."""

    name: str
    owner_id: str
    there: Path


def lines(
    hub: "Hub", source: "Archive", names: Mapping[str, str], template: str, *, in_aws: bool, back: bool = False
) -> Iterator[str]:
    """Yield what was found of each user's files, and the command to bring them.

    Args:
        hub: this hub, after the import.
        source: what was imported.
        names: of the users who came: the source's to names here.
        template: a path with `{username}`.
        in_aws: whether the hub is in AWS, where files lie in EFS.
        back: whether the commands bring the files from here to the old hub.

    Raises:
        InvalidRequestError: when *template* has no `{username}`.
    """
    if "{username}" not in template:
        raise InvalidRequestError("A template of homes needs {username}, such as '/home/jupyter-{username}'")
    homes, without, absent = _found(hub, source, names, template)
    where = "from here to the old hub" if back else "here from the old hub"
    yield f"These commands bring users' files {where}. Nothing is moved yet: stop users' servers first."
    if os.geteuid() != 0 and any(home.there.stat().st_uid != os.geteuid() for home in homes):
        yield "Run the commands as root: some of these folders belong to other accounts."
    for home in homes:
        yield from (_back if back else _here)(hub, home, in_aws=in_aws)
    yield f"{len(homes)} of {len(source.users)} users have a folder like {template}."
    if without:
        more = f" and {len(without) - MOST_NAMES} more" if len(without) > MOST_NAMES else ""
        yield f"Without such a folder: {', '.join(without[:MOST_NAMES])}{more}."
    if absent:
        yield f"Users who are not here yet get no command: {absent}. Import first."


def _found(
    hub: "Hub", source: "Archive", names: Mapping[str, str], template: str
) -> tuple[list[_Home], list[str], int]:
    """Return the homes at the old hub, the names of users without one, and the number of users who are not here."""
    ids = {user.name: user.id for user in hub.accounts.all()}
    homes: list[_Home] = []
    without: list[str] = []
    absent = 0
    for user in source.users:
        name = names.get(user.name, "")
        if name not in ids:
            absent += 1
        elif there := _folder(template, user.name):
            homes.append(_Home(name, ids[name], there))
        else:
            without.append(name)
    return homes, without, absent


def _folder(template: str, name: str) -> Path | None:
    """Return the folder of the user *name* at the old hub, or None if there is none.

    The Littlest JupyterHub cuts long names of its system users, and adds the beginning of their hash.
    """
    if "/" in name or name in {".", ".."}:
        return None
    if (usual := Path(template.replace("{username}", name))).is_dir():
        return usual
    account = _TLJH.replace("{username}", name)
    if Path(template).name == _TLJH and len(account) >= _TLJH_LENGTH:
        cut = Path(template).with_name(f"{account[:_TLJH_LENGTH]}-{sha256(account.encode()).hexdigest()[:5]}")
        return cut if cut.is_dir() else None
    return None


def _here(hub: "Hub", home: _Home, *, in_aws: bool) -> Iterator[str]:
    """Yield the command that brings the files of *home* here, with owners that servers here can have."""
    if in_aws:
        yield _title(home.name, home.there)
        owner = f"--chown={IN_AWS.uid}:{IN_AWS.gid}"
        yield f"{_rsync(home.there, f'EFS_MOUNT/homes/{home.owner_id}', owner)}  # docs/moving.md says how to mount EFS"
        return
    account = _account(hub, home)
    if account is None:
        yield f"# {home.name}: no server may run as this system account of the machine. Rename the user."
    elif account.home.exists() and account.home.samefile(home.there):
        yield f"# {home.name}: nothing to copy, because servers run as this system user in {home.there}"
    else:
        yield _title(home.name, home.there)
        yield _rsync(home.there, account.home, _owner_here(account, home.there))


def _owner_here(account: Account, there: Path) -> str:
    """Return the option that gives the files to *account*, where the hub itself does not do so at the next start."""
    if account.managed and (os.geteuid() == 0 or there.stat().st_uid == os.geteuid()):
        return ""
    uid, gid = (os.geteuid(), os.getegid()) if account.uid is None else (account.uid, account.gid)
    return f"--chown={uid}:{gid}"


def _back(hub: "Hub", home: _Home, *, in_aws: bool) -> Iterator[str]:
    """Yield the command that brings the files of *home* back, to whom the old folder belongs."""
    status = home.there.stat()
    owner = f"--chown={status.st_uid}:{status.st_gid}"
    if in_aws:
        yield f"{_rsync(f'EFS_MOUNT/homes/{home.owner_id}', home.there, owner)}  # docs/moving.md says how to mount EFS"
        return
    account = _account(hub, home)
    if account is None or not account.home.is_dir():
        yield f"# {home.name}: no files here"
    elif account.home.samefile(home.there):
        yield f"# {home.name}: nothing to copy, because servers run as this system user in {home.there}"
    else:
        yield _title(home.name, account.home)
        yield _rsync(account.home, home.there, owner)


def _account(hub: "Hub", home: _Home) -> Account | None:
    settings = hub.settings
    try:
        return account_of(
            home.name, home.owner_id, settings.homes, as_system_users=settings.servers.run_as_system_users
        )
    except LaunchFailedError:
        return None


def _title(name: str, folder: Path) -> str:
    number, is_whole = size_of(folder)
    if number < _LEAST:
        return f"# {name}: {f'less than {size(_LEAST)}' if is_whole else 'its size is not known'}"
    return f"# {name}: {'' if is_whole else 'at least '}{size(number)}"


def _rsync(source: Path | str, target: Path | str, option: str) -> str:
    return " ".join(filter(None, ["rsync -a", option, shlex.quote(f"{source}/"), shlex.quote(f"{target}/")]))


def size_of(folder: Path) -> tuple[int, bool]:
    """Return the bytes of the files in *folder*, and whether all were counted; links are not followed."""
    number = files = 0
    is_whole = True

    def unreadable(_: OSError) -> None:
        nonlocal is_whole
        is_whole = False

    for where, _, names in os.walk(folder, onerror=unreadable):
        for name in names:
            files += 1
            if files > MOST_FILES:
                return number, False
            try:
                number += os.lstat(os.path.join(where, name)).st_size  # noqa: PTH118 many of them
            except OSError:
                continue
    return number, is_whole
