"""Strays: servers that run, and that the hub's database does not know, because it was restored or replaced."""

from collections.abc import Collection
from pathlib import Path

from hubless.adapters.processes.launch_folder import LaunchFolder
from hubless.domain.values import value


@value
class Stray:
    """One of them. What an older hubless started has no user and no server; *home* is its folder."""

    launch_id: str
    user: str
    server: str
    home: str


def mark_strays(launches: Path, known: Collection[str]) -> None:
    """Mark the launches below *launches* that run and are not among the *known* ids: the sweep leaves them alone."""
    for folder in running(launches):
        if folder.path.name not in known:
            folder.stray.touch(mode=0o600)


def strays(launches: Path) -> list[Stray]:
    """Return the marked launches that still run, by user."""
    found = list[Stray]()
    for folder in running(launches):
        if folder.stray.exists():
            owner, note = folder.owner(), folder.note()
            home = note.home if note else ""
            found.append(Stray(folder.path.name, owner.get("user", ""), owner.get("server", ""), home))
    return sorted(found, key=lambda one: (one.user, one.server, one.launch_id))


def give_up_stray(launches: Path, launch_id: str) -> None:
    """Let the next sweep end the launch like any other that the database does not know."""
    LaunchFolder(launches / launch_id).stray.unlink(missing_ok=True)


def running(launches: Path) -> list[LaunchFolder]:
    """Return the folders of all launches below *launches* that run."""
    folders = [LaunchFolder(path) for path in launches.iterdir() if path.is_dir()] if launches.is_dir() else []
    return [folder for folder in folders if folder.is_held()]
