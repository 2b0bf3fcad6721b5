"""Settings from environment variables, for programs that the infrastructure starts."""

import os
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any, TypeVar

from hubless.settings.types import FLAG, NETWORKS, PORT, TEXTS, SettingsError, SettingType

ENVIRON = os.environ  # noqa: TID251 the only place that reads it
EDGE_PREFIX = "HUBLESS_EDGE_"
_FLAGS = {"true": True, "false": False}
T = TypeVar("T")


def of_text(kind: SettingType, parse: Callable[[str], Any], allowed: str = "") -> SettingType:
    """Return *kind* for values that are strings; *parse* turns a string into the value that a file would have."""
    return SettingType(allowed or kind.allowed, lambda given: kind.read(parse(given)))


def listed(text: str) -> list[str]:
    """Return the parts of *text* between commas."""
    return [part.strip() for part in text.split(",") if part.strip()]


FLAG_TEXT = of_text(FLAG, lambda text: _FLAGS.get(text, text))
PORT_TEXT = of_text(PORT, int)
TEXTS_TEXT = of_text(TEXTS, listed, "strings with commas between them")
NETWORKS_TEXT = of_text(NETWORKS, listed, 'networks such as "10.0.0.0/8, 192.0.2.1", with commas between them')


def from_environment(section: type[T], environ: Mapping[str, str], prefix: str, *, others: tuple[str, ...] = ()) -> T:
    """Return the *section* with the settings in *environ*: each variable is a setting's name after *prefix*.

    A setting without a variable, or with an empty one, has its default. Variables that begin with one of *others* are
    ignored.

    Raises:
        SettingsError: naming the variable that is missing, unknown or wrong, and the allowed values.
    """
    known = {prefix + field.name.upper(): field for field in fields(section)}  # type: ignore[arg-type]  # a section is a dataclass
    for name in sorted(environ):
        if name.startswith(prefix) and name not in known and not name.startswith(others):
            raise SettingsError(f"There is no setting {name}. The settings are {', '.join(known)}.")
    values = {}
    for name, field in known.items():
        if text := environ.get(name, ""):
            values[field.name] = field.metadata["kind"].value(text, name)
        elif field.metadata["default"] is None:
            raise SettingsError(f"{name} is missing: it must be {field.metadata['kind'].allowed}")
    return section(**values)


def as_environment(section: Any, prefix: str) -> dict[str, str]:
    """Return *section* as environment variables: the inverse of `from_environment`."""
    return {prefix + field.name.upper(): _text(getattr(section, field.name)) for field in fields(section)}


def _text(value: Any) -> str:
    if isinstance(value, tuple):
        return ",".join(value)
    return str(value).lower() if isinstance(value, bool) else str(value)
