"""Maintenance through the services: what starts, what is told, and what is counted."""

from dataclasses import replace
from datetime import timedelta

import pytest

from hubless.domain.errors import InvalidRequestError, MaintenanceError, StoreConflictError, StoreUnavailableError
from hubless.domain.lifecycle import State
from hubless.domain.users import Group
from hubless.services.announcements import Announcements, Wish
from hubless.services.bulletin_reading import AGE, BulletinReader
from hubless.services.maintaining import Maintaining
from tests.support.world import World

HOUR = timedelta(hours=1)


@pytest.fixture
def world():
    return World(start_limit=2)


def elsewhere(world):
    """Return the same services as another process has them."""
    return Maintaining(world.stores.bulletin, BulletinReader(world.stores.bulletin, world.clock), world.clock)


def test_nobody_starts_a_server_and_it_says_for_how_long(world):
    world.maintaining.turn_on("ada", ends_at=world.clock.now() + HOUR)

    with pytest.raises(MaintenanceError, match="under maintenance") as refused:
        world.spawning.start(world.alice, "")

    assert refused.value.after == HOUR
    assert world.servers.find(world.alice.id, "") is None
    world.clock.advance(HOUR)
    assert world.spawning.start(world.alice, "").state is State.REQUESTED


def test_a_process_that_does_not_know_yet_starts_nothing_either(world):
    assert world.maintaining.shown() is None
    elsewhere(world).turn_on("ada", ends_at=world.clock.now() + HOUR)
    assert world.maintaining.shown() is None

    for _ in range(3):  # a start that was refused does not count as one of two within an hour
        with pytest.raises(MaintenanceError) as refused:
            world.spawning.start(world.alice, "")
    assert refused.value.after == HOUR

    world.maintaining.turn_off("ada")
    assert world.spawning.start(world.alice, "").state is State.REQUESTED


def test_a_process_that_does_not_know_the_end_yet_starts_servers(world):
    world.maintaining.turn_on("ada")
    assert world.maintaining.shown() is not None
    elsewhere(world).turn_off("ada")
    assert world.maintaining.shown() is not None

    assert world.spawning.start(world.alice, "").state is State.REQUESTED


def test_a_start_that_maintenance_refuses_is_no_failure_of_the_hub(world):
    world.maintaining.turn_on("ada")
    with pytest.raises(MaintenanceError):
        world.spawning.start(world.alice, "")

    assert world.metrics.observed == {}


@pytest.mark.parametrize("admins_start", [True, False])
def test_an_admin_starts_all_the_same_only_where_it_says_so(world, admins_start):
    world.maintaining.turn_on("ada", admins_start=admins_start)
    root = world.accounts.add("root", admin=True)
    with pytest.raises(MaintenanceError):
        world.spawning.start(world.alice, "")
    if admins_start:
        assert world.spawning.start(root, "").state is State.REQUESTED
    else:
        with pytest.raises(MaintenanceError):
            world.spawning.start(root, "")


def test_servers_that_run_or_are_on_their_way_go_on(world):
    world.spawning.start(world.alice, "")
    world.maintaining.turn_on("ada")
    assert world.server().state is State.REQUESTED

    world.turn()
    assert world.server().state is State.READY

    world.stopping.request(world.server())
    world.turn()
    assert world.server().state is State.STOPPED


def test_who_waits_in_a_full_hub_is_not_let_in(world):
    full = World(active_limit=1)
    ben = full.accounts.add("ben")
    full.spawning.start(full.alice, "")
    full.maintaining.turn_on("ada")
    with pytest.raises(MaintenanceError):
        full.spawning.start(ben, "", waits=True)
    assert full.stores.waiting.find(ben.id, full.clock.now()) is None


def test_a_change_of_what_is_said_keeps_when_it_began(world):
    began = world.maintaining.turn_on("ada", text="Disks").began_at
    world.clock.advance(HOUR)

    changed = world.maintaining.turn_on("bob", text="More disks", ends_at=world.clock.now() + HOUR)

    assert (changed.began_at, changed.by) == (began, "bob")
    assert elsewhere(world).current() == changed


def test_turning_off_what_is_off_says_so(world):
    assert not world.maintaining.turn_off("ada")
    world.maintaining.turn_on("ada", ends_at=world.clock.now() + HOUR)
    world.clock.advance(HOUR)
    assert world.maintaining.current() is None
    assert not world.maintaining.turn_off("ada")
    world.maintaining.turn_on("ada")
    assert world.maintaining.turn_off("ada")


