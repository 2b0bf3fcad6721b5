from datetime import timedelta

from hubless.services.identifiers import new_id
from tests.support.builders import NOW


def test_what_is_made_at_one_instant_sorts_in_the_order_in_which_it_was_made():
    made = [new_id("u", NOW) for _ in range(2000)]

    assert made == sorted(made)
    assert len(set(made)) == len(made)


def test_what_is_made_later_sorts_later_whatever_was_made_before():
    assert new_id("u", NOW) < new_id("u", NOW + timedelta(milliseconds=1))
    assert new_id("u", NOW) > new_id("u", NOW - timedelta(milliseconds=1))
