"""Reads the file with an old hub's settings, whatever kind it is."""

from pathlib import Path

from embedded.settings_import import python_config, tljh, yaml_text, zero_to_jupyterhub
from embedded.settings_import.draft import ImportedSettings
from embedded.settings_import.mapping import settings_from
from embedded.settings_import.old_settings import OldSettings
from hubless.settings import SettingsError, read_text

_YAML = (".yaml", ".yml")


def import_settings(path: Path, *, run: bool = False, way: tuple[str, ...] | None = None) -> ImportedSettings:
    """Return the hubless.toml for the settings in the file at *path*.

    TLJH's `config.yaml` and Zero to JupyterHub's are known by their sections. A `jupyterhub_config.py` is a program.

    Args:
        path: the file.
        run: whether to run it, if it is a program.
        way: the command before which a program has no network; None for none (`python_config.isolation`).

    Raises:
        SettingsError: when the file cannot be read, or is none of these, or must be run and *run* is false.
    """
    return settings_from(read_settings(path, run=run, way=way))


def read_settings(path: Path, *, run: bool = False, way: tuple[str, ...] | None = None) -> OldSettings:
    """Return the settings in the file at *path*, as their hub knows them.

    Raises:
        SettingsError: as `import_settings` does.
    """
    if path.exists() and not path.is_file():
        raise SettingsError(f"{path} is no file: name the file with the settings")
    if path.suffix.lower() == ".py":
        if not run:
            raise SettingsError(f"{path} is a program: look at it, and add --run-config to run it")
        return python_config.read(path, way)
    if path.suffix.lower() not in _YAML:
        raise SettingsError(
            f"{path} is no file with settings that can be imported: name a jupyterhub_config.py, or a config.yaml"
            " of TLJH or of Zero to JupyterHub"
        )
    if path.is_file() and path.stat().st_size > 4 * yaml_text.MAX_BYTES:
        raise SettingsError(f"{path} is too large for a file with settings")
    document = yaml_text.load(read_text(path), str(path))
    sections = set(document)
    if "jupyterhub" in sections or len(sections & zero_to_jupyterhub.SECTIONS) > len(sections & tljh.SECTIONS):
        return zero_to_jupyterhub.read(document, path.name)
    if sections & tljh.SECTIONS:
        return tljh.read(document, path.name)
    raise SettingsError(
        f"{path} has neither sections of TLJH ({', '.join(sorted(tljh.SECTIONS))})"
        f" nor of Zero to JupyterHub ({', '.join(sorted(zero_to_jupyterhub.SECTIONS))})"
    )
