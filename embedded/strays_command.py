"""`hubless strays`: servers that run and that a restored database does not know."""
# ruff: noqa: PLC0415 a command loads what it needs

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from embedded import opening
from embedded.audit_report import record
from hubless.domain.audit import Act
from operations import commands

if TYPE_CHECKING:
    from hubless.domain.strays import Stray


@click.command()
@click.argument("names", metavar="[NAME...]", nargs=-1)
@opening.DATA
@commands.SETTINGS
@click.option("--adopt", is_flag=True, help="Give servers back to their owners.")
@click.option("--end", is_flag=True, help="End servers: the hub's next sweep does.")
@click.option("--all", "everything", is_flag=True, help="Do so with all of them.")
def strays(*, names: tuple[str, ...], data: Path, file: Path | None, adopt: bool, end: bool, everything: bool) -> None:
    """List servers that run and that the hub does not know, because its database was restored.

    They run on until somebody adopts or ends them, or they end by themselves. Until then their users cannot reach them
    by the hub, and can start new ones. A NAME is a user, a server as user/server, or a launch.
    """
    from hubless.adapters.processes.strays import strays as found_in

    if adopt and end:
        raise click.UsageError("Servers are adopted or ended, not both.")
    if names and everything:
        raise click.UsageError("Name servers, or take all with --all, not both.")
    if (adopt or end) and not names and not everything:
        what = "adopt" if adopt else "end"
        raise click.UsageError(f"Name the servers to {what}, or {what} all with --all.")
    with commands.errors_as_messages():
        found = found_in(opening.settings_of(data, file).launches)
        chosen = _chosen(found, names)
        if adopt:
            _adopt(chosen, data, file)
            return
        for one in chosen:
            click.echo(f"{one.launch_id}  {one.called}  {one.home}")
        if end:
            _end(chosen, data, file)
        elif not found:
            click.echo("The hub knows all servers that run.")


def _chosen(found: "Sequence[Stray]", names: Sequence[str]) -> "list[Stray]":
    for name in names:
        if not any(one.is_meant_by(name) for one in found):
            raise click.UsageError(f"The hub knows all servers called {name}. `hubless strays` lists the others.")
    return [one for one in found if not names or any(one.is_meant_by(name) for name in names)]


def _adopt(chosen: "Sequence[Stray]", data: Path, file: Path | None) -> None:
    """Adopt them one by one, and say of each what came of it; exit with 1 if one cannot be adopted."""
    from hubless.adapters.processes.strays import unmark_stray
    from hubless.domain.errors import CannotAdoptError

    is_refused = False
    with opening.hub(data, file, needs_key=True) as hub:
        for one in chosen:
            try:
                hub.adopting.adopt(one)
            except CannotAdoptError as refused:
                click.echo(f"Cannot adopt {one.launch_id}  {one.called}: {str(refused).rstrip('.')}.", err=True)
                is_refused = True
                continue
            record(hub, Act.SERVER_ADOPTED, one.user, server=one.server)
            # Only now: the sweep ends what has neither a mark nor a record, and nobody adopts it again without a mark.
            unmark_stray(hub.settings.launches, one.launch_id)
            click.echo(f"Adopted {one.launch_id}  {one.called}. The hub that runs makes it ready, or its next start.")
    if not chosen:
        click.echo("The hub knows all servers that run.")
    if is_refused:
        sys.exit(1)


def _end(chosen: "Sequence[Stray]", data: Path, file: Path | None) -> None:
    from hubless.adapters.processes.strays import unmark_stray

    for one in chosen:
        unmark_stray(opening.settings_of(data, file).launches, one.launch_id)
    click.echo(f"The hub's next sweep ends {len(chosen)} servers.")
