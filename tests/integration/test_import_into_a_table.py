"""An import into DynamoDB by many threads at once: crashes at requests, a table that throttles, and what is counted."""

import itertools
import json
import random
import threading
from collections import defaultdict
from dataclasses import replace
from types import SimpleNamespace

import pytest

from hubless.adapters.dynamodb import database, keys, pace
from hubless.domain.archive import ArchivedGroup, ArchivedServer, ArchivedShare, ArchivedToken, ArchivedUser
from hubless.domain.errors import HublessError, StoreUnavailableError
from hubless.domain.import_choices import Choices
from hubless.domain.tokens import OwnerKind, sha256
from tests.support.builders import NOW, an_imported_hash
from tests.support.dynamodb import Contents, in_new_table, moto
from tests.support.moving import BCRYPT_HASH, CHOICES, MovingHub, a_hub, records_of

USERS, DEATHS = 12, 7
READS = ("Get", "BatchGet", "Query")


class Crash(Exception):
    """The process is gone: no request is sent any more."""


def a_crowd():
    """Return an archive of many users, each with what a user has, beside what `a_hub` has."""
    names = [f"n{number:02}" for number in range(USERS)]
    small = a_hub()
    return replace(
        small,
        users=(*small.users, *(ArchivedUser(name, created_at=NOW, password_hash=BCRYPT_HASH) for name in names)),
        groups=(*small.groups, *(ArchivedGroup(f"g{part}", tuple(names[part::2])) for part in range(3))),
        servers=(
            *small.servers,
            *(ArchivedServer(name, created_at=NOW) for name in names),
            ArchivedServer(names[0], "second", created_at=NOW),
        ),
        tokens=(
            *small.tokens,
            *(
                ArchivedToken(
                    OwnerKind.USER, name, an_imported_hash(f"{number:04}{name}"), ("inherit",), NOW, f"{number}"
                )
                for number in range(3)
                for name in names
            ),
        ),
        shares=(
            *small.shares,
            *(ArchivedShare(name, "", ("access:servers",), NOW, group="g1") for name in names[:5]),
            *(ArchivedShare(name, "", ("access:servers",), NOW, user="ada") for name in names[:5]),
        ),
    )


def of_group_members(archive):
    return {group.name: sorted(group.users) for group in archive.groups}


def same(one, other):
    """Say whether two archives have the same records, where ids of imported tokens follow from their hash."""
    plain = [records_of(replace(each, groups=(), tokens=())) for each in (one, other)]
    for records in plain:
        records["users"] = [replace(user, id="") for user in records["users"]]
    hashes = [sorted((token.owner, token.hashed) for token in each.tokens) for each in (one, other)]
    return plain[0] == plain[1] and hashes[0] == hashes[1] and of_group_members(one) == of_group_members(other)


@pytest.fixture(scope="module")
def in_moto():
    with moto() as database:
        yield database


@pytest.fixture
def hub(in_moto):
    stores = in_new_table(in_moto)
    yield MovingHub(stores)
    stores.close()


class Requests:
    """Sees each request, and answers some in DynamoDB's place."""

    def __init__(self, database, answer):
        self._events, self._answer = database.client.meta.events, answer
        self.number, self._lock = 0, threading.Lock()

    def __enter__(self):
        self._events.register_first("before-call.dynamodb", self._see)
        return self

    def __exit__(self, *_):
        self._events.unregister("before-call.dynamodb", self._see)

    def _see(self, model, params, **_):
        with self._lock:
            self.number += 1
            number = self.number
        return self._answer(model.name, number, params)


def refusal(code, reasons=None):
    """Return an answer of DynamoDB that refuses."""
    answer = {"Error": {"Code": code, "Message": "no"}}
    return SimpleNamespace(status_code=400), answer | ({} if reasons is None else {"CancellationReasons": reasons})


def test_a_crowd_arrives_whole_and_a_second_time_changes_nothing(hub):
    hub.bring(a_crowd())
    assert same(hub.archive(), a_crowd())
    before = Contents().read()
    assert hub.bring(a_crowd()).steps == ()
    assert Contents().read() == before


def test_several_threads_write_at_once(hub):
    """Two transactions wait for each other."""
    together, met = threading.Barrier(2), threading.Event()

    def answer(name, _number, _params):
        if name == "TransactWriteItems" and not met.is_set():
            try:
                together.wait(20)
                met.set()
            except threading.BrokenBarrierError:
                pass

    plan = hub.plan(many_users(250))
    with Requests(hub.stores.database, answer):
        hub.moving.carry_out(plan, "old")
    assert met.is_set()
    assert hub.stores.users.count() == 250


def test_what_changes_one_record_is_written_by_one_thread(hub):
    """Threads that write the same item would make each other's transactions conflict, and try again and again."""
    names = [f"m{number:03}" for number in range(120)]
    owners, groups = names[:60], ("g1", "g2", "g3")
    crowd = replace(
        many_users(len(names)),
        groups=tuple(ArchivedGroup(group, tuple(names)) for group in groups),
        servers=tuple(ArchivedServer(owner, name, created_at=NOW) for owner in owners for name in ("", "a", "b")),
        shares=tuple(
            ArchivedShare(owner, "", ("access:servers",), NOW, group=group) for owner in owners for group in groups
        ),
    )
    plan = hub.plan(crowd)
    phase, threads = [""], defaultdict(set)

    def answer(name, _number, params):
        for step in json.loads(params["body"]).get("TransactItems", ()) if name == "TransactWriteItems" else ():
            for what in step.values():  # also what is only checked
                key = what.get("Key") or what["Item"]
                threads[phase[0], key["pk"]["S"], key["sk"]["S"]].add(threading.get_ident())

    with Requests(hub.stores.database, answer):
        hub.moving.carry_out(plan, "old", lambda what, *_: phase.append(what) or phase.pop(0))
    several = {place for place, some in threads.items() if len(some) > 1}
    assert len(threads) > 500
    # Exceptions, because those lanes meet seldom: the account of who joins several groups, and the counters of users,
    # of which each batch takes one at random.
    assert {
        (what, pk, sk)
        for what, pk, sk in several
        if not (what == "memberships" and pk.startswith("USER#")) and pk != keys.USERS
    } == set()


