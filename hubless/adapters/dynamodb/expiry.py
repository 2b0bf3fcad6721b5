"""What is expired, by the index of expiry. The index may lag by a moment: what is expired stays so."""

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
    """Have up to *limit* expired things removed and return how many were; of several who do so each thing counts once.

    Args:
        remove_some: removes things and returns how many were still there.
    """
    removed = 0
    for turn in range(TRIES):
        listed = list(database.query(Expiring, kind, Expiring.expires_at <= now, index=EXPIRY, limit=limit - removed))
        found = database.get_many(item.key for item in listed)
        removed += remove_some([item for key in found if (item := found.item(model, key)) is not None])
        if not listed or removed >= limit:
            break
        if len(found) < len(listed):
            pause(turn)  # another is at it, or the index lags
    return removed
