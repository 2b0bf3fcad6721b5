"""A draft of a hubless.toml: takes values that the loader accepts, and turns the others into comments."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from embedded.settings_import.old_settings import (
    Named,
    has_secret_key,
    looks_secret,
    shape,
    texts_in,
    variables_in,
)
from embedded.settings_import.toml_text import comment, commented_out, key, lines, tables
from hubless.domain.values import value
from hubless.settings import SettingsError, parse
from hubless.settings.sections import LISTS, NAMED, TABLES, RoleSettings

ORDER = (
    *("hub", "login", "plugin", "sign_up", "providers", "lti_platforms", "login_proxies", "servers", "culling"),
    *("tokens", "profiles", "services", "roles", "groups", "custom_scopes"),
)
MAX_ENTRIES = 2_000  # of a list
_MAX_SHOWN = 200  # characters of an old key
_VARIABLE_PART = re.compile(r"[^A-Z0-9]+")
_NO_SECRET = 32  # characters of what stands for a secret when the draft is tried


@value
class ImportedSettings:
    """A hubless.toml, and what must be in the environment of the hub that reads it.

    Args:
        text: the file.
        variables: what each variable holds, by its name.
        comments: how many things have no counterpart.
    """

    text: str
    variables: Mapping[str, str] = field(hash=False)
    comments: int


@dataclass
class _Unit:
    """A piece of the file that stays or goes as a whole."""

    section: str
    text: str
    comments: list[str]


@dataclass
class _Entry:
    """An entry of a list, or a table with a name. A sketch lacks what only its reader knows."""

    section: str
    table: dict[str, Any]
    comments: list[str]
    is_sketch: bool = False


class Draft:
    """A hubless.toml in the making."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._tables: dict[str, dict[str, Any]] = {}
        self._entries: list[_Entry] = []
        self._comments: dict[str, list[str]] = {}
        self._variables: dict[str, str] = {}

    def get(self, section: str, name: str, default: Any = None) -> Any:
        """Return the value of a key of a table, as it stands in the draft."""
        return self._tables.get(section, {}).get(name, default)

    def names(self, section: str) -> list[str]:
        """Return the names of the entries of a list."""
        return [one.table["name"] for one in self._entries if one.section == section and "name" in one.table]

    def write(self, section: str, name: str, given: Any, label: str) -> bool:
        """Write a key of a table if the loader takes *given*; say so in a comment otherwise."""
        reason = _refusal(TABLES[section], name, given)
        if reason:
            self.leave_out(section, label, given, reason)
            return False
        self._tables.setdefault(section, {})[name] = given
        return True

    def write_config(self, section: str, config: dict[str, dict[str, Any]]) -> None:
        """Write the key `config` of a section, which has tables of its own."""
        self._tables.setdefault(section, {})["config"] = config

    def add(
        self, section: str, given: Mapping[str, Any], label: str, comments: Iterable[str] = (), *, sketch: bool = False
    ) -> bool:
        """Add an entry to a list, or to the tables with names of a section (its key `name` is the name then).

        A *sketch* is commented out: its reader fills in what the old settings do not say.
        """
        kind = LISTS[section] if section in LISTS else NAMED[section]
        table, said = {}, list(comments)
        for name, one in given.items():
            reason = "" if section in NAMED and name == "name" else _refusal(kind, name, one)
            if reason:
                said.append(_left_out(f"{label}.{name}", one, reason))
            elif one is not None:
                table[name] = one
        missing = [one.name for one in fields(kind) if one.metadata["default"] is None and one.name not in table]
        count = sum(one.section == section for one in self._entries)
        if missing or table.get("name") in self._names_of(section) or count >= MAX_ENTRIES:
            why = f"{missing[0]} is missing" if missing else "its name is used twice, or there are too many"
            self.say(section, *said)
            self.leave_out(section, label, given, why)
            return False
        self._entries.append(_Entry(section, table, said, sketch))
        return True

    def leave_out(self, section: str, label: str, given: Any, why: str, to_do: str = "") -> None:
        """Say in a comment that what *label* names is not brought over. It shows what kind of value it is, no more."""
        self.say(section, _left_out(label, given, why, to_do))

    def say(self, section: str, *sentences: str) -> None:
        """Add comments to a section."""
        self._comments.setdefault(section, []).extend(sentences)

    def variable(self, *words: str, known: str = "", what: str) -> str:
        """Return the name of a new variable for a secret, made of *words* unless the name is *known*."""
        wanted = known or _VARIABLE_PART.sub("_", "_".join(words).upper()).strip("_") or "SECRET"
        wanted = wanted if not wanted[0].isdigit() else f"_{wanted}"
        name, number = wanted[:100], 2
        while not known and name in self._variables:
            name, number = f"{wanted[:90]}_{number}", number + 1
        self._variables[name] = what
        return name

    def finish(self) -> ImportedSettings:
        """Return the file. What the loader refuses as a whole, such as a contradiction, is commented out."""
        units = self._units()
        if self._error("\n".join(unit.text for unit in units)):
            self._comment_out(units)
        parts = [_header(self._title, self._variables)]
        count = 0
        for unit in units:
            texts = [*map(comment, unit.comments), unit.text]
            parts.append("\n".join(filter(None, texts)))
            count += len(unit.comments)
        text = "\n\n".join(parts) + "\n"
        if error := self._error(text):
            raise SettingsError(f"The hub does not accept the settings that it made: {error}")
        return ImportedSettings(text=text, variables=dict(self._variables), comments=count)

    def _names_of(self, section: str) -> set[str]:
        return set(self.names(section))

    def _units(self) -> list[_Unit]:
        units: list[_Unit] = []
        rest = [name for name in self._comments if name not in ORDER]
        for section in ORDER:
            said = self._comments.get(section, [])
            if section in TABLES:
                units += _table_unit(section, self._tables.get(section, {}), said)
                continue
            if said:
                units.append(_Unit(section, "", said))
            units += [_Unit(section, _entry_text(one), one.comments) for one in self._entries if one.section == section]
        units += [_Unit(name, "", self._comments[name]) for name in rest]
        return units

    def _comment_out(self, units: list[_Unit]) -> None:
        kept: list[str] = []
        for unit in units:
            if error := self._error("\n".join([*kept, unit.text])):
                unit.comments.append(f"The hub refuses what follows: {error}")
                unit.text = commented_out(unit.text)
            else:
                kept.append(unit.text)

    def _error(self, text: str) -> str:
        secrets = {name: f"{number:0{_NO_SECRET}x}" for number, name in enumerate(self._variables)}
        try:
            parse(text, Path("hub-data"), {**secrets}, secrets=secrets)
        except SettingsError as error:
            return str(error).partition(": ")[2]
        return ""


