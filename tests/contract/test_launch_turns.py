"""The promises of turns of launches, on a machine whose room a test sets."""

from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

import pytest

from hubless.adapters.processes import room_reader
from hubless.adapters.processes.machine_turns import LOOK_EVERY, MachineTurns, in_words
from hubless.adapters.processes.room_reader import read_room
from hubless.bootstrap.machine import turns_in_words
from hubless.domain.errors import CapacityUnavailableError, LaunchFailedError, NameTakenError
from hubless.domain.launch_turns import MIB, Room
from hubless.domain.lifecycle import PENDING, State
from hubless.services.spawning import StartProgress
from hubless.settings import parse
from tests.support.builders import NOW, a_server, a_user
from tests.support.fakes import StoppedClock
from tests.support.sqlite import InMemory, stores_of
from tests.support.world import World

PLENTY = Room(1, memory=8000 * MIB, free=6000 * MIB)
SHORT = replace(PLENTY, free=300 * MIB)
MINUTE = timedelta(minutes=1)


class Machine:
    """Turns of a machine whose room a test sets."""

    def __init__(self, **others):
        self.stores, self.room, self.clock = stores_of(InMemory()), PLENTY, StoppedClock(NOW)
        self.servers = self.stores.servers
        self.idle = set()  # launches
        self.turns = MachineTurns(
            self.servers, lambda: self.room, self.clock, longest=MINUTE, idle=self.idle.intersection, **others
        )

    def look(self, room):
        self.room = room
        self.clock.advance(LOOK_EVERY)

    def may_start(self, server):
        with suppress(CapacityUnavailableError):
            self.turns.take(server)
            return True
        return False


@pytest.fixture
def machine():
    return Machine()


def wait(machine, number, owner=None, **facts):
    """Store a server that waits, and return it."""
    with suppress(NameTakenError):
        machine.stores.users.create([a_user(owner or f"o{number}")])
    made = a_server(
        f"n{number}",
        owner or f"o{number}",
        state=State.REQUESTED,
        entered_at=NOW + timedelta(seconds=number),
        launch_id=f"l{number}",
        **facts,
    )
    machine.servers.create(made)
    return made


def moved(servers, server, state):
    servers.write(server, after := replace(server, state=state, revision=server.revision + 1))
    return after


def test_as_many_start_as_the_machine_bears_and_the_others_in_turn(machine):
    servers = [wait(machine, number) for number in range(4)]
    assert [machine.may_start(one) for one in servers] == [True, True, False, False]  # one processor: two at first
    assert [machine.may_start(one) for one in servers[:2]] == [True, True]  # a repeated message
    started = [moved(machine.servers, one, State.LAUNCHING) for one in servers[:2]]
    assert not machine.may_start(servers[2])
    moved(machine.servers, started[1], State.STOPPING)
    assert [machine.may_start(one) for one in servers[2:]] == [True, False]


def test_a_later_request_does_not_overtake(machine):
    *first, last = [wait(machine, number) for number in range(3)]
    assert not machine.may_start(last)
    assert all(machine.may_start(one) for one in first)


def test_an_owners_many_servers_let_others_go_first(machine):
    many = [wait(machine, number, "alice") for number in range(3)]
    other = wait(machine, 50, "bob")
    assert [machine.turns.position(one) for one in [*many, other]] == [0, 2, 3, 1]
    assert [machine.may_start(one) for one in [*many, other]] == [True, False, False, True]


def test_a_turn_that_was_given_stays_until_the_record_says_that_it_starts(machine):
    many = [wait(machine, number, "alice") for number in range(2)]
    assert all(machine.may_start(one) for one in many)
    assert not machine.may_start(wait(machine, 50, "bob"))  # who comes before alice's second, if that had no turn


def test_positions_count_who_comes_before_and_no_others(machine):
    servers = [wait(machine, number) for number in range(3)]
    assert [machine.turns.position(one) for one in servers] == [0, 1, 2]
    gone = moved(machine.servers, servers[0], State.STARTING)
    machine.clock.advance(LOOK_EVERY)
    assert [machine.turns.position(one) for one in [gone, *servers[1:]]] == [0, 0, 1]


def test_a_machine_short_of_memory_starts_nothing_and_says_so(machine, caplog):
    servers = [wait(machine, number) for number in range(2)]
    machine.look(SHORT)
    assert machine.turns.obstacle() == "Waiting for free memory on the hub's machine"
    assert not any(machine.may_start(one) for one in servers)
    said = "no server starts: 300 MB of memory are free, of which 400 are kept for what runs, and 2 wait"
    assert [record.message for record in caplog.records] == [said]  # once
    machine.look(PLENTY)
    assert machine.turns.obstacle() is None
    assert all(machine.may_start(one) for one in servers)
    assert [record.message for record in caplog.records][1:] in ([], [caplog.records[-1].message])


