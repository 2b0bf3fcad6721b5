"""Sealed auth_state in DynamoDB."""

from hubless.adapters.dynamodb import keys
from hubless.adapters.dynamodb.database import Database, Delete, Put
from hubless.adapters.dynamodb.table import AuthStateItem
from hubless.adapters.dynamodb.tokens import user_exists


class DynamoAuthStateStore:
    """Stores one sealed text a user."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, user_id: str) -> str | None:
        item = self._database.get(AuthStateItem, keys.auth_state(user_id))
        return None if item is None else item.sealed

    def set(self, user_id: str, sealed: str | None) -> None:
        if sealed is None:
            self._database.write(Delete(keys.auth_state(user_id)))
            return
        self._database.transact([user_exists(user_id), Put(AuthStateItem(*keys.auth_state(user_id), sealed=sealed))])
