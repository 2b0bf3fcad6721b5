"""Hashes of passwords that another hub made: bcrypt's, as NativeAuthenticator and FirstUseAuthenticator keep them.

Both hash what Tornado read from a form, in UTF-8 and not normalised. Tornado puts a blank in place of each control
character but tab and the ends of lines. bcrypt 4 and older hashed the first 72 bytes; bcrypt 5 refuses more.
"""

import re

HASHED_BYTES = 72  # of a password; bcrypt's key is no longer
CHEAPEST, DEAREST = 4, 15  # logarithms to the base 2 of rounds; both authenticators use 12, and 15 takes two seconds
_FORM = re.compile(r"\$2[aby]\$([0-9]{2})\$[./A-Za-z0-9]{21}[.Oeu][./A-Za-z0-9]{31}")
_ARGON2 = re.compile(
    r"\$argon2id\$v=19\$m=([0-9]{1,7}),t=([0-9]{1,3}),p=([0-9]{1,3})\$[A-Za-z0-9+/]{11,86}\$[A-Za-z0-9+/]{16,86}"
)
_DEAREST_ARGON2 = (2**18, 10, 16)  # memory in KiB, passes and lanes: four times what our own hashes need
_CONTROL_CHARACTERS = re.compile(r"[\x00-\x08\x0e-\x1f]")  # Tornado 6.5's `_remove_control_chars_regex`


def cost_of(password_hash: str) -> int | None:
    """Return the cost of a hash of bcrypt; None if it is none, or dearer than the hub may be made to pay."""
    found = _FORM.fullmatch(password_hash)
    cost = int(found[1]) if found else 0
    return cost if CHEAPEST <= cost <= DEAREST else None


def is_checkable(password_hash: str) -> bool:
    """Say whether the hub checks passwords with this hash: Argon2id's or bcrypt's, and none that costs too much."""
    found = _ARGON2.fullmatch(password_hash)
    if found is None:
        return cost_of(password_hash) is not None
    return all(0 < int(one) <= most for one, most in zip(found.groups(), _DEAREST_ARGON2, strict=True))


def hashed_bytes(password: str) -> bytes:
    """Return what the other hub has hashed of *password*."""
    return _CONTROL_CHARACTERS.sub(" ", password).encode()[:HASHED_BYTES]


def is_hashed_whole(password: str) -> bool:
    """Say whether no other password has the same hash: otherwise somebody may have typed another one."""
    return hashed_bytes(password) == password.encode()
