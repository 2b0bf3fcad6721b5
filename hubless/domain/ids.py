"""Immutable identifiers: they sort by creation time and are never reused.

Stores key everything by these and never by names: a rename is one write, and a recreated user inherits nothing.
"""

from datetime import datetime

_DIGITS = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32, lower case
RANDOM_BYTES = 10


def identifier(prefix: str, at: datetime, randomness: bytes) -> str:
    """Return *prefix*, 10 digits of milliseconds since 1970 and 16 digits of *randomness* (10 bytes), in base 32.

    Raises:
        ValueError: when *randomness* is not 10 bytes long.
    """
    if len(randomness) != RANDOM_BYTES:
        raise ValueError(f"an identifier needs {RANDOM_BYTES} random bytes, not {len(randomness)}")
    milliseconds = int(at.timestamp() * 1000)
    return prefix + _digits(milliseconds, 10) + _digits(int.from_bytes(randomness), 16)


def _digits(number: int, width: int) -> str:
    out = []
    for _ in range(width):
        number, digit = divmod(number, 32)
        out.append(_DIGITS[digit])
    return "".join(reversed(out))
