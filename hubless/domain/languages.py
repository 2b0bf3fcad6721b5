"""The languages of the pages, and which one a reader gets."""

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

ENGLISH = "en"
NAMES: Mapping[str, str] = MappingProxyType({"en": "English", "de": "Deutsch", "es": "Español"})
"""The name of each language, in itself."""
MAX_ACCEPT_LANGUAGE = 1000  # characters of the header that are read; browsers send some ten languages
_MAX_RANGES = 20


def chosen(kept: Iterable[str], accept: str, offered: Sequence[str]) -> str:
    """Return the language of a reader, one of *offered*.

    Args:
        kept: what the browser keeps as the reader's own choice.
        accept: the header Accept-Language (RFC 9110 12.5.4).
        offered: the hub's languages, the usual one first.
    """
    for language in kept:
        if language in offered:
            return language
    for wanted in _ranges(accept[:MAX_ACCEPT_LANGUAGE]):
        if wanted == "*":
            return offered[0]
        found = wanted.partition("-")[0]  # lookup (RFC 4647 3.4); no language here has regions
        if found in offered:
            return found
    return offered[0]


def _ranges(accept: str) -> list[str]:
    """Return the language ranges in the order of their weights; those of equal weight as they were sent."""
    weighted = []
    for part in accept.split(",")[:_MAX_RANGES]:
        language, _, parameters = part.partition(";")
        weight = _weight(parameters)
        if language.strip() and weight > 0:
            weighted.append((weight, language.strip().lower()))
    return [language for _, language in sorted(weighted, key=lambda pair: -pair[0])]


def _weight(parameters: str) -> float:
    """Return the weight in *parameters*, 1 if there is none, and 0 if it is no weight (RFC 9110 12.4.2)."""
    name, _, number = parameters.strip().partition("=")
    if not name:
        return 1.0
    digits = number.strip()
    if name.strip().lower() != "q" or len(digits) > len("0.000") or not digits.replace(".", "", 1).isdecimal():
        return 0.0
    return min(1.0, float(digits)) if digits.isascii() else 0.0
