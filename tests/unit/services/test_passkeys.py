from dataclasses import replace
from datetime import timedelta

import pytest

from hubless.adapters.one_time_codes import PyotpCodes
from hubless.adapters.passkeys import WebauthnCeremonies
from hubless.adapters.sealing import FernetSealer
from hubless.domain.errors import InvalidRequestError, NotFoundError
from hubless.domain.external_identities import ExternalId, LinkedIdentity
from hubless.domain.passkey_challenges import LIFETIME
from hubless.domain.second_factors import RECOVERY_CODES, Factors
from hubless.ports.second_factors import RelyingParty
from hubless.services.passkeys import Passkeys
from hubless.services.second_factors import SecondFactors
from tests.support import sqlite
from tests.support.authenticator import Authenticator, encoded
from tests.support.builders import NOW, a_user
from tests.support.fakes import StoppedClock
from tests.support.sqlite import InMemory

PARTY = RelyingParty("hub.example", "https://hub.example", "Our hub")


class Hub:
    def __init__(self, **settings):
        stores, self.clock = sqlite.stores_of(InMemory()), StoppedClock(NOW)
        self.stores, self.phone = stores, Authenticator(PARTY.origin)
        sealer = FernetSealer(lambda: [b"k" * 32], "second factors")
        self.factors = SecondFactors(stores.factors, PyotpCodes(), sealer, self.clock, "Our hub", **settings)
        self.passkeys = Passkeys(
            WebauthnCeremonies(), self.factors, stores.single_use, stores.users, stores.passwords,
            stores.external_identities, self.clock, lambda: b"k" * 32,
        )  # fmt: skip
        stores.users.create([a_user(), a_user("bob")])

    def user(self, name="alice"):
        return self.stores.users.find(name)

    def options(self, name="alice", binding="browser"):
        user = self.user(name)
        return self.passkeys.creation_options(PARTY, user, self.factors.of(user), binding)

    def add(self, name="alice", called="Phone", phone=None):
        answer = (phone or self.phone).create(self.options(name))
        return self.passkeys.add(PARTY, self.user(name), "browser", answer, called)

    def answer(self, **wrong):
        return self.phone.get(self.passkeys.login_options(PARTY, "browser"), **wrong)

    def log_in(self, answer, binding="browser", party=PARTY):
        return self.passkeys.log_in(party, binding, answer)

    def confirm(self, name="alice", **wrong):
        user = self.user(name)
        options = self.passkeys.confirm_options(PARTY, self.factors.of(user), "browser")
        return self.passkeys.confirm(PARTY, user, "browser", self.phone.get(options, **wrong))

    def ids(self, name="alice"):
        return [one.id for one in self.factors.of(self.user(name)).passkeys]


@pytest.fixture
def hub():
    made = Hub()
    yield made
    made.stores.close()


def test_a_passkey_logs_its_user_in_and_is_noted_as_used(hub):
    assert len(hub.add()) == RECOVERY_CODES
    hub.add("bob")
    hub.clock.advance(timedelta(minutes=5))

    assert hub.log_in(hub.answer()).name == "bob"
    assert hub.log_in(hub.answer(credential_id=hub.ids()[0])).name == "alice"
    (used,) = hub.factors.of(hub.user()).passkeys
    assert (used.sign_count, used.last_used_at, used.name) == (1, hub.clock.now(), "Phone")


def test_an_answer_works_once(hub):
    hub.add()
    answer = hub.answer()
    hub.log_in(answer)

    with pytest.raises(InvalidRequestError):
        hub.log_in(answer)


def test_an_answer_works_once_with_a_count_that_stays_zero_too(hub):
    hub.phone = Authenticator(PARTY.origin, counts=False)
    hub.add()
    answer = hub.answer()
    hub.log_in(answer)

    with pytest.raises(InvalidRequestError, match="too old"):
        hub.log_in(answer)


def test_an_answer_is_of_one_browser_and_ends(hub):
    hub.add()
    answer = hub.answer()

    with pytest.raises(InvalidRequestError, match="another login"):
        hub.log_in(answer, binding="another browser")
    hub.clock.advance(LIFETIME)
    with pytest.raises(InvalidRequestError, match="too old"):
        hub.log_in(answer)


def test_an_answer_of_another_purpose_is_refused(hub):
    hub.add()
    options = hub.passkeys.confirm_options(PARTY, hub.factors.of(hub.user()), "browser")

    with pytest.raises(InvalidRequestError):
        hub.log_in(hub.phone.get(options))


@pytest.mark.parametrize("handle", [None, "", encoded(b"u-bob"), encoded(b"u-nobody"), encoded(b"u" * 65), "_w"])
def test_a_login_needs_the_handle_of_the_passkeys_own_user(hub, handle):
    hub.add()

    with pytest.raises(InvalidRequestError):
        hub.log_in(hub.answer(user_handle=handle))


def test_a_copy_that_counted_no_further_is_refused(hub):
    hub.add()
    hub.log_in(hub.answer(count=5))

    with pytest.raises(InvalidRequestError):
        hub.log_in(hub.answer(count=5))
    assert hub.log_in(hub.answer(count=6)).name == "alice"


