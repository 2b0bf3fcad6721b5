"""Facts from environment variables: for what runs where the infrastructure says in what it finds itself."""

import json
import os
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeVar

from hubless.settings import kinds
from hubless.settings.kinds import SettingsError

ENVIRON = os.environ  # noqa: TID251 the one place
PREFIX = "HUBLESS_"
_FLAGS = {"true": True, "false": False}
_LISTS = frozenset({kinds.TEXTS, kinds.NETWORKS, kinds.SOME})
_NUMBERS = frozenset({kinds.CPUS, kinds.PORT})
T = TypeVar("T")


def variable_of(name: str) -> str:
    """Return the environment variable of the setting *name*."""
    return f"{PREFIX}{name.upper()}"


def from_environment(section: type[T], environ: Mapping[str, str] = ENVIRON) -> T:
    """Return the *section* whose settings are in *environ*; what is not there keeps its default.

    Raises:
        SettingsError: naming the variable that is missing or wrong.
    """
    known = {field.name: field.metadata for field in fields(section)}  # type: ignore[arg-type]
    given = {name: environ[variable_of(name)] for name in known if variable_of(name) in environ}
    for name, facts in known.items():
        if facts["default"] is None and name not in given:
            raise SettingsError(f"{variable_of(name)} is missing from the environment: {facts['meaning']}")
    return section(**{name: _value(known[name]["kind"], text, variable_of(name)) for name, text in given.items()})


def as_environment(section: Any) -> dict[str, str]:
    """Return the variables from which `from_environment` reads *section* again."""
    return {variable_of(field.name): _text(getattr(section, field.name)) for field in fields(section)}


def _value(kind: kinds.Kind, text: str, variable: str) -> Any:
    if kind is kinds.FLAG:
        return kind.value(_FLAGS.get(text, text), variable)
    if kind in _LISTS:
        return kind.value([part for part in text.split(",") if part], variable)
    if kind in _NUMBERS:
        return kind.value(_number(text), variable)
    return kind.value(text, variable)


def _number(text: str) -> Any:
    try:
        return json.loads(text or "0")
    except ValueError:
        return text


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, tuple):
        return ",".join(value)
    return str(value).lower() if isinstance(value, bool) else str(value)
