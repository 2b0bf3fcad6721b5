"""Join links in DynamoDB, in one partition."""

import contextlib
from datetime import datetime

from hubless.adapters.dynamodb import keys
from hubless.adapters.dynamodb.database import ConditionFailedError, Database, Delete, Put, Update
from hubless.adapters.dynamodb.table import JoinLinkItem
from hubless.domain.join_links import JoinLink


class DynamoJoinLinkStore:
    """Stores join links. DynamoDB removes those that have ended by their `ttl`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, link: JoinLink, now: datetime, *, most: int) -> bool:
        if len(self.all(now)) >= most:
            return False
        self._database.write(Put(_item(link)))
        return True

    def find(self, sha256: str, now: datetime) -> JoinLink | None:
        item = self._database.get(JoinLinkItem, keys.join_link(sha256))
        return None if item is None or item.expires_at <= now else _link(item)

    def all(self, now: datetime) -> list[JoinLink]:
        items = self._database.query(JoinLinkItem, keys.JOIN_LINKS)
        return sorted((_link(item) for item in items if item.expires_at > now), key=lambda one: one.id, reverse=True)

    def use(self, sha256: str, now: datetime) -> bool:
        has_place = (JoinLinkItem.expires_at > now) & (JoinLinkItem.used < JoinLinkItem.places)
        try:
            # A transaction, because a repeated one counts once.
            self._database.transact([Update(keys.join_link(sha256), [JoinLinkItem.used.add(1)], has_place)])
        except ConditionFailedError:
            return False
        return True

    def give_back(self, sha256: str) -> None:
        with contextlib.suppress(ConditionFailedError):
            self._database.transact(
                [Update(keys.join_link(sha256), [JoinLinkItem.used.add(-1)], JoinLinkItem.used > 0)]
            )

    def end(self, sha256: str) -> None:
        self._database.write(Delete(keys.join_link(sha256)))

    def delete_expired(self, now: datetime, limit: int) -> int:  # noqa: ARG002 DynamoDB removes items by their `ttl`
        return 0


def _item(link: JoinLink) -> JoinLinkItem:
    return JoinLinkItem(
        *keys.join_link(link.sha256),
        id=link.id,
        made_by=link.made_by,
        made_at=link.made_at,
        expires_at=link.expires_at,
        ttl=link.expires_at,
        places=link.places,
        group=link.group,
        needs_approval=link.needs_approval,
        used=link.used,
    )


def _link(item: JoinLinkItem) -> JoinLink:
    return JoinLink(
        item.id,
        str(item.sk).removeprefix("LINK#"),
        item.made_by,
        item.made_at,
        item.expires_at,
        int(item.places),
        item.group,
        bool(item.needs_approval),
        int(item.used),
    )
