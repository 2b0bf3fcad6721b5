"""Sign-ups and uses of join codes in DynamoDB."""

import contextlib
from dataclasses import fields
from datetime import datetime
from typing import Any

from hubless.adapters.dynamodb import keys
from hubless.adapters.dynamodb.database import ConditionFailedError, Database, Delete, Put, Update
from hubless.adapters.dynamodb.keys import to_instant, to_number
from hubless.adapters.dynamodb.table import JoinCodeItem, SignUpItem
from hubless.domain.errors import NameTakenError, StoreConflictError
from hubless.domain.names import skeleton
from hubless.domain.sign_ups import SignUp

_NAMES = tuple(one.name for one in fields(SignUp))
_INSTANTS = ("created_at", "expires_at")


class DynamoSignUpStore:
    """Stores sign-ups, in one partition. DynamoDB removes expired ones by their `ttl`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, sign_up: SignUp, now: datetime, *, most: int | None) -> bool:
        if most is not None and self._is_full(now, most):
            return False
        is_free = SignUpItem.pk.does_not_exist() | (SignUpItem.expires_at <= now)
        # A transaction, because a repeated one has no second effect: the item would refuse its own repetition.
        self._database.transact([Put(_item(sign_up), is_free, NameTakenError("User", sign_up.name))])
        return True

    def _is_full(self, now: datetime, most: int) -> bool:
        is_full = self._database.count(keys.SIGN_UPS, SignUpItem.sk.startswith("SIGNUP#")) >= most
        return is_full and len(self.all(now)) >= most  # some of those counted may have expired

    def find(self, name: str, now: datetime) -> SignUp | None:
        item = self._database.get(SignUpItem, keys.sign_up(skeleton(name)))
        if item is None or item.expires_at <= now:
            return None
        found = _sign_up(item)
        return found if found.name == name else None

    def all(self, now: datetime) -> list[SignUp]:
        items = self._database.query(SignUpItem, keys.SIGN_UPS)
        return sorted((_sign_up(i) for i in items if i.expires_at > now), key=lambda one: (one.created_at, one.name))

    def change(self, before: SignUp, after: SignUp) -> None:
        changed = StoreConflictError(f"The sign-up of {before.name} was changed or removed meanwhile")
        self._database.transact([Put(_item(after), _is(before), changed)])

    def remove(self, sign_up: SignUp) -> bool:
        try:
            self._database.transact([Delete(keys.sign_up(skeleton(sign_up.name)), _is(sign_up))])
        except ConditionFailedError:
            return False
        return True

    def delete_expired(self, now: datetime, limit: int) -> int:  # noqa: ARG002 DynamoDB removes items by their `ttl`
        return 0


class DynamoJoinCodeStore:
    """Counts uses of join codes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def use(self, sha256: str, limit: int) -> bool:
        has_room = (JoinCodeItem.pk.does_not_exist() | (JoinCodeItem.uses < limit)) if limit else None
        try:
            # A transaction, because a repeated one counts once.
            self._database.transact([Update(keys.join_code(sha256), [JoinCodeItem.uses.add(1)], has_room)])
        except ConditionFailedError:
            return False
        return True

    def give_back(self, sha256: str) -> None:
        with contextlib.suppress(ConditionFailedError):
            self._database.transact(
                [Update(keys.join_code(sha256), [JoinCodeItem.uses.add(-1)], JoinCodeItem.uses > 0)]
            )

    def uses(self, sha256: str) -> int:
        item = self._database.get(JoinCodeItem, keys.join_code(sha256))
        return 0 if item is None else int(item.uses)


def _is(sign_up: SignUp) -> Any:
    return (SignUpItem.revision == sign_up.revision) & (SignUpItem.user_id == sign_up.user_id)


def _item(sign_up: SignUp) -> SignUpItem:
    facts = {name: getattr(sign_up, name) for name in _NAMES if name != "revision"}
    facts |= {name: to_number(facts[name]) for name in _INSTANTS}
    key = keys.sign_up(skeleton(sign_up.name))
    expires = sign_up.expires_at
    return SignUpItem(
        *key, user_id=sign_up.user_id, revision=sign_up.revision, expires_at=expires, ttl=expires, facts=facts
    )


def _sign_up(item: SignUpItem) -> SignUp:
    facts = dict(item.facts)
    return SignUp(**facts | {name: to_instant(facts[name]) for name in _INSTANTS}, revision=int(item.revision))