def test_only_the_maintenance_that_was_read_is_turned_off(world):
    seen = world.maintaining.turn_on("ada").id
    changed = world.maintaining.turn_on("bob", text="More disks", ends_at=world.clock.now() + HOUR)
    for old in (seen, ""):
        with pytest.raises(StoreConflictError):
            world.maintaining.turn_off("ada", seen=old)
    assert world.maintaining.current() == changed
    world.clock.advance(HOUR)
    assert not world.maintaining.turn_off("ada", seen=changed.id)  # it has ended by itself, as was wished


def test_what_is_not_allowed_turns_nothing_on(world):
    with pytest.raises(InvalidRequestError):
        world.maintaining.turn_on("ada", ends_at=world.clock.now())
    assert world.maintaining.current() is None


# --- what pages read ---


class CountedStore:
    """Counts the reads of a bulletin's store, and fails where it is told to."""

    def __init__(self, store):
        self.store, self.reads, self.fails = store, 0, False

    def read(self, now):
        self.reads += 1
        if self.fails:
            raise StoreUnavailableError("no answer")
        return self.store.read(now)

    def __getattr__(self, name):
        return getattr(self.store, name)


@pytest.fixture
def counted(world):
    store = CountedStore(world.stores.bulletin)
    reader = BulletinReader(store, world.clock)
    return (
        store,
        Announcements(store, reader, world.group_references, world.clock),
        Maintaining(store, reader, world.clock),
    )


def wish(world, **facts):
    return Wish("Exams", world.clock.now() + HOUR, **facts)


def test_pages_read_the_store_once_in_ten_seconds(world, counted):
    store, announcements, maintaining = counted
    for _ in range(100):
        announcements.shown_to(())
        maintaining.shown()
    assert store.reads == 1
    world.clock.advance(AGE)
    announcements.shown_to(())
    assert store.reads == 2


def test_a_clock_that_goes_back_does_not_keep_old_announcements(world, counted):
    store, announcements, _ = counted
    announcements.shown_to(())
    world.clock.advance(-HOUR)
    announcements.shown_to(())
    assert store.reads == 2


def test_what_one_process_announces_another_shows_within_ten_seconds(world, counted):
    _, announcements, _ = counted
    assert announcements.shown_to(()) == []
    other = Announcements(
        world.stores.bulletin, BulletinReader(world.stores.bulletin, world.clock), world.group_references, world.clock
    )
    made = other.make("ada", wish(world))
    assert other.shown_to(()) == [made]
    assert announcements.shown_to(()) == []
    world.clock.advance(AGE)
    assert announcements.shown_to(()) == [made]


def test_pages_go_on_without_the_store_and_ask_it_no_more_often(world, counted):
    store, announcements, maintaining = counted
    made = announcements.make("ada", wish(world))
    announcements.shown_to(())
    world.clock.advance(AGE)
    store.fails = True
    before = store.reads
    for _ in range(5):
        assert announcements.shown_to(()) == [made]
    assert maintaining.shown() is None
    assert store.reads == before + 1


def test_an_announcement_names_groups_that_are_there(world, counted):
    _, announcements, _ = counted
    with pytest.raises(InvalidRequestError, match="no group 'physics'"):
        announcements.make("ada", wish(world, groups=("physics",)))
    world.groups.create(Group("g-1", "physics", ()))
    announcements.make("ada", wish(world, groups=("physics",)))
    assert announcements.shown_to(("physics",))
    assert announcements.shown_to(("lab",)) == announcements.shown_to(None) == []


def test_maintenance_that_is_not_what_somebody_saw_stays_as_it_is(world):
    first = world.maintaining.turn_on("ada", ends_at=world.clock.now() + HOUR, seen="")
    second = world.maintaining.turn_on("ada", text="Disks", ends_at=world.clock.now() + HOUR, seen=first.id)
    for seen in ("", first.id):
        with pytest.raises(StoreConflictError, match="Somebody else"):
            world.maintaining.turn_on("bob", seen=seen)
    assert world.maintaining.current() == second
    world.clock.advance(HOUR)
    with pytest.raises(StoreConflictError, match="or it has ended"):
        world.maintaining.turn_on("bob", seen=second.id)
    assert world.maintaining.turn_on("bob", seen="").by == "bob"  # what has ended is off


def test_there_are_only_so_many_announcements(world, counted):
    _, announcements, _ = counted
    for _ in range(20):
        announcements.make("ada", wish(world))
    with pytest.raises(InvalidRequestError, match="20 announcements already"):
        announcements.make("ada", wish(world))


def test_a_form_that_is_out_of_date_changes_nothing(world, counted):
    _, announcements, _ = counted
    made = announcements.make("ada", wish(world))
    changed = announcements.change(made, replace(wish(world), text="Moved"))
    with pytest.raises(StoreConflictError, match="Somebody else has changed"):
        announcements.change(made, wish(world))
    assert announcements.get(made.id) == changed
    assert (changed.text, changed.revision, changed.starts_at) == ("Moved", 1, made.starts_at)
