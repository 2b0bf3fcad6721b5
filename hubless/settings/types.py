"""Types of settings: each checks a value, describes the allowed values, and converts the value for the code."""

import os
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import field
from datetime import timedelta
from ipaddress import ip_network
from typing import Any
from urllib.parse import urlsplit

from hubless.domain.errors import InvalidRequestError
from hubless.domain.languages import NAMES as LANGUAGES
from hubless.domain.limits import size_of
from hubless.domain.names import check_user_name, normalise_user_name
from hubless.domain.values import value
from hubless.domain.wall_times import zone_of

NEVER = timedelta.max  # a limit that no server reaches
_DURATION = re.compile(r"(?:[0-9]+[smhd])+")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_LOWEST_UID, _HIGHEST_UID = 1000, 2**31  # smaller ones belong to the system's services, larger ones break programs
_UIDS_FOR_TRIALS = 2
_LONGEST_DAYS = 36500  # timedelta and the stores' integers can hold it
_HIGHEST_PORT = 65535
_DEFAULT_PORTS = {"http": 80, "https": 443}


class SettingsError(Exception):
    """Raised when settings cannot be used; the message is a sentence that names the key."""


@value
class SettingType:
    """A type of value; *read* converts a value, and raises ValueError or TypeError if it is not *allowed*."""

    allowed: str  # completes «it must be …»
    read: Callable[[Any], Any]
    secret: bool = False  # errors never show the value

    def value(self, given: Any, key: str) -> Any:
        """Return *given*, the value of *key*, as the code uses it.

        Raises:
            SettingsError: naming *key*, the value and the allowed values.
        """
        try:
            return self.read(given)
        except (ValueError, TypeError) as error:
            shown = "something else" if self.secret else _shown(given)
            why = f" ({error})" if str(error) else ""
            raise SettingsError(f"{key} is {shown}, but it must be {self.allowed}{why}") from None


def _shown(given: Any) -> str:
    if isinstance(given, str):
        return f'"{given}"'
    if isinstance(given, bool):
        return str(given).lower()
    return repr(given)


def _text(given: Any) -> str:
    if not isinstance(given, str):
        raise TypeError
    return given


def _name(given: Any) -> str:
    if not _text(given).strip():
        raise ValueError
    return _text(given)


def _zone(given: Any) -> str:
    try:
        zone_of(_text(given))
    except InvalidRequestError as error:
        raise ValueError(error.message) from None
    return _text(given)


def _flag(given: Any) -> bool:
    if not isinstance(given, bool):
        raise TypeError
    return given


def _whole(given: Any) -> int:
    if not isinstance(given, int) or isinstance(given, bool):
        raise TypeError
    return given


def _texts(given: Any) -> tuple[str, ...]:
    if not isinstance(given, list):
        raise TypeError
    return tuple(_text(item) for item in given)


def _command(given: Any) -> tuple[str, ...]:
    if not _texts(given) or not given[0]:
        raise ValueError
    return _texts(given)


def _table(given: Any) -> dict[str, Any]:
    if not isinstance(given, dict):
        raise TypeError
    return given


def _text_table(given: Any) -> dict[str, str]:
    return {key: _text(value) for key, value in _table(given).items()}


def _duration(given: Any) -> timedelta:
    if not _DURATION.fullmatch(_text(given)):
        raise ValueError
    parts = re.findall(r"([0-9]+)([smhd])", given)
    try:
        total = sum((timedelta(**{_UNITS[unit]: int(number)}) for number, unit in parts), timedelta())
    except OverflowError:
        total = NEVER
    if not timedelta() < total <= timedelta(days=_LONGEST_DAYS):
        raise ValueError
    return total


def _limit(given: Any) -> timedelta | None:
    return None if given == "" else NEVER if given == "never" else _duration(given)


def _size(given: Any) -> int | None:
    if given == "":
        return None
    return size_of(_text(given))


def _size_table(given: Any) -> dict[str, int | None]:
    return {key: _size(value) for key, value in _table(given).items()}


def _some_size(given: Any) -> int:
    if (size := _size(given)) is None:
        raise ValueError
    return size


def _paths(given: Any) -> tuple[str, ...]:
    paths = tuple(os.path.normpath(path) for path in _texts(given))
    if not all(path.startswith("/") and path.strip("/") for path in paths):
        raise ValueError
    return paths


def _uid_range(given: Any) -> tuple[int, int]:
    if not isinstance(given, list) or len(given) != 2:  # noqa: PLR2004 first and last
        raise TypeError
    first, last = map(_whole, given)
    if not _LOWEST_UID <= first < last - _UIDS_FOR_TRIALS or last >= _HIGHEST_UID:
        raise ValueError
    return first, last


def _cpus(given: Any) -> float | None:
    if not isinstance(given, int | float) or isinstance(given, bool):
        raise TypeError
    if not 0 <= given <= sys.float_info.max:  # an integer may be larger than each float
        raise ValueError
    return float(given) or None


def _origin(given: Any) -> str:
    if given == "":
        return ""
    parts = urlsplit(_text(given))
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username is not None:
        raise ValueError
    if parts.path.strip("/") or parts.query or parts.fragment:
        raise ValueError
    # In the form of a browser's `Origin` header, because it is compared with that.
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    port = "" if parts.port in {None, _DEFAULT_PORTS[parts.scheme]} else f":{parts.port}"
    return f"{parts.scheme}://{host}{port}"


