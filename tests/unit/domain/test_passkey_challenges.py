from datetime import timedelta

import pytest

from hubless.domain import passkey_challenges
from hubless.domain.passkey_challenges import LIFETIME, Purpose
from tests.support.builders import NOW

KEY, NONCE = b"k" * 32, b"n" * 16


def made(key=KEY, purpose=Purpose.LOG_IN, binding="browser", nonce=NONCE, now=NOW):
    return passkey_challenges.make(key, purpose, binding, nonce=nonce, now=now)


def is_valid(challenge, key=KEY, purpose=Purpose.LOG_IN, binding="browser", now=NOW):
    return passkey_challenges.is_valid(key, purpose, binding, challenge, now)


def test_a_challenge_is_valid_for_its_purpose_and_browser_until_it_expires():
    assert is_valid(made())
    assert is_valid(made(), now=NOW + LIFETIME - timedelta(seconds=1))
    assert not is_valid(made(), now=NOW + LIFETIME)
    assert not is_valid(made(), key=b"o" * 32)
    assert not is_valid(made(), purpose=Purpose.ADD)
    assert not is_valid(made(), binding="another")


def test_a_challenge_of_a_clock_that_is_far_ahead_is_refused():
    assert is_valid(made(now=NOW + timedelta(minutes=4)))
    assert not is_valid(made(now=NOW + timedelta(minutes=6)))


@pytest.mark.parametrize("place", range(56))
def test_no_byte_of_a_challenge_can_be_changed(place):
    challenge = bytearray(made())
    challenge[place] ^= 1
    assert not is_valid(bytes(challenge))


@pytest.mark.parametrize("challenge", [b"", b"x" * 55, b"x" * 57])
def test_what_is_no_challenge_is_refused(challenge):
    assert not is_valid(challenge)


def test_each_challenge_has_a_name_of_its_own():
    assert passkey_challenges.name_of(made()) != passkey_challenges.name_of(made(nonce=b"m" * 16))
