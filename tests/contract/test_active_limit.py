"""The limit of active servers is in the condition of the write: no crowd, crash or wrong counter lets more in."""

import threading
from dataclasses import replace
from datetime import timedelta

import pytest

from hubless.adapters.dynamodb import active_servers, keys
from hubless.adapters.dynamodb.table import Counter
from hubless.domain.errors import QuotaExceededError, StoreConflictError
from hubless.domain.lifecycle import ACTIVE, State
from tests.support.builders import NOW, a_server, a_user
from tests.support.concurrency import MANY, concurrently
from tests.support.dynamodb import in_new_table
from tests.support.world import World

LATER = NOW + timedelta(minutes=5)


@pytest.fixture
def stopped(stores):
    """A stopped server for each of eight users."""
    return add_stopped(stores)


def add_stopped(stores, number=MANY):
    stores.users.create([a_user(f"user{n}") for n in range(number)])
    servers = [a_server("", f"user{n}", id=f"s{n}") for n in range(number)]
    for server in servers:
        stores.servers.create(server)
    return servers


def asked(server):
    return replace(
        server,
        state=State.REQUESTED,
        launch_id=f"l-{server.id}-{server.revision}",
        entered_at=LATER,
        revision=server.revision + 1,
    )


def start(stores, server, limit):
    stores.servers.write(server, asked(server), active_limit=limit)
    return asked(server)


def end(stores, server):
    stopping = replace(server, state=State.STOPPING, entered_at=LATER, revision=server.revision + 1)
    stores.servers.write(server, stopping)
    ended = replace(stopping, state=State.STOPPED, revision=stopping.revision + 1)
    stores.servers.write(stopping, ended)
    return ended


def is_full(stores, server, limit):
    try:
        start(stores, server, limit)
    except QuotaExceededError as reached:
        return reached.retry and reached.limit == limit
    return False


def test_of_eight_concurrent_starts_as_many_as_the_limit_succeed(stores, stopped):
    outcomes = concurrently(lambda n: stores.servers.write(stopped[n], asked(stopped[n]), active_limit=2))
    assert outcomes.count(None) == 2
    assert sum(isinstance(o, QuotaExceededError) for o in outcomes) == MANY - 2
    assert stores.servers.count(ACTIVE) == 2


class AllAtOnce:
    """Servers of which all are looked up before the first one starts."""

    def __init__(self, servers, times):
        self._servers, self._all = servers, threading.Barrier(times)

    def __getattr__(self, name):
        return getattr(self._servers, name)

    def find(self, owner_id, name):
        found = self._servers.find(owner_id, name)
        self._all.wait(30)
        return found


def test_of_eight_people_who_start_at_once_two_get_a_server(stores, stopped):
    world = World(stores=stores, active_limit=2)
    spawning = replace(world.spawning, servers=AllAtOnce(stores.servers, MANY))
    users = [stores.users.find(f"user{n}") for n in range(MANY)]
    outcomes = concurrently(lambda n: spawning.start(users[n], ""))
    refused = [outcome for outcome in outcomes if isinstance(outcome, QuotaExceededError)]
    assert len(refused) == MANY - 2, outcomes
    assert all(one.retry and "The hub is full right now" in str(one) for one in refused)
    assert stores.servers.count(ACTIVE) == 2


def test_a_place_is_free_again_when_its_server_has_ended(stores, stopped):
    first, second, third, *_ = stopped
    running = start(stores, first, 2)
    start(stores, second, 2)
    assert is_full(stores, third, 2)
    ended = end(stores, running)
    start(stores, third, 2)
    assert is_full(stores, ended, 2)
    assert stores.servers.get(ended.id) == ended


def test_one_server_that_is_started_eight_times_takes_one_place(stores, stopped):
    server, other, third, *_ = stopped
    outcomes = concurrently(lambda n: stores.servers.write(server, asked(server), active_limit=2))
    assert outcomes.count(None) == 1
    assert sum(isinstance(o, StoreConflictError) for o in outcomes) == MANY - 1
    start(stores, other, 2)
    assert is_full(stores, third, 2)


def test_without_a_limit_and_between_active_states_nobody_is_refused(stores, stopped):
    running = [start(stores, server, 0) for server in stopped]
    launching = replace(running[0], state=State.LAUNCHING, revision=2)
    stores.servers.write(running[0], launching, active_limit=1)
    assert stores.servers.get(launching.id) == launching


def test_servers_from_before_the_limit_count(stores, stopped):
    *before, last = stopped
    running = [start(stores, server, 0) for server in before]
    assert is_full(stores, last, MANY - 1)
    stores.servers.recount_active(MANY - 1, NOW)
    assert is_full(stores, last, MANY - 1)
    end(stores, running[0])
    start(stores, last, MANY - 1)