def _web_origin(given: Any) -> str:
    if not given:
        raise ValueError
    return _origin(given)


def _some(given: Any) -> tuple[str, ...]:
    if not _texts(given):
        raise ValueError
    return _texts(given)


def _url(given: Any) -> str:
    if given == "":
        return ""
    parts = urlsplit(_text(given))
    if parts.scheme not in {"http", "https"} or not parts.hostname or any(c.isspace() for c in given):
        raise ValueError
    parts.hostname.encode("idna")  # raises for a name with an empty or too long label
    return str(given)


def _languages(given: Any) -> tuple[str, ...]:
    if unknown := set(_texts(given)) - set(LANGUAGES):
        raise ValueError(unknown)
    return tuple(dict.fromkeys(_texts(given)))


def _networks(given: Any) -> tuple[str, ...]:
    return tuple(str(ip_network(item)) for item in _texts(given))


def _user_names(given: Any) -> tuple[str, ...]:
    return tuple(user_name(item) for item in _texts(given))


def user_name(given: Any) -> str:
    """Return *given* in the form in which the hub stores names of users.

    Raises:
        ValueError: when the name is not allowed.
    """
    try:
        return check_user_name(normalise_user_name(_text(given)))
    except InvalidRequestError as error:
        raise ValueError(str(error)) from None


TEXT = SettingType("a string", _text)
NAME = SettingType("a non-empty string", _name)
SECRET = SettingType("a string", _text, secret=True)
ZONE = SettingType("a time zone such as `Europe/Berlin`", _zone)
FLAG = SettingType("true or false", _flag)
TEXTS = SettingType("a list of strings", _texts)
COMMAND = SettingType("a list of strings: the program and its arguments", _command)
TABLE = SettingType("a table", _table)
SECRET_TABLE = SettingType("a table", _table, secret=True)
TEXT_TABLE = SettingType("a table of strings", _text_table)
DURATION = SettingType('a duration such as "90s", "15m", "8h" or "14d"', _duration)
LIMIT = SettingType(
    'a duration such as "90s", "15m", "8h" or "14d", "never", or "" for no value',
    _limit,
)
SIZE = SettingType('a size such as "512M" or "2G", or "" for no limit', _size)
SIZE_TABLE = SettingType('a table of sizes such as "512M" or "2G", or "" for no limit', _size_table)
SOME_SIZE = SettingType('a size such as "512M" or "2G"', _some_size)
PATHS = SettingType("a list of absolute paths, without `/` itself", _paths)
UID_RANGE = SettingType("a list of two user ids, the first and the last: from 1000, at least four ids", _uid_range)
CPUS = SettingType("a number of CPUs such as 0.5 or 2, or 0 for no limit", _cpus)
ORIGIN = SettingType('an address such as "https://hub.example.org", without a path, or ""', _origin)
WEB_ORIGIN = SettingType('an address such as "https://hub.example.org", without a path', _web_origin)
SOME = SettingType("a list of at least one string", _some)
URL = SettingType('an address that starts with http:// or https://, or ""', _url)
SOME_LANGUAGES = SettingType(f"a list of languages: {', '.join(LANGUAGES)}", _languages)
NETWORKS = SettingType('a list of networks such as "10.0.0.0/8"', _networks)
USER_NAMES = SettingType("a list of user names", _user_names)


def count(least: int, most: int | None = None) -> SettingType:
    """Return the type of integers from *least* to *most*."""

    def read(given: Any) -> int:
        if _whole(given) < least or (most is not None and given > most):
            raise ValueError
        return _whole(given)

    bounds = f"from {least} to {most}" if most is not None else f"of at least {least}"
    return SettingType(f"an integer {bounds}", read)


PORT = count(1, _HIGHEST_PORT)


def duration(least: str, most: str) -> SettingType:
    """Return the kind of durations from *least* to *most*, both written as in the file."""

    def read(given: Any) -> timedelta:
        if not _duration(least) <= _duration(given) <= _duration(most):
            raise ValueError
        return _duration(given)

    return SettingType(f'a duration from "{least}" to "{most}"', read)


# Jupyter servers ping every 30 seconds; HAProxy counts milliseconds in 31 bits, which end before 25 days.
WEBSOCKET_TIMEOUT = duration("1m", "24d")


def choice(*words: str) -> SettingType:
    """Return the type whose values are *words*."""

    def read(given: Any) -> str:
        if _text(given) not in words:
            raise ValueError
        return _text(given)

    quoted = [f'"{word}"' for word in words]
    return SettingType(f"{', '.join(quoted[:-1])} or {quoted[-1]}", read)


def setting(default: Any, kind: SettingType, meaning: str) -> Any:
    """Return a field of a section; *default* is written as in the file, or None for a setting without a default."""
    facts: Mapping[str, Any] = {"kind": kind, "default": default, "meaning": meaning}
    if default is None:
        return field(metadata=facts, repr=not kind.secret)
    if isinstance(default, dict):
        return field(default_factory=lambda: kind.read(default), metadata=facts, hash=False, repr=not kind.secret)
    return field(default=kind.read(default), metadata=facts, repr=not kind.secret)
