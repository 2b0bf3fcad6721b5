"""The form of an archive's records as JSON objects, and the digest by which an import knows a record again.

A field that has its default is left out. Instants are texts of ISO 8601 in UTC, bytes are base64. See docs/archive.md.
"""

import base64
import binascii
import hashlib
import json
import math
import re
import types
from collections.abc import Callable, Hashable, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from datetime import UTC, datetime
from enum import StrEnum
from functools import cache
from typing import Any, Union, get_args, get_origin, get_type_hints

from hubless.domain import archive
from hubless.domain.bounds import MAX_IDENTIFIER
from hubless.domain.errors import InvalidRequestError
from hubless.domain.imported_passwords import is_checkable
from hubless.domain.imported_secrets import is_hash
from hubless.domain.mails import MAX_ADDRESS
from hubless.domain.user_notes import MAX_TEXT

# The records of each kind, with the field of `Archive` that holds them, in the order of a file.
KINDS: Mapping[str, tuple[str, type[Any]]] = types.MappingProxyType(
    {
        "user": ("users", archive.ArchivedUser),
        "sign_up": ("sign_ups", archive.ArchivedSignUp),
        "group": ("groups", archive.ArchivedGroup),
        "role": ("roles", archive.ArchivedRole),
        "service": ("services", archive.ArchivedService),
        "server": ("servers", archive.ArchivedServer),
        "token": ("tokens", archive.ArchivedToken),
        "share": ("shares", archive.ArchivedShare),
        "share_code": ("share_codes", archive.ArchivedShareCode),
        "budget": ("budgets", archive.ArchivedBudget),
        "schedule": ("schedules", archive.ArchivedSchedule),
    }
)
_MAX_INTEGER = 2**53  # what every JSON reader keeps exactly
_DEEPEST = 50  # levels of objects in what a record holds
_APP_BYTES = (10, 64)  # of an app's secret


def parsed_json(text: str | bytes) -> Any:
    """Return what a text of JSON says.

    Raises:
        ValueError: when it is no JSON, or has numbers that JSON has not, or larger ones than a float.
        RecursionError: when it is too deep.
    """
    return json.loads(text, parse_constant=_finite, parse_float=_finite)


def _finite(text: str) -> float:
    if not math.isfinite(number := float(text)):
        raise ValueError(text)
    return number


def to_json(record: Any) -> dict[str, Any]:
    """Return *record* (or a value within one) as what `json.dumps` takes."""
    return {
        one.name: _plain(found)
        for one in fields(record)
        if (found := getattr(record, one.name)) != _default(one) or _is_required(one)
    }


def from_json(kind: str, found: Mapping[str, Any]) -> Any:
    """Return the record of *kind* that `to_json` made.

    Raises:
        InvalidRequestError: naming the field that is missing, unknown, or of another type.
    """
    if kind not in KINDS:
        raise InvalidRequestError(f"this version knows no records of the kind {kind[:40]!r}")
    record = _record(KINDS[kind][1], found)
    for name, is_right in _CHECKS.items():
        if (one := getattr(record, name, None)) and not is_right(one):
            raise InvalidRequestError(f"its field {name!r} has a value that is not allowed there")
    return record


def digest(record: Any, *, without: frozenset[str] = frozenset()) -> str:
    """Return the SHA-256 of what `to_json` makes of *record*, without some of its fields."""
    plain = _plain(record)
    if isinstance(plain, dict):
        plain = {name: one for name, one in plain.items() if name not in without}
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()


def _is_app(app: archive.ArchivedApp) -> bool:
    try:
        return _APP_BYTES[0] <= len(base64.b32decode(app.secret)) <= _APP_BYTES[1]
    except (binascii.Error, ValueError):
        return False


def _is_note(note: archive.ArchivedNote) -> bool:
    return 0 < len(note.text) <= MAX_TEXT and len(note.written_by) <= MAX_IDENTIFIER


