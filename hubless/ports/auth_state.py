"""The store of auth_state: what a provider said of a user at the last login (JupyterHub's word), sealed."""

from typing import Protocol


class AuthStateStore(Protocol):
    """Stores one sealed text a user. What it says is none of the store's business."""

    def get(self, user_id: str) -> str | None:
        """Return the sealed text or None."""
        ...

    def set(self, user_id: str, sealed: str | None) -> None:
        """Store the sealed text in place of any other; None removes it.

        Raises:
            NotFoundError: when the user does not exist and *sealed* is not None.
        """
        ...
