"""The file that `hubless import --write-settings` writes, because roles and services are settings here."""

from collections.abc import Iterator
from pathlib import Path

from embedded.import_report import shown
from embedded.settings_import import archived, command, mapping, reading
from embedded.settings_import.draft import ImportedSettings
from embedded.settings_import.old_settings import OldSettings
from hubless.domain.archive import Archive
from hubless.settings import Settings


def old_settings(config: Path | None, *, run: bool) -> OldSettings | None:
    """Return the settings in the file *config* of the old hub, or None without one; *run* allows that it is a program.

    Raises:
        SettingsError: when it cannot be read, or is a program and *run* is false.
    """
    if config is None:
        return None
    return reading.read_settings(config, run=run, way=command.way_without_network() if run else None)


def write(path: Path, archive: Archive, old: OldSettings | None, settings: Settings) -> str:
    """Write the roles and services of *archive* to a new file; return what to tell of it.

    With *old* the file has all its settings too. Without, it has only what *settings*, those of the hub here, lack.

    Raises:
        SettingsError: when there is a file at *path* already, or the settings are too large.
    """
    if old is None:
        roles, services = ({one.name for one in known} for known in (settings.roles, settings.services))
        made = archived.settings_of(
            [role for role in archive.roles if role.name not in roles],
            [service for service in archive.services if service.name not in services],
        )
    else:
        made = mapping.settings_from(old, archive.roles, archive.services)
    command.write_new(path, made.text)
    return "\n".join(_told(path, made, old))


def _told(path: Path, made: ImportedSettings, old: OldSettings | None) -> Iterator[str]:
    what = "roles and services" if old is None else f"settings of {old.source}, and roles and services"
    yield f"Wrote the {what} to {path}. Left for you:"
    if made.comments:
        yield f"- Read its comments ({made.comments}): they say what has no counterpart, or needs a look."
    for name, use in made.variables.items():
        yield f"- Set the variable {name} for the hub: {shown(use)}."
    yield "- Make it the hub's settings, or add it to them, and run `hubless check`."
    yield "- Import then, or import again, so that services of the settings get the imported tokens."
