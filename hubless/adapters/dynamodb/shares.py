"""Shares and share codes in DynamoDB.

A share is stored with its server, and again with the user or group that has it, which every request reads. One
transaction writes both.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from pynamodb.expressions.condition import Condition

from hubless.adapters.dynamodb import expiry, imported_secrets, keys, removals, user_records
from hubless.adapters.dynamodb.database import (
    Check,
    ConditionFailedError,
    Database,
    Delete,
    Found,
    Put,
    Step,
    Update,
    size,
)
from hubless.adapters.dynamodb.table import (
    Account,
    GroupItem,
    Hints,
    Item,
    Pointer,
    ServerItem,
    ShareCodeItem,
    ShareItem,
)
from hubless.adapters.dynamodb.user_records import Grant
from hubless.domain.errors import NotFoundError, QuotaExceededError, StoreConflictError
from hubless.domain.shares import Share, ShareCode

_CODE = ("id", "sha256", "server_id", "scopes", "created_at", "expires_at", "last_exchanged_at")


class DynamoShareStore:
    """Stores shares."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def grant(self, share: Share, *, limit: int = 0) -> Share:
        return self._database.retry(lambda: grant(self._database, share, [], limit))

    def revoke(self, share_id: str, scopes: Iterable[str] | None = None) -> Share | None:
        taken = None if scopes is None else set(scopes)
        return self._database.retry(lambda: self._revoke(share_id, taken))

    def find(self, server_id: str, *, user_id: str | None = None, group_id: str | None = None) -> Share | None:
        item = self._database.get(ShareItem, keys.share(server_id, user_id=user_id, group_id=group_id))
        return None if item is None else _share(item)

    def delete_of_server(self, server_id: str) -> None:
        removals.remove_shares(self._database, server_id)

    def page(
        self,
        *,
        offset: int,
        limit: int,
        server_id: str | None = None,
        owner_id: str | None = None,
        user_id: str | None = None,
        group_id: str | None = None,
    ) -> tuple[list[Share], int]:
        if server_id is not None:
            found = self._of_server(server_id)
        elif owner_id is not None:
            found = [share for server in servers_of(self._database, owner_id) for share in self._of_server(server)]
        elif user_id is not None:
            found = self._with_user(user_id)
        else:
            found = self._with_groups([group_id or ""])
        found.sort(key=lambda share: share.id)
        return found[offset : offset + limit], len(found)

    def _of_server(self, server_id: str) -> list[Share]:
        where = ShareItem.sk.startswith("SHARE#")
        return [_share(item) for item in self._database.query(ShareItem, keys.server(server_id), where)]

    def _with_user(self, user_id: str) -> list[Share]:
        account = self._database.get(Account, keys.account(user_id))
        if account is None or account.gone:
            return []
        own = [grant.share(user_id=user_id) for grant in user_records.grants(account.shared)]
        return [*own, *self._with_groups(account.groups)]

    def _with_groups(self, group_ids: Iterable[str]) -> list[Share]:
        found = self._database.get_many(keys.group_item(group_id) for group_id in group_ids)
        groups = [group for key in found if (group := found.item(GroupItem, key)) is not None and not group.gone]
        return [grant.share(group_id=group.id) for group in groups for grant in user_records.grants(group.shared)]

    def _revoke(self, share_id: str, taken: set[str] | None) -> Share | None:
        pointer = self._database.get(Pointer, keys.share_id(share_id))
        if pointer is None:
            return None
        server_id, user_id, group_id = pointer.to or "", pointer.owner, pointer.kind
        where, (holder, shared) = (
            keys.share(server_id, user_id=user_id, group_id=group_id),
            removals.holder_of(user_id, group_id),
        )
        found = self._database.get_many([where, holder])
        there = found.item(ShareItem, where)
        if there is None or holder not in found:
            self._database.delete_many([where, pointer.key])  # its user or group is gone
            return None
        left = tuple(sorted(set(there.scopes) - (set(there.scopes) if taken is None else taken)))
        if not left:
            first, *rest = removals.ended(there)
            self._database.transact([Delete(first.key, _as_read(there)), *rest])
            return None
        share = Share(there.id, server_id, left, there.created_at, user_id, group_id)
        self._database.transact(
            [
                Put(_item(share, there.owner_id), _as_read(there)),
                Update(holder, [shared[server_id].set(_grant(share, there.owner_id).text())], Item.pk.exists()),
            ]
        )
        return share


