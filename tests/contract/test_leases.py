from dataclasses import replace
from datetime import timedelta

import pytest

from hubless.domain.leases import WRONG_CLOCK, Lease, NoLease
from tests.support.builders import NOW
from tests.support.concurrency import MANY, concurrently

SECOND = timedelta(seconds=1)
LATER = NOW + 10 * SECOND


def claim(stores, key="look#s1", *, limit=1, now=NOW, until=LATER, latest=None, lease_id=None):
    return stores.leases.claim(key, limit=limit, now=now, until=until, latest=latest, lease_id=lease_id)


def test_of_a_key_there_are_so_many_leases(stores):
    leases = [claim(stores, limit=3, until=LATER + number * SECOND) for number in range(3)]

    assert [lease.until for lease in leases] == [LATER, LATER + SECOND, LATER + 2 * SECOND]
    assert len({lease.id for lease in leases}) == 3
    assert claim(stores, limit=3) == NoLease(LATER)


def test_who_claims_a_lease_again_gets_it_as_it_is(stores):
    first = claim(stores, lease_id="a1")

    assert first == Lease("look#s1", "a1", LATER)
    assert claim(stores, now=NOW + SECOND, until=LATER + SECOND, lease_id="a1") == first
    assert claim(stores, lease_id="b2") == NoLease(LATER)
    assert claim(stores, now=LATER, until=LATER + SECOND, lease_id="a1") == replace(first, until=LATER + SECOND)


def test_claims_of_one_lease_at_once_get_one(stores):
    got = concurrently(lambda number: claim(stores, until=LATER + number * SECOND, lease_id="a1"), times=4)
    assert len(set(got)) == 1
    assert got[0] == claim(stores, lease_id="a1")


def test_each_key_has_leases_of_its_own(stores):
    claim(stores, "look#s1")
    assert isinstance(claim(stores, "look#s2"), Lease)


def test_a_lease_ends_at_its_instant(stores):
    claim(stores)
    assert claim(stores, now=LATER - SECOND / 1000, until=LATER + SECOND) == NoLease(LATER)
    assert isinstance(claim(stores, now=LATER, until=LATER + SECOND), Lease)


def test_a_lease_that_is_given_back_is_free_at_once(stores):
    lease = claim(stores)
    stores.leases.release(lease)
    assert isinstance(claim(stores), Lease)


def test_to_give_a_lease_back_twice_frees_no_other(stores):
    lease = claim(stores)
    stores.leases.release(lease)
    other = claim(stores)
    stores.leases.release(lease)
    assert claim(stores) == NoLease(other.until)


def test_to_give_back_what_was_never_there_changes_nothing(stores):
    stores.leases.release(Lease("look#s1", "0" * 16, LATER))
    assert isinstance(claim(stores), Lease)


def test_a_lower_limit_counts_the_leases_of_before(stores):
    for number in range(3):
        claim(stores, limit=3, until=LATER + number * SECOND)
    assert claim(stores, limit=2) == NoLease(LATER + SECOND)  # two have ended by then


def test_a_lease_that_a_wrong_clock_wrote_does_not_count(stores):
    claim(stores, now=NOW + timedelta(days=9), until=LATER + timedelta(days=9))
    assert isinstance(claim(stores), Lease)


def test_a_lease_that_a_clock_a_little_ahead_wrote_counts(stores):
    ahead = claim(stores, now=NOW + WRONG_CLOCK, until=LATER + WRONG_CLOCK)
    assert claim(stores) == NoLease(ahead.until)


@pytest.mark.parametrize("limit", [1, 3])
def test_concurrent_calls_never_exceed_the_limit(stores, limit):
    given = concurrently(lambda _: claim(stores, limit=limit))

    assert sum(isinstance(one, Lease) for one in given) == limit
    assert sum(one == NoLease(LATER) for one in given) == MANY - limit


def test_a_lease_that_is_given_back_during_a_claim_stays_back(stores):
    held = [claim(stores, limit=MANY) for _ in range(MANY // 2)]

    def act(number):
        if number < len(held):
            stores.leases.release(held[number])
            return None
        return claim(stores, limit=MANY)

    given = [one for one in concurrently(act) if one is not None]

    assert all(isinstance(one, Lease) for one in given)
    more = [claim(stores, limit=MANY) for _ in range(MANY)]
    assert sum(isinstance(one, Lease) for one in more) == MANY - len(given)


def test_what_has_ended_can_be_removed(stores):
    claim(stores)
    claim(stores, "look#s2", until=LATER + SECOND)
    removed = stores.leases.delete_expired(LATER, 100)

    assert removed in {0, 1}  # DynamoDB removes it by itself
    assert stores.leases.delete_expired(LATER, 100) == 0
    assert claim(stores, "look#s2") == NoLease(LATER + SECOND)


def test_short_leases_of_a_key_leave_long_ones_in_place(stores):
    long, latest = NOW + timedelta(minutes=10), NOW + timedelta(minutes=15)
    held = claim(stores, limit=2, until=long, latest=latest)
    assert isinstance(claim(stores, limit=2, latest=latest), Lease)
    assert claim(stores, limit=2, latest=latest) == NoLease(LATER)
    assert isinstance(claim(stores, limit=2, now=LATER, until=LATER + SECOND, latest=latest), Lease)
    assert claim(stores, limit=2, now=LATER, until=LATER + SECOND, latest=latest) == NoLease(LATER + SECOND)
    stores.leases.release(held)
    assert isinstance(claim(stores, limit=2, now=LATER, until=LATER + SECOND, latest=latest), Lease)


def test_a_lease_that_ends_after_the_latest_counts_no_more(stores):
    claim(stores, until=LATER + 2 * WRONG_CLOCK)
    assert isinstance(claim(stores, latest=LATER), Lease)
    claim(stores, "look#s2", until=LATER + 2 * WRONG_CLOCK)
    assert claim(stores, "look#s2", latest=LATER + WRONG_CLOCK) == NoLease(LATER + 2 * WRONG_CLOCK)
