"""Values of rows, checked and bounded: a row with another one is remarked on, and left out."""

import json
from datetime import UTC, datetime
from typing import Any

from hubless.domain import archive_form
from hubless.domain.bounds import MAX_NOTE, MAX_SCOPE, MAX_SCOPES, MAX_USER_NAME

_MAX_JSON = 1_000_000  # characters: an auth_state or the options of a server
_MAX_DEPTH = 50  # of what is inside what: more makes others fail that walk through it


class BrokenRowError(ValueError):
    """Raised when a row has a value that JupyterHub never writes; the message names the column."""


def text(value: Any, column: str, bound: int = MAX_USER_NAME) -> str:
    """Return a text of 1 to *bound* characters."""
    if not (found := optional_text(value, column, bound)):
        raise BrokenRowError(f"{column} is empty")
    return found


def optional_text(value: Any, column: str, bound: int = MAX_USER_NAME) -> str:
    """Return a text of at most *bound* characters, empty for NULL."""
    if value is None:
        return ""
    if not isinstance(value, str):
        raise BrokenRowError(f"{column} is no text")
    if len(value) > bound:
        raise BrokenRowError(f"{column} has more than {bound} characters")
    if any("\ud800" <= character <= "\udfff" for character in value) or "\0" in value:
        raise BrokenRowError(f"{column} is no text in UTF-8")
    return value


def note(value: Any) -> str:
    return optional_text(value, "note", MAX_NOTE)


def instant(value: Any, column: str) -> datetime:
    """Return an instant; JupyterHub writes them in UTC without saying so."""
    if (found := optional_instant(value, column)) is None:
        raise BrokenRowError(f"{column} is empty")
    return found


def optional_instant(value: Any, column: str) -> datetime | None:
    """Return an instant, or None for NULL."""
    if value is None:
        return None
    if isinstance(value, str) and len(value) <= 40:  # noqa: PLR2004 ISO 8601's longest form, and some
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            value = None
    if not isinstance(value, datetime) or not 1970 <= value.year < 9999:  # noqa: PLR2004 others cannot be calculated with
        raise BrokenRowError(f"{column} is no instant")
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def flag(value: Any, column: str, *, default: bool = False) -> bool:
    """Return a truth value: SQLite and MySQL have numbers for them."""
    if value is None:
        return default
    if value not in {0, 1}:
        raise BrokenRowError(f"{column} is neither true nor false")
    return bool(value)


def number(value: Any, column: str) -> int:
    """Return a number of at least 0."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise BrokenRowError(f"{column} is no number")
    return value


def json_object(value: Any, column: str) -> dict[str, Any]:
    """Return a JSON object, empty for NULL and for `null`."""
    found = _json(value, column)
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise BrokenRowError(f"{column} is no JSON object")
    return found


def scopes(value: Any, column: str = "scopes") -> tuple[str, ...]:
    """Return a list of scopes; NULL is an empty list, as JupyterHub reads it (`orm.JSONList`)."""
    found = _json(value, column)
    if found is None:
        return ()
    if not isinstance(found, list) or not all(isinstance(scope, str) and len(scope) <= MAX_SCOPE for scope in found):
        raise BrokenRowError(f"{column} is no list of scopes")
    if len(found) > MAX_SCOPES:
        raise BrokenRowError(f"{column} has more than {MAX_SCOPES} scopes")
    return tuple(optional_text(scope, column, MAX_SCOPE) for scope in found)


def parsed_json(written: str | bytes, column: str) -> Any:
    """Return what JSON says.

    Raises:
        BrokenRowError: when it is no JSON, too long or too deep, or has numbers that JSON has not.
    """
    if len(written) > _MAX_JSON:
        raise BrokenRowError(f"{column} has more than {_MAX_JSON:,} characters")
    try:
        found = archive_form.parsed_json(written)
        # Halves of surrogate pairs, written as \uD800, cannot be stored.
        json.dumps(found, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        raise BrokenRowError(f"{column} is no JSON") from None
    if _is_deeper(found, _MAX_DEPTH):
        raise BrokenRowError(f"{column} has more than {_MAX_DEPTH} levels")
    return found


def _json(value: Any, column: str) -> Any:
    if value is None or not isinstance(value, str | bytes):
        if value is None or isinstance(value, dict | list):  # a driver parsed it
            return value
        raise BrokenRowError(f"{column} is no JSON")
    return parsed_json(value, column)


def _is_deeper(found: Any, levels: int) -> bool:
    if not isinstance(found, dict | list):
        return False
    inside = found.values() if isinstance(found, dict) else found
    return levels == 0 or any(_is_deeper(one, levels - 1) for one in inside)
