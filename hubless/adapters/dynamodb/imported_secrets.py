"""Hashes of other hubs in DynamoDB.

The item that leads from such a hash to its token or share code is in a partition of the hash's prefix, so that one
query finds all candidates. When the record gets a hash of ours, that item stays for an hour: a request that looked for
our hash a moment too early still finds the record.

Whether there can be any is a note that is read together with the secret's own hash: without it, nobody looks for
candidates. Whoever writes such a hash counts it in the note first, and afterwards. The expiry index lists the hashes
that wait for their first use. A sweep that finds none there sees the count; one that finds none an hour later removes
the note, on condition that the count is the same. So neither a hash that the index does not list yet, nor an import at
that moment, ever lacks the note.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from pynamodb.expressions.condition import Condition

from hubless.adapters.dynamodb import keys
from hubless.adapters.dynamodb.database import ConditionFailedError, Database, Delete, Found, Step, Update
from hubless.adapters.dynamodb.keys import Key
from hubless.adapters.dynamodb.table import EXPIRY, VERSION, Expiring, ImportedSecrets, Pointer
from hubless.domain.imported_secrets import MOST, is_imported

_STAYS = timedelta(hours=1)
_QUIET = timedelta(hours=1)  # for which none waits before the note ends; the index lags by a moment
_KIND = "imported secret"
_LISTED: dict[str, Any] = {
    "expiry": _KIND,
    "expires_at": datetime(9999, 1, 1, tzinfo=UTC),
}  # the index needs an instant
_FIRST_COUNTED = 5  # the version of a note from which on it counts; one that is older may stand for unlisted hashes


@contextmanager
def noted(database: Database, hashes: Iterable[str]) -> Iterator[None]:
    """Return a context in which to write records with these hashes: it counts imported ones in the note.

    It counts before and after. A process that sleeps for hours between the two, as on a laptop, may have lost the note.
    No transaction counts: those of an import come at once, and would meet in this one item.
    """
    number = sum(map(is_imported, hashes))
    if number:
        _count(database, number)
    try:
        yield
    finally:
        if number:
            _count(database, number)


def _count(database: Database, number: int) -> None:
    written, version = ImportedSecrets.written, ImportedSecrets.v
    database.write(Update(keys.IMPORTED_SECRETS, [written.add(number), version.set(version | VERSION)]))


def listed(sha256: str) -> dict[str, Any]:
    """Return the attributes that list the pointer of an imported secret in the index; none if *sha256* is ours."""
    return _LISTED if is_imported(sha256) else {}


def read(database: Database, where: Key) -> Found:
    """Read the item of a hash, and in the same request whether the hub has imported secrets."""
    return database.get_many([where, keys.IMPORTED_SECRETS])


def candidates(database: Database, found: Found, partition: str) -> list[str]:
    """Return the imported hashes in a partition; without a request if there can be none."""
    if found.item(ImportedSecrets, keys.IMPORTED_SECRETS) is None:
        return []
    return [item.sk for item in database.query(Pointer, partition, limit=MOST)]


def is_free() -> Condition:
    """Return the condition that no record is found by this hash, except by one that was adopted."""
    free: Condition = Pointer.pk.does_not_exist() | Pointer.gone.exists()
    return free


def adopted(where: Key, now: datetime) -> Step:
    """Return the step that has the item of an imported hash end soon, if it has not begun to end."""
    is_used = Pointer.pk.exists() & Pointer.gone.does_not_exist()
    return Update(where, [Pointer.gone.set(True), Pointer.ttl.set(now + _STAYS), Pointer.expiry.remove()], is_used)


def tidy(database: Database, now: datetime) -> None:
    """Remove the note once no imported secret has waited for its first use for an hour."""
    note = database.get(ImportedSecrets, keys.IMPORTED_SECRETS)
    if note is None or not note.written or note.v < _FIRST_COUNTED:
        return
    step = _next_step(database, note, now)
    if step is not None:
        with suppress(ConditionFailedError):  # an import writes, or another sweep was faster
            database.write(step)


def _next_step(database: Database, note: ImportedSecrets, now: datetime) -> Step | None:
    known, at = ImportedSecrets.seen_written, ImportedSecrets.seen_at
    as_read = ImportedSecrets.written == note.written
    if any(database.query(Expiring, _KIND, index=EXPIRY, limit=1)):
        return Update(note.key, [known.remove(), at.remove()], as_read) if note.seen_written else None
    if note.seen_written != note.written or now < note.seen_at:  # the clock may have gone back
        return Update(note.key, [known.set(note.written), at.set(now)], as_read)
    if now - note.seen_at < _QUIET:
        return None
    return Delete(note.key, as_read & (at == note.seen_at))
