from datetime import timedelta

from hubless.services.identifiers import new_id
from tests.support.builders import NOW


def test_identifiers_of_one_instant_sort_by_creation():
    made = [new_id("u", NOW) for _ in range(2000)]

    assert made == sorted(made)
    assert len(set(made)) == len(made)


def test_a_later_identifier_sorts_later():
    assert new_id("u", NOW) < new_id("u", NOW + timedelta(milliseconds=1))
    assert new_id("u", NOW) > new_id("u", NOW - timedelta(milliseconds=1))
