"""`hubless user import`, and `hubless user add` for several users."""
# ruff: noqa: PLC0415 a command loads what it needs

import csv
import io
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, TextIO

import click

from embedded import data_folder, opening
from embedded.audit_report import operator

if TYPE_CHECKING:
    from hubless.bootstrap.hub import Hub
    from hubless.domain.hub_addresses import HubAddress
    from hubless.domain.pasted_people import Column
    from hubless.services.adding_people import Preview, Wishes

GROUPS = click.option(
    "--group", "groups", metavar="GROUP", multiple=True, help="A group of all of them; repeat for more."
)
ONLY_HERE = (
    "These links open on this computer alone, because the hub listens to no network. Start it with"
    " `hubless up --host 0.0.0.0`, or set public_url, and make new links."
)


@click.command("import")
@click.argument("source", metavar="FILE", type=click.File("rb"))
@opening.which_hub
@GROUPS
@click.option(
    "--columns",
    metavar="KINDS",
    help="What the columns are, where FILE has no titles: user, person, first, last, email, group, password, or - to"
    " leave one out. Such as last,first,-,email.",
)
@click.option(
    "--links",
    "links_file",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the links to this new CSV file, and not to the terminal.",
)
@click.option("--no-links", is_flag=True, help="Make no links.")
@click.option("--all-links", is_flag=True, help="Make links also for users who exist. Their earlier links end.")
@click.option("--days", type=click.IntRange(1, 30), default=7, show_default=True, help="How long links are valid.")
@click.option("--admin", is_flag=True, help="Make new users admins.")
@click.option("--dry-run", is_flag=True, help="Only say what would come of each line.")
def import_people(
    *,
    source: BinaryIO,
    data: Path,
    file: Path | None,
    stage: str | None,
    groups: tuple[str, ...],
    columns: str | None,
    links_file: Path | None,
    no_links: bool,
    all_links: bool,
    days: int,
    admin: bool,
    dry_run: bool,
) -> None:
    """Add the people in FILE, or in standard input for `-`: names, or a CSV file of a spreadsheet.

    Lines with a fault are left out and named. The exit code is 1 if there are any.
    """
    from hubless.domain.pasted_people import MAX_PASTE, decoded
    from hubless.domain.people_batches import Links
    from hubless.services.adding_people import Wishes

    if no_links and (all_links or links_file):
        raise click.UsageError("--no-links excludes --links and --all-links")
    links = Links.NONE if no_links else Links.ALL if all_links else Links.NEW
    with opening.hub(data, file, stage, new=True) as hub:
        text = decoded(source.read(2 * MAX_PASTE + 1))
        wishes = Wishes(text, _columns(columns), groups, links, timedelta(days=days), admin)
        preview = hub.adding_people.preview(wishes, None)
        _require_sure(preview, columns)
        if dry_run:
            _tell(preview, "would be added")
        else:
            _add(hub, wishes, links_file)
            return
    raise SystemExit(1 if preview.bad else 0)


def add(hub: "Hub", user_names: Sequence[str], groups: tuple[str, ...], *, admin: bool, links: bool) -> None:
    """Add these users, who may exist already, to the groups; print a link for each new one if *links* says so."""
    from hubless.domain.pasted_people import Column
    from hubless.domain.people_batches import Links
    from hubless.services.adding_people import Wishes

    written = io.StringIO()
    csv.writer(written, quoting=csv.QUOTE_ALL).writerows([["username"], *([name] for name in user_names)])
    chosen = Links.NEW if links else Links.NONE
    _add(hub, Wishes(written.getvalue(), (Column.USER,), groups, chosen, admin=admin), None)


def address_for_others(hub: "Hub") -> "HubAddress":
    """Return the hub's address for links: of the hub that runs, or the one that it would have."""
    facts = {} if hub.settings.hub.public_url else data_folder.running_hub(hub.settings.data) or {}
    return hub.address_for_others(str(facts.get("url") or hub.settings.url), host=str(facts.get("host", "")))


def _columns(given: str | None) -> "tuple[Column, ...]":
    from hubless.domain.pasted_people import Column

    if given is None:
        return ()
    words = ["" if word.strip() in {"-", ""} else word.strip() for word in given.split(",")]
    unknown = [word for word in words if word not in set(Column)]
    if unknown:
        known = ", ".join(one.value for one in Column if one)
        raise click.BadParameter(f"{unknown[0]!r} is none of {known} and -", param_hint="--columns")
    return tuple(map(Column, words))


def _require_sure(preview: "Preview", columns: str | None) -> None:
    from hubless.domain.errors import InvalidRequestError

    if columns is None and not preview.table.is_sure:
        guess = ",".join(one.value or "-" for one in preview.columns)
        raise InvalidRequestError(
            f"The columns have no titles. If they are {guess}, say so with --columns {guess}; else say what they are."
        )
    if columns is not None and columns.count(",") + 1 != preview.table.width:
        raise InvalidRequestError(f"--columns must name {preview.table.width} columns, as many as the file has.")


def _add(hub: "Hub", wishes: "Wishes", links_file: Path | None) -> None:
    """Add the people, print what came of each, and write the links.

    Raises:
        SystemExit: 1, when some lines have a fault.
    """
    from hubless.domain.people_batches import csv_of_links

    with nullcontext() if links_file is None else _new_file(links_file) as file:
        preview, batch_id, content = hub.adding_people.add_now(wishes)
        base = address_for_others(hub)
        links = [(one, hub.adding_people.link_of(batch_id, one)) for one in content.people]
        with_links = [(one, base.url + path) for one, path in links if path]
        hub.auditing.people_added(operator(), content.people, {one.name for one, _link in with_links})
        if file is not None:
            file.write("\ufeff" + csv_of_links(with_links, content.links_until))
    _tell(preview, "is added")
    for one in content.people:
        if one.is_lost:
            click.echo(f"{one.name}: was not added, because somebody else took the name meanwhile", err=True)
    if links_file is not None:
        click.echo(f"{len(with_links)} links are in {links_file}.", err=True)
    else:
        click.echo("".join(f"{one.name}\t{link}\n" for one, link in with_links), nl=False)
    if with_links and base.is_only_here:
        click.echo(ONLY_HERE, err=True)
    if preview.bad:
        raise SystemExit(1)


@contextmanager
def _new_file(path: Path) -> "Iterator[TextIO]":
    """Open a new file for its owner alone, and remove it if what follows fails.

    Raises:
        InvalidRequestError: when it exists, or cannot be made.
    """
    from hubless.domain.errors import InvalidRequestError

    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)  # it opens accounts
    except FileExistsError:
        raise InvalidRequestError(f"The file {path} exists. Name a new one for the links.") from None
    except OSError as error:
        raise InvalidRequestError(f"The file {path} cannot be written: {error.strerror}.") from None
    with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
        try:
            yield file
        except BaseException:
            with suppress(FileNotFoundError):
                path.unlink()
            raise


def _tell(preview: "Preview", added: str) -> None:
    for one in preview.good:
        groups = f", in {', '.join(one.groups)}" if one.groups else ""
        click.echo(f"{one.user_name}: {'is here already' if one.outcome == 'known' else added}{groups}", err=True)
    for one in preview.bad:
        click.echo(f"line {one.row.line}: {one.fault}", err=True)
