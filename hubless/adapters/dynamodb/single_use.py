"""What may be used once only, in DynamoDB."""

from datetime import datetime

from hubless.adapters.dynamodb import keys
from hubless.adapters.dynamodb.database import ConditionFailedError, Database, Put
from hubless.adapters.dynamodb.table import Used


class DynamoSingleUseStore:
    """Remembers what was used. DynamoDB removes it by its `ttl`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def use(self, key: str, until: datetime) -> bool:
        try:
            # A transaction, because a repeated one has no second effect: the first call stays the first.
            self._database.transact([Put(Used(*keys.used(key), ttl=until), Used.pk.does_not_exist())])
        except ConditionFailedError:
            return False
        return True

    def delete_expired(self, now: datetime, limit: int) -> int:  # noqa: ARG002 DynamoDB removes items by their `ttl`
        return 0
