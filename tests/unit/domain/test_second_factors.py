from dataclasses import replace
from datetime import timedelta

import pytest

from hubless.domain import factor_records, second_factors
from hubless.domain.errors import InvalidRequestError
from hubless.domain.second_factors import (
    FREE_GUESSES,
    MAX_PASSKEYS,
    AuthenticatorApp,
    Factors,
    Passkey,
    TypedCode,
    as_written,
    read_code,
    recovery_hash,
    step_at,
)
from hubless.domain.users import FactorState
from tests.support.builders import NOW

MINUTE = timedelta(minutes=1)
STEP = step_at(NOW)


def an_app(last_step=0):
    return AuthenticatorApp(b"sealed", NOW, last_step)


def a_passkey(number=1, **facts):
    return Passkey(**{"id": f"id-{number}", "public_key": b"", "sign_count": 0, "rp_id": "hub", "name": "Phone",
                      "added_at": NOW} | facts)  # fmt: skip


def with_app(last_step=0):
    return Factors("u", 1, an_app(last_step), recovery_codes=("one", "two"))


def failed(times, at=NOW):
    factors = with_app()
    for _ in range(times):
        factors = factors.with_failure(at)
    return factors


@pytest.mark.parametrize(
    ("typed", "kind", "code"),
    [
        ("123456", TypedCode.APP, "123456"),
        (" 123 456\t", TypedCode.APP, "123456"),
        ("12345", TypedCode.NEITHER, ""),
        ("\uff11\uff12\uff13\uff14\uff15\uff16", TypedCode.NEITHER, ""),
        ("", TypedCode.NEITHER, ""),
        ("abcd-efgh-jkmn-pqrs", TypedCode.RECOVERY, "abcdefghjkmnpqrs"),
        ("ABCD EFGH JKMN PQRS", TypedCode.RECOVERY, "abcdefghjkmnpqrs"),
        ("OIL0-1111-2222-3333", TypedCode.RECOVERY, "0110111122223333"),
        ("abcd-efgh-jkmn-pqru", TypedCode.NEITHER, ""),
        ("1234567890123456", TypedCode.RECOVERY, "1234567890123456"),
        (" " * 65, TypedCode.NEITHER, ""),
    ],
)
def test_what_was_typed_is_read(typed, kind, code):
    assert read_code(typed) == (kind, code)


def test_a_recovery_code_is_read_as_it_is_written():
    assert as_written("abcdefghjkmnpqrs") == "abcd-efgh-jkmn-pqrs"
    assert read_code(as_written("abcdefghjkmnpqrs"))[1] == "abcdefghjkmnpqrs"


def test_the_same_code_of_two_users_is_stored_differently():
    assert recovery_hash("u-a", "x") != recovery_hash("u-b", "x")


def test_a_step_is_taken_once_and_no_earlier_one_after_it():
    used = with_app().with_step_used(STEP)

    assert with_app().takes_step(STEP, NOW)
    assert not used.takes_step(STEP, NOW)
    assert not used.takes_step(STEP - 1, NOW)
    assert used.takes_step(STEP + 1, NOW)


def test_a_clock_that_went_back_a_little_brings_no_code_back():
    used = with_app().with_step_used(STEP)

    assert not used.takes_step(STEP - 4, NOW - 2 * MINUTE)


def test_a_step_that_a_wrong_clock_used_locks_nobody_out():
    used = with_app().with_step_used(STEP + 1_000_000)

    assert used.takes_step(STEP, NOW)


def test_without_an_app_no_step_is_taken():
    assert not Factors("u").takes_step(STEP, NOW)


def test_every_fifth_wrong_code_locks_and_each_lock_is_longer():
    def lock_after(failures):
        until = failed(failures).locked_until(NOW)
        return None if until is None else (until - NOW) // MINUTE

    assert [lock_after(n) for n in range(FREE_GUESSES)] == [None] * FREE_GUESSES
    assert [lock_after(n) for n in (5, 6, 9, 10, 15, 20, 500)] == [10, None, None, 20, 40, 60, 60]