def many_users(number):
    return replace(a_hub(), users=tuple(ArchivedUser(f"m{n:03}") for n in range(number)), **NOTHING_ELSE)


OF_USERS = ("sign_ups", "groups", "services", "servers", "tokens", "shares", "share_codes")
NOTHING_ELSE = dict.fromkeys((*OF_USERS, "budgets", "schedules"), ())


def test_an_import_that_dies_at_any_request_is_completed_by_the_next(hub):
    """What is half there opens no account: who has a second factor gets it before the password."""
    plan = hub.plan(a_crowd())
    empty = Contents().keep()
    hub.moving.carry_out(plan, "old")  # once, because the first one in a table asks a little more
    Contents().bring_back(empty)
    with Requests(hub.stores.database, lambda *_: None) as whole:
        hub.moving.carry_out(plan, "old")
    for death in range(1, whole.number, whole.number // DEATHS):
        Contents().bring_back(empty)

        def answer(_name, number, _params, death=death):
            if number >= death:
                raise Crash

        with Requests(hub.stores.database, answer), pytest.raises(Crash):
            hub.moving.carry_out(plan, "old")
        half = {user.name: user for user in hub.archive().users}
        assert not any(user.password_hash for user in half.values() if user.name == "ada" and user.app is None)
        hub.bring(a_crowd())
        assert same(hub.archive(), a_crowd()), death


THROTTLED = [
    refusal("ProvisionedThroughputExceededException"),
    refusal("ThrottlingException"),
    refusal("TransactionCanceledException", [{"Code": "None"}, {"Code": "ThrottlingError"}]),
    refusal("TransactionCanceledException", [{"Code": "TransactionConflict"}, {"Code": "None"}]),
]


def test_a_table_that_throttles_makes_an_import_slower_and_no_less_whole(hub, monkeypatch):
    monkeypatch.setattr(database, "Pace", lambda: pace.Pace(sleep=lambda _seconds: None))
    chance = random.Random(7)

    def answer(name, _number, _params):
        refusals = THROTTLED if name == "TransactWriteItems" else THROTTLED[:2]
        return chance.choice(refusals) if chance.random() < 0.3 else None

    told = []
    plan = hub.plan(a_crowd())
    with Requests(hub.stores.database, answer):
        hub.moving.carry_out(plan, "old", lambda what, *_: told.append(what))
    assert hub.stores.import_marks.throttled > 10
    assert same(hub.archive(), a_crowd())
    assert any("more slowly, because the store is busy" in what for what in told)


def test_a_table_that_throttles_for_ever_ends_an_import_with_a_sentence(hub, monkeypatch):
    slept = []
    monkeypatch.setattr(database, "Pace", lambda: pace.Pace(sleep=slept.append))
    plan = hub.plan(a_hub())
    with (
        Requests(hub.stores.database, lambda *_: refusal("ThrottlingException")),
        pytest.raises(StoreUnavailableError, match="throttles"),
    ):
        hub.moving.carry_out(plan, "old")
    assert len(slept) >= pace.PATIENT_TRIES - 1
    assert sum(slept) < pace.PATIENT_TRIES * 6


def test_a_login_does_not_wait_as_an_import_does(hub):
    """Outside an import nothing is tried again: whoever waits for a page has DynamoDB's own tries."""
    hub.bring(a_hub())
    with Requests(hub.stores.database, lambda *_: refusal("ThrottlingException")) as seen:
        with pytest.raises(StoreUnavailableError):
            hub.stores.users.find("ada")
        assert seen.number == 1


def test_people_log_in_and_change_things_while_an_import_writes(hub):
    """An import takes nothing back: who has a password by then keeps it, and the import says what to do."""
    plan = hub.plan(a_crowd())
    changed = itertools.count()

    def answer(name, _number, _params):
        if name == "TransactWriteItems" and next(changed) == 30:
            user = hub.stores.users.find("n07")
            hub.stores.passwords.set(user.id, "set here")

    with Requests(hub.stores.database, answer):
        try:
            hub.moving.carry_out(plan, "old")
        except HublessError as refused:
            assert "Import again" in str(refused)  # noqa: PT017 it depends on who was first
    hub.bring(a_crowd())
    user = hub.stores.users.find("n07")
    assert hub.stores.passwords.get(user.id) == "set here"
    assert hub.bring(a_crowd(), CHOICES).steps == ()


def test_tokens_of_an_owner_are_few_requests(hub):
    names = [f"t{number:02}" for number in range(10)]
    users = tuple(ArchivedUser(name, created_at=NOW) for name in names)
    tokens = tuple(
        ArchivedToken(OwnerKind.USER, name, sha256(f"{name} {number}"), ("inherit",), NOW)
        for number in range(30)
        for name in names
    )
    plan = hub.plan(replace(a_hub(), **(NOTHING_ELSE | {"users": users, "tokens": tokens})), Choices())
    with Requests(hub.stores.database, lambda *_: None) as seen:
        hub.moving.carry_out(plan, "old")
    assert seen.number < 40
