"""Tells what the characters of a text from outside do to whoever reads it: nothing, control, or turn it around."""

import unicodedata
from typing import Final

_CONTROLS: Final = frozenset({"Cc", "Cs", "Zl", "Zp"})  # general categories of Unicode
_INVISIBLE: Final = _CONTROLS | {"Cf", "Zs"}
# With these, "nimda" is shown as "admin" (Unicode Standard Annex 9).
_DIRECTION_CHANGES: Final = frozenset({"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"})


def has_controls(text: str) -> bool:
    """Say whether *text* has control characters, ends of lines, or what no UTF-8 text has."""
    return any(unicodedata.category(one) in _CONTROLS for one in text)


def changes_direction(text: str) -> bool:
    """Say whether *text* has a character that changes the direction in which it is read."""
    return any(unicodedata.bidirectional(one) in _DIRECTION_CHANGES for one in text)


def is_visible(text: str) -> bool:
    """Say whether a reader sees anything of *text*."""
    return any(unicodedata.category(one) not in _INVISIBLE for one in text)
