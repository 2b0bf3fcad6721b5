"""Password hashes, one-time links and wrong passwords in DynamoDB."""

import contextlib
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial

from hubless.adapters.dynamodb import attempt_counters, keys
from hubless.adapters.dynamodb.database import Check, ConditionFailedError, Database, Delete, Put, Step, Update
from hubless.adapters.dynamodb.table import Account, Attempt, AttemptCounter, Item, Password, Pointer
from hubless.adapters.dynamodb.tokens import user_exists
from hubless.domain.errors import NotFoundError
from hubless.domain.lock_policy import Window
from hubless.domain.passwords import PasswordLink, rehash_note, rehashed_from

_NO_LINK = "none"
_MOMENT, _END = timedelta(microseconds=1), datetime(9999, 1, 1, tzinfo=UTC)
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
            self._database.write(
                Update(
                    keys.password(user_id),
                    [Password.hash.set(after), Password.rehashed.set(rehash_note(before, after))],
                    Password.hash == before,
                )
            )
        except ConditionFailedError:
            return False
        return True

    def rehashed_from(self, user_id: str) -> str | None:
        item = self._database.get(Password, keys.password(user_id))
        return None if item is None or item.hash is None else rehashed_from(item.hash, item.rehashed)

    def remove(self, user_id: str, before: str) -> bool:
        changes = [Password.hash.remove(), Password.rehashed.remove()]
        try:
            self._database.write(Update(keys.password(user_id), changes, Password.hash == before))
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

    def add(self, hashes: Mapping[str, str]) -> list[str]:
        there = Account.pk.exists() & Account.gone.does_not_exist()
        bundles: list[list[Step]] = [
            [
                Check(keys.account(user_id), there),
                Update(
                    keys.password(user_id),
                    [Password.hash.set(text), Password.link.set(_NO_LINK)],
                    Password.hash.does_not_exist(),
                ),
            ]
            for user_id, text in hashes.items()
        ]
        done = self._database.transact_each(bundles)
        return [user_id for user_id, was_done in zip(hashes, done, strict=True) if not was_done]

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
    """Counts guesses: one item for each key. Items of an older version, one for each guess, count until they expire.

    One write of an instant makes all earlier guesses not count. A write that is sent again because its answer was lost
    may count a guess twice.
    """

    def __init__(self, database: Database, *, lock_for: timedelta = ATTEMPTS_STAY) -> None:
        self._database, self._keep_for = database, max(lock_for, ATTEMPTS_STAY)

    def failures(self, key: str, since: datetime, until: datetime | None = None) -> int:
        forgotten = self._database.get(Attempt, keys.FORGOTTEN)
        # A clock that was ahead may have stored an instant of the far future: it forgets nothing.
        is_later = forgotten is not None and since < forgotten.at and (until is None or forgotten.at <= until)
        since = forgotten.at - _MOMENT if forgotten is not None and is_later else since
        old, counter = self._read(key)
        window = Window(since, until or _END)
        return _count(old, window) + attempt_counters.count(counter, window)

    def add(self, key: str, at: datetime) -> None:
        self._database.retry(partial(self._add, key, at))

    def _add(self, key: str, at: datetime) -> None:
        counter = self._database.get(AttemptCounter, keys.attempt_counter(key))
        window = Window(at - self._keep_for, _END)
        self._database.write(
            attempt_counters.one_more(key, counter, window, at=at, keep_for=self._keep_for, limit=None)
        )

    def try_add(self, key: str, at: datetime, *, since: datetime, until: datetime, limit: int) -> bool:
        return self._database.retry(partial(self._try_add, key, at, Window(since, until), limit))

    def _try_add(self, key: str, at: datetime, window: Window, limit: int) -> bool:
        old, counter = self._read(key)
        left = limit - _count(old, window)
        if attempt_counters.is_full(counter, window, left):
            return False
        self._database.write(
            attempt_counters.one_more(key, counter, window, at=at, keep_for=self._keep_for, limit=left)
        )
        return True

    def _read(self, key: str) -> tuple[list[Attempt], AttemptCounter | None]:
        """Return the items of an older version, and the counter."""
        found = self._database.all_of(keys.attempts(key))
        counter = found.item(AttemptCounter, where := keys.attempt_counter(key))
        return [Attempt.from_raw_data(raw) for key, raw in found.items() if key != where], counter

    def clear(self, key: str) -> None:
        self._database.delete_many([item.key for item in self._database.query(Item, keys.attempts(key))])

    def delete_before(self, at: datetime) -> None:
        try:
            self._database.write(
                Update(keys.FORGOTTEN, [Attempt.at.set(at)], Attempt.at.does_not_exist() | (Attempt.at < at))
            )
        except ConditionFailedError:
            return  # a later one is stored already


def _count(old: Iterable[Attempt], window: Window) -> int:
    return sum(window.since < one.at <= window.until for one in old)
