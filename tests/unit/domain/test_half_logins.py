from datetime import timedelta

import pytest

from hubless.domain import half_logins
from hubless.domain.half_logins import LIFETIME, HalfLogin, binding_of, opened, stamp_of
from tests.support.builders import NOW

KEY, HALF = b"k" * 32, HalfLogin("u-1", stamp_of("$argon2"), "keycloak", "ß")


def sealed(key=KEY, half=HALF, nonce="n", now=NOW):
    return half_logins.sealed(key, half, nonce=nonce, now=now)


def test_a_half_done_login_is_read_until_it_ends():
    assert opened(KEY, sealed(), NOW) == HALF
    assert opened(KEY, sealed(), NOW + timedelta(minutes=1)).began_at == NOW.replace(microsecond=0)
    assert opened(KEY, sealed(), NOW + LIFETIME - timedelta(seconds=1)) == HALF
    assert opened(KEY, sealed(), NOW + LIFETIME) is None
    assert opened(b"o" * 32, sealed(), NOW) is None


def test_one_of_a_clock_that_is_far_ahead_is_refused():
    assert opened(KEY, sealed(now=NOW + timedelta(minutes=6)), NOW) is None
    assert opened(KEY, sealed(now=NOW + timedelta(minutes=4)), NOW) == HALF


@pytest.mark.parametrize("part", range(2))
def test_no_part_of_it_can_be_changed(part):
    parts = sealed().split(".")
    parts[part] = parts[part][:-1] + ("1" if parts[part][-1] != "1" else "2")
    assert opened(KEY, ".".join(parts), NOW) is None


@pytest.mark.parametrize("text", ["", ".", "a.b", "é.m", "e30.", "x" * 4000])
def test_what_is_no_half_done_login_is_refused(text):
    assert opened(KEY, text, NOW) is None


def test_a_new_password_ends_it():
    assert HALF.fits("$argon2")
    assert not HALF.fits("$another")
    assert not HALF.fits(None)
    assert HalfLogin("u-1", stamp_of(None)).fits(None)


def test_no_two_logins_have_the_same_binding():
    assert binding_of(sealed(nonce="a")) != binding_of(sealed(nonce="b"))
