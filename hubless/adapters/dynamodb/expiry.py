"""Finds and removes expired items by the expiry index. The index may lag; expired items stay expired."""

from collections.abc import Callable
from datetime import datetime
from typing import TypeVar

from hubless.adapters.dynamodb.database import TRIES, Database, pause
from hubless.adapters.dynamodb.table import EXPIRY, Expiring

M = TypeVar("M", bound=Expiring)
TOKEN, SESSION, CODE, SHARE_CODE = "token", "session", "code", "share code"


def remove(
    database: Database, kind: str, model: type[M], now: datetime, *, limit: int, remove_some: Callable[[list[M]], int]
) -> int:
    """Remove up to *limit* expired items and return how many. Of parallel calls only one counts an item.

    Args:
        remove_some: removes items and returns how many still existed.
    """
    removed = 0
    for turn in range(TRIES):
        listed = list(database.query(Expiring, kind, Expiring.expires_at <= now, index=EXPIRY, limit=limit - removed))
        found = database.get_many(item.key for item in listed)
        removed += remove_some([item for key in found if (item := found.item(model, key)) is not None])
        if not listed or removed >= limit:
            break
        if len(found) < len(listed):
            pause(turn)  # another function removes them too, or the index lags
    return removed
