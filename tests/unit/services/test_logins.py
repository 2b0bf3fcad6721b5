"""Logins: guesses are counted by name, by address and by both; a lock at one address locks nobody elsewhere."""

from datetime import timedelta

import pytest

from hubless.adapters.authenticators.password import PasswordAuthenticator
from hubless.domain.lock_policy import LockPolicy
from hubless.domain.users import User
from hubless.ports.authenticator import Identity, Refused
from hubless.services.login_throttling import ADDRESS_FACTOR, NAME_FACTOR, LockedOut, LoginThrottle
from hubless.services.logins import Logins
from hubless.services.password_login import PasswordLogin
from tests.support.fakes import PlainHasher
from tests.support.world import World

LIMIT, LOCK = 3, timedelta(minutes=10)


@pytest.fixture
def world():
    return a_world(LockPolicy(LIMIT, LOCK))


def a_world(policy):
    made = World(lock_policy=policy)
    made.accounts.add("bob")
    for name in ("alice", "bob"):
        made.accounts.set_password(name, "the right one")
    authenticator = PasswordAuthenticator(made.users, made.passwords, PlainHasher())
    made.logins = Logins(made.accounts, made.sessions, made.clock, timedelta(days=14))
    throttle = LoginThrottle(made.attempts, made.clock, made.lock_policy)
    made.password_login = PasswordLogin(authenticator, throttle, made.logins, made.accounts)
    return made


def guess(world, name="alice", address="10.0.0.1", times=1, password="a wrong one"):
    answers = [world.password_login.check(name, password, address) for _ in range(times)]
    return [type(answer) for answer in answers]


def right(world, name="alice", address="10.0.0.1"):
    return guess(world, name, address, password="the right one")[0]


def test_a_name_is_locked_at_the_limit_for_right_passwords_too(world):
    assert guess(world, times=LIMIT + 1) == [Refused] * LIMIT + [LockedOut]
    assert right(world) is LockedOut


def test_a_lock_at_one_address_locks_nobody_at_another(world):
    guess(world, address="6.6.6.6", times=LIMIT * 5)
    assert right(world) is User


def test_guesses_from_many_addresses_lock_the_name(world):
    for number in range(NAME_FACTOR):
        guess(world, address=f"6.6.6.{number}", times=LIMIT)
    assert right(world, address="7.7.7.7") is LockedOut
    assert right(world, "bob") is User


def test_one_address_does_not_try_every_name(world):
    for number in range(ADDRESS_FACTOR):
        guess(world, f"name{number}", times=LIMIT)
    assert right(world, "bob") is LockedOut
    assert right(world, "bob", "10.0.0.2") is User


def test_spellings_of_one_name_share_a_count(world):
    for name in ("alice", "ALICE", "Alice"):
        guess(world, name)
    assert right(world) is LockedOut


def test_a_lock_ends_at_its_time_and_a_login_forgets_the_guesses(world):
    guess(world, times=LIMIT)
    world.clock.advance(LOCK + timedelta(seconds=1))
    assert right(world) is User
    guess(world, times=LIMIT - 1)
    assert right(world) is User
    assert guess(world, times=LIMIT) == [Refused] * LIMIT


def test_a_lock_of_hours_survives_the_sweep():
    world = a_world(LockPolicy(LIMIT, timedelta(hours=3)))
    guess(world, times=LIMIT)
    world.clock.advance(timedelta(hours=2))
    world.reaping.sweep()
    assert right(world) is LockedOut
    world.clock.advance(timedelta(hours=1, seconds=1))
    world.reaping.sweep()
    assert right(world) is User


def test_the_sweep_forgets_guesses_that_no_longer_count(world):
    guess(world, times=LIMIT)
    world.clock.advance(LOCK + timedelta(seconds=1))
    world.reaping.sweep()
    assert world.stores.database.read_one("SELECT count(*) FROM attempts") == (0,)


@pytest.mark.parametrize("admin", [None, True, False])
def test_any_kind_of_login_ends_in_the_user_of_its_identity(world, admin):
    user = world.logins.log_in(Identity("from-elsewhere", admin=admin))
    assert (user, user.admin) == (world.users.find("from-elsewhere"), bool(admin))
    session, _ = world.logins.open_session(user, "A browser")
    assert world.logins.sessions_of(user) == [session]


@pytest.mark.parametrize("name", ["", "a/b", "x" * 10_000, "a\nb", "..", "a\0b"])
def test_an_implausible_name_is_neither_counted_nor_hashed(world, name):
    assert guess(world, name, times=LIMIT * 2) == [Refused] * LIMIT * 2
    assert world.stores.database.read_one("SELECT count(*) FROM attempts") == (0,)


@pytest.mark.parametrize("password", ["", "x" * 2000, "a\0b"])
def test_an_implausible_password_is_not_hashed(world, password):
    assert guess(world, times=LIMIT * 2, password=password) == [Refused] * LIMIT * 2
    assert world.stores.database.read_one("SELECT count(*) FROM attempts") == (0,)


def test_counted_keys_have_no_names(world):
    guess(world)
    keys = [key for (key,) in world.stores.database.read("SELECT key FROM attempts")]
    assert len(keys) == 3
    assert not any("alice" in key for key in keys)


def test_one_address_adds_a_limited_number_of_accounts(world):
    made = [
        world.password_login.sign_up(f"name{n}", "long enough", "6.6.6.6") for n in range(LIMIT * ADDRESS_FACTOR + 1)
    ]
    assert isinstance(made[-1], LockedOut)
    assert all(isinstance(user, User) for user in made[:-1])
    assert world.users.find(f"name{LIMIT * ADDRESS_FACTOR}") is None
    assert isinstance(world.password_login.sign_up("another", "long enough", "7.7.7.7"), User)
    assert right(world, address="6.6.6.6") is User


class HasherThatCounts(PlainHasher):
    """Notes for which hashes it worked: a missing user must cost as much as an existing one."""

    def __init__(self):
        self.asked = []

    def verify(self, password_hash, password):
        self.asked.append(password_hash is None)
        return super().verify(password_hash, password)


@pytest.mark.parametrize("name", ["alice", "nobody", "without"])
def test_existing_and_missing_names_cost_the_same_work(world, name):
    world.accounts.add("without")  # a password
    hasher = HasherThatCounts()
    assert isinstance(
        PasswordAuthenticator(world.users, world.passwords, hasher).authenticate(name, "a wrong one"), Refused
    )
    assert len(hasher.asked) == 1
