"""Names of files that say whose home is meant, for people who look for one in a shell."""

import unicodedata
from hashlib import sha256

MAX_BYTES = 255  # of a name in Linux's file systems (NAME_MAX in limits.h)
_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-_+@.")
_CUT = "%~"  # nothing else gives it: an escape has two digits after the percent sign
_DIGITS = 16  # of the hash


def file_name(name: str) -> str:
    """Return a name of a file for the user *name*; two users never share one, whatever the file system compares.

    What is no plain lower-case letter, digit or one of ``-_+@.`` is escaped byte by byte in UTF-8, as in URLs: `%2F`.
    Letters of other alphabets stay, if no file system takes them for others: capitals and what Unicode composes
    otherwise do not. So does a dot at the start, which hides a file. What would be too long is cut, and ends with `%~`
    and the first 16 digits of the name's SHA-256.
    """
    escaped = [_escaped(one, is_first=not number) for number, one in enumerate(name)]
    if len("".join(escaped).encode()) <= MAX_BYTES:
        return "".join(escaped)
    room = MAX_BYTES - len(_CUT) - _DIGITS
    kept = ""
    for one in escaped:
        if len((kept + one).encode()) > room:
            break
        kept += one
    return kept + _CUT + sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGITS]


def _escaped(one: str, *, is_first: bool) -> str:
    if one in _PLAIN and not (is_first and one == "."):
        return one
    is_stable = one.casefold() == one == unicodedata.normalize("NFKC", one)
    if not one.isascii() and one.isalnum() and is_stable:
        return one
    return "".join(f"%{byte:02X}" for byte in one.encode("utf-8", "surrogatepass"))
