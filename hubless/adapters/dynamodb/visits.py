"""Visits in DynamoDB, in their owner's partition."""

from datetime import datetime

from hubless.adapters.dynamodb import keys
from hubless.adapters.dynamodb.database import Check, Database, Put
from hubless.adapters.dynamodb.table import Account, VisitItem
from hubless.domain.errors import NotFoundError
from hubless.domain.visits import KEPT_FOR, Visit

_FACTS = ("server_id", "server_name", "visitor_id", "visitor_name", "at")
_READ = 1000  # of the items of one server, whose order is by visitor


class DynamoVisitStore:
    """Stores visits. DynamoDB removes them by their `ttl`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, visit: Visit) -> None:
        item = VisitItem(
            *keys.visit(visit.owner_id, visit.server_id, visit.visitor_id, by_role=visit.by_role),
            ttl=visit.at + KEPT_FOR,
            by_role=visit.by_role,
            **{name: getattr(visit, name) for name in _FACTS},
        )
        gone = NotFoundError("User", visit.owner_id)
        is_there = Account.pk.exists() & Account.gone.does_not_exist()
        try:
            self._database.retry(
                lambda: self._database.transact([Check(keys.account(visit.owner_id), is_there, gone), Put(item)])
            )
        except NotFoundError:
            return

    def by_role(self, owner_id: str, since: datetime, *, limit: int) -> list[Visit]:
        return self._read(owner_id, keys.visits(by_role=True), since, limit)

    def by_share(self, owner_id: str, server_id: str, since: datetime, *, limit: int) -> list[Visit]:
        return self._read(owner_id, keys.visits(by_role=False, server_id=server_id), since, limit)

    def _read(self, owner_id: str, begin: str, since: datetime, limit: int) -> list[Visit]:
        where = VisitItem.sk.startswith(begin)
        items = self._database.query(VisitItem, keys.user(owner_id), where, limit=_READ)
        found = [
            Visit(owner_id, item.server_id, item.server_name, item.visitor_id, item.visitor_name, item.by_role, item.at)
            for item in items
            if item.at > since
        ]
        return sorted(found, key=lambda visit: (-visit.at.timestamp(), visit.visitor_id))[:limit]