def test_under_a_lower_limit_nobody_starts_until_enough_have_ended(stores, stopped):
    *before, last = stopped
    running = [start(stores, server, MANY) for server in before]
    for limit in (2, 2, 2):
        stores.servers.recount_active(limit, NOW)
        assert is_full(stores, last, limit)
    for server in running[:-1]:
        assert is_full(stores, last, 2)
        end(stores, server)
    stores.servers.recount_active(2, NOW + timedelta(hours=2))
    outcomes = concurrently(lambda n: stores.servers.write(last, asked(last), active_limit=2))
    assert outcomes.count(None) == 1
    assert is_full(stores, stores.servers.get(before[0].id), 2)


# --- the counters in DynamoDB ---


@pytest.fixture
def table(in_moto):
    made = in_new_table(in_moto)
    yield made
    made.close()


def counters(stores):
    return {
        item.sk: int(item.n)
        for item in stores.database.query(Counter, keys.ACTIVE)
        if item.sk != keys.ACTIVE_RECOUNTED.sk
    }


def placed(stores):
    return sum(counters(stores).values())


@pytest.mark.parametrize("limit", [1, 2, 63, 64, 65, 100, 2000])
def test_the_shares_of_the_counters_are_the_limit(limit):
    shares = [active_servers.share(limit, number) for number in range(active_servers.COUNTERS)]
    assert sum(shares) == limit
    assert max(shares) - min(shares) <= 1


class Crash(BaseException):
    """Ends the process here."""


def crashing_at(stores, when, number, act):
    """Run *act* and crash before or after its call to DynamoDB with that *number*; say whether it came so far."""
    calls = []

    def crash(model, **_):
        calls.append(model.name)
        if len(calls) == number:
            raise Crash

    events = stores.database.client.meta.events
    register = events.register_first if when == "before-call" else events.register
    register(when, crash)
    try:
        act()
    except Crash:
        return True
    finally:
        events.unregister(when, crash)
    return False


def step(stores, server):
    """Take the next step of *server*: start it, request its stop, or end it."""
    following = {State.STOPPED: State.REQUESTED, State.REQUESTED: State.STOPPING, State.STOPPING: State.STOPPED}
    after = replace(asked(server), state=following[server.state])
    stores.servers.write(server, after, active_limit=3)


@pytest.mark.parametrize("when", ["before-call", "after-call"])
def test_a_crash_at_any_call_leaves_no_place_taken_or_missing(table, when):
    (first,) = add_stopped(table, 1)
    crashed_in, number = [], 1
    while len(crashed_in) < 12:
        server = table.servers.get(first.id)
        came_so_far = crashing_at(table, when, number, lambda server=server: step(table, server))
        assert placed(table) == table.servers.count(ACTIVE)
        crashed_in += [server.state] * came_so_far
        number = number + 1 if came_so_far and table.servers.get(first.id) == server else 1
    assert {State.STOPPED, State.REQUESTED, State.STOPPING} == set(crashed_in)


def test_a_place_that_an_older_version_left_behind_is_taken_back(table):
    first, second, *_ = add_stopped(table)
    running = start(table, first, 1)
    table.database.delete_many([keys.place(first.id)])  # which knows nothing of places
    end(table, running)
    assert is_full(table, second, 1)
    table.servers.recount_active(1, NOW)
    start(table, second, 1)
    assert placed(table) == 1


def test_the_counters_are_corrected_once_an_hour_and_after_a_new_limit(table):
    add_stopped(table)
    asked_for = []
    table.servers.in_states = lambda states: asked_for.append(states) or []
    for minutes, limit in [(0, 2), (1, 2), (59, 2), (61, 2), (62, 3), (63, 3), (-600, 3)]:
        table.servers.recount_active(limit, NOW + timedelta(minutes=minutes))
    assert len(asked_for) == 4


def test_a_counter_that_changes_meanwhile_is_not_corrected(table):
    (first,) = add_stopped(table, 1)
    start(table, first, 9)
    table.database.delete_many([keys.place(first.id)])
    read = table.servers.in_states

    def in_states(states):
        found = read(states)
        running = table.servers.get(first.id)
        ended = end(table, running)
        start(table, ended, 9)
        return found

    table.servers.in_states = in_states
    before = counters(table)
    table.servers.recount_active(9, NOW)
    assert placed(table) >= table.servers.count(ACTIVE)
    table.servers.in_states = read
    table.servers.recount_active(9, NOW)
    assert placed(table) == table.servers.count(ACTIVE) == 1
    assert before != counters(table)


def test_places_move_into_the_shares_of_a_lower_limit(table):
    servers = add_stopped(table, 6)
    running = [start(table, server, 6 * active_servers.COUNTERS) for server in servers]
    assert len(running) == 6
    table.servers.recount_active(6, NOW)
    assert sorted(counters(table).items())[:6] == [(f"SHARD#0{n}", 1) for n in range(6)]
    assert placed(table) == 6
    for server in running:
        end(table, server)
    assert set(counters(table).values()) == {0}
