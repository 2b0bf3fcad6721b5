"""Opening a hub's store from a shell: on this machine, whether the hub runs or not, or in AWS."""
# ruff: noqa: PLC0415 a command loads what it needs

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from hubless.settings import DEFAULT_FILE, Settings, parse, read_text
from operations import commands

if TYPE_CHECKING:
    from hubless.bootstrap.hub import Hub

_Command = TypeVar("_Command", bound=Callable[..., Any])
DATA = click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    default="hub-data",
    show_default=True,
    help="Folder of the hub's data.",
)
STAGE = click.option(
    "--stage",
    metavar="NAME",
    help="Use the hub in AWS that is deployed as [stages.NAME] of the settings, not the one on this machine.",
)


def which_hub(command: _Command) -> _Command:
    """Give *command* the options that say which hub it opens, and where: what `hub` takes."""
    return DATA(commands.SETTINGS(STAGE(command)))


def settings_of(data: Path, file: Path | None) -> Settings:
    """Return the settings of *file*, or of the default file, for a hub with its data in *data*.

    Raises:
        SettingsError: when the file is wrong.
    """
    found = commands.settings_file(file)
    return parse(read_text(found), data, source=str(found or DEFAULT_FILE))


@contextlib.contextmanager
def hub(
    data: Path, file: Path | None, stage: str | None = None, *, new: bool = False, needs_key: bool = False
) -> "Iterator[Hub]":
    """Open the hub's store, whether the hub runs or not.

    Args:
        data: the folder of a hub on this machine.
        file: the settings; None for the default file.
        stage: the hub in AWS, in place of the one on this machine.
        new: whether to create a hub on this machine if there is none.
        needs_key: whether to read the hub's key at once, so that nobody learns in the midst that it cannot be read.
    """
    with commands.errors_as_messages():
        if stage is not None:
            from operations import deployed_stage

            chosen = commands.stage_of(file, stage)
            with deployed_stage.refusals_explained(chosen):
                opened = deployed_stage.open_hub(chosen, commands.settings_file(file))
                if needs_key:
                    opened.key  # noqa: B018 reads it
                yield opened
            return
        from embedded import data_folder, database_file
        from hubless.bootstrap import machine

        settings = settings_of(data, file)
        if not new and not settings.database.exists() and not settings.epoch_file.exists():
            raise data_folder.DataFolderError(f"There is no hub in {settings.data}. Name its data folder with --data.")
        data_folder.prepare(settings)
        database_file.require_same_schema_beside_a_hub(settings)
        database_file.upgrade(settings, lambda text: click.echo(text, err=True))
        yield machine.build(settings)
