"""`hubless message`, while the hub runs or not."""
# ruff: noqa: PLC0415 a command loads what it needs

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from embedded import opening
from embedded.audit_report import operator, record
from hubless.domain.audit import Act

if TYPE_CHECKING:
    from hubless.bootstrap.hub import Hub
    from hubless.domain.letters import Letter

MOST: Final = 100_000  # people
_LISTED: Final = 100


@click.command()
@click.argument("names", nargs=-1)
@opening.which_hub
@click.option("--subject", help="One line.")
@click.option("--group", "groups", multiple=True, help="Also to all members of this group; repeat for more.")
@click.option("--mail", is_flag=True, help="Also by mail, to those with a verified address.")
@click.option("--list", "lists", is_flag=True, help=f"List the newest {_LISTED} messages, and how many have read them.")
@click.option("--take-back", metavar="ID", help="Take the message with this id back from everybody.")
def message(
    *,
    names: tuple[str, ...],
    data: Path,
    file: Path | None,
    stage: str | None,
    subject: str | None,
    groups: tuple[str, ...],
    mail: bool,
    lists: bool,
    take_back: str | None,
) -> None:
    """Send a message to the users NAMES. Its text comes from standard input."""
    sends = bool(names or groups)
    if (sends + lists + bool(take_back)) != 1 or (sends and not subject):
        raise click.UsageError("Give NAMES or --group with --subject, or --list, or --take-back ID")
    with opening.hub(data, file, stage) as hub:
        if lists:
            for one in hub.letters.sent(limit=_LISTED):
                click.echo(_line(one))
        elif take_back:
            hub.letters.take_back(take_back)
            record(hub, Act.MESSAGE_TAKEN_BACK, message=take_back)
            click.echo(f"Took back the message {take_back}.")
        else:
            _send(hub, names, groups, subject or "", by_mail=mail)


def _send(hub: "Hub", names: tuple[str, ...], groups: tuple[str, ...], subject: str, *, by_mail: bool) -> None:
    from hubless.domain.letters import MAX_TEXT
    from hubless.domain.names import normalise_user_name
    from hubless.services.letters import Draft

    people, unknown = hub.letters.recipients(map(normalise_user_name, names), groups, most=MOST)
    if unknown:
        raise click.ClickException(f"Nobody is called {', '.join(unknown)}; nothing was sent.")
    if not people:
        raise click.ClickException("These groups have no members; nothing was sent.")
    text = sys.stdin.read(2 * MAX_TEXT)
    letter = hub.letters.begin(Draft(subject, text, by_mail), operator().name or "operator")
    refused = hub.letters.send(letter, people)
    record(hub, Act.MESSAGE_SENT, *(user.name for user in people), message=letter.id)
    for name, why in refused:
        click.echo(f"{name}: {why}", err=True)
    click.echo(_line(hub.letters.begun(letter.id, "")))


def _line(one: "Letter") -> str:
    counts = f"{one.read} of {one.reached} have read it"
    return f"{one.id}  {one.sent_at:%Y-%m-%d %H:%M} UTC  {one.sent_by}  {counts}  {one.subject}"
