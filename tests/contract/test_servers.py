from dataclasses import replace
from datetime import timedelta

import pytest

from hubless.domain.errors import (
    NameTakenError,
    NotFoundError,
    QuotaExceededError,
    StoreConflictError,
)
from hubless.domain.lifecycle import ACTIVE, State
from hubless.domain.limits import LimitReached, Resource
from hubless.domain.stop_reasons import StopCause, StopReason
from tests.support.builders import NOW, a_server, a_user
from tests.support.concurrency import MANY, concurrently

pytestmark = pytest.mark.usefixtures("alice", "bob")
LATER = NOW + timedelta(minutes=5)


def moved(server, **facts):
    return replace(server, revision=server.revision + 1, **facts)


@pytest.fixture
def server(stores):
    made = a_server(state=State.READY, launch_id="l1", task="t1", address="127.0.0.1:1")
    stores.servers.create(made)
    return made


def test_many_servers_are_added_as_one_is(stores):
    """Also two of an owner, and more than a transaction of DynamoDB holds."""
    users = [a_user(f"n{number}") for number in range(45)]
    stores.users.create(users)
    made = [a_server("", user.name) for user in users] + [a_server("lab"), a_server(), a_server("lab", "bob")]
    stores.servers.create_many(made)
    assert stores.servers.get_many([one.id for one in made]) == {one.id: one for one in made}
    assert [one.name for one in stores.servers.of_owners(["u-alice"])] == ["", "lab"]
    assert stores.servers.count([State.STOPPED]) == len(made)


def test_many_servers_with_a_taken_name_or_nobody_are_refused(stores):
    stores.servers.create(a_server("lab"))
    with pytest.raises(NameTakenError):
        stores.servers.create_many([a_server("other", "bob"), replace(a_server("lab"), id="s-2")])
    with pytest.raises(NotFoundError):
        stores.servers.create_many([a_server("x", "nobody")])
    assert stores.servers.find("u-alice", "lab").id == a_server("lab").id


def test_a_server_comes_back_as_it_was_written(stores):
    made = a_server(
        "lab",
        state=State.FAILED,
        display_name="Läb 🐈",
        profile="big",
        user_options={"a": [1, None]},
        launch_id="l1",
        task="t1",
        spare_id="w1",
        address="127.0.0.1:8888",
        requested_at=NOW,
        started_at=LATER,
        deadline_at=LATER,
        last_activity_at=LATER,
        jupyterhub_version="4.1.6",
        failure="no memory",
        log_tail=("one", "two"),
        stop_reason=StopReason(StopCause.IDLE, limit=timedelta(hours=1, microseconds=1)),
        kept_until=LATER,
        times_kept=2,
        frozen_at=NOW,
        limits_reached=(
            LimitReached(Resource.MEMORY, 2**30, 3, LATER),
            LimitReached(Resource.PROCESSES, 512, 1, NOW),
        ),
        revision=7,
        entered_at=NOW + timedelta(microseconds=1),
    )
    stores.servers.create(made)
    assert stores.servers.get(made.id) == made
    assert stores.servers.find("u-alice", "lab") == made
    assert stores.servers.of_owners(["u-alice"]) == [made]
    assert stores.servers.in_states([State.FAILED]) == [made]


def test_a_missing_record_is_none(stores, server):
    assert stores.servers.get("s-none") is None
    assert stores.servers.find("u-alice", "none") is None
    assert stores.servers.find("u-bob", "") is None


def test_servers_of_owners_come_oldest_first(stores):
    for number, (name, owner) in enumerate([("b", "alice"), ("", "bob"), ("a", "alice"), ("", "alice")]):
        stores.servers.create(a_server(name, owner, id=f"s{number}"))
    assert [s.id for s in stores.servers.of_owners(["u-alice", "u-bob", "u-none"])] == ["s0", "s1", "s2", "s3"]
    assert [s.id for s in stores.servers.of_owners(["u-alice"])] == ["s0", "s2", "s3"]
    assert stores.servers.of_owners([]) == []


