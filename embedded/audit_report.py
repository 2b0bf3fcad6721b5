"""What `hubless audit` prints, and how commands record what operators do."""
# ruff: noqa: PLC0415 a command loads what it needs

import getpass
import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from embedded import opening

if TYPE_CHECKING:
    from hubless.bootstrap.hub import Hub
    from hubless.domain.audit import Act, AuditQuery, AuditRecord, Doer

_AGO: Final = re.compile(r"(?:[0-9]+[smhd])+")


def record(hub: "Hub", act: "Act", *on: str, **about: str) -> None:
    """Record an act of the operator who runs this command, after it is done."""
    hub.auditing.record(operator(), act, *on, about=about)


def operator() -> "Doer":
    """Return the operator who runs this command: the name of the account."""
    from hubless.domain.audit import Doer, DoerKind

    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # an account without a name, as in some containers
        name = ""
    return Doer(DoerKind.OPERATOR, name)


@click.command()
@opening.which_hub
@click.option("--by", default="", metavar="NAME", help="Who did it: a user, a service, or an operator's account.")
@click.option("--on", default="", metavar="NAME", help="Whom or what it is about; for servers, the owner.")
@click.option("--act", default="", metavar="ACT", help="What was done, such as token-issued.")
@click.option("--since", default="", metavar="DAY", help="From this day on, or for the last time, such as 7d.")
@click.option("--until", default="", metavar="DAY", help="Up to this day.")
@click.option("--limit", type=click.IntRange(1), help="Print at most this many.  [default: 200; all with --json]")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, one line for each.")
def audit(
    *,
    data: Path,
    file: Path | None,
    stage: str | None,
    by: str,
    on: str,
    act: str,
    since: str,
    until: str,
    limit: int | None,
    as_json: bool,
) -> None:
    """Show who did what to whom, the newest first."""
    from functions.api import audit_lines

    with opening.hub(data, file, stage) as hub:
        if _AGO.fullmatch(since):
            since = _ago(hub.clock.now(), since)
        given = {"by": by, "on": on, "act": act, "since": since, "until": until}
        found = _records(hub, audit_lines.query_of(given, hub.auditing), limit or (None if as_json else 200))
        for one in found:
            click.echo(audit_lines.as_line(one) if as_json else _sentence(one))


def _ago(now: datetime, text: str) -> str:
    from hubless.settings.types import DURATION

    since: datetime = now - DURATION.value(text, "--since")
    return since.isoformat()


def _records(hub: "Hub", query: "AuditQuery", most: int | None) -> "Iterator[AuditRecord]":
    number = 0
    for page in hub.auditing.pages(query):
        for one in page.records:
            yield one
            number += 1
            if number == most:
                return


def _sentence(record: "AuditRecord") -> str:
    by, details = record.by, " ".join(f"{key}={text}" for key, text in record.about.items())
    cells = (f"{record.at:%Y-%m-%d %H:%M:%S}", record.act.value, by.name or by.kind.value, record.on or "-", by.address)
    more = f"{record.count} times" if record.count > 1 else ""
    line = "  ".join(filter(None, (*cells, details, more)))
    return "".join(one if one.isprintable() else "?" for one in line)
