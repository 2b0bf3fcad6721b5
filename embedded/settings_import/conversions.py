"""Values of traits in the form that hubless.toml has; each function raises ValueError or TypeError if there is none."""

import html
import math
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([KMGT]?)i?B?", re.IGNORECASE)
_MILLI = re.compile(r"([0-9]+)m")
_LINK = re.compile(r"""<a\s[^<>]*?href\s*=\s*["']([^"'<>\s]{1,2000})["'][^<>]*>([^<>\[\]]*)</a>""", re.IGNORECASE)
_TAG = re.compile(r"<[^<>]*>")
_NOT_IN_NAME = re.compile(r"[^a-z0-9]+")
_LEVELS = {10: "debug", 20: "info", 30: "warning", 40: "error", 50: "error"}
_HOUR, _DAY = 3600, 86400


def seconds(given: Any) -> str:
    """Return a duration of at least one second of a number of seconds.

    Raises:
        ValueError: when it is no such number.
    """
    number = _positive(given)
    whole = max(1, math.ceil(number))
    for unit, length in (("d", _DAY), ("h", _HOUR), ("m", 60)):
        if whole % length == 0:
            return f"{whole // length}{unit}"
    return f"{whole}s"


def days(given: Any) -> str:
    """Return a duration of a number of days."""
    return seconds(_positive(given) * _DAY)


def size(given: Any) -> str:
    """Return a size of a number of bytes, or of a text such as "2G" or Kubernetes' "512Mi"."""
    if isinstance(given, int | float) and not isinstance(given, bool):
        return str(int(_positive(given)))
    matched = _SIZE.fullmatch(given.strip()) if isinstance(given, str) else None
    if matched is None or not 0 < float(matched[1]) < 1e15:  # noqa: PLR2004 a petabyte, and no infinity
        raise ValueError
    return matched[1] + matched[2].upper()


def cpus(given: Any) -> float:
    """Return a number of CPUs of a number, or of a text such as Kubernetes' "500m"."""
    if isinstance(given, str):
        milli = _MILLI.fullmatch(given.strip())
        given = int(milli[1]) / 1000 if milli else float(given)
    return _positive(given)


def gpus(given: Any) -> int:
    """Return the number of GPUs of resources such as `{"nvidia.com/gpu": "1"}`.

    Raises:
        ValueError: when there are other resources, too.
    """
    if not isinstance(given, Mapping) or len(given) != 1:
        raise ValueError
    ((name, number),) = given.items()
    if not str(name).endswith("/gpu"):
        raise ValueError
    return count(int(number))


def log_level(given: Any) -> str:
    """Return the name of a level of logging, which JupyterHub has as a number or a name."""
    if isinstance(given, str):
        return {"warn": "warning", "critical": "error"}.get(given.lower(), given.lower())
    if given not in _LEVELS:
        raise ValueError
    return _LEVELS[given]


def texts(given: Any) -> list[str]:
    """Return the texts of a list, or of one text."""
    found = [given] if isinstance(given, str) else given
    if isinstance(found, Mapping):
        found = list(found)
    if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
        raise ValueError
    return found


def text(given: Any) -> str:
    """Return a text as it is."""
    if not isinstance(given, str):
        raise TypeError
    return given


def flag(given: Any) -> bool:
    """Return a truth value as it is."""
    if not isinstance(given, bool):
        raise TypeError
    return given


def count(given: Any) -> int:
    """Return an integer of at least 0."""
    if not isinstance(given, int) or isinstance(given, bool) or given < 0:
        raise ValueError
    return given


def origin(address: str) -> str:
    """Return the scheme, host and port of an address."""
    parts = urlsplit(text(address))
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}" + (f":{parts.port}" if parts.port else "")


def sentence(given: Any) -> str:
    """Return the words of a text in HTML, on one line."""
    return " ".join(html.unescape(_TAG.sub(" ", text(given))).split())


def markdown(given: Any) -> str:
    """Return a text in HTML as Markdown, on one line: links and emphasis stay, other tags go."""
    found = _LINK.sub(lambda link: f"[{link[2]}]({link[1]})", text(given))
    for marks, kinds in (("**", "b|strong"), ("*", "i|em")):
        found = re.sub(
            rf"<({kinds})>\s*(.{{1,500}}?)\s*</\1>", rf"{marks}\2{marks}", found, flags=re.IGNORECASE | re.DOTALL
        )
    return sentence(found)


def slug(given: str, used: list[str]) -> str:
    """Return a name of a-z, 0-9 and hyphens that *used* does not have."""
    wanted = _NOT_IN_NAME.sub("-", given.lower()).strip("-")[:60] or "profile"
    name, number = wanted, 2
    while name in used:
        name, number = f"{wanted}-{number}", number + 1
    return name


def _positive(given: Any) -> float:
    if isinstance(given, bool) or not isinstance(given, int | float) or not 0 < given < 1e15:  # noqa: PLR2004 as above
        raise ValueError
    return float(given)
