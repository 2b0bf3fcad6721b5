from dataclasses import replace
from datetime import timedelta

import pytest

from hubless.domain.errors import NotFoundError, StoreConflictError
from hubless.domain.second_factors import AuthenticatorApp, Factors, Passkey
from hubless.domain.users import FactorState
from tests.support.builders import NOW
from tests.support.concurrency import MANY, concurrently

APP = AuthenticatorApp(b"sealed \x00", NOW, last_step=7)
PASSKEY = Passkey("aWQ", b"\x01key", 3, "hub.example", "Laptop", NOW, NOW + timedelta(microseconds=1))


def whole(user_id):
    return Factors(
        user_id, 1, APP, (PASSKEY, replace(PASSKEY, id="b3RoZXI", last_used_at=None)), ("one", "two"), 2, NOW
    )


def test_nobody_has_factors_at_first(stores, alice):
    assert stores.factors.get(alice.id) == Factors(alice.id)
    assert stores.users.get(alice.id).factors is FactorState.NONE
    assert stores.factors.get("u-nobody") == Factors("u-nobody")


def test_a_record_is_read_as_it_was_written(stores, alice, bob):
    stores.factors.save(Factors(alice.id), whole(alice.id))

    assert stores.factors.get(alice.id) == whole(alice.id)
    assert stores.factors.get(bob.id) == Factors(bob.id)


def test_every_reader_of_a_user_knows_the_state(stores, alice, bob, session):
    stores.factors.save(Factors(alice.id), one := Factors(alice.id).with_app(APP, ("one",)))
    assert stores.users.find("alice").factors is FactorState.SET_UP
    assert stores.users.get_many([alice.id, bob.id])[bob.id].factors is FactorState.NONE
    assert stores.sessions.find_with_user(session.sha256)[1].factors is FactorState.SET_UP

    stores.factors.save(one, two := one.reset("root", NOW))
    assert stores.users.get(alice.id).factors is FactorState.RESET
    assert stores.factors.get(alice.id).reset_by == "root"

    stores.factors.save(two, two.told())
    assert stores.users.get(alice.id).factors is FactorState.NONE


def test_a_change_of_the_user_leaves_the_state(stores, alice):
    stores.factors.save(Factors(alice.id), whole(alice.id))

    stores.users.change(alice, replace(alice, name="alicia", revision=1))

    assert stores.users.find("alicia").factors is FactorState.SET_UP


def test_a_record_that_another_request_changed_is_not_written(stores, alice):
    first, other = Factors(alice.id).with_app(APP, ()), Factors(alice.id).reset("root", NOW)
    stores.factors.save(Factors(alice.id), first)

    with pytest.raises(StoreConflictError):
        stores.factors.save(Factors(alice.id), other)
    with pytest.raises(StoreConflictError):
        stores.factors.save(other.told(), other.told().told())

    assert stores.factors.get(alice.id) == first
    assert stores.users.get(alice.id).factors is FactorState.SET_UP


def test_of_many_writes_at_once_one_succeeds(stores, alice):
    stores.factors.save(Factors(alice.id), before := Factors(alice.id).with_app(APP, ()))

    def use(each):
        try:
            stores.factors.save(before, before.with_step_used(100 + each))
        except StoreConflictError:
            return False
        return True

    outcomes = concurrently(use)
    assert outcomes.count(True) == 1
    assert stores.factors.get(alice.id).app.last_step == 100 + outcomes.index(True)
    assert len(outcomes) == MANY


def test_nobody_who_is_gone_gets_factors(stores, alice, bob):
    stores.factors.save(Factors(alice.id), one := whole(alice.id))
    stores.users.delete(alice.id)

    with pytest.raises(NotFoundError):
        stores.factors.save(one, one.with_failure(NOW))
    with pytest.raises(NotFoundError):
        stores.factors.save(Factors("u-nobody"), whole("u-nobody"))

    assert stores.factors.get(alice.id) == Factors(alice.id)
    stores.factors.save(Factors(bob.id), whole(bob.id))
