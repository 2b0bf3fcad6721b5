"""Users' e-mail addresses in DynamoDB."""

from itertools import islice

from hubless.adapters.dynamodb import keys, user_records
from hubless.adapters.dynamodb.database import Database, Delete, Found, Put, Step
from hubless.adapters.dynamodb.table import EmailItem, Pointer
from hubless.adapters.dynamodb.tokens import user_exists
from hubless.domain.email_addresses import EmailAddress
from hubless.domain.errors import StoreConflictError
from hubless.domain.mails import folded
from hubless.ports.email_addresses import MOST_USERS


class DynamoEmailAddressStore:
    """Stores addresses, each with a pointer that leads from the address to its user."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, user_id: str) -> EmailAddress | None:
        item = self._database.get(EmailItem, keys.email(user_id))
        return None if item is None else _address(user_id, item)

    def save(self, before: EmailAddress | None, after: EmailAddress) -> None:
        item = EmailItem(
            *keys.email(after.user_id),
            address=after.address,
            pending=after.pending,
            pending_sha256=after.pending_sha256,
            pending_until=after.pending_until,
        )
        if before is None:
            is_as_read = EmailItem.pk.does_not_exist()
        else:
            is_as_read = (
                (EmailItem.address == before.address)
                & (EmailItem.pending == before.pending)
                & (EmailItem.pending_sha256 == before.pending_sha256)
            )
        changed = StoreConflictError("The e-mail address was changed meanwhile")
        steps: list[Step] = [user_exists(after.user_id), Put(item, is_as_read, changed)]
        old, new = folded(before.address) if before else "", folded(after.address)
        if old and old != new:
            steps.append(Delete(keys.email_user(old, after.user_id)))
        if new and old != new:
            steps.append(Put(Pointer(*keys.email_user(new, after.user_id), to=after.user_id)))
        self._database.transact(steps)

    def users_of(self, address: str) -> list[str]:
        pointers = self._database.query(Pointer, keys.email_users(folded(address)))
        ids = [pointer.to or "" for pointer in islice(pointers, MOST_USERS)]
        found = self._database.get_many(key for user_id in ids for key in (keys.email(user_id), keys.account(user_id)))
        return [user_id for user_id in ids if _has(found, user_id, address)]


def _has(found: Found, user_id: str, address: str) -> bool:
    """Say whether the user exists and has the address still."""
    item = found.item(EmailItem, keys.email(user_id))
    is_there = user_records.account_of(found, user_id) is not None
    return is_there and item is not None and folded(item.address) == folded(address)


def _address(user_id: str, item: EmailItem) -> EmailAddress:
    return EmailAddress(user_id, item.address, item.pending, item.pending_sha256, item.pending_until)