def test_nobody_asks_for_the_room_while_no_server_waits(machine):
    turns = MachineTurns(machine.servers, lambda: pytest.fail("asked"), machine.clock, longest=MINUTE)
    turns.see([])
    turns.see([moved(machine.servers, wait(machine, 0), State.STARTING)])


def test_settings_can_say_how_many_start_at_once():
    machine = Machine(most=1)
    servers = [wait(machine, number) for number in range(2)]
    assert [machine.may_start(one) for one in servers] == [True, False]


def test_a_start_that_has_ended_makes_room_before_its_record_is_read_again(machine):
    servers = [wait(machine, number) for number in range(4)]
    seen = [moved(machine.servers, one, State.STARTING) for one in servers[:2]] + servers[2:]
    machine.turns.see(seen)
    assert machine.turns.held == {"l2", "l3"}
    machine.turns.ended(seen[0], timedelta(seconds=1))
    machine.turns.see(seen)
    assert machine.turns.held == {"l3"}


def test_starts_that_do_nothing_have_no_turns_until_they_work_again(machine):
    servers = [wait(machine, number) for number in range(6)]
    started = [moved(machine.servers, one, State.STARTING) for one in servers[:2]]
    assert not machine.may_start(servers[2])
    machine.idle |= {one.launch_id for one in started}
    machine.look(PLENTY)
    assert [machine.may_start(one) for one in servers[2:]] == [True, True, False, False]
    for one in servers[2:4]:
        moved(machine.servers, one, State.STARTING)
    machine.idle.clear()
    machine.look(PLENTY)
    assert not machine.may_start(servers[4])


def test_a_start_that_hung_does_not_slow_others_down(machine):
    hung = [moved(machine.servers, wait(machine, number), State.STARTING) for number in range(40)]
    machine.idle |= {one.launch_id for one in hung}
    machine.turns.see(hung)
    for one in hung:
        machine.turns.ended(one, MINUTE)
        moved(machine.servers, one, State.FAILED)
    others = [wait(machine, number) for number in range(50, 53)]
    assert [machine.may_start(one) for one in others] == [True, True, False]


def test_quick_starts_widen_the_turns(machine):
    on = [replace(wait(machine, number), state=State.STARTING) for number in range(40)]
    for number, one in enumerate(on):
        machine.turns.see(on[number:])
        machine.turns.ended(one, timedelta(seconds=0.5))
    waiting = [replace(one, state=State.REQUESTED) for one in on]
    machine.turns.see(waiting)
    assert len(waiting) - len(machine.turns.held) > 4


# --- a class of 50 ---


class Class(World):
    """Fifty people who press start at once."""

    def __init__(self):
        super().__init__()
        self.room, self.most = PLENTY, 0
        self.people = self.accounts.add_many([f"p{number:02}" for number in range(50)])
        for person in self.people:
            self.spawning.start(person, "")
        self.begin()

    def begin(self):
        """Begin as after a crash: only the records, the messages and the tasks are left."""
        turns = MachineTurns(self.servers, lambda: self.room, self.clock, longest=MINUTE)
        self.launching = replace(self.launching, turns=turns)
        self.spawning = replace(self.spawning, turns=turns)

    def step(self):
        """Deliver what waits, and let what starts become ready, or see that it has died."""
        self.clock.advance(timedelta(seconds=0.5))
        self.deliver_in_time()
        self.most = max(self.most, self.servers.count([State.LAUNCHING, State.STARTING]))
        for _ in range(2):
            self.launching.reconcile_pending()
            self.edge.look()

    def until_settled(self, *, crash_every=0):
        for number in range(1, 200):
            self.step()
            if crash_every and number % crash_every == 0:
                self.begin()
            if not self.servers.count(PENDING):
                return
        raise AssertionError(f"{self.servers.count(PENDING)} never came")


@pytest.mark.parametrize("crash_every", [0, 1])
def test_all_of_a_class_become_ready_however_often_the_hub_crashes(crash_every):
    school = Class()
    school.until_settled(crash_every=crash_every)
    assert school.servers.count([State.READY]) == len(school.people)
    assert 2 <= school.most <= 8
    school.assert_settled()


def test_a_crash_between_launch_and_record_starts_nobody_twice():
    school = Class()
    launch = school.launcher.launch

    def crash(wanted):
        launch(wanted)
        raise ConnectionError("the hub has crashed")

    school.launcher.launch = crash
    for message in [*school.queue.sent]:  # which no worker has finished, so that the queue still has them
        with suppress(ConnectionError, CapacityUnavailableError):
            school.launching.on_message(message)
        school.begin()
    assert len(school.launches()) > 0
    school.launcher.launch = launch
    school.until_settled()
    assert school.servers.count([State.READY]) == len(school.people)
    school.assert_settled()


