"""`hubless join-link`: makes, lists and ends join links while the hub runs or not."""
# ruff: noqa: PLC0415 a command loads what it needs

import json
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from embedded import opening
from embedded.audit_report import operator, record
from embedded.people_commands import ONLY_HERE, address_for_others
from hubless.domain.audit import Act
from operations import commands

if TYPE_CHECKING:
    from hubless.bootstrap.hub import Hub
    from hubless.domain.hub_addresses import HubAddress
    from hubless.domain.join_links import JoinLink


@click.group("join-link")
def join_link() -> None:
    """Let people of a class sign up themselves, by a code or its address."""


@join_link.command("add")
@opening.which_hub
@click.option("--group", default="", help="The group that they join; the hub makes it if there is none.")
@click.option("--places", type=click.IntRange(1), default=30, show_default=True, help="How many may sign up.")
@click.option("--days", type=click.IntRange(1, 365), default=7, show_default=True, help="How long it is valid.")
@click.option("--approval", is_flag=True, help="An admin must approve each of them.")
@commands.JSON
def add_join_link(
    *,
    data: Path,
    file: Path | None,
    stage: str | None,
    group: str,
    places: int,
    days: int,
    approval: bool,
    as_json: bool,
) -> None:
    """Make a join link, and print its code and its address."""
    with opening.hub(data, file, stage, needs_key=True) as hub:
        _require_passwords(hub)
        made = hub.join_links.make(
            None,
            group=group.strip(),
            lifetime=timedelta(days=days),
            places=places,
            needs_approval=approval,
            made_by=operator().name,
        )
        record(hub, Act.JOIN_LINK_MADE, group=made.group, places=str(made.places))
        base = address_for_others(hub)
        if as_json:
            click.echo(json.dumps(_facts(hub, base, made), ensure_ascii=False))
        else:
            click.echo(f"{hub.join_links.code_of(made)}\t{base.url}{hub.join_links.path_of(made)}")
        if base.is_only_here:
            click.echo(ONLY_HERE, err=True)


@join_link.command("list")
@opening.which_hub
@commands.JSON
def list_join_links(*, data: Path, file: Path | None, stage: str | None, as_json: bool) -> None:
    """List the join links that have not ended, the newest first."""
    with opening.hub(data, file, stage, needs_key=True) as hub:
        _require_passwords(hub)
        base, found = address_for_others(hub), hub.join_links.all()
        if as_json:
            click.echo(json.dumps([_facts(hub, base, one) for one in found], ensure_ascii=False))
            return
        for one in found:
            code, until = hub.join_links.code_of(one), f"until {one.expires_at:%Y-%m-%d %H:%M} UTC"
            approval = "  with approval" if one.needs_approval else ""
            click.echo(f"{code}  {one.used} of {one.places} places  {until}  {one.group or '-'}{approval}")


@join_link.command("remove")
@click.argument("code")
@opening.which_hub
def remove_join_link(*, code: str, data: Path, file: Path | None, stage: str | None) -> None:
    """End the join link with this CODE, or id. Who signed up with it stays."""
    with opening.hub(data, file, stage, needs_key=True) as hub:
        ended = hub.join_links.named(code)
        hub.join_links.end(ended)
        record(hub, Act.JOIN_LINK_ENDED, group=ended.group)
        click.echo(f"The join link {hub.join_links.code_of(ended)} has ended. Who signed up with it stays.")


def _require_passwords(hub: "Hub") -> None:
    from hubless.domain.errors import InvalidRequestError

    if not hub.has_passwords:
        raise InvalidRequestError("Nobody signs up at this hub: people log in elsewhere.")


def _facts(hub: "Hub", base: "HubAddress", one: "JoinLink") -> dict[str, Any]:
    return {
        "id": one.id,
        "code": hub.join_links.code_of(one),
        "url": base.url + hub.join_links.path_of(one),
        "group": one.group,
        "places": one.places,
        "used": one.used,
        "needs_approval": one.needs_approval,
        "made_by": one.made_by,
        "created": one.made_at.isoformat(),
        "expires_at": one.expires_at.isoformat(),
    }
