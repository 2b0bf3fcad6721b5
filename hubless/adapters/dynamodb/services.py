"""Services added by the API, in DynamoDB. They hardly change, so each is stored under its name, token and client id."""

from contextlib import suppress
from datetime import datetime
from typing import Any

from hubless.adapters.dynamodb import keys, removals
from hubless.adapters.dynamodb.database import ConditionFailedError, Database, Delete, Put, Step, Update
from hubless.adapters.dynamodb.keys import Key
from hubless.adapters.dynamodb.table import ClientItem, Counter, ServiceItem
from hubless.domain.errors import NameTakenError, QuotaExceededError, StoreConflictError
from hubless.domain.users import Service

_FACTS = (
    "admin",
    "url",
    "token_sha256",
    "oauth_client_id",
    "oauth_redirect_uri",
    "oauth_no_confirm",
    "oauth_client_allowed_scopes",
    "info",
    "display",
    "id",
    "client_secret_hash",
)


class DynamoServiceStore:
    """Stores services."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find(self, name: str) -> Service | None:
        return self._read(keys.service(name))

    def of_token(self, sha256: str) -> Service | None:
        return self._read(keys.service_token(sha256))

    def of_client(self, client_id: str) -> Service | None:
        return self._read(keys.service_client(client_id))

    def all(self) -> list[Service]:
        found = [_service(item) for item in self._database.query(ServiceItem, "SERVICES")]
        return sorted(found, key=lambda service: service.name)

    def create(self, service: Service, *, limit: int = 0) -> None:
        if limit:
            self._database.retry(lambda: self._create(service, self._under(limit)))
        else:
            self._create(service, [])

    def _under(self, limit: int) -> list[Step]:
        """Return the step that requires that no service is added between this count and the write."""
        added = self._database.get(Counter, keys.SERVICES_ADDED)
        if self._database.count("SERVICES") >= limit:
            raise QuotaExceededError(f"The limit of {limit} services is reached", limit=limit)
        as_read = Counter.pk.does_not_exist() if added is None else Counter.n == added.n
        return [Update(keys.SERVICES_ADDED, [Counter.n.add(1)], as_read)]

    def _create(self, service: Service, under: list[Step]) -> None:
        facts: dict[str, Any] = {name: getattr(service, name) for name in _FACTS}
        taken = NameTakenError("Service", service.name)
        first, *others = _where(service)
        steps: list[Step] = [
            Put(ServiceItem(*key, name=service.name, facts=facts), ServiceItem.pk.does_not_exist(), error)
            for key, error in [(first, taken), *((key, _anothers()) for key in others)]
        ]
        self._database.transact([*steps, *under])

    def change(self, before: Service, after: Service) -> bool:
        item = self._database.get(ServiceItem, keys.service(before.name))
        if item is None or _service(item) != before:
            return False
        facts = {name: getattr(after, name) for name in _FACTS}
        first, *old = _where(before)
        new = _where(after)[1:]
        steps: list[Step] = [Update(first, [ServiceItem.facts.set(facts)], ServiceItem.facts == item.facts)]
        for key in new:
            is_own = ServiceItem.pk.exists() if key in old else ServiceItem.pk.does_not_exist()
            steps.append(Put(ServiceItem(*key, name=after.name, facts=facts), is_own, _anothers()))
        steps += [Delete(key) for key in old if key not in new]
        left = before.oauth_client_id if before.oauth_client_id != after.oauth_client_id else None
        if left is not None:  # what was issued to it ends with it
            gone = Update(keys.client_head(left), [ClientItem.gone.set(True)])
            steps += [gone, removals.begin_client(left)]
        try:
            self._database.transact(steps)
        except ConditionFailedError:
            return False
        if left is not None:
            removals.sweep_client(self._database, left)
        return True

    def touch(self, name: str, at: datetime) -> None:
        seen = [Counter.n.set(1), Counter.at.set(at)]
        with suppress(ConditionFailedError):  # another function has noted a later moment
            is_later = Counter.at.does_not_exist() | (Counter.at < at)
            self._database.write(Update(keys.service_seen(name), seen, is_later))

    def last_seen(self) -> dict[str, datetime]:
        found = self._database.query(Counter, keys.SERVICES_SEEN)
        return {item.sk[1:]: item.at for item in found}

    def delete(self, service: Service) -> None:
        first, *others = _where(service)
        client_id, own = service.oauth_client_id, removals.begin_service(service.token_owner)
        seen = keys.service_seen(service.name)
        if client_id is None:
            self._database.transact([*(Delete(key) for key in (first, *others, seen)), own])
        else:
            head = keys.client_head(client_id)
            removals.remove_issued(
                self._database,
                keys.client(client_id),
                head=Delete(head),
                mark=Update(head, [ClientItem.gone.set(True)]),
                note=removals.begin_client(client_id),
                more=[first, *others, seen],
                also=[own],
            )
        removals.sweep_service(self._database, service.token_owner)

    def _read(self, key: Key) -> Service | None:
        item = self._database.get(ServiceItem, key)
        return None if item is None else _service(item)


def _anothers() -> StoreConflictError:
    return StoreConflictError("This token or OAuth client id belongs to another service")


def _where(service: Service) -> list[Key]:
    """Return the keys of a service, its name first."""
    return [
        keys.service(service.name),
        *([] if service.token_sha256 is None else [keys.service_token(service.token_sha256)]),
        *([] if service.oauth_client_id is None else [keys.service_client(service.oauth_client_id)]),
    ]


def _service(item: ServiceItem) -> Service:
    facts = dict(item.facts)
    facts["oauth_client_allowed_scopes"] = tuple(facts["oauth_client_allowed_scopes"])
    return Service(name=item.name, from_settings=False, **facts)