def test_an_owner_has_each_name_once(stores, server):
    with pytest.raises(NameTakenError):
        stores.servers.create(a_server(id="s-other"))
    assert stores.servers.get("s-other") is None
    stores.servers.create(a_server(owner="bob"))


def test_of_eight_concurrent_adds_of_one_server_one_succeeds(stores):
    outcomes = concurrently(lambda n: stores.servers.create(a_server(id=f"s{n}")))
    assert outcomes.count(None) == 1
    assert sum(isinstance(o, NameTakenError) for o in outcomes) == MANY - 1


def test_a_server_of_a_missing_user_is_refused(stores):
    with pytest.raises(NotFoundError):
        stores.servers.create(a_server(owner="nobody"))
    assert stores.servers.get("s-nobody-") is None


def test_the_limit_counts_named_servers_of_this_owner_only(stores, server):
    stores.servers.create(a_server("x", "bob"))
    stores.servers.create(a_server("one"), named_limit=2)
    stores.servers.create(a_server("two"), named_limit=2)
    with pytest.raises(QuotaExceededError) as reached:
        stores.servers.create(a_server("three"), named_limit=2)
    assert reached.value.limit == 2
    assert stores.servers.find("u-alice", "three") is None
    stores.servers.create(a_server("three"), named_limit=0)


def test_an_existing_name_is_taken_even_at_the_limit(stores):
    stores.servers.create(a_server("one"), named_limit=1)
    with pytest.raises(NameTakenError):
        stores.servers.create(a_server("one", id="s-other"), named_limit=1)


def test_eight_concurrent_adds_never_exceed_the_limit(stores):
    outcomes = concurrently(lambda n: stores.servers.create(a_server(f"n{n}"), named_limit=3))
    assert outcomes.count(None) == 3
    assert sum(isinstance(o, QuotaExceededError) for o in outcomes) == MANY - 3
    assert len(stores.servers.of_owners(["u-alice"])) == 3


# --- transitions ---


def test_a_write_writes_all_of_it(stores, server):
    after = moved(
        server,
        name="new",
        state=State.FAILED,
        display_name="d",
        profile="p",
        user_options={"a": 1},
        launch_id="l2",
        task=None,
        address=None,
        requested_at=LATER,
        started_at=LATER,
        deadline_at=LATER,
        last_activity_at=LATER,
        failure="f",
        log_tail=("x",),
        entered_at=LATER,
    )
    stores.servers.write(server, after)
    assert stores.servers.get(server.id) == after
    assert stores.servers.find("u-alice", "new") == after
    assert stores.servers.find("u-alice", "") is None


@pytest.mark.parametrize(
    "wrong", [{"state": State.STARTING}, {"launch_id": "l0"}, {"launch_id": None}, {"revision": 1}]
)
def test_another_state_launch_or_revision_is_a_conflict(stores, server, wrong):
    with pytest.raises(StoreConflictError):
        stores.servers.write(replace(server, **wrong), moved(server, state=State.STOPPING))
    with pytest.raises(StoreConflictError):
        stores.servers.delete(replace(server, **wrong))
    assert stores.servers.get(server.id) == server


def test_a_server_without_launch_is_not_one_with(stores):
    never = a_server("never")
    stores.servers.create(never)
    with pytest.raises(StoreConflictError):
        stores.servers.write(replace(never, launch_id="l1"), moved(never))
    stores.servers.write(never, moved(never, launch_id="l1", state=State.REQUESTED))


def test_a_missing_server_is_a_conflict(stores, server):
    stores.servers.delete(server)
    with pytest.raises(StoreConflictError):
        stores.servers.write(server, moved(server))
    with pytest.raises(StoreConflictError):
        stores.servers.delete(server)
    assert stores.servers.get(server.id) is None


def test_another_servers_name_is_taken(stores, server):
    stores.servers.create(a_server("lab"))
    with pytest.raises(NameTakenError):
        stores.servers.write(server, moved(server, name="lab"))
    assert stores.servers.get(server.id) == server


