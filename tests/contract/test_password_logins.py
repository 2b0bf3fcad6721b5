"""Logins with a password: what both stores read and write for them, and how few round trips that takes."""

from dataclasses import replace
from datetime import timedelta

import pytest

from hubless.adapters.authenticators.password import PasswordAuthenticator
from hubless.domain.errors import NotFoundError
from hubless.domain.lock_policy import LockPolicy, Window
from hubless.domain.users import User
from hubless.ports.authenticator import Refused
from hubless.ports.password_logins import Guess
from hubless.services.login_throttling import LockedOut, LoginThrottle
from hubless.services.password_login import LoggedIn, PasswordLogin
from tests.support.builders import NOW, a_session, a_user
from tests.support.concurrency import MANY, concurrently
from tests.support.dynamodb import in_new_table
from tests.support.fakes import PlainHasher
from tests.support.world import World

WINDOW = Window(NOW - timedelta(minutes=10), NOW + timedelta(minutes=10))
GUESS = Guess(NOW, WINDOW, {"both": 3, "name": 30}, {"address": 60})
LATER = NOW + timedelta(minutes=11)
AFTERWARDS = replace(GUESS, at=LATER, window=Window(NOW + timedelta(minutes=1), LATER + timedelta(minutes=10)))


def counted(stores, guess=GUESS):
    window = guess.window
    return [stores.attempts.failures(key, window.since, window.until) for key in ("both", "name", "address")]


def wrong(stores, guess=GUESS):
    facts = stores.password_logins.read("alice", guess)
    return not facts.is_locked and stores.password_logins.count(facts, guess)


@pytest.mark.parametrize("typed", ["alice", "ALICE", "\uff41lice"])
def test_any_spelling_of_a_name_finds_its_user_and_hash(stores, typed):
    stores.users.create([a_user()])
    stores.passwords.set("u-alice", "hash")
    facts = stores.password_logins.read(typed, GUESS)
    assert (facts.user.id, facts.password_hash, facts.is_locked) == ("u-alice", "hash", False)


def test_a_user_with_capitals_is_found_by_any_spelling(stores):
    stores.users.create([a_user("Dave")])
    assert [stores.password_logins.read(typed, GUESS).user.name for typed in ("Dave", "dave", "DAVE")] == ["Dave"] * 3


@pytest.mark.parametrize("typed", ["nobody", "\u0430lice", "l\u0131sa", ""])
def test_a_name_that_only_looks_alike_finds_nobody(stores, typed):
    stores.users.create([a_user(), a_user("lisa")])
    facts = stores.password_logins.read(typed, GUESS)
    assert (facts.user, facts.password_hash, facts.is_locked) == (None, None, False)


def test_a_removed_user_logs_in_no_more(stores):
    stores.users.create([a_user()])
    stores.passwords.set("u-alice", "hash")
    facts = stores.password_logins.read("alice", GUESS)
    stores.users.delete("u-alice")
    with pytest.raises(NotFoundError):
        stores.password_logins.accept(facts, GUESS, a_session())
    assert stores.password_logins.read("alice", GUESS).user is None
    assert stores.sessions.find_with_user(a_session().sha256) is None


def test_wrong_guesses_count_under_all_keys_up_to_a_limit(stores):
    assert [wrong(stores) for _ in range(5)] == [True, True, True, False, False]
    assert counted(stores) == [3, 3, 3]
    assert wrong(stores, AFTERWARDS)
    assert counted(stores, AFTERWARDS) == [1, 1, 1]


@pytest.mark.parametrize("key", ["both", "name", "address"])
def test_a_limit_at_any_key_locks(stores, key):
    for _ in range(GUESS.limits[key]):
        stores.attempts.add(key, NOW)
    facts = stores.password_logins.read("alice", GUESS)
    assert (facts.is_locked, facts.user) == (True, None)


def test_a_right_guess_forgets_tries_and_opens_a_session(stores):
    stores.users.create([a_user()])
    wrong(stores)
    facts = stores.password_logins.read("alice", GUESS)
    assert stores.password_logins.accept(facts, GUESS, a_session())
    assert counted(stores) == [0, 0, 1]
    assert stores.sessions.find_with_user(a_session().sha256)[1].name == "alice"


def test_a_right_guess_beyond_the_limit_opens_nothing(stores):
    stores.users.create([a_user()])
    facts = stores.password_logins.read("alice", GUESS)
    while wrong(stores):
        pass
    assert not stores.password_logins.accept(facts, GUESS, a_session())
    assert not stores.password_logins.count(facts, GUESS)
    assert counted(stores) == [3, 3, 3]
    assert stores.sessions.find_with_user(a_session().sha256) is None


def test_old_guesses_do_not_take_the_room_of_new_ones(stores):
    for _ in range(3):
        wrong(stores)
    facts = stores.password_logins.read("alice", AFTERWARDS)
    assert [stores.password_logins.count(facts, AFTERWARDS) for _ in range(4)] == [True, True, True, False]


def test_many_old_guesses_are_put_away_and_never_counted_again(stores):
    for _ in range(40):
        stores.attempts.add("address", NOW)
    facts = stores.password_logins.read("alice", AFTERWARDS)
    assert stores.password_logins.count(facts, AFTERWARDS)
    assert stores.password_logins.count(facts, AFTERWARDS)
    assert counted(stores, AFTERWARDS) == [2, 2, 2]


