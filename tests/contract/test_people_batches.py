from dataclasses import replace
from datetime import timedelta

import pytest

from hubless.domain.errors import StoreConflictError
from hubless.domain.people_batches import Batch
from tests.support.builders import NOW
from tests.support.concurrency import MANY, concurrently

LATER = NOW + timedelta(hours=1)
MOMENT = timedelta(microseconds=1)
BATCH = Batch("b", "u-alice", LATER, "sealed ü")


def test_a_batch_is_stored_with_all_its_facts(stores):
    stores.people_batches.add(BATCH)
    assert stores.people_batches.get("b", NOW) == BATCH
    assert stores.people_batches.get("c", NOW) is None


def test_an_id_is_used_once(stores):
    stores.people_batches.add(BATCH)
    with pytest.raises(StoreConflictError):
        stores.people_batches.add(replace(BATCH, sealed="other"))
    assert stores.people_batches.get("b", NOW) == BATCH


def test_a_batch_ends_at_its_instant(stores):
    stores.people_batches.add(BATCH)
    assert stores.people_batches.get("b", LATER - MOMENT)
    assert stores.people_batches.get("b", LATER) is None


def test_of_concurrent_changes_one_counts(stores):
    stores.people_batches.add(BATCH)

    def change(number):
        after = replace(BATCH, sealed=f"{number}", expires_at=LATER + MOMENT, revision=1)
        try:
            stores.people_batches.change(BATCH, after)
        except StoreConflictError:
            return None
        return after

    changed = [one for one in concurrently(change) if one]
    assert [stores.people_batches.get("b", LATER)] == changed
    assert len(changed) == 1 < MANY


def test_a_removed_batch_is_changed_no_more(stores):
    stores.people_batches.add(BATCH)
    stores.people_batches.remove("b")
    stores.people_batches.remove("b")
    with pytest.raises(StoreConflictError):
        stores.people_batches.change(BATCH, replace(BATCH, revision=1))
    assert stores.people_batches.get("b", NOW) is None


def test_expired_batches_can_be_removed(stores):
    stores.people_batches.add(BATCH)
    stores.people_batches.add(replace(BATCH, id="later", expires_at=LATER + MOMENT))
    assert stores.people_batches.delete_expired(LATER, 100) in {0, 1}  # DynamoDB removes them by itself
    assert stores.people_batches.delete_expired(LATER, 100) == 0
    assert stores.people_batches.get("later", LATER)
