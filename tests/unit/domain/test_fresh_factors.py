from datetime import timedelta

import pytest

from hubless.domain.fresh_factors import LIFETIME, is_fresh, is_recent, proof
from tests.support.builders import NOW

KEY = b"k" * 32


def test_a_proof_is_of_one_session_and_ends():
    given = proof(KEY, "session", NOW)

    assert is_fresh(KEY, "session", given, NOW)
    assert is_fresh(KEY, "session", given, NOW + LIFETIME - timedelta(seconds=1))
    assert not is_fresh(KEY, "session", given, NOW + LIFETIME)
    assert not is_fresh(KEY, "another", given, NOW)
    assert not is_fresh(b"o" * 32, "session", given, NOW)


@pytest.mark.parametrize("given", ["", ".", "1.x", "x.y", "²." + "0" * 64, "1." + "é" * 64, "1" * 200])
def test_what_is_no_proof_is_refused(given):
    assert not is_fresh(KEY, "session", given, NOW)


def test_a_later_instant_needs_another_signature():
    at, _, mac = proof(KEY, "session", NOW).partition(".")

    assert not is_fresh(KEY, "session", f"{int(at) + 1}.{mac}", NOW)


def test_what_begins_in_the_far_future_is_not_recent():
    assert is_recent(NOW + timedelta(minutes=4), NOW)
    assert not is_recent(NOW + timedelta(minutes=6), NOW)
    assert not is_fresh(KEY, "session", proof(KEY, "session", NOW + timedelta(days=1)), NOW)
