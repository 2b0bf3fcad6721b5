"""The stores of shares and share codes. Both are removed with their server; a share also with its user or group."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Protocol

from hubless.domain.shares import Share, ShareCode


class ShareStore(Protocol):
    """Stores shares: at most one per server and user, and one per server and group."""

    def grant(self, share: Share, *, limit: int = 0) -> Share:
        """Add *share*, or add its scopes to the stored share, and return the result.

        Concurrent calls for one server and one user end in one share.

        Args:
            share: the share.
            limit: the number of shares that the server may have, and also the number that the user or the group may
                have directly, this one included; 0 means no limit.

        Raises:
            NotFoundError: when the server, the user or the group does not exist.
            QuotaExceededError: when a limit is reached; concurrent calls never exceed it.
        """
        ...

    def revoke(self, share_id: str, scopes: Iterable[str] | None = None) -> Share | None:
        """Remove *scopes* (None: all) from the share and return the rest; a share without scopes is removed."""
        ...

    def find(self, server_id: str, *, user_id: str | None = None, group_id: str | None = None) -> Share | None:
        """Return the server's share with exactly this user or group, or None."""
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
        """Return one page, oldest first, and the total. Give exactly one of the ids.

        Args:
            offset: the number of shares to skip.
            limit: the number of shares to return at most.
            server_id: return shares of this server.
            owner_id: return shares of all servers of this user.
            user_id: return shares with this user or one of its groups.
            group_id: return shares with this group.
        """
        ...


class ShareCodeStore(Protocol):
    """Stores share codes. Reads return expired ones too: the services check `is_expired`."""

    def create(self, code: ShareCode, *, limit: int = 0) -> None:
        """Add *code*.

        Args:
            code: the code.
            limit: the number of codes that the server may have, this one included, without those that expire before
                this one was created; 0 means no limit.

        Raises:
            NotFoundError: when its server does not exist.
            QuotaExceededError: when the limit is reached; concurrent calls never exceed it.
        """
        ...

    def find(self, sha256: str) -> ShareCode | None:
        """Return the code with that hash or None."""
        ...

    def look_up(self, sha256: str, prefix: str) -> tuple[ShareCode | None, Sequence[str]]:
        """Return the code with that hash, and if that is None, the imported hashes of *prefix*.

        They are as those of `TokenStore.look_up`, and cost as much.
        """
        ...

    def adopt(self, code: ShareCode, sha256: str, now: datetime, /) -> bool:
        """Replace the imported hash in *code* by ours, in one write, and say whether this call did.

        It does nothing if the code is gone, has another hash by now, or if another code has *sha256*. The imported hash
        may lead to the code for an hour more, so that a look-up at the same moment finds it.
        """
        ...

    def exchange(self, code: ShareCode, share: Share, at: datetime, *, limit: int = 0) -> Share | None:
        """Grant *share* as `ShareStore.grant` does and count the exchange, in one transaction.

        Return None and write nothing if the code was revoked meanwhile, or has had `max_uses` exchanges. Concurrent
        calls never exceed that number.

        Raises:
            NotFoundError: when the user does not exist.
            QuotaExceededError: as `ShareStore.grant`.
        """
        ...

    def delete(self, server_id: str, *, code_id: str | None = None, sha256: str | None = None) -> int:
        """Remove the server's code of that id or hash, or all its codes; return how many were removed."""
        ...

    def page(
        self, *, offset: int, limit: int, server_id: str | None = None, owner_id: str | None = None
    ) -> tuple[list[ShareCode], int]:
        """Return one page, oldest first, and the total: of this server, or of all servers of this user."""
        ...

    def delete_expired(self, now: datetime, limit: int) -> int:
        """Remove up to *limit* expired codes and return how many were removed."""
        ...
