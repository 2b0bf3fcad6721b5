"""The store of ledgers, by which budgets are kept."""

from collections.abc import Iterable
from typing import Protocol

from hubless.domain.budgets import Ledger


class LedgerStore(Protocol):
    """Stores ledgers. Servers join and leave them in the writes of `ServerStore`."""

    def get_many(self, keys: Iterable[str]) -> dict[str, Ledger]:
        """Return the ledgers that exist, by key."""
        ...

    def create(self, ledger: Ledger) -> None:
        """Add *ledger*; do nothing if there is one of its key."""
        ...

    def replace(self, before: Ledger, after: Ledger) -> None:
        """Replace *before* by *after*.

        Raises:
            StoreConflictError: when the ledger has changed since *before* was read.
        """
        ...