def test_a_lock_ends_by_itself():
    locked = failed(5)

    assert locked.locked_until(NOW + 10 * MINUTE - timedelta(seconds=1))
    assert locked.locked_until(NOW + 10 * MINUTE) is None


def test_a_failure_of_the_far_future_locks_nothing():
    assert failed(5, NOW + timedelta(days=365)).locked_until(NOW) is None
    assert failed(5, NOW + MINUTE).locked_until(NOW) is not None


def test_a_right_code_forgets_the_failures():
    assert failed(4).with_step_used(STEP).failures == 0
    assert failed(4).with_recovery_code_used("one").failures == 0


def test_a_recovery_code_is_used_once():
    assert with_app().with_recovery_code_used("one").recovery_codes == ("two",)


def test_each_change_raises_the_revision():
    one = Factors("u", 4, an_app(), (a_passkey(),), ("c",))
    changes = [
        one.with_failure(NOW), one.with_step_used(9), one.with_recovery_code_used("c"), one.without_app(),
        one.with_passkey_used(a_passkey(), 2, NOW), one.with_app(an_app(), ()), one.with_passkey(a_passkey(2), ()),
        one.without_passkey("id-1"), one.renamed_passkey("id-1", "x"), one.with_recovery_codes(()),
        one.reset("root", NOW), one.told(),
    ]  # fmt: skip

    assert {change.revision for change in changes} == {5}


def test_the_first_factor_brings_recovery_codes_and_the_second_keeps_them():
    first = Factors("u").with_app(an_app(), ("a", "b"))
    second = first.with_passkey(a_passkey(), ("c",))

    assert first.recovery_codes == second.recovery_codes == ("a", "b")
    assert first.state is second.state is FactorState.SET_UP


def test_recovery_codes_end_with_the_last_factor():
    both = with_app().with_passkey(a_passkey(), ())

    assert both.without_app().recovery_codes == ("one", "two")
    assert both.without_app().without_passkey("id-1").recovery_codes == ()
    assert both.without_passkey("id-1").recovery_codes == ("one", "two")
    assert with_app().without_app().state is FactorState.NONE


def test_a_reset_removes_everything_and_is_told_once():
    after = with_app().with_passkey(a_passkey(), ()).reset("root", NOW)

    assert (after.app, after.passkeys, after.recovery_codes) == (None, (), ())
    assert (after.state, after.reset_by, after.reset_at) == (FactorState.RESET, "root", NOW)
    assert after.told().state is FactorState.NONE
    assert after.with_app(an_app(), ()).reset_at is None


def test_a_passkey_is_added_once_and_only_so_many():
    many = Factors("u", passkeys=tuple(map(a_passkey, range(MAX_PASSKEYS - 1))))

    with pytest.raises(InvalidRequestError, match="already"):
        many.with_passkey(a_passkey(3), ())
    full = many.with_passkey(a_passkey(99), ())
    with pytest.raises(InvalidRequestError, match="Remove one"):
        full.with_passkey(a_passkey(100), ())


def test_the_use_of_a_passkey_is_written_to_this_one():
    before = Factors("u", passkeys=(a_passkey(1), a_passkey(2)))

    after = before.with_passkey_used(a_passkey(2), 8, NOW)

    assert after.passkeys == (a_passkey(1), a_passkey(2, sign_count=8, last_used_at=NOW))
    assert after.renamed_passkey("id-1", "Key").passkeys[0].name == "Key"


@pytest.mark.parametrize("name", ["", "  ", "x" * 65, "a\nb", "a\u202eb"])
def test_a_name_that_no_list_can_show_is_refused(name):
    with pytest.raises(InvalidRequestError, match="name"):
        second_factors.check_passkey_name(name)


def test_a_name_loses_blanks_around_it():
    assert second_factors.check_passkey_name(" My phone ") == "My phone"


def test_a_record_survives_being_stored():
    whole = replace(
        with_app().with_passkey(a_passkey(last_used_at=NOW), ()).with_failure(NOW), reset_at=NOW, reset_by="r"
    )

    assert factor_records.of_facts("u", whole.revision, factor_records.to_facts(whole)) == whole
    assert factor_records.of_facts("u", 0, factor_records.to_facts(Factors("u"))) == Factors("u")
