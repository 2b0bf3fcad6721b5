"""Counters of guesses: one item for each key, which lists the instants of its guesses.

A guess is appended on condition that the list is shorter than the limit allows. Appending keeps the generation of an
item; who shortens the list gives it another one. So a length that was read counts as long as the generation is the
same, and guesses that come at once never exceed the limit.
"""

import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta

from pynamodb.expressions.condition import Condition

from hubless.adapters.dynamodb import keys
from hubless.adapters.dynamodb.database import Delete, Found, Put, Step, Update, size
from hubless.adapters.dynamodb.table import AttemptCounter
from hubless.domain.lock_policy import MAX_COUNTED, Window

_STALE = 16  # instants that no longer count; a list with more is shortened


def read_from(found: Found, counted: Mapping[str, int]) -> dict[str, AttemptCounter | None]:
    """Return the counters of the keys *counted* in *found*."""
    return {key: found.item(AttemptCounter, keys.attempt_counter(key)) for key in counted}


def count(counter: AttemptCounter | None, window: Window) -> int:
    """Return how many guesses count."""
    return 0 if counter is None else sum(window.since < at <= window.until for at in counter.instants)


def is_full(counter: AttemptCounter | None, window: Window, limit: int) -> bool:
    """Say whether *limit* guesses count."""
    return count(counter, window) >= min(limit, MAX_COUNTED)


def one_more(
    key: str,
    counter: AttemptCounter | None,
    window: Window,
    *,
    at: datetime,
    keep_for: timedelta,
    limit: int | None,
) -> Step:
    """Return the step that counts a guess; it fails if the limit is reached, or the counter was shortened meanwhile.

    Args:
        key: what is counted.
        counter: as it was read.
        window: which guesses count.
        at: when the guess came.
        keep_for: how long the item stays after its last guess.
        limit: how many guesses may count with this one; None for any number.
    """
    where, ends = keys.attempt_counter(key), at + keep_for
    if counter is not None and (short := _shortened(counter, window)) is not None:
        written = AttemptCounter(*where, instants=(*short, at), generation=secrets.token_hex(8), ttl=ends)
        as_read = (AttemptCounter.generation == counter.generation) & (
            size(AttemptCounter.instants) == len(counter.instants)
        )
        return Put(written, as_read)
    appended = AttemptCounter.instants.set((AttemptCounter.instants | []).append([keys.to_number(at)]))
    born = AttemptCounter.generation.set(AttemptCounter.generation | secrets.token_hex(8))
    condition = None if limit is None else _has_room(counter, window, limit)
    return Update(where, [appended, born, AttemptCounter.ttl.set(ends)], condition)


def none_left(key: str, counter: AttemptCounter | None, window: Window, limit: int) -> Step:
    """Return the step that forgets the guesses at *key*; it fails like `one_more`."""
    return Delete(keys.attempt_counter(key), _has_room(counter, window, limit))


def _has_room(counter: AttemptCounter | None, window: Window, limit: int) -> Condition:
    """Return the condition that one more guess is within *limit*."""
    limit, length = min(limit, MAX_COUNTED), size(AttemptCounter.instants)
    room: Condition
    if counter is None:  # what is there by now was added after the read, so all of it counts
        room = AttemptCounter.pk.does_not_exist() | (length < limit)
    else:
        outside = len(counter.instants) - count(counter, window)
        room = (AttemptCounter.generation == counter.generation) & (length < limit + outside)
    return room


def _shortened(counter: AttemptCounter, window: Window) -> tuple[datetime, ...] | None:
    """Return the instants without those that no longer count; None if there are few of these."""
    kept = tuple(at for at in counter.instants if at > window.since)
    if len(counter.instants) - len(kept) < _STALE and len(kept) < MAX_COUNTED:
        return None
    return kept[-MAX_COUNTED + 1 :]