def test_of_eight_concurrent_writes_one_succeeds(stores, server):
    def write(number):
        stores.servers.write(server, moved(server, state=State.STOPPING, failure=str(number)))
        return number

    outcomes = concurrently(write)
    (winner,) = [o for o in outcomes if isinstance(o, int)]
    assert sum(isinstance(o, StoreConflictError) for o in outcomes) == MANY - 1
    assert stores.servers.get(server.id).failure == str(winner)


def test_of_a_concurrent_write_and_delete_one_succeeds(stores):
    for number in range(10):
        server = a_server(f"n{number}")
        stores.servers.create(server)
        after = moved(server, state=State.REQUESTED, launch_id="l")

        def act(n, server=server, after=after):
            return stores.servers.delete(server) if n else stores.servers.write(server, after)

        outcomes = concurrently(act, 2)
        assert outcomes.count(None) == 1
        assert (stores.servers.get(server.id) is None) == (outcomes[1] is None)


def test_a_deleted_name_is_free(stores, server):
    stores.servers.delete(server)
    stores.servers.create(a_server(id="s-new"))
    assert stores.servers.find("u-alice", "").id == "s-new"


# --- activity ---


def test_activity_never_conflicts_with_a_transition(stores, server):
    stores.servers.touch(server.id, LATER)
    stores.servers.write(server, moved(server, state=State.STOPPING))
    found = stores.servers.get(server.id)
    assert (found.state, found.last_activity_at, found.revision) == (State.STOPPING, LATER, 1)


def test_a_transition_only_moves_activity_forward(stores, server):
    stores.servers.touch(server.id, LATER)
    older = moved(server, last_activity_at=NOW)
    stores.servers.write(server, older)
    assert stores.servers.get(server.id).last_activity_at == LATER
    later = moved(older, last_activity_at=LATER + timedelta(seconds=1))
    stores.servers.write(older, later)
    assert stores.servers.get(server.id).last_activity_at == LATER + timedelta(seconds=1)


def test_a_transition_adds_no_activity(stores, server):
    stores.servers.write(server, moved(server, state=State.STOPPING))
    assert stores.servers.get(server.id).last_activity_at is None


def test_activity_changes_nothing_else(stores, server):
    stores.servers.touch(server.id, LATER)
    assert stores.servers.get(server.id) == replace(server, last_activity_at=LATER)


def test_activity_is_stored_for_server_and_owner_separately(stores, server):
    stores.users.touch("u-alice", LATER)
    stores.servers.touch(server.id, NOW)
    assert stores.servers.get(server.id).last_activity_at == NOW
    assert stores.users.get("u-alice").last_activity_at == LATER
    stores.servers.touch(server.id, LATER + timedelta(seconds=1))
    stores.servers.touch(server.id, NOW)
    assert stores.servers.get(server.id).last_activity_at == LATER + timedelta(seconds=1)
    assert stores.users.get("u-alice").last_activity_at == LATER + timedelta(seconds=1)
    assert stores.users.get("u-bob").last_activity_at is None


def test_activity_with_a_given_owner_is_the_same(stores, server):
    stores.servers.touch(server.id, LATER, owner_id="u-alice")
    stores.servers.touch(server.id, NOW, owner_id="u-alice")
    assert stores.servers.get(server.id).last_activity_at == LATER
    assert stores.users.get("u-alice").last_activity_at == LATER


def test_activity_of_a_missing_server_is_no_error(stores):
    stores.servers.touch("s-none", NOW)
    stores.servers.touch("s-none", NOW, owner_id="u-none")
    stores.servers.touch("s-none", NOW, owner_id="u-alice")
    assert stores.servers.get("s-none") is None


