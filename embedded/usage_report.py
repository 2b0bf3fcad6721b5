"""What `hubless usage` prints: the totals of a month as a table, JSON or CSV."""
# ruff: noqa: PLC0415 a command loads what it needs

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from embedded import opening
from hubless.domain.usage import TotalsOf
from hubless.services.usage_reports import Line

_HEAD = ("NAME", "HOURS", "CPU HOURS", "GB HOURS", "GPU HOURS", "STARTS", "COST")


@click.command()
@opening.which_hub
@click.option("--month", metavar="YYYY-MM", help="A month in UTC.  [default: this one]")
@click.option(
    "--by", type=click.Choice([of.value for of in TotalsOf]), default="user", show_default=True, help="What has a row."
)
@click.option("--json", "form", flag_value="json", help="Print JSON.")
@click.option("--csv", "form", flag_value="csv", help="Print CSV.")
def usage(*, data: Path, file: Path | None, stage: str | None, month: str | None, by: str, form: str | None) -> None:
    """Show how long servers ran in a month and what that cost, with what runs now."""
    from functions.api import usage_files

    with opening.hub(data, file, stage) as hub:
        when, of = usage_files.checked_month(month, hub.usage_reports), TotalsOf(by)
        lines = hub.usage_reports.by_subject(of, when)
        found = usage_files.of_month(lines, of, when, hub.currency)
        if form == "json":
            click.echo(json.dumps(found, indent=2, ensure_ascii=False))
        elif form == "csv":
            click.echo(usage_files.as_csv(found), nl=False)
        else:
            for line in as_table(lines, hub.currency):
                click.echo(line)


def as_table(lines: Sequence[Line], currency: str) -> Iterator[str]:
    """Yield the lines of a table with a head."""
    cells = [_HEAD, *(_cells(line, currency) for line in lines)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(_HEAD))]
    for row in cells:
        first, *others = (
            cell.rjust(width) if column else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        yield "  ".join((first, *others)).rstrip()


def _cells(line: Line, currency: str) -> tuple[str, ...]:
    sums = line.totals
    name = "".join(one if one.isprintable() else "?" for one in line.name or line.subject or "-")
    hours = (sums.hours, sums.cpu_hours, sums.gib_hours, sums.gpu_hours)
    return (name, *(f"{one:.1f}" for one in hours), str(sums.launches), f"{currency}{sums.cost:.2f}")
