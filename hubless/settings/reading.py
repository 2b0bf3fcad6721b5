"""Reading of tables of a file into sections, whose fields say what is allowed."""

from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any, TypeVar

from hubless.settings.types import SettingsError

_Section = TypeVar("_Section")


def read_section(section: type[_Section], table: Any, where: str) -> _Section:
    """Return the *section* with the values of *table*; *where* is the section's name in errors.

    Raises:
        SettingsError: naming the key that is missing, unknown or wrong, and the allowed values.
    """
    if not isinstance(table, dict):
        raise SettingsError(f"{where} must be a table, as in [{where}]")
    known = {f.name: f.metadata for f in fields(section)}  # type: ignore[arg-type]  # a section is a dataclass
    for key in table:
        if key not in known:
            raise SettingsError(_unknown_key(where, key, known))
    for key, facts in known.items():
        if facts["default"] is None and key not in table:
            raise SettingsError(f"{where}.{key} is missing")
    return section(**{key: known[key]["kind"].value(given, f"{where}.{key}") for key, given in table.items()})


def named(section: type[_Section], given: Any, where: str) -> tuple[_Section, ...]:
    """Return the entries of the list *given*; *where* is its name in errors.

    Raises:
        SettingsError: as `read_section` does, or naming the name that is used twice.
    """
    if not isinstance(given, list):
        raise SettingsError(f"{where} must be a list of tables, each as in [[{where}]]")
    read = tuple(
        read_section(section, entry, f"{where}.{_label_of(entry, number)}")
        for number, entry in enumerate(given, start=1)
    )
    check_unique((entry.name for entry in read), f"{where}: the name")  # type: ignore[attr-defined]  # sections in lists have names
    return read


def _label_of(entry: Any, number: int) -> str:
    name = entry.get("name") if isinstance(entry, dict) else None
    return name if isinstance(name, str) and name else f"[{number}]"


def entries(section: type[_Section], table: Any, where: str) -> dict[str, _Section]:
    """Return the sections in *table* by their names; *where* is the table's name in errors.

    Raises:
        SettingsError: as `read_section` does.
    """
    if not isinstance(table, dict):
        raise SettingsError(f"{where} must be a table, as in [{where}]")
    return {name: read_section(section, entry, f"{where}.{name}") for name, entry in table.items()}


def check_unique(values: Iterable[str], what: str, *, secret: bool = False) -> None:
    """Check that no value comes twice; the error shows none that is *secret*.

    Raises:
        SettingsError: naming *what* comes twice.
    """
    seen: set[str] = set()
    for one in values:
        if one in seen:
            raise SettingsError(f"{what} is used twice" if secret else f'{what} "{one}" is used twice')
        seen.add(one)


def _unknown_key(where: str, key: str, known: Mapping[str, Any]) -> str:
    from hubless.settings.sections import TABLES  # noqa: PLC0415 sections are read by this module

    elsewhere = [name for name, section in TABLES.items() if key in {f.name for f in fields(section)}]
    if meant := did_you_mean(key, known, where + ".{}"):
        return f"{where}.{key} is not a setting{meant}"
    if elsewhere and where in TABLES:
        return f"{where}.{key} is not a setting; {key} belongs in [{elsewhere[0]}]"
    return f"{where}.{key} is not a setting"


def did_you_mean(name: str, known: Iterable[str], form: str) -> str:
    """Return the end of an error that names what of *known* is close to *name*; empty if nothing is."""
    from difflib import get_close_matches  # noqa: PLC0415 only for this error

    close = get_close_matches(name, list(known), n=1)
    return f"; did you mean {form.format(close[0])}?" if close else ""
