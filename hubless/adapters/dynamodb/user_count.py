"""The number of users: counters that the transactions of users change (docs/adr/0075).

A transaction that adds or removes names of users also changes one of a few counters. A few, because DynamoDB takes
about fifty transactions a second on one item, and a class may log in for the first time at once.
"""

import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta

from pynamodb.expressions.condition import Condition

from hubless.adapters.dynamodb import keys
from hubless.adapters.dynamodb.database import Check, ConditionFailedError, Database, Put, Step, Update
from hubless.adapters.dynamodb.keys import Key
from hubless.adapters.dynamodb.table import Counter

COUNTERS = 16
RECOUNT_AFTER = timedelta(hours=1)
_FIRST, *_OTHERS = (keys.user_counter(number) for number in range(COUNTERS))


def counted(added: int) -> Step:
    """Return the step that counts *added* users, for the transaction with their names; removed ones are negative."""
    return _changed(keys.user_counter(secrets.randbelow(COUNTERS)), added)


class UserCount:
    """Reads and corrects the number of users."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def read(self) -> int | None:
        """Return the number, by one query; None if nobody has counted the users of an older table yet."""
        found = self._found()
        return None if keys.USERS_RECOUNTED not in found else max(0, _total(found))

    def recount(self, now: datetime) -> None:
        """Count the names, once an hour, and correct the counters if no user came or went meanwhile.

        A function of an older version, which still ran during an upgrade, has counted nobody.
        """
        before = self._found()
        mark = before.get(keys.USERS_RECOUNTED)
        if (
            mark is not None and timedelta(0) <= now - mark.at < RECOUNT_AFTER
        ):  # a wrong clock does not stop it for long
            return
        right = self._database.count(keys.USER_NAMES)
        steps: list[Step] = [
            _changed(_FIRST, right - _total(before), _as_read(before, _FIRST)),
            *(Check(key, _as_read(before, key)) for key in _OTHERS),
            Put(Counter(*keys.USERS_RECOUNTED, n=right, at=now)),
        ]
        try:
            self._database.transact(steps)
        except ConditionFailedError:
            return  # the next sweep tries again

    def _found(self) -> dict[Key, Counter]:
        return {item.key: item for item in self._database.query(Counter, keys.USERS)}


def _total(found: Mapping[Key, Counter]) -> int:
    return sum(int(item.n) for key, item in found.items() if key != keys.USERS_RECOUNTED)


def _changed(counter: Key, by: int, condition: Condition | None = None) -> Step:
    return Update(counter, [Counter.n.add(by), Counter.changes.add(1)], condition)


def _as_read(found: Mapping[Key, Counter], key: Key) -> Condition:
    """Return the condition that no transaction has changed the counter since it was read."""
    return Counter.changes == found[key].changes if key in found else Counter.pk.does_not_exist()
