"""Passwords whose hashes another hub made."""

import bcrypt
import pytest

from hubless.adapters.authenticators.password import PasswordAuthenticator
from hubless.adapters.passwords.imported import ImportedPasswordHasher
from hubless.domain import imported_passwords
from hubless.ports.authenticator import Candidate, Identity, Refused
from tests.support.fakes import PlainHasher
from tests.support.world import World

SALT = b"$2b$04$abcdefghijklmnopqrstuu"
# bcrypt 3.1.7 to 4.3.0 cut the password there; 5.0.0 refuses more.
LONG = "x" * 100
CUT = bcrypt.hashpw(b"x" * 72, SALT).decode()
# Made with bcrypt 3.1.7 to 5.0.0: all say the same.
ACCENT = "$2b$04$abcdefghijklmnopqrstuuhLs2FTTXh4aTzDmos5X8XImgHYf5TbO"


class CountingHasher(PlainHasher):
    """Hashes without taking time, and counts how often it was asked."""

    def __init__(self):
        self.asked = []

    def verify(self, password_hash, password):
        self.asked.append(password_hash)
        return super().verify(password_hash, password)


@pytest.fixture
def ours():
    return CountingHasher()


@pytest.fixture
def hasher(ours):
    return ImportedPasswordHasher(ours)


def hashed(password, salt=SALT):
    return bcrypt.hashpw(password.encode()[:72], salt).decode()


@pytest.mark.parametrize("version", [b"$2a$", b"$2b$", b"$2y$"])
def test_each_version_of_bcrypt_is_right_for_its_password_only(hasher, version):
    stored = hashed("bob's long pass é", version + SALT[4:])
    assert hasher.verify(stored, "bob's long pass é")
    assert not hasher.verify(stored, "bob's long pass e")
    assert not hasher.verify(stored, "")


def test_a_hash_is_of_utf_8_that_nobody_normalised(hasher):
    assert hasher.verify(ACCENT, "\u00e9")
    assert not hasher.verify(ACCENT, "e\u0301")


def test_a_password_counts_up_to_its_72nd_byte_as_it_did_there(hasher):
    assert hasher.verify(CUT, LONG)
    assert hasher.verify(CUT, "x" * 72)
    assert not hasher.verify(CUT, "x" * 71)
    letters = hashed("é" * 50)  # the cut is after the 36th
    assert hasher.verify(letters, "é" * 36 + "e")
    assert not hasher.verify(letters, "é" * 35 + "e")


def test_control_characters_are_blanks_as_in_tornados_forms(hasher):
    stored = hashed("a b\tc")
    assert hasher.verify(stored, "a\x01b\tc")
    assert not hasher.verify(stored, "a\x01b\x02c")


def test_a_password_is_hashed_again_unless_its_end_was_not_looked_at(hasher):
    assert hasher.is_outdated(hashed("short"), "short")
    assert hasher.is_outdated(CUT, "x" * 72)
    assert not hasher.is_outdated(CUT, LONG)
    assert not hasher.is_outdated(hashed("a b"), "a\x01b")
    assert not hasher.is_outdated(hasher.hash("short"), "short")


@pytest.mark.parametrize(
    "stored",
    [
        "$2b$16$" + CUT[7:],  # would take seconds
        "$2b$31$" + CUT[7:],
        "$2b$03$" + CUT[7:],
        "$2x$" + CUT[4:],
        CUT[:-1],
        CUT + "x",
        CUT + "\n",
        "$2b$04$" + "!" * 53,
        "$2b$٠٤$" + CUT[7:],
    ],
)
def test_what_is_no_hash_of_bcrypt_or_too_dear_matches_nothing(hasher, stored):
    assert imported_passwords.cost_of(stored) is None
    assert not hasher.verify(stored, LONG)


def test_our_own_hashes_and_no_hash_are_left_to_our_hasher(hasher, ours):
    assert hasher.verify(hasher.hash("a password"), "a password")
    assert not hasher.verify(None, "a password")
    assert ours.asked == ["plain:a password", None]


def test_wrong_passwords_take_as_long_whosever_they_are(hasher, ours, monkeypatch):
    hashing, salts = bcrypt.hashpw, []
    monkeypatch.setattr(bcrypt, "hashpw", lambda password, salt: salts.append(salt[:7]) or hashing(password, salt))

    assert not hasher.verify(None, "wrong")
    assert salts == []  # nobody's password came with an import, as far as this process knows
    assert not hasher.verify(CUT, "wrong")
    assert not hasher.verify(None, "wrong")
    assert not hasher.verify(hasher.hash("right"), "wrong")

    assert salts == [b"$2b$04$"] * 3
    assert ours.asked == [None, None, None, "plain:right"]


def test_a_right_login_replaces_the_hash_once(hasher):
    world = World()
    ada = world.accounts.add("ada")
    world.passwords.set(ada.id, hashed("a"))  # shorter than a new one may be
    authenticator = PasswordAuthenticator(world.passwords, hasher)

    def log_in(password):
        return authenticator.authenticate(Candidate("ada", ada, world.passwords.get(ada.id)), password)

    assert isinstance(log_in("b"), Refused)
    assert world.passwords.get(ada.id) == hashed("a")
    assert log_in("a") == Identity("ada")
    assert world.passwords.get(ada.id) == hasher.hash("a")
    assert log_in("a") == Identity("ada")
