"""Which user id of the machine belongs to which owner of servers."""

from typing import Protocol


class OwnerUidStore(Protocol):
    """Stores one uid for each owner. A uid belongs to its first owner for ever, also after the owner was removed.

    Only `claim_of_removed` takes one over.
    """

    def uid_of(self, owner_id: str) -> int | None:
        """Return the uid of this owner, or None."""
        ...

    def highest(self, first: int, last: int) -> int | None:
        """Return the highest uid from *first* to *last* that belongs to an owner, or None."""
        ...

    def claim(self, owner_id: str, uid: int) -> bool:
        """Give *uid* to this owner, if neither of them has another; say whether it belongs to this owner now."""
        ...

    def claim_of_removed(self, owner_id: str, uid: int) -> bool:
        """Give *uid* to this owner if its present owner is no user any more; say whether it belongs to this owner now.

        Only for the hub's own uid, which is no protection of anything.
        """
        ...
