"""The command `hubless imported-secrets`."""
# ruff: noqa: PLC0415 a command loads what it needs

import sys
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from embedded import opening

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from hubless.services.unused_secrets import UnusedSecret


@click.command("imported-secrets")
@opening.which_hub
@click.option("--end", is_flag=True, help="End them: each token, code and password of the other hub that nobody used.")
@click.option("--yes", is_flag=True, help="End them without asking.")
def imported_secrets(*, data: Path, file: Path | None, stage: str | None, end: bool, yes: bool) -> None:
    """Say how many secrets of another hub still wait for their first use here.

    A first use replaces the other hub's hash by one of this hub. Once none waits, no hash of the other hub is left.
    """
    from hubless.domain.errors import InvalidRequestError

    if yes and not end:
        raise click.UsageError("--yes needs --end")
    with opening.hub(data, file, stage) as hub:
        waiting = list(hub.unused_secrets.all())
        for line in _lines(waiting):
            click.echo(line)
        if not end or not waiting:
            return
        if not yes:
            if not sys.stdin.isatty():
                raise InvalidRequestError("Nothing was ended. Add --yes to end them without being asked.")
            click.confirm("End them? Their users need new tokens, links and passwords", abort=True)
        ended = sum(secret.end() for secret in waiting)
        click.echo(f"Ended: {ended}. Used meanwhile, and kept: {len(waiting) - ended}.")


def _lines(waiting: "Iterable[UnusedSecret]") -> "Iterator[str]":
    from embedded.import_report import MOST, names_in_words
    from hubless.services.unused_secrets import SecretKind

    owners = defaultdict[SecretKind, list[str]](list)
    for secret in waiting:
        owners[secret.kind].append(secret.owner)
    if not owners:
        yield "No secret of another hub waits for its first use: no hash of it is left."
        return
    yield "Secrets of another hub that nobody has used here yet:"
    for kind in SecretKind:
        if owners[kind]:
            named = names_in_words(list(dict.fromkeys(owners[kind])), MOST)
            yield f"{kind.value:<20}{len(owners[kind]):>8}  {named}"
