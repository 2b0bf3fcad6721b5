"""Where users' files lie at an old hub, and the commands that bring them here. Nothing is moved."""

import os
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from hubless.domain.errors import InvalidRequestError
from hubless.domain.names import normalise_user_name

if TYPE_CHECKING:
    from hubless.bootstrap.hub import Hub
    from hubless.domain.archive import Archive

MOST_FILES = 100_000  # that are counted of a home: larger ones are "at least" so large
_GIB = 1024**3


def lines(hub: "Hub", source: "Archive", renames: Mapping[str, str], template: str, *, in_aws: bool) -> Iterator[str]:
    """Yield what was found of each user's files, and the command to bring them.

    Args:
        hub: this hub, after the import.
        source: what was imported.
        renames: names of the source to names here, if they differ.
        template: a path with `{username}`.
        in_aws: whether the hub is in AWS, where files lie in EFS.

    Raises:
        InvalidRequestError: when *template* has no `{username}`.
    """
    if "{username}" not in template:
        raise InvalidRequestError("--homes needs a path with {username}, such as '/home/jupyter-{username}'")
    ids = {user.name: user.id for user in hub.accounts.all()}
    found = 0
    yield "Users' files (nothing is moved; stop users' servers first):"
    for user in source.users:
        name = renames.get(user.name, normalise_user_name(user.name))
        home = Path(template.replace("{username}", user.name))
        if name not in ids or "/" in user.name or user.name in {".", ".."} or not home.is_dir():
            continue
        found += 1
        size, is_whole = size_of(home)
        yield f"# {name}: {'' if is_whole else 'at least '}{size / _GIB:.1f} GiB"
        yield _command(hub, home, ids[name], in_aws=in_aws)
    yield f"{found} of {len(source.users)} users have a folder like {template}."


def _command(hub: "Hub", home: Path, owner_id: str, *, in_aws: bool) -> str:
    quoted = shlex.quote(f"{home}/")
    if in_aws:
        return f"rsync -a {quoted} EFS_MOUNT/homes/{owner_id}/  # docs/moving.md says how to mount EFS"
    return f"rsync -a {quoted} {shlex.quote(str(hub.settings.homes / owner_id))}/"


def size_of(folder: Path) -> tuple[int, bool]:
    """Return the bytes of the files in *folder*, and whether all were counted; links are not followed."""
    size = files = 0
    for where, _, names in os.walk(folder):
        for name in names:
            files += 1
            if files > MOST_FILES:
                return size, False
            try:
                size += os.lstat(os.path.join(where, name)).st_size  # noqa: PTH118 many of them
            except OSError:
                continue
    return size, True