class DynamoShareCodeStore:
    """Stores share codes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, code: ShareCode, *, limit: int = 0) -> None:
        with imported_secrets.noted(self._database, [code.sha256]):
            if limit:
                self._database.retry(lambda: self._create(code, self._under(code, limit)))
            else:
                self._create(code, _server_is_there(code.server_id))

    def _under(self, code: ShareCode, limit: int) -> Step:
        """Return the step that requires that the server gets no other code between this count and the write."""
        owner = self._database.get(Pointer, keys.server_owner(code.server_id))
        if owner is None:
            raise NotFoundError("Server", code.server_id)
        if sum(not _code(item).is_expired(code.created_at) for item in self._of_server(code.server_id)) >= limit:
            raise QuotaExceededError(f"The limit of {limit} share codes is reached", limit=limit)
        return _nothing_added_since(owner)

    def _create(self, code: ShareCode, under: Step) -> None:
        there = StoreConflictError(f"Share code {code.id} is there already")
        item = ShareCodeItem(
            *keys.share_code(code.server_id, code.id),
            ttl=code.expires_at,
            expiry=expiry.SHARE_CODE,
            exchange_count=code.exchange_count,
            max_uses=code.max_uses or None,
            **{name: getattr(code, name) for name in _CODE},
        )
        pointer = Pointer(
            *keys.share_code_hash(code.sha256),
            to=code.id,
            owner=code.server_id,
            ttl=code.expires_at,
            **imported_secrets.listed(code.sha256),
        )
        self._database.transact(
            [
                under,
                Put(item, ShareCodeItem.pk.does_not_exist(), there),
                Put(pointer, imported_secrets.is_free(), there),
            ]
        )

    def find(self, sha256: str) -> ShareCode | None:
        pointer = self._database.get(Pointer, keys.share_code_hash(sha256))
        return None if pointer is None else self._behind(pointer)

    def look_up(self, sha256: str, prefix: str) -> tuple[ShareCode | None, Sequence[str]]:
        where = keys.share_code_hash(sha256)
        first = imported_secrets.read(self._database, where)
        pointer = first.item(Pointer, where)
        if pointer is None:
            return None, imported_secrets.candidates(self._database, first, keys.imported_codes(prefix))
        return self._behind(pointer), ()

    def adopt(self, code: ShareCode, sha256: str, now: datetime, /) -> bool:
        pointer = Pointer(*keys.share_code_hash(sha256), to=code.id, owner=code.server_id, ttl=code.expires_at)
        item = keys.share_code(code.server_id, code.id)
        try:
            self._database.transact(
                [
                    Update(item, [ShareCodeItem.sha256.set(sha256)], ShareCodeItem.sha256 == code.sha256),
                    imported_secrets.adopted(keys.share_code_hash(code.sha256), now),
                    Put(pointer, Pointer.pk.does_not_exist()),
                ]
            )
        except ConditionFailedError:
            return False
        return True

    def _behind(self, pointer: Pointer) -> ShareCode | None:
        item = self._database.get(ShareCodeItem, keys.share_code(pointer.owner or "", pointer.to or ""))
        return None if item is None else _code(item)

    def exchange(self, code: ShareCode, share: Share, at: datetime, *, limit: int = 0) -> Share | None:
        counted = Update(
            keys.share_code(code.server_id, code.id),
            [ShareCodeItem.exchange_count.add(1), ShareCodeItem.last_exchanged_at.set(at)],
            _has_uses_left(code),
            StoreConflictError(f"Share code {code.id} was revoked or is used up"),
        )
        try:
            return self._database.retry(lambda: grant(self._database, share, [counted], limit))
        except StoreConflictError:
            return None

    def delete(self, server_id: str, *, code_id: str | None = None, sha256: str | None = None) -> int:
        return self._remove(
            [
                item
                for item in self._of_server(server_id)
                if code_id in {None, item.id} and sha256 in {None, item.sha256}
            ]
        )

    def page(
        self, *, offset: int, limit: int, server_id: str | None = None, owner_id: str | None = None
    ) -> tuple[list[ShareCode], int]:
        servers = [server_id] if server_id is not None else servers_of(self._database, owner_id or "")
        found = [_code(item) for server in servers for item in self._of_server(server)]
        found.sort(key=lambda code: code.id)
        return found[offset : offset + limit], len(found)

    def delete_expired(self, now: datetime, limit: int) -> int:
        return expiry.remove(
            self._database, expiry.SHARE_CODE, ShareCodeItem, now, limit=limit, remove_some=self._remove
        )

    def _of_server(self, server_id: str) -> list[ShareCodeItem]:
        where = ShareCodeItem.sk.startswith("CODE#")
        return list(self._database.query(ShareCodeItem, keys.server(server_id), where))

    def _remove(self, items: list[ShareCodeItem]) -> int:
        return sum(
            self._database.transact_each(
                [
                    [Delete(item.key, ShareCodeItem.pk.exists()), Delete(keys.share_code_hash(item.sha256))]
                    for item in items
                ]
            )
        )


def grant(database: Database, share: Share, more: Sequence[Step], limit: int = 0) -> Share:
    """Try once to grant *share* together with *more*; ConditionFailedError if an item changed meanwhile."""
    where = keys.share(share.server_id, user_id=share.user_id, group_id=share.group_id)
    holder, shared = removals.holder_of(share.user_id, share.group_id)
    found = database.get_many([keys.server_owner(share.server_id), where, holder])
    owner, there = found.item(Pointer, keys.server_owner(share.server_id)), found.item(ShareItem, where)
    if owner is None:
        raise NotFoundError("Server", share.server_id)
    owner_id = owner.owner or ""
    scopes = tuple(sorted({*share.scopes, *(there.scopes if there else ())}))
    after = (
        share
        if there is None
        else Share(there.id, share.server_id, scopes, there.created_at, share.user_id, share.group_id)
    )
    is_limited = bool(limit) and there is None
    if is_limited:
        _check_room(database, share, found, limit)
    is_there = Account.pk.exists() & Account.gone.does_not_exist()
    gone = NotFoundError("User or group", share.user_id or share.group_id or "")
    database.transact(
        [
            *more,
            _nothing_added_since(owner) if is_limited else _server_is_there(share.server_id),
            Put(_item(after, owner_id), ShareItem.pk.does_not_exist() if there is None else _as_read(there)),
            Update(
                holder,
                [shared[share.server_id].set(_grant(after, owner_id).text())],
                is_there & (size(shared) < limit) if is_limited else is_there,
                None if is_limited else gone,  # under a limit, another try finds out which of the two it was
            ),
            *([] if there else _found_by(after)),
        ]
    )
    return after


def _check_room(database: Database, share: Share, found: Found, limit: int) -> None:
    key, _ = removals.holder_of(share.user_id, share.group_id)
    holder = found.item(Account, key) if share.user_id is not None else found.item(GroupItem, key)
    if holder is None or holder.gone:
        raise NotFoundError("User or group", share.user_id or share.group_id or "")
    of_server = database.count(keys.server(share.server_id), ShareItem.sk.startswith("SHARE#"))
    if max(of_server, len(holder.shared)) >= limit:
        raise QuotaExceededError(f"The limit of {limit} shares is reached", limit=limit)


def _nothing_added_since(owner: Pointer) -> Step:
    """Return the step that requires that the server exists, and got no share or code since *owner* was read."""
    as_read = Pointer.added == owner.added if owner.added else Pointer.added.does_not_exist()
    return Update(owner.key, [Pointer.added.add(1)], Pointer.pk.exists() & as_read)


def servers_of(database: Database, owner_id: str) -> list[str]:
    """Return the ids of an owner's servers."""
    items = database.query(ServerItem, keys.user(owner_id), ServerItem.sk.startswith("SERVER#"))
    return [item.id for item in items]


