"""Hashes of Argon2id."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from hubless.adapters.passwords.argon2 import AT_ONCE, Argon2PasswordHasher


@pytest.mark.parametrize("call", ["hash", "verify"])
def test_so_few_passwords_are_hashed_at_once_whoever_asks(call):
    hasher = Argon2PasswordHasher()
    one_too_many = threading.Barrier(AT_ONCE + 1)

    def met(*_):
        try:
            one_too_many.wait(0.2)  # it passes only if one more than may is here too
        except threading.BrokenBarrierError:
            return False
        return True

    hasher.__dict__["_hasher"] = type("Meeting", (), {"hash": met, "verify": met})()
    arguments = ("secret",) if call == "hash" else ("a hash", "secret")
    with ThreadPoolExecutor(AT_ONCE + 1) as threads:
        found = [threads.submit(getattr(hasher, call), *arguments) for _ in range(AT_ONCE + 1)]
    assert not any(one.result() for one in found)


def test_hashes_cost_what_rfc_9106_says_and_old_ones_are_noticed():
    """Other suites hash more cheaply."""
    hasher = Argon2PasswordHasher()
    made = hasher.hash("secret")
    assert made.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert not hasher.is_outdated(made, "secret")
    assert hasher.is_outdated(made.replace("t=3", "t=1"), "secret")
