"""Strays among processes: marks those that the database does not know, and lists them."""

from collections.abc import Collection
from pathlib import Path

from hubless.adapters.processes.launch_folder import LaunchFolder
from hubless.domain.strays import Stray


def mark_strays(launches: Path, known: Collection[str]) -> None:
    """Mark the launches below *launches* that run and are not among the *known* ids: the sweep leaves them alone."""
    for folder in running(launches):
        if folder.path.name not in known:
            folder.stray.touch(mode=0o600)


def strays(launches: Path) -> list[Stray]:
    """Return the marked launches that still run, by user."""
    found = [_stray(folder) for folder in running(launches) if folder.stray.exists()]
    return sorted(found, key=lambda one: (one.user, one.server, one.launch_id))


def unmark_stray(launches: Path, launch_id: str) -> None:
    """Let the sweep treat the launch like any other again: it ends those that no record names."""
    LaunchFolder(launches / launch_id).stray.unlink(missing_ok=True)


def running(launches: Path) -> list[LaunchFolder]:
    """Return the folders of all launches below *launches* that run."""
    folders = [LaunchFolder(path) for path in launches.iterdir() if path.is_dir()] if launches.is_dir() else []
    return [folder for folder in folders if folder.is_held()]


def _stray(folder: LaunchFolder) -> Stray:
    owner, note = folder.owner(), folder.note()
    return Stray(
        folder.path.name,
        user=owner.get("user", ""),
        user_id=owner.get("user_id", ""),
        server=owner.get("server", ""),
        server_id=owner.get("server_id", ""),
        profile=owner.get("profile", ""),
        token_sha256=owner.get("token_sha256", ""),
        home=note.home if note else "",
    )
