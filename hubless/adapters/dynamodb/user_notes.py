"""Notes on users in DynamoDB."""

from hubless.adapters.dynamodb import keys
from hubless.adapters.dynamodb.database import Database, Put
from hubless.adapters.dynamodb.table import UserNoteItem
from hubless.adapters.dynamodb.tokens import user_exists
from hubless.domain.errors import StoreConflictError
from hubless.domain.user_notes import UserNote


class DynamoUserNoteStore:
    """Stores one note a user, in the user's partition."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, user_id: str) -> UserNote | None:
        item = self._database.get(UserNoteItem, keys.user_note(user_id))
        if item is None:
            return None
        return UserNote(user_id, item.text, int(item.revision), item.written_by, item.written_at)

    def save(self, before: UserNote | None, after: UserNote) -> None:
        item = UserNoteItem(
            *keys.user_note(after.user_id),
            text=after.text,
            revision=after.revision,
            written_by=after.written_by,
            written_at=after.written_at,
        )
        is_as_read = UserNoteItem.pk.does_not_exist() if before is None else UserNoteItem.revision == before.revision
        changed = StoreConflictError("The note was changed meanwhile")
        self._database.transact([user_exists(after.user_id), Put(item, is_as_read, changed)])
