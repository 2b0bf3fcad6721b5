"""The usage log in DynamoDB."""

from hubless.adapters.dynamodb import keys
from hubless.adapters.dynamodb.database import ConditionFailedError, Database, Put
from hubless.adapters.dynamodb.table import UsageItem
from hubless.domain.usage import Usage

_FIELDS = ("launch_id", "server_id", "owner_id", "profile", "started_at", "ended_at", "outcome")


class DynamoUsageLog:
    """Stores the usage of each launch."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, usage: Usage) -> None:
        item = UsageItem(
            *keys.usage(usage.owner_id, usage.launch_id), **{name: getattr(usage, name) for name in _FIELDS}
        )
        try:
            self._database.write(Put(item, UsageItem.pk.does_not_exist()))
        except ConditionFailedError:
            return  # it is stored already

    def of_owner(self, owner_id: str) -> list[Usage]:
        found = [
            Usage(**{name: getattr(item, name) for name in _FIELDS})
            for item in self._database.query(UsageItem, f"USAGE#{owner_id}")
        ]
        return sorted(found, key=lambda usage: usage.started_at)