def _found_by(share: Share) -> list[Step]:
    """Return the steps that index a new share: its id, and for groups the hint to read them."""
    pointer = Pointer(*keys.share_id(share.id), to=share.server_id, owner=share.user_id, kind=share.group_id)
    hint = [] if share.group_id is None else [Update(keys.HINTS, [Hints.sharing.add({share.group_id})])]
    return [Put(pointer), *hint]


def _server_is_there(server_id: str) -> Step:
    return Check(keys.server_owner(server_id), Pointer.pk.exists(), NotFoundError("Server", server_id))


def _as_read(item: ShareItem) -> Condition:
    as_read: Condition = (ShareItem.id == item.id) & (
        ShareItem.scopes == item.scopes
    )  # so a parallel grant loses no scope
    return as_read


def _has_uses_left(code: ShareCode) -> Condition:
    there: Condition = ShareCodeItem.pk.exists()
    return there & (ShareCodeItem.exchange_count < code.max_uses) if code.max_uses else there


def _item(share: Share, owner_id: str) -> ShareItem:
    return ShareItem(
        *keys.share(share.server_id, user_id=share.user_id, group_id=share.group_id),
        owner_id=owner_id,
        **{name: getattr(share, name) for name in ("id", "server_id", "scopes", "created_at", "user_id", "group_id")},
    )


def _grant(share: Share, owner_id: str) -> Grant:
    return Grant(share.id, share.server_id, owner_id, share.scopes, share.created_at)


def _share(item: ShareItem) -> Share:
    return Share(item.id, item.server_id, item.scopes, item.created_at, item.user_id, item.group_id)


def _code(item: ShareCodeItem) -> ShareCode:
    facts: dict[str, Any] = {name: getattr(item, name) for name in _CODE}
    return ShareCode(**facts, exchange_count=int(item.exchange_count), max_uses=int(item.max_uses or 0))
