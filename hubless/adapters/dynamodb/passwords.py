"""Password hashes, one-time links and wrong passwords in DynamoDB."""

import contextlib
import secrets
from datetime import datetime, timedelta

from hubless.adapters.dynamodb import keys
from hubless.adapters.dynamodb.database import ConditionFailedError, Database, Delete, Put, Update
from hubless.adapters.dynamodb.table import Account, Attempt, Item, Password, Pointer
from hubless.adapters.dynamodb.tokens import user_exists
from hubless.domain.errors import NotFoundError
from hubless.domain.passwords import PasswordLink

_NO_LINK = "none"
ATTEMPTS_STAY = timedelta(days=7)  # at least; as long as a lock-out if that is longer


class DynamoPasswordStore:
    """Stores a password hash for each user, and one-time links."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, user_id: str) -> str | None:
        item = self._database.get(Password, keys.password(user_id))
        return None if item is None else item.hash

    def set(self, user_id: str, password_hash: str) -> None:
        put = Put(Password(*keys.password(user_id), hash=password_hash, link=_NO_LINK))
        self._database.transact([user_exists(user_id), put])

    def rehash(self, user_id: str, before: str, after: str) -> bool:
        try:
            self._database.write(Update(keys.password(user_id), [Password.hash.set(after)], Password.hash == before))
        except ConditionFailedError:
            return False
        return True

    def change(self, user_id: str, before: str | None, after: str) -> bool:
        is_as_read = Password.hash.does_not_exist() if before is None else Password.hash == before
        changed = Update(keys.password(user_id), [Password.hash.set(after), Password.link.set(_NO_LINK)], is_as_read)
        try:
            self._database.transact([user_exists(user_id), changed])
        except (ConditionFailedError, NotFoundError):
            return False
        return True

    def add_link(self, link: PasswordLink) -> None:
        pointer = Pointer(
            *keys.link(link.sha256),
            to=link.user_id,
            expires_at=link.expires_at,
            ttl=link.expires_at,
            within=link.within,
        )
        named = Update(keys.password(link.user_id), [Password.link.set(link.sha256)])
        self._database.transact([user_exists(link.user_id), Put(pointer), named])

    def find_link(self, sha256: str, now: datetime) -> PasswordLink | None:
        pointer = self._database.get(Pointer, keys.link(sha256))
        if pointer is None or pointer.expires_at <= now:
            return None
        user_id = pointer.to or ""
        found = self._database.get_many([keys.account(user_id), keys.password(user_id)])
        account = found.item(Account, keys.account(user_id))
        stored = found.item(Password, keys.password(user_id))
        if account is None or account.gone:  # removing a user does not remove links
            return None
        if stored is not None and stored.link not in {None, sha256}:
            return None
        return PasswordLink(sha256, user_id, pointer.expires_at, pointer.within)

    def use_link(self, sha256: str, password_hash: str, now: datetime) -> bool:
        link = self.find_link(sha256, now)
        if link is None:
            return False
        # Only links from before the attribute `link` can meet an item without it.
        is_valid = Password.link.does_not_exist() | (Password.link == sha256)
        try:
            self._database.transact(
                [
                    user_exists(link.user_id),
                    Delete(keys.link(sha256), Pointer.expires_at > now),
                    Update(
                        keys.password(link.user_id),
                        [Password.hash.set(password_hash), Password.link.set(_NO_LINK)],
                        is_valid,
                    ),
                ]
            )
        except (ConditionFailedError, NotFoundError):
            return False
        return True

    def end_links(self, user_id: str) -> None:
        with contextlib.suppress(NotFoundError):
            self._database.transact(
                [user_exists(user_id), Update(keys.password(user_id), [Password.link.set(_NO_LINK)])]
            )


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
