"""Servers join and leave ledgers in the writes that start and end them: no crowd exceeds a claim."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import settings as limits
from hypothesis import strategies as st

from hubless.domain.budgets import Budget, Claim, Ledger, claim
from hubless.domain.errors import LedgerFullError, StoreConflictError
from hubless.domain.lifecycle import State
from hubless.domain.metering import Metering
from hubless.domain.usage import Totals
from tests.support.builders import NOW, a_server, a_user
from tests.support.concurrency import MANY, concurrently

EMPTY = Ledger("group#physics", "2026-11")
SIZE = Metering(2000, 4096, 0, 500_000, "$", ("physics",))
NOTICE = timedelta(minutes=10)


@pytest.fixture
def stopped(stores):
    """A stopped server for each of eight users."""
    stores.users.create([a_user(f"user{n}") for n in range(MANY)])
    servers = [a_server("", f"user{n}", id=f"s{n}") for n in range(MANY)]
    for server in servers:
        stores.servers.create(server)
    stores.ledgers.create(EMPTY)
    return servers


def asked(server, at=NOW):
    return replace(
        server,
        state=State.REQUESTED,
        launch_id=f"l-{server.id}",
        entered_at=at,
        requested_at=at,
        metering=SIZE,
        ledgers=(EMPTY.key,),
        revision=server.revision + 1,
    )


def ended(server):
    return replace(server, state=State.STOPPED, ledgers=(), revision=server.revision + 1)


def ledger(stores):
    return stores.ledgers.get_many([EMPTY.key, "hub#"])[EMPTY.key]


@pytest.mark.parametrize(
    "limit", [{"servers": 3}, {"cpu_millis": 6000}, {"price_micros": 1_500_000}], ids=lambda limit: next(iter(limit))
)
def test_of_eight_starts_at_once_as_many_as_fit_succeed(stores, stopped, limit):
    wanted = [Claim(EMPTY.key, "2026-11", **limit)]
    outcomes = concurrently(lambda n: stores.servers.write(stopped[n], asked(stopped[n]), claims=wanted))
    assert outcomes.count(None) == 3
    assert sum(isinstance(one, LedgerFullError) for one in outcomes) == MANY - 3
    found = ledger(stores)
    assert (found.servers, found.cpu_millis, found.price_micros) == (3, 6000, 1_500_000)
    states = [server.state for server in stores.servers.get_many(f"s{n}" for n in range(MANY)).values()]
    assert states.count(State.REQUESTED) == 3


def test_a_server_leaves_with_what_it_used(stores, stopped):
    started = asked(stopped[0])
    stores.servers.write(stopped[0], started)
    assert stores.servers.get("s0").ledgers == (EMPTY.key,)
    assert ledger(stores).used(NOW + timedelta(hours=1), in_month=True) == (3600, 3600 * 500_000)
    stores.servers.write(started, ended(started), used=Totals(1, 3000))
    found = ledger(stores)
    assert found.used(NOW + timedelta(days=9), in_month=False) == (3000, 3000 * 500_000)
    assert replace(found, seconds=0, cost=0, changes=0) == EMPTY
    with pytest.raises(StoreConflictError):
        stores.servers.write(started, ended(started), used=Totals(1, 3000))
    assert ledger(stores) == found


def test_a_removed_active_server_leaves_its_ledgers(stores, stopped):
    stores.servers.write(stopped[0], asked(stopped[0]))
    stores.servers.delete(asked(stopped[0]))
    assert (ledger(stores).servers, ledger(stores).began) == (0, 0)


def test_a_claim_of_another_month_is_refused(stores, stopped):
    with pytest.raises(LedgerFullError):
        stores.servers.write(stopped[0], asked(stopped[0]), claims=[Claim(EMPTY.key, "2026-12")])
    assert stores.servers.get("s0").state is State.STOPPED
    assert ledger(stores) == EMPTY


def test_a_ledger_that_does_not_exist_is_not_joined(stores, stopped):
    with pytest.raises(LedgerFullError):
        stores.servers.write(stopped[0], replace(asked(stopped[0]), ledgers=("hub#",)))
    assert stores.servers.get("s0").state is State.STOPPED


def test_a_ledger_is_replaced_only_as_it_was_read(stores, stopped):
    before = ledger(stores)
    stores.servers.write(stopped[0], asked(stopped[0]))
    with pytest.raises(StoreConflictError):
        stores.ledgers.replace(before, replace(before, told={"b": 1}, changes=1))
    read = ledger(stores)
    after = replace(
        read,
        told={"b": 1, "#nearly#month#36000#None#b": 2},
        month="2026-12",
        seconds_before=7,
        changes=read.changes + 1,
    )
    stores.ledgers.replace(read, after)
    stores.ledgers.create(EMPTY)
    assert ledger(stores) == after


def test_starts_and_ends_at_once_lose_nothing(stores, stopped):
    half = [asked(server) for server in stopped[: MANY // 2]]
    for before, after in zip(stopped, half, strict=False):
        stores.servers.write(before, after)

    def move(number):
        if number < len(half):
            return stores.servers.write(half[number], ended(half[number]), used=Totals(1, 60))
        return stores.servers.write(stopped[number], asked(stopped[number]))

    assert concurrently(move) == [None] * MANY
    found = ledger(stores)
    assert (found.servers, found.seconds, found.cost) == (MANY // 2, 60 * MANY // 2, 60 * MANY // 2 * 500_000)


@limits(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 4000)), max_size=30),
    st.integers(0, 20_000),
    st.integers(1, 5),
)
def test_no_order_of_starts_and_ends_exceeds_the_hours(steps, seconds, most):
    """Whatever starts and ends when, the hours last for the notice of all that run at each start."""
    budget, now, active, kept = Budget("b", seconds=seconds, servers=most), NOW, {}, EMPTY
    spent = 0
    for number, wait in steps:
        now += timedelta(seconds=wait)
        server = asked(a_server("", f"user{number}"), now)
        if number in active:
            ran = int((now - active[number].requested_at).total_seconds())
            kept, spent = kept.left(active.pop(number), Totals(1, ran)), spent + ran
        elif claim([budget], kept, now, NOTICE).admits(kept.joined(server)):
            kept, active[number] = kept.joined(server), server
            used, _cost = kept.used(now, in_month=True)
            assert used + len(active) * NOTICE.total_seconds() <= seconds
            assert len(active) <= most
        running = sum(int((now - one.requested_at).total_seconds()) for one in active.values())
        assert kept.used(now, in_month=False)[0] == spent + running


def test_budgets_come_back_by_name(stores):
    some = [Budget("zoë's", group="physics", servers=2), Budget("all", is_each=True, is_monthly=False, cost_micros=7)]
    for budget in (*some, replace(some[0], servers=9), some[0]):
        stores.budgets.put(budget)
    assert stores.budgets.all() == [some[1], some[0]]
    assert [stores.budgets.remove("all"), stores.budgets.remove("all")] == [True, False]
    assert stores.budgets.all() == [some[0]]
