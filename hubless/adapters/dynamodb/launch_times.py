"""How long launches took, in DynamoDB: an item for each profile, whose revision each write names."""

from datetime import timedelta

from hubless.adapters.dynamodb import keys
from hubless.adapters.dynamodb.database import ConditionFailedError, Database, Put
from hubless.adapters.dynamodb.table import LaunchTimesItem
from hubless.domain.launch_times import COUNT_FOR, LaunchTime, with_newest

_MICROSECOND = timedelta(microseconds=1)


class DynamoLaunchTimeStore:
    """Remembers the latest launches of each profile. DynamoDB removes what counts no more."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, profile: str, newest: LaunchTime) -> None:
        item = self._database.get(LaunchTimesItem, keys.launch_times(profile))
        times = with_newest(_times(item), newest)
        written = LaunchTimesItem(
            *keys.launch_times(profile),
            times=[[keys.to_number(one.at), one.took // _MICROSECOND] for one in times],
            revision=1 if item is None else int(item.revision) + 1,
            ttl=newest.at + COUNT_FOR,
        )
        as_read = LaunchTimesItem.pk.does_not_exist() if item is None else LaunchTimesItem.revision == item.revision
        try:
            self._database.write(Put(written, as_read))
        except ConditionFailedError:
            return  # another launch was ready at the same moment: one of the two is enough

    def of(self, profile: str) -> tuple[LaunchTime, ...]:
        return _times(self._database.get(LaunchTimesItem, keys.launch_times(profile)))


def _times(item: LaunchTimesItem | None) -> tuple[LaunchTime, ...]:
    stored = [] if item is None else item.times
    return tuple(LaunchTime(keys.to_instant(int(at)), int(took) * _MICROSECOND) for at, took in stored)
