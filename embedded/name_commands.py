"""`hubless user check-names`: finds users whom no login finds, and renames them."""
# ruff: noqa: PLC0415 a command loads what it needs

from pathlib import Path

import click

from embedded import opening
from embedded.audit_report import record
from hubless.domain.audit import Act


@click.command("check-names")
@opening.which_hub
@click.option("--mend", is_flag=True, help="Rename those for whom it is safe.")
def check_names(*, data: Path, file: Path | None, stage: str | None, mend: bool) -> None:
    """Name the users whom no login finds, such as those with blanks around their names.

    The exit code is 1 if some remain. Servers must be stopped before their owner is renamed.
    """
    from hubless.domain.names import shown

    remain = 0
    with opening.hub(data, file, stage) as hub:
        for lost in hub.name_checks.lost():
            why = hub.name_checks.mend(lost) if mend else lost.why
            name, is_mended = lost.user.name, mend and not why
            change = f"{shown(name)} to {shown(lost.wanted)}"
            if is_mended:
                record(
                    hub, Act.USER_RENAMED, lost.user.name, lost.wanted, **{"from": lost.user.name, "to": lost.wanted}
                )
                click.echo(f"Renamed {change}.")
            elif why:
                click.echo(f"Nobody can log in as {shown(name)}, and the hub does not rename this user: {why}.")
            else:
                click.echo(f"Nobody can log in as {shown(name)}. --mend renames {change}.")
            remain += not is_mended
    if remain:
        raise SystemExit(1)
