from dataclasses import replace
from datetime import timedelta

import pytest
from pyotp import TOTP

from hubless.adapters.one_time_codes import PyotpCodes
from hubless.adapters.sealing import FernetSealer
from hubless.domain.errors import InvalidRequestError, NotFoundError, StoreConflictError
from hubless.domain.second_factors import FREE_GUESSES, RECOVERY_CODES, AuthenticatorApp, Factors
from hubless.domain.users import FactorState
from hubless.services.second_factors import Accepted, CodesLocked, SecondFactors, WrongCode
from tests.support import sqlite
from tests.support.builders import NOW, a_user
from tests.support.fakes import StoppedClock
from tests.support.sqlite import InMemory

STEP = timedelta(seconds=30)


class Hub:
    def __init__(self, **settings):
        self.stores, self.clock = sqlite.stores_of(InMemory()), StoppedClock(NOW)
        self.keys = [b"k" * 32]
        self.factors = SecondFactors(
            self.stores.factors, PyotpCodes(), FernetSealer(lambda: self.keys, "second factors"), self.clock, "Our hub",
            **settings,
        )  # fmt: skip
        self.stores.users.create([a_user(), a_user("root", admin=True)])

    def alice(self):
        return self.stores.users.find("alice")

    def add_app(self):
        offer = self.factors.offer_app(self.alice())
        self.app = TOTP(offer.secret)
        return self.factors.add_app(self.alice(), offer.offer, self.code())

    def code(self):
        return self.app.at(self.clock.now())

    def next_code(self):
        self.clock.advance(STEP)
        return self.code()

    def wrong_code(self):
        return f"{(int(self.code()) + 500_000) % 1_000_000:06}"

    def check(self, typed):
        return self.factors.check_code(self.alice(), typed)


@pytest.fixture
def hub():
    made = Hub()
    yield made
    made.stores.close()


@pytest.fixture
def strict():
    hubs = []

    def make(**settings):
        hubs.append(Hub(**settings))
        return hubs[-1]

    yield make
    for one in hubs:
        one.stores.close()


def test_an_app_counts_once_its_code_has_confirmed_it(hub):
    offer = hub.factors.offer_app(hub.alice())
    assert hub.alice().factors is FactorState.NONE

    recovery = hub.factors.add_app(hub.alice(), offer.offer, TOTP(offer.secret).at(NOW))

    assert hub.alice().factors is FactorState.SET_UP
    assert len(set(recovery)) == RECOVERY_CODES


def test_the_secret_is_nowhere_in_the_store_and_recovery_codes_neither(hub):
    recovery = hub.add_app()

    stored = str(hub.stores.database.read("SELECT facts FROM second_factors"))
    assert hub.app.secret not in stored
    assert not any(code in stored or code.replace("-", "") in stored for code in recovery)


def test_the_code_that_confirmed_the_app_opens_nothing(hub):
    hub.add_app()

    assert hub.check(hub.code()) == WrongCode("This code was used already. Wait until the app shows the next one.")
    assert hub.check(hub.next_code()) == Accepted()


def test_a_code_is_accepted_once(hub):
    hub.add_app()
    code = hub.next_code()

    assert hub.check(f" {code[:3]} {code[3:]} ") == Accepted()
    assert isinstance(hub.check(code), WrongCode)


def test_an_older_code_is_refused_after_a_newer_one(hub):
    hub.add_app()
    older = hub.next_code()
    assert hub.check(hub.next_code()) == Accepted()

    assert isinstance(hub.check(older), WrongCode)


def test_of_two_logins_with_one_code_at_once_one_succeeds(hub):
    hub.add_app()
    code = hub.next_code()
    save, answers = hub.stores.factors.save, []

    class Overtaken:
        get = hub.stores.factors.get

        @staticmethod
        def save(before, after):
            hub.factors = replace(hub.factors, store=hub.stores.factors)
            answers.append(hub.check(code))
            save(before, after)

    hub.factors = replace(hub.factors, store=Overtaken())
    slower = replace(hub.factors)
    answers.append(slower.check_code(hub.alice(), code))

    assert [type(answer) for answer in answers].count(Accepted) == 1


def test_guesses_lock_and_the_right_code_is_refused_then(hub):
    hub.add_app()
    hub.clock.advance(STEP)
    answers = [hub.check(hub.wrong_code()) for _ in range(FREE_GUESSES)]

    assert {type(answer) for answer in answers} == {WrongCode}
    assert hub.check(hub.code()) == CodesLocked(10)
    hub.clock.advance(timedelta(minutes=10))
    assert hub.check(hub.code()) == Accepted()


def test_parallel_guesses_are_counted_one_by_one(hub):
    hub.add_app()
    hub.clock.advance(STEP)
    hub.check(hub.wrong_code())
    conflicts = [StoreConflictError("faster"), StoreConflictError("faster")]
    save = hub.stores.factors.save

    class Contended:
        get = hub.stores.factors.get

        @staticmethod
        def save(before, after):
            if conflicts:
                save(before, before.with_failure(NOW))  # another guess is faster
                raise conflicts.pop()
            save(before, after)

    hub.factors = replace(hub.factors, store=Contended())
    hub.check(hub.wrong_code())

    assert hub.stores.factors.get("u-alice").failures == 4


def test_what_is_no_code_is_no_guess(hub):
    hub.add_app()

    for typed in ("", "12345", "hello", "x" * 100):
        assert isinstance(hub.check(typed), WrongCode)
    assert hub.stores.factors.get("u-alice").failures == 0


