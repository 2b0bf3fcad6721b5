"""Password hashes, one-time links and wrong passwords in DynamoDB."""

import secrets
from datetime import datetime, timedelta

from hubless.adapters.dynamodb import keys
from hubless.adapters.dynamodb.database import ConditionFailedError, Database, Put, Update
from hubless.adapters.dynamodb.table import Account, Attempt, Item, Password, Pointer
from hubless.adapters.dynamodb.tokens import user_exists

ATTEMPTS_STAY = timedelta(days=7)  # at least; as long as a lock-out if that is longer


class DynamoPasswordStore:
    """Stores a password hash for each user, and one-time links."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, user_id: str) -> str | None:
        item = self._database.get(Password, keys.password(user_id))
        return None if item is None else item.hash

    def set(self, user_id: str, password_hash: str) -> None:
        self._database.transact([user_exists(user_id), Put(Password(*keys.password(user_id), hash=password_hash))])

    def add_link(self, sha256: str, user_id: str, expires_at: datetime) -> None:
        link = Pointer(*keys.link(sha256), to=user_id, expires_at=expires_at, ttl=expires_at)
        self._database.transact([user_exists(user_id), Put(link)])

    def find_link(self, sha256: str, now: datetime) -> str | None:
        link = self._database.get(Pointer, keys.link(sha256))
        return None if link is None or link.expires_at <= now else self._still_there(link)

    def take_link(self, sha256: str, now: datetime) -> str | None:
        link = self._database.take(Pointer, keys.link(sha256), Pointer.expires_at > now)
        return None if link is None else self._still_there(link)

    def _still_there(self, link: Pointer) -> str | None:
        """Return the link's user id if the user still exists, because removing a user does not remove links."""
        account = self._database.get(Account, keys.account(link.to or ""))
        return None if account is None or account.gone else account.id


class DynamoAttemptStore:
    """Counts wrong passwords. One write of an instant makes all earlier ones not count."""

    def __init__(self, database: Database, *, lock_for: timedelta = ATTEMPTS_STAY) -> None:
        self._database, self._keep_for = database, max(lock_for, ATTEMPTS_STAY)

    def failures(self, key: str, since: datetime, until: datetime | None = None) -> int:
        forgotten = self._database.get(Attempt, keys.FORGOTTEN)
        first = f"{keys.sortable(since)}~"  # `~` sorts after all entries of the same instant
        # A clock that was ahead may have stored an instant of the far future: it forgets nothing.
        if forgotten is not None and since < forgotten.at and (until is None or forgotten.at <= until):
            first = keys.sortable(forgotten.at)
        if until is None:
            return self._database.count(keys.attempts(key), Item.sk >= first)
        last = f"{keys.sortable(until)}~"
        return self._database.count(keys.attempts(key), Item.sk.between(first, last)) if first <= last else 0

    def add(self, key: str, at: datetime) -> None:
        self._add(key, at)

    def try_add(self, key: str, at: datetime, *, since: datetime, until: datetime, limit: int) -> bool:
        if self.failures(key, since, until) >= limit:
            return False
        added = self._add(key, at)
        # Counted again with this one: of concurrent calls, those that see too many take theirs back.
        if self.failures(key, since, until) <= limit:
            return True
        self._database.delete_many([added])
        return False

    def _add(self, key: str, at: datetime) -> keys.Key:
        where = keys.Key(keys.attempts(key), f"{keys.sortable(at)}#{secrets.token_hex(8)}")
        self._database.write(Put(Attempt(*where, at=at, ttl=at + self._keep_for)))
        return where

    def clear(self, key: str) -> None:
        self._database.delete_many([item.key for item in self._database.query(Item, keys.attempts(key))])

    def delete_before(self, at: datetime) -> None:
        try:
            self._database.write(
                Update(keys.FORGOTTEN, [Attempt.at.set(at)], Attempt.at.does_not_exist() | (Attempt.at < at))
            )
        except ConditionFailedError:
            return  # a later one is stored already
