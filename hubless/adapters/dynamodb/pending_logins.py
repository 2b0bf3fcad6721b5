"""Pending logins in DynamoDB."""

from datetime import datetime

from hubless.adapters.dynamodb import keys
from hubless.adapters.dynamodb.database import Database, Put
from hubless.adapters.dynamodb.table import PendingLoginItem
from hubless.domain.errors import StoreConflictError
from hubless.ports.pending_logins import PendingLogin

_FACTS = ("browser_sha256", "provider", "nonce", "verifier", "next", "link_to_user_id")


class DynamoPendingLoginStore:
    """Stores pending logins. DynamoDB removes expired ones by their `ttl`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, pending: PendingLogin) -> None:
        item = PendingLoginItem(
            *keys.pending_login(pending.state_sha256),
            facts={name: getattr(pending, name) for name in _FACTS} | {"facts": dict(pending.facts)},
            created_at=pending.created_at,
            expires_at=pending.expires_at,
            ttl=pending.expires_at,
        )
        taken = StoreConflictError("Another login has this state")
        # A transaction, because a repeated one has no second effect: the item would refuse its own repetition.
        self._database.transact([Put(item, PendingLoginItem.pk.does_not_exist(), taken)])

    def take(self, state_sha256: str, now: datetime) -> PendingLogin | None:
        key = keys.pending_login(state_sha256)
        item = self._database.take(PendingLoginItem, key, PendingLoginItem.expires_at > now)
        if item is None:
            return None
        return PendingLogin(
            state_sha256=state_sha256, created_at=item.created_at, expires_at=item.expires_at, **item.facts
        )

    def delete_expired(self, now: datetime, limit: int) -> int:  # noqa: ARG002 DynamoDB removes items by their `ttl`
        return 0
