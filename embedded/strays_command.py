"""`hubless strays`: servers that run and that a restored database does not know."""
# ruff: noqa: PLC0415 a command loads what it needs

from pathlib import Path

import click

from embedded import opening
from operations import commands


@click.command()
@opening.DATA
@commands.SETTINGS
@click.option("--end", is_flag=True, help="End all of them: the hub's next sweep does.")
def strays(*, data: Path, file: Path | None, end: bool) -> None:
    """List servers that run and that the hub does not know, because its database was restored.

    They run on until somebody ends them, or they end by themselves. Their users cannot reach them by the hub, and can
    start new ones.
    """
    from hubless.adapters.processes.strays import give_up_stray
    from hubless.adapters.processes.strays import strays as found_in

    with commands.errors_as_messages():
        launches = opening.settings_of(data, file).launches
        found = found_in(launches)
        for one in found:
            click.echo(f"{one.launch_id}  {one.user or 'user not known'}/{one.server}  {one.home}")
            if end:
                give_up_stray(launches, one.launch_id)
        if end:
            click.echo(f"The hub's next sweep ends {len(found)} servers.")
        elif not found:
            click.echo("The hub knows all servers that run.")
