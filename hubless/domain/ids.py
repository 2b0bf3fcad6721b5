"""Immutable identifiers: they sort by creation time and are never reused.

Stores key everything by these and never by names: a rename is one write, and a recreated user inherits nothing.
"""

from datetime import UTC, datetime, timedelta

_DIGITS = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32, lower case
RANDOM_BYTES = 10
_TIME_DIGITS, _RANDOM_DIGITS = 10, 16
_LENGTH = _TIME_DIGITS + _RANDOM_DIGITS
_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


def identifier(prefix: str, at: datetime, randomness: bytes) -> str:
    """Return *prefix*, 10 digits of milliseconds since 1970 and 16 digits of *randomness* (10 bytes), in base 32.

    Raises:
        ValueError: when *randomness* is not 10 bytes long.
    """
    if len(randomness) != RANDOM_BYTES:
        raise ValueError(f"an identifier needs {RANDOM_BYTES} random bytes, not {len(randomness)}")
    milliseconds = int(at.timestamp() * 1000)
    return prefix + _digits(milliseconds, _TIME_DIGITS) + _digits(int.from_bytes(randomness), _RANDOM_DIGITS)


def created_at(text: str) -> datetime:
    """Return when the identifier *text* was made, to the millisecond; 1970 for a text that is no identifier."""
    digits = text[-_LENGTH:-_RANDOM_DIGITS]
    if len(digits) != _TIME_DIGITS or not set(digits) <= set(_DIGITS):
        return _BEGINNING
    milliseconds = 0
    for digit in digits:
        milliseconds = milliseconds * 32 + _DIGITS.index(digit)
    try:
        return _BEGINNING + timedelta(milliseconds=milliseconds)
    except OverflowError:
        return _BEGINNING


def is_identifier(text: str, prefix: str) -> bool:
    """Say whether *text* is an identifier of those that begin with *prefix*."""
    return len(text) == len(prefix) + _LENGTH and text.startswith(prefix) and set(text[len(prefix) :]) <= set(_DIGITS)


def _digits(number: int, width: int) -> str:
    out = []
    for _ in range(width):
        number, digit = divmod(number, 32)
        out.append(_DIGITS[digit])
    return "".join(reversed(out))