def test_a_recovery_code_works_once_and_says_how_many_are_left(hub):
    first, second, *_ = hub.add_app()

    assert hub.check(first.upper().replace("-", " ")) == Accepted(RECOVERY_CODES - 1)
    assert isinstance(hub.check(first), WrongCode)
    assert hub.check(second) == Accepted(RECOVERY_CODES - 2)


def test_new_recovery_codes_end_the_old_ones(hub):
    old, *_ = hub.add_app()

    new, *_ = hub.factors.renew_recovery_codes(hub.alice())

    assert isinstance(hub.check(old), WrongCode)
    assert hub.check(new) == Accepted(RECOVERY_CODES - 1)


def test_without_a_factor_there_are_no_recovery_codes(hub):
    with pytest.raises(InvalidRequestError, match="first"):
        hub.factors.renew_recovery_codes(hub.alice())


def test_an_app_in_place_of_another_keeps_the_recovery_codes(hub):
    old, *_ = hub.add_app()
    before = hub.app

    assert hub.add_app() == ()

    hub.clock.advance(STEP)
    assert isinstance(hub.check(before.at(hub.clock.now())), WrongCode)
    assert hub.check(hub.code()) == Accepted()
    assert hub.check(old) == Accepted(RECOVERY_CODES - 1)


def test_an_offer_is_of_one_user_and_ends(hub):
    offer = hub.factors.offer_app(hub.alice())
    root = hub.stores.users.find("root")
    code = TOTP(offer.secret).at(NOW)

    with pytest.raises(InvalidRequestError, match="too old"):
        hub.factors.add_app(root, offer.offer, code)
    for wrong in ("", "x", "é", "A" * 2000, offer.offer[:-8]):
        with pytest.raises(InvalidRequestError, match="too old"):
            hub.factors.add_app(hub.alice(), wrong, code)
    with pytest.raises(InvalidRequestError, match="not right"):
        hub.factors.add_app(hub.alice(), offer.offer, "000000" if code != "000000" else "111111")
    assert hub.factors.same_offer(hub.alice(), offer.offer) == offer
    hub.clock.advance(timedelta(hours=1))
    assert hub.factors.same_offer(hub.alice(), offer.offer) is None


def test_a_secret_that_was_moved_to_another_user_opens_nothing(hub):
    hub.add_app()
    root = hub.stores.users.find("root")
    app = hub.stores.factors.get("u-alice").app
    hub.stores.factors.save(Factors(root.id), Factors(root.id).with_app(app, ()))

    assert isinstance(hub.factors.check_code(root, hub.next_code()), WrongCode)


def test_after_new_keys_of_the_hub_recovery_codes_still_work(hub):
    recovery, *_ = hub.add_app()
    hub.keys[:] = [b"n" * 32]
    hub.factors = replace(hub.factors, sealer=FernetSealer(lambda: hub.keys, "second factors"))

    answer = hub.check(hub.next_code())
    assert isinstance(answer, WrongCode)
    assert "keys were replaced" in answer.why
    assert hub.check(recovery) == Accepted(RECOVERY_CODES - 1)


def test_an_imported_secret_may_be_short(hub):
    short = "GEZDGNBVGY3TQOJQ"  # 80 bits
    sealed = hub.factors.sealer.seal(f"u-alice:{short}".encode())
    imported = AuthenticatorApp(sealed, NOW, 0, is_imported=True)
    hub.stores.factors.save(Factors("u-alice"), Factors("u-alice").with_app(imported, ()))

    class Short(TOTP):
        min_secret_length_bits = 80

    assert hub.check(Short(short).at(NOW)) == Accepted()


def test_a_user_who_was_removed_meanwhile_is_not_found(hub):
    hub.add_app()
    alice, code = hub.alice(), hub.next_code()
    hub.stores.users.delete(alice.id)

    with pytest.raises(NotFoundError):
        hub.factors.check_code(alice, code)


@pytest.mark.parametrize(
    ("settings", "alice", "root"),
    [
        ({}, (False, False), (False, False)),
        ({"admins_need": True}, (False, False), (True, False)),
        ({"demand": "required"}, (True, False), (True, False)),
        ({"demand": "always"}, (True, True), (True, True)),
        ({"demand": "always", "are_offered": False}, (False, False), (False, False)),
    ],
)
def test_settings_say_who_must_have_a_factor(strict, settings, alice, root):
    hub = strict(**settings)

    def asked(name):
        user = hub.stores.users.find(name)
        return hub.factors.required_of(user), hub.factors.required_of(user, external=True)

    assert (asked("alice"), asked("root")) == (alice, root)


def test_who_has_a_factor_is_asked_for_it(hub):
    hub.add_app()

    assert hub.factors.required_of(hub.alice())
    assert not hub.factors.must_set_up(hub.alice())
    assert not hub.factors.required_of(hub.alice(), external=True)


def test_the_last_factor_stays_where_settings_demand_one(strict):
    hub = strict(demand="required")
    hub.add_app()

    with pytest.raises(InvalidRequestError, match="add another one"):
        hub.factors.remove_app(hub.alice())
    assert hub.alice().factors is FactorState.SET_UP


def test_an_app_is_removed_with_its_recovery_codes(hub):
    recovery, *_ = hub.add_app()

    hub.factors.remove_app(hub.alice())

    assert hub.alice().factors is FactorState.NONE
    assert isinstance(hub.check(recovery), WrongCode)


def test_a_reset_is_told_to_the_user_once(hub):
    assert not hub.factors.reset(hub.alice(), "root")
    hub.add_app()

    assert hub.factors.reset(hub.alice(), "root")
    assert hub.alice().factors is FactorState.RESET
    assert hub.factors.of(hub.alice()).reset_by == "root"
    hub.factors.note_told(hub.alice())
    assert hub.alice().factors is FactorState.NONE
    hub.factors.note_told(hub.alice())
