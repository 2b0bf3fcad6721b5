"""The command `hubless import-settings`."""
# ruff: noqa: PLC0415 the command line imports this module at each start

from pathlib import Path

import click

from operations import commands

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command("import-settings")
@click.argument("source", metavar="FILE", type=_FILE)
@click.option("--output", metavar="FILE", type=click.Path(path_type=Path), help="Write there, to a new file.")
@click.option("--run-config", is_flag=True, help="Run FILE, a program: for a few seconds, and without network.")
def import_settings(*, source: Path, output: Path | None, run_config: bool) -> None:
    """Write the settings of a JupyterHub as a hubless.toml.

    FILE is a jupyterhub_config.py, or a config.yaml of TLJH or of Zero to JupyterHub. What has no counterpart becomes a
    comment. Secrets become variables, which standard error names.
    """
    from embedded.settings_import import reading

    with commands.errors_as_messages():
        made = reading.import_settings(source, run=run_config, way=way_without_network() if run_config else None)
        if output is not None:
            write_new(output, made.text)
    if output is None:
        click.echo(made.text, nl=False)
    for name, what in made.variables.items():
        click.echo(f"Set the variable {name}: {what}.", err=True)
    click.echo(f"{made.comments} comments say what has no counterpart, or needs a look.", err=True)


def way_without_network() -> tuple[str, ...] | None:
    """Return the command before which a program has no network; without one, say so on standard error."""
    from embedded.settings_import import python_config

    way = python_config.isolation()
    if way is None:
        click.echo(
            "This machine cannot keep the network from a program: the file runs as your own commands do.", err=True
        )
    return way


def write_new(path: Path, text: str) -> None:
    """Write *text* to a new file at *path*.

    Raises:
        SettingsError: when there is one already, or it cannot be written.
    """
    from hubless.settings import SettingsError

    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise SettingsError(f"{path} exists already: name another file, or remove it") from None
    except OSError as error:
        raise SettingsError(f"Cannot write {path}: {error.strerror}") from None
