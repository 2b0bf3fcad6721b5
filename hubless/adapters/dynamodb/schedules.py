"""Schedules in DynamoDB: one partition, which one query reads."""

from pynamodb.expressions.condition import Condition

from hubless.adapters.dynamodb import keys
from hubless.adapters.dynamodb.database import ConditionFailedError, Database, Put
from hubless.adapters.dynamodb.table import ScheduleItem
from hubless.domain.schedules import Schedule, facts_of, of_facts


class DynamoScheduleStore:
    """Stores schedules."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> list[Schedule]:
        items = self._database.query(ScheduleItem, keys.SCHEDULES)
        return sorted((of_facts(one.facts, int(one.revision)) for one in items), key=lambda one: one.name)

    def add(self, schedule: Schedule) -> bool:
        return self._put(schedule, ScheduleItem.pk.does_not_exist())

    def replace(self, before: Schedule, after: Schedule) -> bool:
        return self._put(after, ScheduleItem.revision == before.revision)

    def remove(self, name: str, *, revision: int | None = None) -> bool:
        as_read = ScheduleItem.pk.exists() if revision is None else ScheduleItem.revision == revision
        return self._database.take(ScheduleItem, keys.schedule(name), as_read) is not None

    def _put(self, schedule: Schedule, condition: Condition) -> bool:
        item = ScheduleItem(*keys.schedule(schedule.name), facts=facts_of(schedule), revision=schedule.revision)
        try:
            self._database.transact([Put(item, condition)])  # a repeated one has no second effect
        except ConditionFailedError:
            return False
        return True
