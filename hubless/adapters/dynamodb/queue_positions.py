"""Queue positions without a hot partition, although a class of thousands polls them.

Positions up to `EXACT` are counted. Beyond that a digest of the queue answers, an item of a few KB. A function that
finds it too old claims it by a conditional write, and writes a new one. Functions cache it, so most calls read nothing.
"""

from contextlib import suppress
from datetime import datetime, timedelta

from hubless.adapters.dynamodb import keys
from hubless.adapters.dynamodb.database import ConditionFailedError, Database, Update
from hubless.adapters.dynamodb.keys import Key
from hubless.adapters.dynamodb.table import Item, Pointer, QueueDigestItem
from hubless.domain import queue_position
from hubless.domain.queue_position import QueueDigest

EXACT = 100
FRESH_FOR = timedelta(seconds=5)
GOOD_FOR = timedelta(seconds=30)  # if the function that claimed a new one failed


class QueuePositions:
    """Positions in one queue: a partition whose sort keys begin with the time of arrival."""

    def __init__(self, database: Database, partition: str, digest: Key) -> None:
        """Count in *partition*; *digest* is the key of the queue's digest."""
        self._database, self._partition, self._digest_key = database, partition, digest
        self._known: QueueDigest | None = None

    def queue_position(self, came_at: datetime, now: datetime) -> int:
        """Return how many arrived before *came_at*."""
        known = self._remembered(now)
        if known is None:
            counted = self._count(came_at)
            known = self._digest(now) if counted > EXACT else None
            if known is None:
                return counted  # too low while the first digest is being written
        elif now - known.at > FRESH_FOR:
            known = self._digest(now) or known
        place = known.queue_position(came_at)
        return place if place > EXACT else self._count(came_at)

    def _count(self, came_at: datetime) -> int:
        before = Item.sk < keys.sortable(came_at)
        return sum(1 for _ in self._database.query(Pointer, self._partition, before, limit=EXACT + 1))

    def _remembered(self, now: datetime) -> QueueDigest | None:
        return self._known if self._known is not None and now - self._known.at <= GOOD_FOR else None

    def _digest(self, now: datetime) -> QueueDigest | None:
        """Return the stored digest or, if it is too old and not claimed, a new one; None if there is none yet."""
        item = self._database.get(QueueDigestItem, self._digest_key)
        found = None if item is None else _read(item)
        if found is None or now - found.at > FRESH_FOR:
            found = self._rewritten(now) or found
        if found is not None and now - found.at <= GOOD_FOR:
            self._known = found
        return self._remembered(now)

    def _rewritten(self, now: datetime) -> QueueDigest | None:
        claim = QueueDigestItem.claimed_at
        is_free = claim.does_not_exist() | (
            claim < now - FRESH_FOR
        )  # not claimed, or the function that claimed it has died
        try:
            self._database.write(Update(self._digest_key, [claim.set(now)], is_free))
        except ConditionFailedError:
            return None
        made = queue_position.digest([_came_at(item) for item in self._database.query(Item, self._partition)], now)
        actions = [
            QueueDigestItem.at.set(now),
            QueueDigestItem.length.set(made.length),
            QueueDigestItem.step.set(made.step),
            QueueDigestItem.marks.set([keys.to_number(mark) for mark in made.marks]),
        ]
        with suppress(ConditionFailedError):  # another function has claimed it since
            self._database.write(Update(self._digest_key, actions, claim == now))
        return made


def _came_at(item: Item) -> datetime:
    return keys.to_instant(int(item.sk.partition("#")[0]))


def _read(item: QueueDigestItem) -> QueueDigest | None:
    """Return the digest; None if the first one is claimed but not written yet."""
    if item.at is None:
        return None
    marks = tuple(keys.to_instant(number) for number in item.marks or ())
    return QueueDigest(item.at, int(item.length), int(item.step), marks)
