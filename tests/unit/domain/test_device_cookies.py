from datetime import timedelta

import pytest

from hubless.domain import device_cookies
from hubless.domain.device_cookies import LIFETIME, MAX_DEVICES, device_of, with_device
from tests.support.builders import NOW

KEY = b"k" * 32


def cookie_of(name, before="", nonce="n1", now=NOW):
    return with_device(KEY, name, before, nonce=nonce, now=now)


def test_a_cookie_proves_a_login_under_its_name_alone():
    cookie = cookie_of("alice")
    assert device_of(KEY, "alice", cookie, NOW) == "n1"
    assert device_of(KEY, "bob", cookie, NOW) is None
    assert device_of(b"x" * 32, "alice", cookie, NOW) is None
    assert "alice" not in cookie


@pytest.mark.parametrize("part", [0, 1, 2])
def test_a_cookie_that_was_changed_proves_nothing(part):
    parts = cookie_of("alice").split(".")
    parts[part] = parts[part][:-1] + ("0" if parts[part][-1] != "0" else "1")
    assert device_of(KEY, "alice", ".".join(parts), NOW) is None


@pytest.mark.parametrize(
    "cookie", ["", "~", "~~~~~", "a.b", "a.b.c.d", "n1.1.", "n1..x", f"n1.-1.{'0' * 32}", f"é.1.{'0' * 32}", "x" * 9999]
)
def test_what_is_no_cookie_of_ours_proves_nothing(cookie):
    assert device_of(KEY, "alice", cookie, NOW) is None
    assert cookie_of("alice", cookie).count("~") <= 1


def test_a_device_that_is_not_used_for_a_year_is_a_strangers():
    cookie = cookie_of("alice")
    assert device_of(KEY, "alice", cookie, NOW + LIFETIME - timedelta(seconds=1)) == "n1"
    assert device_of(KEY, "alice", cookie, NOW + LIFETIME) is None


def test_people_who_share_a_browser_are_all_known_in_it():
    cookie = cookie_of("bob", cookie_of("alice"), nonce="n2")
    assert device_of(KEY, "alice", cookie, NOW) == "n1"
    assert device_of(KEY, "bob", cookie, NOW) == "n2"


def test_a_second_login_takes_the_place_of_the_first():
    cookie = cookie_of("alice", cookie_of("alice"), nonce="n2")
    assert "~" not in cookie
    assert device_of(KEY, "alice", cookie, NOW) == "n2"


def test_a_cookie_does_not_grow_without_end():
    cookie = ""
    for number in range(MAX_DEVICES * 3):
        cookie = cookie_of(f"user{number}", cookie, nonce=f"{number:032}")
    assert cookie.count("~") == MAX_DEVICES - 1
    assert device_of(KEY, f"user{MAX_DEVICES * 3 - 1}", cookie, NOW)
    assert device_of(KEY, "user0", cookie, NOW) is None
    assert len(cookie) <= device_cookies.MAX_LENGTH
