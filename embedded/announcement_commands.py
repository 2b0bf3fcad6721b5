"""`hubless announce` and `hubless maintenance`, while the hub runs or not."""
# ruff: noqa: PLC0415 a command loads what it needs

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from embedded import opening
from embedded.audit_report import operator, record
from hubless.domain.audit import Act

if TYPE_CHECKING:
    from hubless.bootstrap.hub import Hub
    from hubless.domain.announcements import Announcement

_WHEN = "Such as 2026-11-30T18:00, by the clock of hub.timezone; or with an offset."


@click.command()
@click.argument("text", default="")
@opening.which_hub
@click.option("--until", metavar="WHEN", help=f"When it ends. {_WHEN}")
@click.option("--from", "starts", metavar="WHEN", help="When it begins.  [default: now]")
@click.option("--group", "groups", multiple=True, help="Only for members of this group; repeat for more.")
@click.option("--warning", is_flag=True, help="Nobody can put it away.")
@click.option("--list", "lists", is_flag=True, help="List what has not ended.")
@click.option("--remove", metavar="ID", help="Remove the announcement with this id.")
def announce(
    *,
    text: str,
    data: Path,
    file: Path | None,
    stage: str | None,
    until: str | None,
    starts: str | None,
    groups: tuple[str, ...],
    warning: bool,
    lists: bool,
    remove: str | None,
) -> None:
    """Show TEXT, which may be Markdown, at the top of all pages until a time. Pages have it within ten seconds."""
    if (bool(text) + lists + bool(remove)) != 1 or (text and until is None):
        raise click.UsageError("Give TEXT with --until WHEN, or --list, or --remove ID")
    with opening.hub(data, file, stage) as hub:
        if lists:
            for one in hub.announcements.all():
                click.echo(_line(one))
        elif remove:
            found = hub.announcements.get(remove)
            hub.announcements.remove(found)
            record(hub, Act.ANNOUNCEMENT_REMOVED, *found.groups[:1], announcement=found.id)
            click.echo(f"Removed the announcement {found.id}.")
        else:
            _announce(hub, text, until or "", starts, groups, warning=warning)


def _announce(hub: "Hub", text: str, until: str, starts: str | None, groups: tuple[str, ...], *, warning: bool) -> None:
    from hubless.domain.announcements import Kind
    from hubless.services.announcements import Wish

    kind = Kind.WARNING if warning else Kind.INFO
    wish = Wish(text, _instant(hub, until), _instant(hub, starts) if starts else None, kind, groups)
    made = hub.announcements.make(operator().name, wish)
    record(hub, Act.ANNOUNCEMENT_MADE, *made.groups[:1], announcement=made.id, until=f"{made.ends_at:%Y-%m-%dT%H:%MZ}")
    click.echo(_line(made))


def _line(one: "Announcement") -> str:
    whom = f"for {', '.join(one.groups)}" if one.groups else "for everybody"
    when = f"{one.starts_at:%Y-%m-%d %H:%M} to {one.ends_at:%Y-%m-%d %H:%M} UTC"
    first_line = one.text.partition("\n")[0]
    return f"{one.id}  {one.kind.value:<7}  {when}  {whom}  {first_line}"


@click.group()
def maintenance() -> None:
    """Turn maintenance on and off. While it is on, nobody starts a server; servers that run go on."""


@maintenance.command("on")
@opening.which_hub
@click.option("--until", metavar="WHEN", help=f"When it ends by itself. {_WHEN}")
@click.option("--text", default="", help="Why, in Markdown.")
@click.option("--admins-start", is_flag=True, help="Let admins start their own servers all the same.")
def turn_on(
    *, data: Path, file: Path | None, stage: str | None, until: str | None, text: str, admins_start: bool
) -> None:
    """Turn maintenance on, or change what people read of it."""
    with opening.hub(data, file, stage) as hub:
        ends_at = _instant(hub, until) if until else None
        hub.maintaining.turn_on(operator().name, text=text, ends_at=ends_at, admins_start=admins_start)
        record(hub, Act.MAINTENANCE_ON, until=f"{ends_at:%Y-%m-%dT%H:%MZ}" if ends_at else "")
        click.echo(in_words(hub))


@maintenance.command("off")
@opening.which_hub
def turn_off(data: Path, file: Path | None, stage: str | None) -> None:
    """Turn maintenance off."""
    with opening.hub(data, file, stage) as hub:
        if hub.maintaining.turn_off(operator().name):
            record(hub, Act.MAINTENANCE_OFF)
        click.echo(in_words(hub))


def in_words(hub: "Hub") -> str:
    """Return whether maintenance is on, and until when."""
    found = hub.maintaining.current()
    if found is None:
        return "Maintenance is off."
    until = f"until {found.ends_at:%Y-%m-%d %H:%M} UTC" if found.ends_at else "until somebody turns it off"
    admins = ", except admins" if found.admins_start else ""
    return f"Maintenance is on {until}: nobody starts a server{admins}."


def _instant(hub: "Hub", text: str) -> datetime:
    from hubless.domain.wall_times import instant_of, zone_of

    return instant_of(text, zone_of(hub.settings.hub.timezone))
