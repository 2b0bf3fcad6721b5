"""Who waits for a place, in DynamoDB: a list in the order of the line, and in a user's partition the place in it.

A question of who waits already writes the small item in the list alone.
"""

from datetime import datetime

from hubless.adapters.dynamodb import keys
from hubless.adapters.dynamodb.database import Check, ConditionFailedError, Database, Delete, Put, Step, Update
from hubless.adapters.dynamodb.table import Account, WaitingItem
from hubless.domain.errors import NotFoundError
from hubless.domain.waiting import GONE_AFTER, MOST_AHEAD, Waiting, waits

_SWEPT = 25  # of those who have gone, by one question


class DynamoWaitingList:
    """Keeps who waits. DynamoDB removes who has gone, and so does each question that meets them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def ask(self, owner_id: str, now: datetime) -> Waiting:
        try:
            return self._database.retry(lambda: self._ask(owner_id, now))
        except NotFoundError:
            return Waiting(owner_id, now, now)

    def find(self, owner_id: str, now: datetime) -> Waiting | None:
        place = self._database.get(WaitingItem, keys.waits(owner_id))
        listed = None if place is None else self._database.get(WaitingItem, keys.waiting(place.since, owner_id))
        if listed is None or not waits(listed.seen_at, now):
            return None
        return Waiting(owner_id, listed.since, listed.seen_at)

    def ahead(self, of: Waiting | None, now: datetime) -> int:
        where = None if of is None else WaitingItem.sk < keys.waiting(of.since, of.owner_id).sk
        found = list(self._database.query(WaitingItem, keys.WAITING, where, limit=MOST_AHEAD))
        self._database.delete_many([item.key for item in found if now - item.seen_at > 2 * GONE_AFTER][:_SWEPT])
        return sum(waits(item.seen_at, now) for item in found)

    def leave(self, owner_id: str) -> None:
        place = self._database.get(WaitingItem, keys.waits(owner_id))
        if place is not None:
            self._database.delete_many([keys.waiting(place.since, owner_id), place.key])

    def _ask(self, owner_id: str, now: datetime) -> Waiting:
        place = self._database.get(WaitingItem, keys.waits(owner_id))
        if place is not None and self._asked_again(place, owner_id, now):
            return Waiting(owner_id, place.since, now)
        as_read = WaitingItem.pk.does_not_exist() if place is None else WaitingItem.since == place.since
        until = now + 2 * GONE_AFTER
        steps: list[Step] = [
            Check(keys.account(owner_id), Account.pk.exists() & Account.gone.does_not_exist(), _gone(owner_id)),
            Put(WaitingItem(*keys.waits(owner_id), since=now, seen_at=now, ttl=until), as_read),
            Put(WaitingItem(*keys.waiting(now, owner_id), since=now, seen_at=now, ttl=until)),
        ]
        if place is not None and place.since != now:
            steps.append(Delete(keys.waiting(place.since, owner_id)))
        self._database.transact(steps)
        return Waiting(owner_id, now, now)

    def _asked_again(self, place: WaitingItem, owner_id: str, now: datetime) -> bool:
        """Note a question of who waits already; say False for who has gone and comes back."""
        seen, until = WaitingItem.seen_at, now + 2 * GONE_AFTER
        still_waits = (seen > now - GONE_AFTER) & (seen < now + GONE_AFTER)
        changes = [seen.set(now), WaitingItem.ttl.set(until)]
        try:
            self._database.write(Update(keys.waiting(place.since, owner_id), changes, still_waits))
            self._database.write(Update(place.key, [WaitingItem.ttl.set(until)], WaitingItem.since == place.since))
        except ConditionFailedError:
            return False
        return True


def _gone(owner_id: str) -> NotFoundError:
    return NotFoundError("User", owner_id)
