"""`hubless schedule`: adds, lists, pauses and removes schedules while the hub runs or not."""

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from embedded import opening
from embedded.audit_report import record
from hubless.domain.audit import Act
from hubless.domain.schedules import DAYS, Schedule, clock_of, date_of, upcoming
from hubless.domain.wall_times import zone_of
from operations import commands

if TYPE_CHECKING:
    from hubless.bootstrap.hub import Hub

_MINUTE = timedelta(minutes=1)
_SHOWN = 3  # lessons


@click.group()
def schedule() -> None:
    """Start the servers of a class before it meets, keep them meanwhile, and stop them afterwards."""


@schedule.command("list")
@opening.which_hub
@commands.JSON
def list_schedules(*, data: Path, file: Path | None, stage: str | None, as_json: bool) -> None:
    """List the schedules, and when each class meets next."""
    with opening.hub(data, file, stage) as hub:
        now = hub.clock.now()
        found = [(one, hub.schedules.is_fixed(one.name)) for one in hub.schedules.all()]
        if as_json:
            click.echo(json.dumps([_facts(one, now, is_fixed=fixed) for one, fixed in found], ensure_ascii=False))
            return
        for one, fixed in found:
            notes = [", ".join(one.groups), *(["of the settings"] if fixed else [])]
            notes += ["paused"] if one.is_paused else []
            click.echo(f"{one.name}  ({'; '.join(notes)})")
            for line in _lessons(one, now):
                click.echo(f"  {line}")


@schedule.command("add")
@click.argument("name")
@opening.which_hub
@click.option("--group", "groups", multiple=True, required=True, help="A group whose servers start.  [repeatable]")
@click.option("--day", "days", multiple=True, type=click.Choice(DAYS), help="A day of each week.  [repeatable]")
@click.option("--date", metavar="YYYY-MM-DD", help="The day of a class that meets once, instead of --day.")
@click.option("--from", "begins", required=True, metavar="HH:MM", help="When the class begins.")
@click.option("--to", "ends", required=True, metavar="HH:MM", help="When it ends, on the same day.")
@click.option(
    "--timezone", metavar="ZONE", help="The time zone of both, such as Europe/Berlin.  [default: hub.timezone]"
)
@click.option("--before", type=click.IntRange(0, 120), default=0, help="Start servers so many minutes before.")
@click.option("--profile", default="", help="The profile to start.  [default: what each member started last]")
@click.option("--leave", is_flag=True, help="Let servers run on after the class.")
def add_schedule(
    *,
    name: str,
    data: Path,
    file: Path | None,
    stage: str | None,
    groups: tuple[str, ...],
    days: tuple[str, ...],
    date: str | None,
    begins: str,
    ends: str,
    timezone: str | None,
    before: int,
    profile: str,
    leave: bool,
) -> None:
    """Add the schedule NAME. It counts at once, for a lesson that is on too."""
    with opening.hub(data, file, stage) as hub:
        added = hub.schedules.add(
            Schedule(
                name,
                frozenset(map(DAYS.index, days)),
                clock_of(begins),
                clock_of(ends),
                zone_of(timezone or hub.settings.hub.timezone),
                tuple(dict.fromkeys(groups)),
                profile,
                not leave,
                None if date is None else date_of(date),
                before * _MINUTE,
            )
        )
        record(hub, Act.SCHEDULE_SET, name)
        following = _lessons(added, hub.clock.now())
        click.echo(f"Added the schedule {name}. " + (f"Next: {following[0]}." if following else "It is over already."))


@schedule.command("pause")
@click.argument("name")
@opening.which_hub
def pause_schedule(*, name: str, data: Path, file: Path | None, stage: str | None) -> None:
    """Let the schedule NAME rest. Servers that run stay as they are."""
    with opening.hub(data, file, stage) as hub:
        _pause(hub, name, is_paused=True)
        click.echo(f"Paused the schedule {name}.")


@schedule.command("resume")
@click.argument("name")
@opening.which_hub
def resume_schedule(*, name: str, data: Path, file: Path | None, stage: str | None) -> None:
    """Let the schedule NAME count again."""
    with opening.hub(data, file, stage) as hub:
        _pause(hub, name, is_paused=False)
        click.echo(f"The schedule {name} counts again.")


@schedule.command("remove")
@click.argument("name")
@opening.which_hub
def remove_schedule(*, name: str, data: Path, file: Path | None, stage: str | None) -> None:
    """Remove the schedule NAME. Schedules of the settings are removed there."""
    with opening.hub(data, file, stage) as hub:
        hub.schedules.remove(hub.schedules.find(name))
        record(hub, Act.SCHEDULE_REMOVED, name)
        click.echo(f"Removed the schedule {name}.")


def _pause(hub: "Hub", name: str, *, is_paused: bool) -> None:
    hub.schedules.pause(name, is_paused=is_paused)
    record(hub, Act.SCHEDULE_SET, name, paused="yes" if is_paused else "")


def _lessons(one: Schedule, now: datetime) -> list[str]:
    """Return the next lessons as lines, by the clocks of the class."""
    lines = []
    for lesson in upcoming(one, now, _SHOWN):
        begins, ends = (at.astimezone(one.zone) for at in (lesson.meets_at, lesson.ends))
        lines.append(f"{DAYS[begins.weekday()].capitalize()} {begins:%Y-%m-%d %H:%M} to {ends:%H:%M} ({one.zone})")
    return lines


def _facts(one: Schedule, now: datetime, *, is_fixed: bool) -> dict[str, object]:
    return {
        "name": one.name,
        "groups": list(one.groups),
        "days": [DAYS[day] for day in sorted(one.days)],
        "date": None if one.on is None else one.on.isoformat(),
        "begins": one.begins.isoformat("minutes"),
        "ends": one.ends.isoformat("minutes"),
        "timezone": str(one.zone),
        "profile": one.profile,
        "start_before": one.lead // _MINUTE,
        "stop": one.stops,
        "paused": one.is_paused,
        "from_settings": is_fixed,
        "next": [
            {"begins": lesson.meets_at.isoformat(), "ends": lesson.ends.isoformat()}
            for lesson in upcoming(one, now, _SHOWN)
        ],
    }
