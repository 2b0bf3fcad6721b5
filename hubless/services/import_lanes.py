"""The lanes in which threads write an import: what changes one record is in one lane."""

import threading
from collections.abc import Sequence

from hubless.domain.import_items import Item, Key, Kind

BATCH = 100  # steps whose marks are written together: a transaction of DynamoDB


def lanes(items: Sequence[Item]) -> list[list[Item]]:
    """Return the items in lanes, each of which one thread writes in order.

    A lane has all items that change the same record, so that threads seldom wait for each other, and about a batch of
    them, or the items of one record if those are more.
    """
    by_record = dict[Key, list[Item]]()
    for number, item in enumerate(items):
        by_record.setdefault(_record_of(item) or (str(number),), []).append(item)
    found = list[list[Item]]()
    for some in by_record.values():
        if found and len(found[-1]) + len(some) <= BATCH:
            found[-1] += some
        else:
            found.append(some)
    return found


def _record_of(item: Item) -> Key | None:
    """Return what the write of *item* changes and others of its kind may change too; None if there is nothing."""
    if item.kind is Kind.MEMBER:
        return item.key[:1]
    if item.kind in {Kind.SERVICE, Kind.SIGN_UP}:
        return ("all",)  # they are counted together
    if item.kind is Kind.SHARE and item.record.group is not None:
        return ("groups",)  # all groups that have shares are listed together
    if item.kind is Kind.TOKEN:
        return (item.record.owner_kind, item.record.owner)
    return (item.owner,) if item.kind in {Kind.IDENTITY, Kind.SERVER, Kind.SHARE, Kind.SHARE_CODE} else None


class Count:
    """A number to which several threads add."""

    def __init__(self) -> None:
        self.number, self._lock = 0, threading.Lock()

    def add(self, more: int) -> None:
        """Add *more* to it."""
        with self._lock:
            self.number += more
