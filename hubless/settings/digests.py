"""Digests of the tables of settings: they tell that one has changed, and nothing of its values."""

import hmac
import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, Final

from hubless.settings.loading import Settings

_NOT_SET: Final = frozenset({"data", "file", "run_folder", "chosen_isolation", "server_environment"})
_LENGTH: Final = 16  # hex digits of a digest


def digests_of(settings: Settings, key: bytes) -> dict[str, str]:
    """Return a digest of each table by its name; with the hub's *key*, so that no short value can be guessed."""
    return {
        field.name: hmac.digest(key, _text(field.name, getattr(settings, field.name)), "sha256").hex()[:_LENGTH]
        for field in fields(settings)
        if field.name not in _NOT_SET
    }


def _text(name: str, table: Any) -> bytes:
    return json.dumps(["settings", name, _plain(table)], sort_keys=True).encode()


def _plain(given: Any) -> Any:
    """Return *given* as JSON can have it, the same in each process."""
    if is_dataclass(given):
        return {field.name: _plain(getattr(given, field.name)) for field in fields(given)}
    if isinstance(given, Mapping):
        return {str(name): _plain(one) for name, one in given.items()}
    if isinstance(given, set | frozenset):
        return sorted(json.dumps(_plain(one), sort_keys=True) for one in given)
    if isinstance(given, list | tuple):
        return [_plain(one) for one in given]
    return given if isinstance(given, str | int | float | None) else str(given)
