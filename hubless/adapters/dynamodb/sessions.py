"""Browser sessions in DynamoDB."""

from datetime import datetime
from typing import Any

from hubless.adapters.dynamodb import expiry, keys, removals, user_records
from hubless.adapters.dynamodb.database import ConditionFailedError, Database, Delete, Put, Step, Update
from hubless.adapters.dynamodb.table import Pointer, SessionItem
from hubless.adapters.dynamodb.tokens import is_revoked, user_exists
from hubless.domain.errors import StoreConflictError
from hubless.domain.tokens import Session
from hubless.domain.users import User

_FIELDS = ("id", "sha256", "user_id", "created_at", "expires_at", "agent", "provider", "provider_session", "address")


class DynamoSessionStore:
    """Stores browser sessions."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find_with_user(self, sha256: str) -> tuple[Session, User] | None:
        pointer = self._database.get(Pointer, keys.cookie(sha256))
        if pointer is None:
            return None
        user_id, session_id = pointer.owner or "", pointer.to or ""
        where, head = keys.session_item(user_id, session_id), keys.session_head(session_id)
        found = self._database.get_many([where, head, *user_records.keys_of([user_id])])
        item = found.item(SessionItem, where)
        if item is None or is_revoked(found, session_id, None):
            return None
        user = user_records.users_of(self._database, found, [user_id]).get(user_id)
        return None if user is None else (_session(item), user)

    def create(self, session: Session) -> None:
        self._database.transact(steps_of_session(session))

    def of_user(self, user_id: str) -> list[Session]:
        found = [_session(item) for item in self._items(user_id)]
        return sorted(found, key=lambda session: (session.created_at, session.id))

    def keep_newest(self, user_id: str, number: int) -> None:
        sessions = self.of_user(user_id)
        for session in sessions[: max(0, len(sessions) - number)]:
            self._end(session.id)

    def end(self, session_id: str) -> None:
        self._end(session_id)

    def end_all(self, user_id: str) -> None:
        for item in self._items(user_id):
            self._end(item.id)

    def delete_expired(self, now: datetime, limit: int) -> int:
        return expiry.remove(
            self._database,
            expiry.SESSION,
            SessionItem,
            now,
            limit=limit,
            remove_some=lambda items: sum(self._end(item.id) for item in items),
        )

    def _items(self, user_id: str) -> list[SessionItem]:
        return list(self._database.query(SessionItem, keys.user(user_id), SessionItem.sk.startswith("SESSION#")))

    def _end(self, session_id: str) -> bool:
        """End the session, and tell whether this call did it."""
        head = self._database.get(Pointer, keys.session_head(session_id))
        if head is None:
            return False
        present = Pointer.pk.exists()
        try:
            removals.remove_issued(
                self._database,
                keys.session(session_id),
                head=Delete(head.key, present),
                mark=Update(head.key, [Pointer.gone.set(True)], present),
                note=removals.begin_session(session_id),
                closes=True,
                more=[keys.session_item(head.owner or "", session_id), keys.cookie(head.sha256 or "")],
            )
        except ConditionFailedError:
            return False  # another call was faster
        return True


def steps_of_session(session: Session) -> list[Step]:
    """Return the steps that add *session*; they fail if its user does not exist."""
    there = StoreConflictError(f"Session {session.id} is there already")
    listed: dict[str, Any] = {"to": session.id, "owner": session.user_id, "sha256": session.sha256}
    item = SessionItem(
        *keys.session_item(session.user_id, session.id),
        expiry=expiry.SESSION,
        **{name: getattr(session, name) for name in _FIELDS},
    )
    return [
        user_exists(session.user_id),
        Put(item, SessionItem.pk.does_not_exist(), there),
        Put(Pointer(*keys.session_head(session.id), **listed), Pointer.pk.does_not_exist(), there),
        Put(Pointer(*keys.cookie(session.sha256), **listed), Pointer.pk.does_not_exist(), there),
    ]


def _session(item: SessionItem) -> Session:
    return Session(**{name: getattr(item, name) for name in _FIELDS})
