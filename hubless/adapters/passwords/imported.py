"""Hashes of passwords that another hub made, beside our own."""

import hmac

from hubless.domain import imported_passwords
from hubless.ports.passwords import PasswordHasher

_NO_SALT = "." * 22


class ImportedPasswordHasher:
    """Verifies hashes of bcrypt too, which came with an import; new hashes are *ours*.

    A hash of bcrypt takes longer than ours. Once a process has met one, all wrong passwords take as long as both, so
    that time does not tell whose password came with the import.
    """

    def __init__(self, ours: PasswordHasher) -> None:
        self._ours = ours
        self._dearest_met = 0

    def hash(self, password: str) -> str:
        """Return a hash of ours."""
        return self._ours.hash(password)

    def verify(self, password_hash: str | None, password: str) -> bool:
        """Say whether *password* is right."""
        cost = None if password_hash is None else imported_passwords.cost_of(password_hash)
        if password_hash is None or cost is None:
            if self._ours.verify(password_hash, password):
                return True
            if self._dearest_met:
                _bcrypt(password, f"$2b${self._dearest_met:02}${_NO_SALT}")
            return False
        self._dearest_met = max(self._dearest_met, cost)
        if _matches(password_hash, password):
            return True
        self._ours.verify(None, password)
        return False

    def is_outdated(self, password_hash: str, password: str) -> bool:
        """Say whether to hash *password* again; not if bcrypt has cut it, because its end may be mistyped."""
        if imported_passwords.cost_of(password_hash) is None:
            return self._ours.is_outdated(password_hash, password)
        return imported_passwords.is_hashed_whole(password)


def _matches(password_hash: str, password: str) -> bool:
    return hmac.compare_digest(_bcrypt(password, password_hash), password_hash)


def _bcrypt(password: str, salt: str) -> str:
    import bcrypt  # noqa: PLC0415 only where a hash of another hub is met

    return bcrypt.hashpw(imported_passwords.hashed_bytes(password), salt.encode()).decode()
