"""Logins: guesses are counted by name, by address and by both; a lock at one address locks nobody elsewhere."""

import threading
from dataclasses import replace
from datetime import timedelta

import pytest

from hubless.adapters.authenticators.password import PasswordAuthenticator
from hubless.adapters.mail.no_mailer import NoMailer
from hubless.domain.lock_policy import LONGEST_COUNT, LockPolicy
from hubless.domain.users import User
from hubless.ports.authenticator import Identity, Refused
from hubless.services.email_addresses import EmailAddresses
from hubless.services.join_links import JoinLinks
from hubless.services.login_throttling import ADDRESS_FACTOR, NAME_FACTOR, SIGN_UP_FACTOR, LockedOut, LoginThrottle
from hubless.services.password_login import PasswordLogin
from hubless.services.sign_ups import SignUpRules, SignUps
from hubless.settings.sections import LoginSettings
from tests.support.concurrency import MANY, concurrently
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
    authenticator = PasswordAuthenticator(made.passwords, PlainHasher())
    throttle = LoginThrottle(made.attempts, made.clock, made.lock_policy)
    made.password_login = PasswordLogin(
        authenticator, throttle, made.stores.password_logins, made.logins, lambda: b"k" * 32
    )
    emails = EmailAddresses(
        made.stores.email_addresses,
        made.users,
        made.attempts,
        NoMailer,
        made.clock,
        "hubless",
        "https://hub.example.org",
    )
    made.sign_ups = SignUps(
        made.accounts,
        made.passwords,
        made.groups,
        made.stores.sign_ups,
        made.stores.join_codes,
        emails,
        PlainHasher(),
        throttle,
        SignUpRules(),
        JoinLinks(
            made.stores.join_links,
            made.groups,
            made.group_references,
            None,
            lambda: b"key",
            made.clock,
            manages_groups=False,
        ),
    )
    return made


def guess(world, name="alice", address="10.0.0.1", *, times=1, password="a wrong one", device=""):
    answers = [world.password_login.check(name, password, address, device) for _ in range(times)]
    return [type(answer) for answer in answers]


def right(world, name="alice", address="10.0.0.1", device=""):
    return guess(world, name, address, password="the right one", device=device)[0]


def sign_up(world, name, password, address):
    return world.sign_ups.sign_up(name, password, client_address=address)


def device_of(world, name="alice", before=""):
    return world.password_login.device_cookie(world.users.find(name), before)


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


def test_addresses_of_one_ipv6_network_share_a_count(world):
    for number in range(LIMIT):
        guess(world, address=f"2001:db8:1:2::{number}")
    assert right(world, address="2001:db8:1:2:ffff::1") is LockedOut
    assert right(world, address="2001:db8:1:3::1") is User
    for number in range(LIMIT * SIGN_UP_FACTOR):
        sign_up(world, f"name{number}", "long enough", f"2001:db8:1:2::{number:x}")
    assert isinstance(sign_up(world, "another", "long enough", "2001:db8:1:2::ffff"), LockedOut)


def test_nobody_locks_a_user_out_of_a_browser_of_theirs(world):
    device = device_of(world)
    for number in range(NAME_FACTOR):
        guess(world, address=f"6.6.6.{number}", times=LIMIT)
    guess(world, address="10.0.0.1", times=LIMIT)
    for number in range(ADDRESS_FACTOR):
        guess(world, f"name{number}", "10.0.0.1", times=LIMIT)
    assert right(world) is LockedOut
    assert right(world, device=device) is User
    assert right(world) is LockedOut  # the login of the device opens nothing for others


def test_a_device_that_guesses_wrong_locks_itself_alone(world):
    mine, other = device_of(world), device_of(world)
    assert guess(world, device=mine, times=LIMIT + 1) == [Refused] * LIMIT + [LockedOut]
    assert world.password_login.check("alice", "the right one", "10.0.0.1", mine).is_device
    assert right(world, device=other) is User
    assert right(world) is User
    assert right(world, "bob") is User


def test_a_login_on_a_device_forgets_its_wrong_guesses(world):
    device = device_of(world)
    for _ in range(3):
        guess(world, device=device, times=LIMIT - 1)
        assert right(world, device=device) is User


def test_a_device_of_somebody_else_passes_no_lock(world):
    device = device_of(world, "bob")
    guess(world, times=LIMIT)
    assert right(world, device=device) is LockedOut
    assert right(world, device=device_of(world, "alice", before=device)) is User


class AllAtOnce:
    """Counts of failures that all callers read before the first of them goes on."""

    def __init__(self, attempts, times):
        self._attempts, self._all = attempts, threading.Barrier(times)

    def __getattr__(self, name):
        return getattr(self._attempts, name)

    def failures(self, *key_and_window):
        found = self._attempts.failures(*key_and_window)
        if key_and_window[0].startswith("address:"):
            self._all.wait(30)
        return found


def test_guesses_that_come_at_once_do_not_slip_through(world):
    throttle = LoginThrottle(AllAtOnce(world.attempts, MANY), world.clock, world.lock_policy)
    outcomes = concurrently(lambda _: throttle.admit("alice", "10.0.0.1"))
    assert outcomes.count(None) == LIMIT
    assert sum(isinstance(outcome, LockedOut) for outcome in outcomes) == MANY - LIMIT


def test_sign_ups_that_come_at_once_do_not_slip_through(world):
    throttle = LoginThrottle(world.attempts, world.clock, LockPolicy(1, LOCK))
    outcomes = concurrently(lambda _: [throttle.admit_sign_up("6.6.6.6") for _ in range(SIGN_UP_FACTOR)])
    assert sum(one.count(None) for one in outcomes) == SIGN_UP_FACTOR


def test_a_class_of_300_behind_one_address_signs_up(world):
    settings = LoginSettings()
    throttle = LoginThrottle(world.attempts, world.clock, LockPolicy(settings.max_failures, settings.lock_for))
    assert {throttle.admit_sign_up("6.6.6.6") for _ in range(300)} == {None}


@pytest.mark.parametrize("ahead", [timedelta(days=365), timedelta(hours=1)])
def test_a_clock_that_was_ahead_locks_nobody_for_long(world, ahead):
    world.clock.advance(ahead)
    guess(world, times=LIMIT)
    world.clock.advance(-ahead)
    assert right(world) is User


def test_a_sweep_by_a_clock_that_was_ahead_ends_no_later_lock(world):
    world.clock.advance(timedelta(days=365))
    world.reaping.sweep()
    world.clock.advance(-timedelta(days=365))
    guess(world, times=LIMIT)
    assert right(world) is LockedOut


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
    world.clock.advance(LONGEST_COUNT - timedelta(seconds=1))
    world.reaping.sweep()
    assert world.stores.database.read_one("SELECT count(*) FROM attempts") != (0,)
    world.clock.advance(timedelta(seconds=2))
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
    made = [sign_up(world, f"name{n}", "long enough", "6.6.6.6") for n in range(LIMIT * SIGN_UP_FACTOR + 1)]
    assert isinstance(made[-1], LockedOut)
    assert all(isinstance(user, User) for user in made[:-1])
    assert world.users.find(f"name{LIMIT * SIGN_UP_FACTOR}") is None
    assert isinstance(sign_up(world, "another", "long enough", "7.7.7.7"), User)
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
    world.password_login = replace(world.password_login, authenticator=PasswordAuthenticator(world.passwords, hasher))
    assert guess(world, name) == [Refused]
    assert len(hasher.asked) == 1
