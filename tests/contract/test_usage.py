from dataclasses import replace
from datetime import timedelta

from hubless.domain.usage import Usage
from tests.support.builders import NOW
from tests.support.concurrency import MANY, concurrently

ONE = Usage("l1", "s1", "u-alice", "big", NOW, NOW + timedelta(seconds=90, microseconds=5), "stopped")


def test_usage_comes_back_as_it_was_written(stores):
    stores.usage.add(ONE)
    assert stores.usage.of_owner("u-alice") == [ONE]
    assert stores.usage.of_owner("u-bob") == []


def test_the_same_launch_again_changes_nothing(stores):
    stores.usage.add(ONE)
    stores.usage.add(ONE)
    stores.usage.add(replace(ONE, ended_at=NOW + timedelta(days=1), outcome="lost"))
    assert stores.usage.of_owner("u-alice") == [ONE]


def test_of_eight_concurrent_writes_of_one_launch_one_counts(stores):
    concurrently(lambda n: stores.usage.add(replace(ONE, outcome=str(n))))
    assert len(stores.usage.of_owner("u-alice")) == 1


def test_usage_comes_oldest_first(stores):
    for number, seconds in enumerate((5, 1, 3)):
        stores.usage.add(replace(ONE, launch_id=f"l{number}", started_at=NOW + timedelta(seconds=seconds)))
    assert [usage.launch_id for usage in stores.usage.of_owner("u-alice")] == ["l1", "l2", "l0"]


def test_usage_outlives_its_user(stores, alice):
    stores.usage.add(ONE)
    stores.users.delete(alice.id)
    assert stores.usage.of_owner(alice.id) == [ONE]
    assert len(concurrently(lambda _: stores.usage.of_owner(alice.id))) == MANY