def test_in_a_class_each_failure_is_told_by_itself():
    school = Class()
    launch = school.launcher.launch

    def break_some(wanted):
        if wanted.owner_name.endswith("3"):
            raise LaunchFailedError("The disk of this user is full")
        task = launch(wanted)
        if wanted.owner_name.endswith("7"):
            school.launcher.dies(task)
        return task

    school.launcher.launch = break_some
    school.until_settled()
    failed = school.servers.in_states([State.FAILED])
    assert sorted({one.failure for one in failed}) == ["The disk of this user is full", "The server exited with code 1"]
    assert (len(failed), school.servers.count([State.READY])) == (10, 40)


def test_without_memory_a_class_waits_and_is_told_why_in_the_end():
    school = Class()
    school.room = SHORT
    for _ in range(3):
        school.step()
    assert school.servers.count([State.REQUESTED]) == len(school.people)
    school.clock.advance(timedelta(minutes=11))
    school.until_settled()
    assert {one.failure for one in school.servers.in_states([State.FAILED])} == {
        "The hub had too little free memory to start the server in time. Try again later."
    }
    assert school.launches() == []


def test_who_waits_is_told_the_place_and_what_holds_all_up():
    school = Class()
    fourth = school.servers.find(school.people[3].id, "")
    ahead = "3 servers are ahead of this one"
    assert school.spawning.progress(fourth) == StartProgress(10, ahead, 3)
    school.room = SHORT
    school.clock.advance(LOOK_EVERY)
    said = f"Waiting for free memory on the hub's machine: {ahead}"
    assert school.spawning.progress(fourth) == StartProgress(10, said, 3, is_held=True)
    first = school.servers.find(school.people[0].id, "")
    assert school.spawning.progress(first).sentence == "Waiting for free memory on the hub's machine"
    on = replace(first, state=State.STARTING)
    assert not school.spawning.progress(on).is_held


@pytest.mark.parametrize(
    ("settings", "room", "said"),
    [
        ("", PLENTY, "as many servers as the processors (1) bear start at once; 6,000 MB of memory are free"),
        ("servers.starts_at_once = 3", PLENTY, "3 servers start at once; 6,000 MB of memory are free"),
        ("", SHORT, "no server starts now; 300 MB of memory are free, of which 400 are kept for what runs"),
    ],
)
def test_operators_are_told_how_servers_start(tmp_path, monkeypatch, settings, room, said):
    monkeypatch.setattr(room_reader, "read_room", lambda: room)
    (line,) = turns_in_words(parse(settings, tmp_path))
    assert line.startswith(said)


# --- the room of a machine ---


def test_this_machine_has_processors_and_memory():
    room = read_room()
    assert room.processors >= 1
    assert 0 < room.free <= room.memory
    assert f"{room.free // MIB:,} MB of memory are free" in in_words(room)


def _write(folder, files):
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


@pytest.mark.parametrize(
    "files",
    [
        {
            "memory.max": f"{300 * MIB}",
            "memory.current": f"{250 * MIB}",
            "memory.stat": f"anon 1\ninactive_file {50 * MIB}",
        },
        {
            "memory/memory.limit_in_bytes": f"{300 * MIB}",
            "memory/memory.usage_in_bytes": f"{250 * MIB}",
            "memory/memory.stat": f"inactive_file 7\ntotal_inactive_file {50 * MIB}",
        },
    ],
    ids=["version 2", "version 1"],
)
def test_the_limit_of_a_container_counts(tmp_path, files):
    _write(tmp_path, files)
    room = read_room(tmp_path, tmp_path / "none")
    assert (room.memory, room.free) == (300 * MIB, 100 * MIB)


@pytest.mark.parametrize(
    ("files", "processors"),
    [
        ({"cpu.max": "100000 100000"}, 1),
        ({"cpu.max": "50000 100000"}, 1),
        ({"cpu/cpu.cfs_quota_us": "100000", "cpu/cpu.cfs_period_us": "100000"}, 1),
        ({"cpu.max": "max 100000", "memory.max": "max"}, None),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, None),
        ({"cpu.max": "nonsense"}, None),
    ],
)
def test_the_quota_of_a_container_counts(tmp_path, files, processors):
    _write(tmp_path, files)
    whole = read_room(tmp_path / "none")
    assert read_room(tmp_path).processors == (processors or whole.processors)


def test_the_time_that_programs_wait_for_memory_is_read(tmp_path):
    (pressure := tmp_path / "memory").write_text(
        "some avg10=12.50 avg60=1.00 avg300=0.10 total=1\nfull avg10=3.00 avg60=0.00 avg300=0.00 total=1\n"
    )
    assert read_room(pressure=pressure).stalled == 0.125
    assert read_room(pressure=tmp_path / "none").stalled == 0
    assert "programs wait for memory 12% of the time" in in_words(read_room(pressure=pressure))
    assert in_words(Room(1)) == "nobody says how much memory is free"
