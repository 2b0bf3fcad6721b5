from datetime import timedelta

from hubless.domain.launch_times import RECENT, LaunchTime
from tests.support.builders import NOW
from tests.support.concurrency import concurrently


def time(number):
    return LaunchTime(NOW + timedelta(seconds=number), timedelta(seconds=number, microseconds=7))


def test_the_latest_launches_of_a_profile_are_remembered_in_order(stores):
    assert stores.launch_times.of("lab") == ()
    for number in range(RECENT + 2):
        stores.launch_times.add("lab", time(number))
    stores.launch_times.add("größe/x", time(1))
    assert stores.launch_times.of("lab") == tuple(time(number) for number in range(2, RECENT + 2))
    assert stores.launch_times.of("größe/x") == (time(1),)


def test_launches_at_the_same_moment_lose_none_that_was_known(stores):
    stores.launch_times.add("lab", time(0))
    concurrently(lambda number: stores.launch_times.add("lab", time(number + 1)), 4)
    known = stores.launch_times.of("lab")
    assert known[0] == time(0)
    assert 2 <= len(set(known)) == len(known) <= 5