def _table_unit(section: str, table: Mapping[str, Any], said: list[str]) -> list[_Unit]:
    if not table and not said:
        return []
    config = table.get("config", {})
    rows = [f"[{section}]", *lines(_in_order(TABLES[section], table, "config"))]
    for name, values in config.items():
        rows += ["", f"[{section}.config.{key(name)}]", *lines(values)]
    return [_Unit(section, "\n".join(rows) if table else "", said)]


def _entry_text(entry: _Entry) -> str:
    section, table = entry.section, entry.table
    if section in LISTS:
        options = table.get("options", []) if section == "profiles" else []
        without = "options" if options else ""
        rows = [f"[[{section}]]", *lines(_in_order(LISTS[section], table, without))]
        rows += tables(f"{section}.options", options)
    else:
        rows = [f"[{section}.{key(table['name'])}]", *lines(_in_order(NAMED[section], table, "name"))]
    return commented_out("\n".join(rows)) if entry.is_sketch else "\n".join(rows)


def _in_order(kind: type, table: Mapping[str, Any], without: str = "") -> dict[str, Any]:
    """Return *table* in the order of the fields of its section."""
    names = (one.name for one in fields(kind))
    return {name: table[name] for name in names if name in table and name != without}


def _left_out(label: str, given: Any, why: str, to_do: str = "") -> str:
    sentence = f"Not brought over: {label[:_MAX_SHOWN]} ({shape(given)}): {why}"
    return f"{sentence}. {to_do}" if to_do else f"{sentence}."


def _refusal(kind: type, name: str, given: Any) -> str:
    """Return why *given* cannot be the value of the key *name* of a section, or ""."""
    facts = {one.name: one.metadata for one in fields(kind)}
    if name not in facts:
        return "there is no such setting"
    if made_of := variables_in(given):
        return f"it is made of the variable {made_of[0]}, whose value is not known"
    if _has_named(given):
        return "it is made by a program"
    if _may_hold_secret(kind, name, given):
        return "it looks as if it held a secret, and secrets do not belong into this file"
    try:
        facts[name]["kind"].value(given, name)
    except (SettingsError, OverflowError):
        return f"it must be {facts[name]['kind'].allowed}"
    return ""


def _may_hold_secret(kind: type, name: str, given: Any) -> bool:
    if name in {"client_id", "name"} or name.endswith("_env") or (kind is RoleSettings and name == "scopes"):
        return False  # each scope of a role is one that the hub knows, such as tokens!user=ada
    return has_secret_key(given) or any(map(looks_secret, texts_in(given)))


def _has_named(given: Any) -> bool:
    if isinstance(given, Mapping):
        return any(map(_has_named, given.values()))
    return isinstance(given, Named) or (isinstance(given, list | tuple) and any(map(_has_named, given)))


def _header(title: str, variables: Mapping[str, str]) -> str:
    rows = [
        comment(title),
        comment(
            "Each comment below names what has no counterpart here, and what to do. docs/settings.md has every key."
        ),
    ]
    if variables:
        rows.append(comment("Secrets stay out of this file. Set these variables in the hub's environment:"))
        rows += [comment(f"  {name}: {what}") for name, what in variables.items()]
    return "\n".join(rows)