def test_dynamodb_shortens_a_counter_of_old_guesses(in_moto):
    from hubless.adapters.dynamodb import keys
    from hubless.adapters.dynamodb.table import AttemptCounter

    stores = in_new_table(in_moto)
    for _ in range(40):
        stores.attempts.add("address", NOW)
    assert wrong(stores, AFTERWARDS)
    assert stores.database.get(AttemptCounter, keys.attempt_counter("address")).instants == (LATER,)
    stores.close()


def test_guesses_at_once_that_read_the_same_never_exceed_the_limit(stores):
    facts = stores.password_logins.read("alice", GUESS)
    answered = concurrently(lambda _: stores.password_logins.count(facts, GUESS))
    assert answered.count(True) == 3
    assert counted(stores)[:2] == [3, 3]


def test_a_login_between_read_and_write_gives_no_room_twice(stores):
    stores.users.create([a_user()])
    for _ in range(2):
        wrong(stores)
    early = stores.password_logins.read("alice", GUESS)
    assert stores.password_logins.accept(stores.password_logins.read("alice", GUESS), GUESS, None)
    assert [stores.password_logins.count(early, GUESS) for _ in range(4)] == [True, True, True, False]


LIMIT = 3


@pytest.fixture
def world(stores):
    made = World(stores=stores, max_sessions=500)
    made.accounts.set_password("alice", "the right one")
    throttle = LoginThrottle(made.attempts, made.clock, LockPolicy(LIMIT, timedelta(minutes=10)))
    authenticator = PasswordAuthenticator(made.passwords, PlainHasher())
    made.login = PasswordLogin(authenticator, throttle, stores.password_logins, made.logins, lambda: b"k" * 32)
    return made


def log_in(world, name="alice", password="the right one", device=""):
    return world.login.log_in(name, password, "10.0.0.1", device, agent="a browser", waits=lambda _: False)


def test_of_logins_at_once_no_more_are_answered_than_the_limit(world):
    passwords = ["the right one" if number == MANY - 1 else "a wrong one" for number in range(MANY)]
    answers = concurrently(lambda number: log_in(world, password=passwords[number]))
    assert sum(isinstance(one, Refused) for one in answers) <= 2 * LIMIT  # the right one forgets those before it
    refused = isinstance(answers[-1], LockedOut)
    assert len(world.sessions.of_user(world.alice.id)) == (0 if refused else 1)


def test_a_login_that_waits_for_a_second_factor_opens_no_session(world):
    found = world.login.log_in("alice", "the right one", "10.0.0.1", "", agent="", waits=lambda _: True)
    assert found == LoggedIn(world.users.find("alice"))
    assert world.sessions.of_user(world.alice.id) == []


def test_a_session_of_a_login_is_as_others_are(world):
    found = log_in(world, "ALICE")
    assert isinstance(found, LoggedIn)
    session, _ = found.opened
    assert world.sessions.find_with_user(session.sha256) == (session, found.user)
    assert (session.user_id, session.agent) == (world.alice.id, "a browser")


COSTS = {
    "a right login": (lambda w: log_in(w), LoggedIn, 3),
    "a right login after wrong guesses": (lambda w: [log_in(w, password="no"), log_in(w)][1], LoggedIn, 6),
    "another spelling": (lambda w: log_in(w, " ALICE "), LoggedIn, 3),
    "a wrong guess": (lambda w: log_in(w, password="a wrong one"), Refused, 3),
    "an unknown name": (lambda w: log_in(w, "nobody"), Refused, 3),
    "a device": (lambda w: log_in(w, device=w.device), LoggedIn, 3),
    "a wrong guess of a device": (lambda w: log_in(w, password="no", device=w.device), Refused, 3),
    "a right password without a session": (lambda w: w.login.check("alice", "the right one", "::1"), User, 3),
    "a locked name": (lambda w: [log_in(w, password="no") for _ in range(LIMIT + 1)][-1], LockedOut, 3 * LIMIT + 1),
}


@pytest.mark.parametrize("kind", COSTS)
def test_a_password_login_takes_three_round_trips(in_moto, kind):
    stores, calls = in_new_table(in_moto), []
    made = World(stores=stores)
    made.accounts.set_password("alice", "the right one")
    throttle = LoginThrottle(made.attempts, made.clock, LockPolicy(LIMIT, timedelta(minutes=10)))
    authenticator = PasswordAuthenticator(made.passwords, PlainHasher())
    made.login = PasswordLogin(authenticator, throttle, stores.password_logins, made.logins, lambda: b"k" * 32)
    made.device = made.login.device_cookie(made.alice, "")
    log_in(made, "first")  # which finds that all users have their skeletons
    act, outcome, trips = COSTS[kind]

    def note(model, **_):
        calls.append(model.name)

    in_moto.client.meta.events.register("before-call.dynamodb", note)
    answer = act(made)
    in_moto.client.meta.events.unregister("before-call.dynamodb", note)
    assert isinstance(answer, outcome)
    assert len(calls) == trips, calls
    stores.close()