def test_a_passkey_that_was_removed_opens_nothing(hub):
    hub.stores.passwords.set("u-alice", "hash")
    hub.add()
    answer = hub.answer()
    hub.passkeys.remove(hub.user(), hub.ids()[0])

    with pytest.raises(InvalidRequestError, match="does not know"):
        hub.log_in(answer)


def test_a_user_who_was_removed_cannot_log_in_or_add_a_passkey(hub):
    hub.add()
    answer, alice, created = hub.answer(), hub.user(), hub.phone.create(hub.options())
    hub.stores.users.delete(alice.id)

    with pytest.raises(InvalidRequestError, match="does not know"):
        hub.log_in(answer)
    with pytest.raises(NotFoundError):
        hub.passkeys.add(PARTY, alice, "browser", created, "Phone")


def test_a_passkey_works_only_where_it_was_made(hub):
    hub.add()
    elsewhere = RelyingParty("other.example", "https://hub.example", "Our hub")

    with pytest.raises(InvalidRequestError, match=r"hub\.example"):
        hub.log_in(hub.answer(), party=elsewhere)


def test_a_passkey_confirms_for_its_own_user_alone(hub):
    hub.add()
    hub.add("bob")

    hub.confirm("bob")
    with pytest.raises(InvalidRequestError, match="another account"):
        hub.confirm("alice")
    with pytest.raises(InvalidRequestError, match="does not know"):
        hub.confirm("alice", user_handle=None)
    hub.confirm("alice", credential_id=hub.ids()[0], user_handle=None)


def test_of_two_logins_that_write_at_once_both_are_judged_anew(hub):
    hub.add()
    save, seen = hub.stores.factors.save, []

    class Overtaken:
        get = hub.stores.factors.get

        @staticmethod
        def save(before, after):
            if not seen:
                seen.append(before)
                save(before, before.with_passkey_used(before.passkeys[0], 9, NOW))  # a copy was faster
            save(before, after)

    hub.passkeys = replace(hub.passkeys, factors=replace(hub.factors, store=Overtaken()))
    with pytest.raises(InvalidRequestError):
        hub.log_in(hub.answer(count=7))
    assert hub.factors.of(hub.user()).passkeys[0].sign_count == 9


def test_the_same_passkey_is_added_once(hub):
    options = hub.options()
    answer = hub.phone.create(options)
    hub.passkeys.add(PARTY, hub.user(), "browser", answer, "Phone")

    with pytest.raises(InvalidRequestError, match="too old"):
        hub.passkeys.add(PARTY, hub.user(), "browser", answer, "Phone")
    assert hub.ids()[0] in hub.options()  # the authenticator is told that it has one


def test_a_second_passkey_brings_no_new_recovery_codes(hub):
    assert hub.add()
    assert hub.add() == ()


def test_the_last_way_in_stays(hub):
    hub.add()
    with pytest.raises(InvalidRequestError, match="alone"):
        hub.passkeys.remove(hub.user(), hub.ids()[0])

    hub.add()
    hub.passkeys.remove(hub.user(), hub.ids()[0])
    hub.stores.external_identities.link(LinkedIdentity(ExternalId("i", "s"), "u-alice", "p", "l", NOW))
    hub.passkeys.remove(hub.user(), hub.ids()[0])

    assert hub.ids() == []


def test_a_passkey_stays_when_another_tab_ends_the_other_way_in(hub):
    class Unlinked:
        def __init__(self):
            self.answers = [[LinkedIdentity(ExternalId("i", "s"), "u-alice", "p", "l", NOW)], []]

        def of_user(self, user_id):
            return self.answers.pop(0)

    hub.add()
    codes = hub.factors.of(hub.user()).recovery_codes
    hub.passkeys = replace(hub.passkeys, identities=Unlinked())

    with pytest.raises(InvalidRequestError, match="alone"):
        hub.passkeys.remove(hub.user(), hub.ids()[0])

    assert len(hub.ids()) == 1
    assert hub.factors.of(hub.user()).recovery_codes == codes


def test_where_a_plug_in_keeps_passwords_no_passkey_is_the_last_way_in(hub):
    hub.add()
    hub.passkeys = replace(hub.passkeys, passwords_are_elsewhere=True)

    hub.passkeys.remove(hub.user(), hub.ids()[0])

    assert hub.ids() == []


def test_the_last_factor_stays_where_settings_demand_one():
    hub = Hub(demand="required")
    hub.stores.passwords.set("u-alice", "hash")
    hub.add()

    with pytest.raises(InvalidRequestError, match="demands"):
        hub.passkeys.remove(hub.user(), hub.ids()[0])
    hub.stores.close()


def test_a_passkey_gets_another_name(hub):
    hub.add()

    hub.passkeys.rename(hub.user(), hub.ids()[0], " Key ")

    assert hub.factors.of(hub.user()).passkeys[0].name == "Key"
    with pytest.raises(InvalidRequestError):
        hub.passkeys.rename(hub.user(), hub.ids()[0], "")


def test_options_name_the_users_passkeys_of_this_address_alone(hub):
    hub.add()
    made = hub.factors.of(hub.user())
    other = replace(made.passkeys[0], id="b3RoZXI", rp_id="old.example")
    both = Factors("u-alice", passkeys=(*made.passkeys, other))

    options = hub.passkeys.confirm_options(PARTY, both, "browser")

    assert made.passkeys[0].id in options
    assert "b3RoZXI" not in options
