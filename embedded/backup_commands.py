"""`hubless backup` and `hubless restore`."""
# ruff: noqa: PLC0415 a command loads what it needs

import shutil
import sys
import tempfile
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING

import click

from embedded import opening
from operations import commands

if TYPE_CHECKING:
    from embedded.backup_file import Backup
    from hubless.settings import Settings

_RESTORING = "restoring-"  # how the names of folders begin into which a restore unpacks


@click.command()
@click.argument("target", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path))
@opening.DATA
@commands.SETTINGS
@click.option("--homes", is_flag=True, help="Save users' files too.")
def backup(*, target: Path, data: Path, file: Path | None, homes: bool) -> None:
    """Save the database and the hub's secret to FILE, also while the hub runs; `hubless restore` brings them back.

    The settings file is not in it. FILE opens every account: keep it like the hub's secret.
    """
    from hubless.adapters.system_clock import SystemClock

    with commands.errors_as_messages():
        from embedded import backup_file, data_folder
        from hubless.settings.installed import installed_version

        settings = opening.settings_of(data, file)
        if not settings.database.exists():
            raise data_folder.DataFolderError(f"There is no hub in {settings.data}. Name its data folder with --data.")
        taken_at = SystemClock().now().astimezone(UTC).isoformat(timespec="seconds")
        facts = backup_file.BackupFacts(taken_at=taken_at, hubless=installed_version(), has_homes=homes)
        skipped = backup_file.write_backup(settings, target, facts)
    for path in skipped:
        click.echo(f"Left out, because it could not be read: {path}", err=True)
    click.echo(f"Wrote {target}: database, secret{' and homes' if homes else ''}.")


@click.command()
@click.argument("source", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path))
@opening.DATA
@commands.SETTINGS
@click.option("--yes", is_flag=True, help="Restore without asking.")
def restore(*, source: Path, data: Path, file: Path | None, yes: bool) -> None:
    """Bring back what `hubless backup` saved to FILE; the hub must not run.

    The database and the secret that are there are kept in a folder beside the new ones. Homes that exist stay as they
    are. The command says what it would do, and asks.
    """
    from embedded import data_folder, kept_copies
    from embedded.backup_file import Backup
    from hubless.adapters.system_clock import SystemClock

    with commands.errors_as_messages():
        settings = opening.settings_of(data, file)
        found = Backup(source)
        _require_no_hub(settings)
        if settings.data.exists():
            data_folder.require_own(settings.data)
        click.echo(_plan(settings, found))
        if not yes:
            if not sys.stdin.isatty():
                raise data_folder.DataFolderError("Nobody can be asked here. Add --yes to restore.")
            click.confirm("Restore?", abort=True)
        data_folder.prepare_folder(settings)
        lock = data_folder.lock(settings.data)
        try:
            kept = _restore(settings, found)
            if kept is not None:
                click.echo(f"What was there is kept in {kept}.")
            kept_copies.remove_old_copies(settings, SystemClock().now(), click.echo)
        finally:
            lock.release()
    click.echo("Restored. Start the hub with `hubless up`.")


def _require_no_hub(settings: "Settings") -> None:
    from embedded import data_folder

    if data_folder.running_hub(settings.data) is not None:
        raise data_folder.DataFolderError(f"A hub runs in {settings.data}. Stop it first, then restore.")


def _plan(settings: "Settings", found: "Backup") -> str:
    from hubless.adapters.processes.strays import running

    lines = [f"The backup is of {found.facts.taken_at}, by hubless {found.facts.hubless}."]
    if settings.database.exists():
        lines.append(
            "It takes the place of the present database: everything since then ends, such as users, tokens, passwords,"
            " browsers' sessions and shares."
        )
    if count := len(running(settings.launches)):
        lines.append(
            f"Servers that run here: {count}. Those that the backup does not know run on, and `hubless up` lists them."
        )
    if found.facts.has_homes:
        lines.append(f"Homes that are not in {settings.homes} are restored; those that are there stay as they are.")
    return "\n".join(lines)


def _restore(settings: "Settings", found: "Backup") -> Path | None:
    """Put the backup in place; return the folder that keeps what was there.

    A crash in the midst leaves either the old database or none. Without one the hub refuses to start, and says to
    restore.
    """
    _remove_rests(settings)
    with tempfile.TemporaryDirectory(prefix=_RESTORING, dir=settings.data) as folder:
        new = Path(folder)
        found.unpack(new)
        if found.facts.has_homes:
            _restore_homes(settings, found)
        # From now on nobody makes an empty database here, and the next start sees that this one is of no run of its.
        settings.epoch_file.write_text("restored")
        kept = _keep_old(settings)
        (new / "secret").replace(settings.secret_file)
        (new / "hub.sqlite").replace(settings.database)
    return kept


def _remove_rests(settings: "Settings") -> None:
    """Remove what restores unpacked that were killed; the hub's secret is in it."""
    for folder in (*settings.data.glob(f"{_RESTORING}*"), *settings.homes.glob(f".{_RESTORING}*")):
        shutil.rmtree(folder, ignore_errors=True)


def _restore_homes(settings: "Settings", found: "Backup") -> None:
    with tempfile.TemporaryDirectory(prefix=f".{_RESTORING}", dir=settings.homes) as folder:
        found.unpack_homes(Path(folder))
        restored = Path(folder) / "homes"
        for home in sorted(restored.iterdir()) if restored.is_dir() else ():
            if not (settings.homes / home.name).exists():
                home.replace(settings.homes / home.name)


def _keep_old(settings: "Settings") -> Path | None:
    """Move the old files away, the database first: without it no hub starts, whatever is left of the others."""
    from embedded.kept_copies import name_of_restore
    from hubless.adapters.system_clock import SystemClock

    names = [settings.database.name, f"{settings.database.name}-wal", f"{settings.database.name}-shm"]
    old = [file for name in names if (file := settings.data / name).exists()]
    if not old:
        return None
    # A name of its own, for its owner alone: another restore may come within the same second.
    kept = Path(tempfile.mkdtemp(prefix=name_of_restore(SystemClock().now()), dir=settings.data))
    for file in [*old, settings.secret_file]:
        if file.exists():
            file.replace(kept / file.name)
    return kept