def test_concurrent_activity_and_transitions_lose_neither(stores, server):
    def act(n):
        if n % 2:
            for second in range(20):
                stores.servers.touch(server.id, NOW + timedelta(seconds=second * 10 + n))
            return
        for _ in range(20):
            before = stores.servers.get(server.id)
            try:
                stores.servers.write(before, moved(before))
            except StoreConflictError:
                conflicts.append(n)

    conflicts = []
    assert concurrently(act) == [None] * MANY
    found = stores.servers.get(server.id)
    assert found.last_activity_at == NOW + timedelta(seconds=19 * 10 + MANY - 1)
    assert found.revision + len(conflicts) == 20 * MANY // 2


# --- listings ---


def test_servers_in_states_come_longest_in_state_first(stores):
    for seconds, state in enumerate([State.READY, State.STOPPED, State.REQUESTED, State.READY, State.FAILED]):
        stores.servers.create(a_server(f"n{seconds}", state=state, entered_at=NOW - timedelta(seconds=seconds)))
    assert [s.name for s in stores.servers.in_states([State.READY, State.REQUESTED])] == ["n3", "n2", "n0"]
    assert [s.name for s in stores.servers.in_states([State.STOPPED, State.READY])] == ["n3", "n1", "n0"]
    assert [s.name for s in stores.servers.in_states(State)] == ["n4", "n3", "n2", "n1", "n0"]
    assert stores.servers.in_states([]) == []
    assert stores.servers.count(ACTIVE) == 3
    assert stores.servers.count([State.FAILED, State.READY]) == 3
    assert stores.servers.count([]) == 0


def test_the_queue_position_counts_earlier_requests(stores):
    made = []
    for number in range(3):
        stores.users.create([a_user(f"w{number}")])
        made.append(a_server(owner=f"w{number}", state=State.REQUESTED, entered_at=NOW + timedelta(seconds=number)))
        stores.servers.create(made[-1])
    stores.servers.create(a_server("r", state=State.READY, entered_at=NOW - timedelta(days=1)))
    assert [stores.servers.queue_position(server, NOW) for server in made] == [0, 1, 2]
    stores.servers.write(made[0], moved(made[0], state=State.LAUNCHING))
    assert [stores.servers.queue_position(server, NOW) for server in made[1:]] == [0, 1]


def test_servers_that_are_prepared_first_have_a_queue_of_their_own(stores):
    requested, preparing, last = (
        a_server(f"q{number}", state=state, entered_at=NOW + timedelta(seconds=number))
        for number, state in enumerate((State.REQUESTED, State.PREPARING, State.PREPARING))
    )
    for server in (requested, preparing, last):
        stores.servers.create(server)

    assert [stores.servers.queue_position(server, NOW) for server in (requested, preparing, last)] == [0, 0, 1]
    stores.servers.write(preparing, back := moved(preparing, state=State.REQUESTED, entered_at=LATER))
    assert [stores.servers.queue_position(server, NOW) for server in (requested, back, last)] == [0, 1, 0]
    assert [s.name for s in stores.servers.in_states(ACTIVE)] == ["q0", "q2", "q1"]


def test_who_waits_for_nothing_has_no_one_ahead(stores):
    stores.servers.create(a_server("w", state=State.REQUESTED))
    stores.servers.create(ready := a_server("r", state=State.READY, entered_at=LATER))
    assert stores.servers.queue_position(ready, LATER) == 0


def test_the_position_in_a_long_queue_is_about_right_and_decreases(stores):
    many = [
        a_server(f"n{n}", state=State.REQUESTED, entered_at=NOW + timedelta(seconds=n * n / 100)) for n in range(106)
    ]
    for server in many:
        stores.servers.create(server)

    for number in (0, 1, 99, 100):
        assert stores.servers.queue_position(many[number], LATER) == number
    for number in (102, 105):
        assert abs(stores.servers.queue_position(many[number], LATER) - number) <= 1

    for server in many[:3]:
        stores.servers.write(server, moved(server, state=State.LAUNCHING))
    assert 102 <= stores.servers.queue_position(many[-1], LATER) <= 105
    assert stores.servers.queue_position(many[-1], LATER + timedelta(seconds=31)) == 102
