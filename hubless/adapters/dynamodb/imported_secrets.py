"""Hashes of other hubs in DynamoDB.

The item that leads from such a hash to its token or share code is in a partition of the hash's prefix, so that one
query finds all candidates. When the record gets a hash of ours, that item stays for an hour: a request that looked for
our hash a moment too early still finds the record. Whether there can be any is an item that is read together with the
secret's own hash.
"""

from datetime import datetime, timedelta

from pynamodb.expressions.condition import Condition

from hubless.adapters.dynamodb import keys
from hubless.adapters.dynamodb.database import Database, Found, Put, Step, Update
from hubless.adapters.dynamodb.keys import Key
from hubless.adapters.dynamodb.table import Pointer
from hubless.domain.imported_secrets import MOST, is_imported

_STAYS = timedelta(hours=1)


def note(database: Database, sha256: str) -> None:
    """Note that the hub has imported secrets if *sha256* is one; do it before it is written."""
    if is_imported(sha256):
        database.write(Put(Pointer(*keys.IMPORTED_SECRETS)))


def read(database: Database, where: Key) -> Found:
    """Read the item of a hash, and in the same request whether the hub has imported secrets."""
    return database.get_many([where, keys.IMPORTED_SECRETS])


def candidates(database: Database, found: Found, partition: str) -> list[str]:
    """Return the imported hashes in a partition; without a request if there can be none."""
    if found.item(Pointer, keys.IMPORTED_SECRETS) is None:
        return []
    return [item.sk for item in database.query(Pointer, partition, limit=MOST)]


def is_free() -> Condition:
    """Return the condition that no record is found by this hash, except by one that was adopted."""
    free: Condition = Pointer.pk.does_not_exist() | Pointer.gone.exists()
    return free


def adopted(where: Key, now: datetime) -> Step:
    """Return the step that has the item of an imported hash end soon, if it has not begun to end."""
    is_used = Pointer.pk.exists() & Pointer.gone.does_not_exist()
    return Update(where, [Pointer.gone.set(True), Pointer.ttl.set(now + _STAYS)], is_used)
