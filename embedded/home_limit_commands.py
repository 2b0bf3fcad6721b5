"""`hubless home-limit`: limits the files of users and groups, while the hub runs or not."""

# ruff: noqa: PLC0415 a command loads what it needs

from pathlib import Path
from typing import TYPE_CHECKING

import click

from embedded import opening
from embedded.audit_report import record
from hubless.domain.audit import Act
from hubless.domain.errors import NotFoundError
from operations import commands

if TYPE_CHECKING:
    from hubless.bootstrap.hub import Hub
    from hubless.domain.users import GroupSummary, User

_SHOWN = 10_000
_USER = click.option("--user", metavar="NAME", help="The user whose files it limits.")
_GROUP = click.option("--group", metavar="NAME", help="The group whose members' files it limits.")


@click.group()
def home_limit() -> None:
    """Limit the files of users and of groups. Settings hold for all others."""


@home_limit.command("list")
@opening.DATA
@commands.SETTINGS
def list_limits(*, data: Path, file: Path | None) -> None:
    """List the limits that are set at run time."""
    from hubless.services.home_limiting import written_limit

    with opening.hub(data, file, None) as hub:
        for of, name, size in hub.home_limiting.all(_SHOWN):
            click.echo(f"{of.value:<5}  {name}  {written_limit(size)}")


@home_limit.command("set")
@click.argument("size")
@opening.DATA
@commands.SETTINGS
@_USER
@_GROUP
def set_limit(*, size: str, data: Path, file: Path | None, user: str | None, group: str | None) -> None:
    """Set the limit to SIZE, such as 512M or 50G, or "none". It counts from now on, and is stronger than settings."""
    from hubless.services.home_limiting import typed_limit, written_limit

    with opening.hub(data, file, None) as hub:
        whose, chosen = _whose(hub, user, group), typed_limit(size)
        hub.home_limiting.put(whose, chosen)
        record(hub, Act.HOME_LIMIT_SET, whose.name, limit=written_limit(chosen))
        click.echo(f"The limit of files of {whose.name} is {written_limit(chosen)} from now on.")


@home_limit.command("remove")
@opening.DATA
@commands.SETTINGS
@_USER
@_GROUP
def remove_limit(*, data: Path, file: Path | None, user: str | None, group: str | None) -> None:
    """Remove a limit that was set at run time. Those of the settings count again."""
    with opening.hub(data, file, None) as hub:
        whose = _whose(hub, user, group)
        hub.home_limiting.remove(whose)
        record(hub, Act.HOME_LIMIT_REMOVED, whose.name)
        click.echo(f"Removed the limit of files of {whose.name}.")


def _whose(hub: "Hub", user: str | None, group: str | None) -> "User | GroupSummary":
    if (user is None) == (group is None):
        raise click.UsageError("Give --user NAME or --group NAME")
    found = hub.groups.summary(group) if user is None and group is not None else hub.users.find(user or "")
    if found is None:
        raise NotFoundError("Group" if user is None else "User", user or group or "")
    return found
