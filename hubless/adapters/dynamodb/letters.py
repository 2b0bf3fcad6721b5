"""Letters in DynamoDB: each in one item, with a small item in the partition of each recipient.

Which letters a user has not read is in the user's own item, which every request reads. One transaction writes all of
it, so a list never names a letter that its user does not have, and a letter counts each recipient once.
"""

import contextlib
from collections.abc import Collection, Sequence
from datetime import datetime

from pynamodb.expressions.update import Action

from hubless.adapters.dynamodb import keys
from hubless.adapters.dynamodb.database import ConditionFailedError, Database, Delete, Put, Update
from hubless.adapters.dynamodb.table import Account, DeliveryItem, Item, LetterItem
from hubless.domain.errors import NotFoundError, StoreConflictError
from hubless.domain.letters import MOST_OF_USER, Delivery, Letter

_PREFIX = "LETTER#"
_IS_THERE = LetterItem.pk.exists() & LetterItem.erased.does_not_exist()
_READ_AHEAD = 10  # deliveries beyond those that stay, which a delivery removes at once


class _AlreadyThereError(StoreConflictError):
    """Raised when a user has the letter already."""


class DynamoLetterStore:
    """Stores letters and deliveries. DynamoDB removes both by their `ttl`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, letter: Letter) -> bool:
        try:
            # A transaction, because a repeated one has no second effect: the item would refuse its own repetition.
            self._database.transact([Put(_item(letter), LetterItem.pk.does_not_exist())])
        except ConditionFailedError:
            return False
        return True

    def get(self, letter_id: str, now: datetime) -> Letter | None:
        found = self.known(letter_id, now)
        return None if found is None or found.is_taken_back else found

    def known(self, letter_id: str, now: datetime) -> Letter | None:
        item = self._database.get(LetterItem, keys.letter(letter_id))
        return None if item is None or item.expires_at <= now else _letter(item)

    def page(self, now: datetime, *, limit: int, before: str = "") -> list[Letter]:
        found = list[Letter]()
        while (wanted := limit - len(found)) > 0:
            where = LetterItem.sk < f"{_PREFIX}{before}" if before else LetterItem.sk.startswith(_PREFIX)
            items = list(self._database.query(LetterItem, keys.LETTERS, where, limit=wanted, descending=True))
            # DynamoDB removes the oldest soon.
            found += [_letter(item) for item in items if item.expires_at > now and not item.erased]
            if len(items) < wanted:
                break
            before = items[-1].id
        return found

    def take_back(self, letter: Letter) -> bool:
        left, of = letter.taken_back(), LetterItem
        erased = [of.subject.set(left.subject), of.text.set(left.text), of.erased.set(left.erased)]
        try:
            # A transaction, because a repeated one has no second effect: a retry would find the letter taken back.
            self._database.transact([Update(keys.letter(letter.id), erased, _IS_THERE)])
        except ConditionFailedError:
            return False
        return True

    def deliver(self, letter: Letter, user_id: str) -> bool:
        new = DeliveryItem(*keys.delivery(user_id, letter.id), letter_id=letter.id, ttl=letter.expires_at)
        is_new = DeliveryItem.pk.does_not_exist()
        there = _AlreadyThereError("The user has this message already")
        is_there = Account.pk.exists() & Account.gone.does_not_exist()
        listed = [Account.unread.add({letter.id})]
        try:
            self._database.transact(
                [
                    Put(new, is_new, there),
                    Update(keys.account(user_id), listed, is_there, NotFoundError("User", user_id)),
                    _counted(letter.id, LetterItem.reached.add(1)),
                ]
            )
        except _AlreadyThereError:
            return False
        self._make_room(user_id)
        return True

    def _make_room(self, user_id: str) -> None:
        for item in self._newest(user_id, MOST_OF_USER + _READ_AHEAD)[MOST_OF_USER:]:
            self._database.transact([Delete(item.key), _no_longer_unread(user_id, {item.letter_id})])

    def _newest(self, user_id: str, limit: int) -> list[DeliveryItem]:
        where = DeliveryItem.sk.startswith(_PREFIX)
        return list(self._database.query(DeliveryItem, keys.user(user_id), where, limit=limit, descending=True))

    def of_user(self, user_id: str, now: datetime) -> list[Delivery]:
        items = self._newest(user_id, MOST_OF_USER)
        found = self._database.get_many(keys.letter(item.letter_id) for item in items)
        letters = {item.letter_id: found.item(LetterItem, keys.letter(item.letter_id)) for item in items}
        return [
            Delivery(_letter(letter), user_id, item.read_at, bool(item.is_put_away), item.mailed_at)
            for item in items
            if (letter := letters[item.letter_id]) is not None and letter.expires_at > now and not letter.erased
        ]

    def mark_read(self, letter_id: str, user_id: str, at: datetime, *, put_away: bool = False) -> bool:
        away = [DeliveryItem.is_put_away.set(True)] if put_away else []

        def attempt() -> bool:
            item = self._database.get(DeliveryItem, keys.delivery(user_id, letter_id))
            if item is None:
                return False
            if item.read_at is None:
                self._read_first(item, user_id, [DeliveryItem.read_at.set(at), *away])
            elif away and not item.is_put_away:
                self._database.write(Update(item.key, away, DeliveryItem.pk.exists()))
            return True

        return self._database.retry(attempt)

    def _read_first(self, item: DeliveryItem, user_id: str, actions: Sequence[Action]) -> None:
        """Note that a letter is read; fail if another click was faster."""
        is_unread = DeliveryItem.pk.exists() & DeliveryItem.read_at.does_not_exist()
        counted = _counted(item.letter_id, LetterItem.read.add(1))
        try:
            self._database.transact(
                [counted, Update(item.key, actions, is_unread), _no_longer_unread(user_id, {item.letter_id})]
            )
        except NotFoundError:  # somebody took the letter back
            self.forget(user_id, {item.letter_id})

    def forget(self, user_id: str, letter_ids: Collection[str]) -> None:
        if letter_ids:
            with contextlib.suppress(ConditionFailedError):  # the user is gone
                self._database.write(_no_longer_unread(user_id, set(letter_ids)))

    def claim_mail(self, letter_id: str, user_id: str, at: datetime) -> bool:
        free = DeliveryItem.pk.exists() & DeliveryItem.mailed_at.does_not_exist()
        try:
            # A transaction, because a repeated one has no second effect: a retry would find the mail claimed.
            self._database.transact([Update(keys.delivery(user_id, letter_id), [DeliveryItem.mailed_at.set(at)], free)])
        except ConditionFailedError:
            return False
        return True

    def release_mail(self, letter_id: str, user_id: str) -> None:
        with contextlib.suppress(ConditionFailedError):  # the user is gone
            self._database.write(
                Update(keys.delivery(user_id, letter_id), [DeliveryItem.mailed_at.remove()], Item.pk.exists())
            )

    def delete_expired(self, now: datetime, limit: int) -> int:  # noqa: ARG002 DynamoDB removes items by their `ttl`
        return 0


def _counted(letter_id: str, action: Action) -> Update:
    return Update(keys.letter(letter_id), [action], _IS_THERE, NotFoundError("Message", letter_id))


def _no_longer_unread(user_id: str, letter_ids: set[str]) -> Update:
    return Update(keys.account(user_id), [Account.unread.delete(letter_ids)], Account.pk.exists())


def _item(letter: Letter) -> LetterItem:
    return LetterItem(
        *keys.letter(letter.id),
        id=letter.id,
        subject=letter.subject,
        text=letter.text,
        sent_by=letter.sent_by,
        sent_at=letter.sent_at,
        expires_at=letter.expires_at,
        ttl=letter.expires_at,
        sender=letter.sender,
        by_mail=letter.by_mail,
    )


def _letter(item: LetterItem) -> Letter:
    return Letter(
        item.id,
        item.subject,
        item.text,
        item.sent_by,
        item.sent_at,
        item.expires_at,
        item.sender,
        item.by_mail,
        int(item.reached),
        int(item.read),
        item.erased or "",
    )
