"""Shares and share codes, stored. All go with their server; a share also goes with the user or group that has it."""

from collections.abc import Iterable
from datetime import datetime
from typing import Protocol

from hubless.domain.shares import Share, ShareCode


class ShareStore(Protocol):
    """Holds shares: at most one of each server with each user and each group."""

    def grant(self, share: Share) -> Share:
        """Add *share*, or its scopes to the share that is there, and return what is there then.

        Two at once for one server and one user: both end in one share.

        Raises:
            NotFoundError: when the server, the user or the group is gone.
        """
        ...

    def revoke(self, share_id: str, scopes: Iterable[str] | None = None) -> Share | None:
        """Take *scopes* (all when None) from the share and return what is left; the share goes with its last scope."""
        ...

    def find(self, server_id: str, *, user_id: str | None = None, group_id: str | None = None) -> Share | None:
        """Return the share of the server with this very user or group, or None."""
        ...

    def delete_of_server(self, server_id: str) -> None:
        """Remove all shares of the server."""
        ...

    def page(
        self,
        *,
        offset: int,
        limit: int,
        server_id: str | None = None,
        owner_id: str | None = None,
        user_id: str | None = None,
        group_id: str | None = None,
    ) -> tuple[list[Share], int]:
        """Return one page, oldest first, and the total, of exactly one of these.

        Args:
            server_id: of this server.
            owner_id: of all servers of this user.
            user_id: with this user, also through its groups.
            group_id: with this group.
        """
        ...


class ShareCodeStore(Protocol):
    """Holds share codes. Reads return expired ones too: the services ask `is_expired`."""

    def create(self, code: ShareCode) -> None:
        """Add *code*.

        Raises:
            NotFoundError: when its server is gone.
        """
        ...

    def find(self, sha256: str) -> ShareCode | None:
        """Return the code of that hash or None."""
        ...

    def exchange(self, code: ShareCode, share: Share, at: datetime) -> Share | None:
        """Grant *share* as `ShareStore.grant` does and count the exchange, in one transaction.

        None, and nothing is written, when the code was revoked meanwhile.

        Raises:
            NotFoundError: when the user is gone.
        """
        ...

    def delete(self, server_id: str, *, code_id: str | None = None, sha256: str | None = None) -> int:
        """Remove the server's codes (all when neither is given) and return how many there were."""
        ...

    def page(
        self, *, offset: int, limit: int, server_id: str | None = None, owner_id: str | None = None
    ) -> tuple[list[ShareCode], int]:
        """Return one page, oldest first, and the total, of this server or of all servers of this user."""
        ...

    def delete_expired(self, now: datetime, limit: int) -> int:
        """Remove up to *limit* expired codes and return how many."""
        ...