def _is_address(text: str) -> bool:
    return "@" in text and len(text) <= MAX_ADDRESS and text.isprintable() and " " not in text


def _plain(found: Any) -> Any:
    if isinstance(found, StrEnum):
        return found.value
    if isinstance(found, datetime):
        return found.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    if isinstance(found, bytes):
        return base64.b64encode(found).decode()
    if isinstance(found, list | tuple):
        return [_plain(one) for one in found]
    if isinstance(found, Mapping):
        return dict(found)
    return to_json(found) if is_dataclass(found) else found


# Fields that work at a login grows with, or that name folders of homes and keys of stores.
_CHECKS: Mapping[str, Callable[[Any], bool]] = types.MappingProxyType(
    {
        "id": lambda text: re.fullmatch(r"[0-9A-Za-z_-]{1,64}", text) is not None,
        "hashed": is_hash,
        "client_secret_hash": is_hash,
        "token_hash": is_hash,
        "password_hash": is_checkable,
        "app": _is_app,
        "email": _is_address,
        "admin_note": _is_note,
    }
)


def _is_required(one: "Field[Any]") -> bool:
    return one.default is MISSING and one.default_factory is MISSING


def _default(one: "Field[Any]") -> Any:
    return one.default if one.default_factory is MISSING else one.default_factory()


@cache
def _hints(kind: Hashable) -> dict[str, Any]:
    return get_type_hints(kind)


def _record(kind: Any, found: Any) -> Any:
    if not isinstance(found, dict):
        raise InvalidRequestError("a record must be a JSON object")
    hints = _hints(kind)
    if unknown := sorted(set(found) - set(hints)):
        raise InvalidRequestError(f"it has an unknown field {unknown[0][:40]!r}")
    for one in fields(kind):
        if _is_required(one) and one.name not in found:
            raise InvalidRequestError(f"its field {one.name!r} is missing")
    return kind(**{name: _value(hints[name], one, name) for name, one in found.items()})


def _value(hint: Any, found: Any, name: str) -> Any:
    if get_origin(hint) in {Union, types.UnionType}:
        if found is None:
            return None
        return _value(next(one for one in get_args(hint) if one is not type(None)), found, name)
    if get_origin(hint) is tuple:
        return tuple(_value(get_args(hint)[0], one, name) for one in _expect(list, found, name))
    if get_origin(hint) is Mapping:
        return _mapping(found, name)
    if is_dataclass(hint):
        return _record(hint, found)
    return _simple(hint, found, name)


def _simple(hint: type[Any], found: Any, name: str) -> Any:
    if hint in {bool, int, str}:
        return _expect(hint, found, name)
    text = _expect(str, found, name)
    try:
        if hint is datetime:
            return _instant(text)
        return base64.b64decode(text, validate=True) if hint is bytes else hint(text)
    except (ValueError, OverflowError, binascii.Error):
        raise InvalidRequestError(f"its field {name!r} has a value that is not allowed there") from None


def _expect(kind: type[Any], found: Any, name: str) -> Any:
    is_right = type(found) is kind
    if is_right and kind is int:
        is_right = abs(found) <= _MAX_INTEGER
    if is_right and kind is str:
        is_right = not any("\ud800" <= c <= "\udfff" for c in found) if not found.isascii() else True
    if not is_right:
        raise InvalidRequestError(f"its field {name!r} has a value that is not allowed there")
    return found


def _mapping(found: Any, name: str) -> Any:
    stack = [(_expect(dict, found, name), 1)]
    while stack:
        one, depth = stack.pop()
        if depth > _DEEPEST:
            raise InvalidRequestError(f"its field {name!r} is nested too deeply")
        inner = [*one, *one.values()] if isinstance(one, dict) else one
        for part in inner:
            if isinstance(part, dict | list):
                stack.append((part, depth + 1))
            elif isinstance(part, str):
                _expect(str, part, name)
    return found


def _instant(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError("an instant without a zone")
    return at.astimezone(UTC)
