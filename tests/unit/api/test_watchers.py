import asyncio

import pytest

from functions.api.watchers import Watchers, is_over_within


def test_one_user_leaves_places_to_others():
    watchers = Watchers(most=10, of_each=2)
    with watchers.place("u1"), watchers.place("u1"):
        assert (watchers.has_place("u1"), watchers.has_place("u2")) == (False, True)
    assert watchers.has_place("u1")


def test_there_are_so_many_places_in_all():
    watchers = Watchers(most=2)
    with watchers.place("u1"), watchers.place("u2"):
        assert not watchers.has_place("u3")
    assert watchers.has_place("u3")


def test_a_place_is_free_again_after_an_error():
    watchers = Watchers(most=1)
    with pytest.raises(ConnectionError), watchers.place("u1"):
        raise ConnectionError
    assert watchers.has_place("u1")


def test_the_end_of_the_process_ends_all_at_once_and_lets_none_begin():
    watchers = Watchers(most=10)

    async def watch(user_id):
        with watchers.place(user_id) as end:
            return await is_over_within(3600, end)

    async def run():
        watching = [asyncio.create_task(watch(f"u{number}")) for number in range(3)]
        await asyncio.sleep(0)
        watchers.end()
        return await asyncio.wait_for(asyncio.gather(*watching, watch("late")), 5)

    assert asyncio.run(run()) == [True] * 4
    assert not watchers.has_place("u1")


def test_a_wait_that_nothing_ends_is_over_by_itself():
    async def run():
        return await is_over_within(0.001, asyncio.Event())

    assert asyncio.run(run()) is False
