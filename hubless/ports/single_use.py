"""The store of what may be used once only: nonces, ids of assertions, steps of one-time passwords."""

from datetime import datetime
from typing import Protocol


class SingleUseStore(Protocol):
    """Remembers what was used."""

    def use(self, key: str, until: datetime) -> bool:
        """Say whether this is the first call for *key*. Of concurrent calls one gets True.

        Args:
            key: a word for the purpose and a text of any length and with any characters, such as `jti#…`.
            until: when nobody accepts the key any more, so that the store may forget it. It forgets some time later.
        """
        ...

    def delete_expired(self, now: datetime, limit: int) -> int:
        """Forget up to *limit* keys whose time is over, and return how many; 0 where the store does it."""
        ...
