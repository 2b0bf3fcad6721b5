"""`hubless files`: lists the files of removed users, gives them to somebody, archives and deletes them."""
# ruff: noqa: PLC0415 a command loads what it needs

import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from embedded import opening
from embedded.audit_report import record
from hubless.domain.audit import Act
from operations import commands

if TYPE_CHECKING:
    from hubless.bootstrap.hub import Hub
    from hubless.domain.orphaned_homes import HomeTask, OrphanedHome
    from hubless.domain.users import User
    from hubless.services.home_keeping import HomeKeeping

_LEAST: Final = 2**20  # bytes that `size` tells from none
_WAIT_SECONDS: Final = 0.5  # between two looks at what the running hub does


@click.group()
def files() -> None:
    """List, give, archive and delete the files of removed users.

    NAME is what the user was called, or the id that `hubless files list` shows.
    """


@files.command("list")
@opening.DATA
@commands.SETTINGS
def list_files(*, data: Path, file: Path | None) -> None:
    """List the files of removed users: name, id, size, and when the user was removed."""
    with opening.hub(data, file) as hub:
        keeping = _keeping(hub)
        for _ in keeping.measure():
            pass
        homes = keeping.all()
        for one in homes:
            removed = f"removed {one.removed_at:%Y-%m-%d %H:%M} UTC" if one.removed_at else "removed earlier"
            name = one.name or "(name not known)"
            click.echo(f"{name:<30}  {one.owner_id}  {_size(one):>16}  {removed}{_state(one)}")
        if not homes:
            click.echo("There are no files of removed users.")


@files.command("give")
@click.argument("name")
@click.argument("to_user", metavar="TO-USER")
@opening.DATA
@commands.SETTINGS
def give_files(*, name: str, to_user: str, data: Path, file: Path | None) -> None:
    """Move the files of NAME into a new folder of TO-USER, who owns them from then on."""
    from hubless.domain.orphaned_homes import HomeTask

    with opening.hub(data, file) as hub:
        home = _keeping(hub).find(name)
        receiver = hub.accounts.find(hub.accounts.stored_name(to_user))
        _do(hub, home, HomeTask.GIVE, receiver)
        record(hub, Act.FILES_GIVEN, receiver.name, **{"from": home.name or home.owner_id})
        click.echo(f"{receiver.name} has the files now, in a folder that begins with files-of-.")


@files.command("archive")
@click.argument("name")
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The new file.  [default: NAME.tar.gz]",
)
@opening.DATA
@commands.SETTINGS
def archive_files(*, name: str, output: Path | None, data: Path, file: Path | None) -> None:
    """Write the files of NAME to a compressed tar file. The files stay."""
    from hubless.adapters.processes.home_archive import Archived, archive
    from hubless.domain.home_names import file_name

    with opening.hub(data, file) as hub:
        home = _keeping(hub).find(name)
        called = file_name(home.name)[:200] or home.owner_id
        target = output or Path(f"{called}.tar.gz")
        done = Archived()
        for done in archive(hub.settings.homes / home.owner_id, target.absolute(), called):
            _tell(done.files)
        record(hub, Act.FILES_ARCHIVED, home.name or home.owner_id)
        click.echo(f"{target} has {done.files - done.left_out} files of {home.name or home.owner_id}.")
        if done.left_out:
            click.echo(
                f"{done.left_out} are not in it: pipes, sockets, devices, other file systems, and what is in more than"
                " 200 folders.",
                err=True,
            )


@files.command("delete")
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
@opening.DATA
@commands.SETTINGS
def delete_files(*, name: str, yes: bool, data: Path, file: Path | None) -> None:
    """Delete the files of NAME. Nobody can undo it."""
    from hubless.domain.orphaned_homes import HomeTask

    with opening.hub(data, file) as hub:
        home = _keeping(hub).find(name)
        called = home.name or home.owner_id
        if not yes:
            click.confirm(f"Delete the files of {called} ({_size(home)})? Nobody can undo it.", abort=True)
        _do(hub, home, HomeTask.DELETE)
        record(hub, Act.FILES_DELETED, called)
        click.echo(f"The files of {called} are deleted.")


def _keeping(hub: "Hub") -> "HomeKeeping":
    """Return the service, after it has looked at the folders: perhaps no hub runs that does so.

    Raises:
        DataFolderError: when the folders cannot be read.
    """
    from embedded.data_folder import DataFolderError

    keeping = hub.home_keeping
    if keeping is None:
        raise DataFolderError("This hub does not reach the files of its users.")
    try:
        keeping.keep()
    except OSError as error:
        raise DataFolderError(f"The folder {hub.settings.homes} cannot be used: {error.strerror}.") from None
    return keeping


def _do(hub: "Hub", home: "OrphanedHome", task: "HomeTask", receiver: "User | None" = None) -> None:
    """Have the task done, by the hub if one runs, else here.

    Raises:
        InvalidRequestError: when something else is being done with these files.
        HomeTaskError: when it failed.
    """
    from embedded import data_folder
    from hubless.domain.errors import HomeTaskError

    keeping = _keeping(hub)
    keeping.begin(home, task, receiver)
    while (now := keeping.store.get(home.owner_id)) is not None and now.task is task:
        if data_folder.running_hub(hub.settings.data) is None:
            for _ in keeping.work():
                pass
        else:
            _tell(now.progress)
            time.sleep(_WAIT_SECONDS)
    if now is not None:
        raise HomeTaskError(now.failure)


def _tell(number: int) -> None:
    if number and number % 1000 == 0:
        click.echo(f"{number} files so far", err=True)


def _size(home: "OrphanedHome") -> str:
    from hubless.domain.limits import size

    if home.size is None:
        return "not measured"
    found = size(home.size) if home.size >= _LEAST else f"less than {size(_LEAST)}"
    return found if home.is_whole else f"at least {found}"


def _state(home: "OrphanedHome") -> str:
    from hubless.domain.orphaned_homes import HomeTask

    doing = {HomeTask.GIVE: "  being moved", HomeTask.DELETE: f"  being deleted, {home.progress} files so far"}
    return doing.get(home.task, f"  {home.failure}" if home.failure else "")
