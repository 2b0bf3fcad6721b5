from dataclasses import replace
from datetime import timedelta

import pytest

from hubless.domain.announcements import Announcement, Bulletin, Kind
from hubless.domain.errors import MaintenanceError, StoreConflictError
from hubless.domain.lifecycle import State
from hubless.domain.maintenance import Maintenance, StartCheck
from tests.support.builders import NOW, a_server
from tests.support.concurrency import MANY, concurrently

LATER, MOMENT = NOW + timedelta(days=7), timedelta(microseconds=1)
EXAMS = Announcement("n-1", "*Exams* ü", Kind.WARNING, NOW, LATER, "ada", NOW, ("physics ü", "lab"))
DISKS = Maintenance("m-1", "New *disks* ü", NOW, "ada", LATER)


def add(stores, announcement=EXAMS, *, most=9):
    return stores.bulletin.add(announcement, NOW, most=most)


def start(stores, at=NOW, *, of_admin=False, number=""):
    """Write the start of a server of alice's."""
    before = stores.servers.find("u-alice", number)
    if before is None:
        before = a_server(number)
        stores.servers.create(before)
    after = replace(before, state=State.REQUESTED, launch_id=f"l{before.revision}", revision=before.revision + 1)
    stores.servers.write(before, after, start=StartCheck(at, of_admin))


def has_started(stores, at=NOW, **more):
    try:
        start(stores, at, **more)
    except MaintenanceError:
        return False
    return True


# --- announcements ---


def test_the_bulletin_of_a_new_hub_is_empty(stores):
    assert stores.bulletin.read(NOW) == Bulletin()


def test_announcements_are_stored_with_all_facts_the_earliest_first(stores):
    others = [
        replace(EXAMS, id="n-2", starts_at=NOW + MOMENT),
        replace(EXAMS, id="n-0", groups=(), kind=Kind.INFO, starts_at=NOW + 2 * MOMENT),
    ]
    for one in (*others, EXAMS):
        assert add(stores, one)

    assert stores.bulletin.read(NOW).announcements == (EXAMS, *others)


def test_an_announcement_is_gone_at_its_end(stores):
    add(stores)

    assert stores.bulletin.read(LATER - MOMENT).announcements == (EXAMS,)
    assert stores.bulletin.read(LATER).announcements == ()


def test_only_so_many_announcements_are_there_at_once(stores):
    assert add(stores, replace(EXAMS, id="old", ends_at=NOW), most=2)
    assert add(stores, replace(EXAMS, id="1"), most=2)
    assert add(stores, replace(EXAMS, id="2"), most=2)
    assert not add(stores, replace(EXAMS, id="3"), most=2)

    assert [one.id for one in stores.bulletin.read(NOW).announcements] == ["1", "2"]


def test_an_announcement_changes_once_of_two_changes_at_a_time(stores):
    add(stores)
    changed = replace(EXAMS, text="Later", revision=1)
    stores.bulletin.replace(EXAMS, changed)

    with pytest.raises(StoreConflictError):
        stores.bulletin.replace(EXAMS, replace(EXAMS, text="Never", revision=1))

    assert stores.bulletin.read(NOW).announcements == (changed,)


def test_an_announcement_that_was_removed_does_not_come_back(stores):
    add(stores)
    assert not stores.bulletin.remove(EXAMS.id, revision=1)  # another one than what is stored
    assert stores.bulletin.read(NOW).announcements == (EXAMS,)
    assert [stores.bulletin.remove(EXAMS.id, revision=0) for _ in range(2)] == [True, False]

    with pytest.raises(StoreConflictError):
        stores.bulletin.replace(EXAMS, replace(EXAMS, revision=1))

    assert stores.bulletin.read(NOW).announcements == ()


def test_announcements_that_have_ended_can_be_removed(stores):
    for number in range(3):
        add(stores, replace(EXAMS, id=f"{number}"))

    assert stores.bulletin.delete_expired(LATER - MOMENT, 9) == 0
    assert stores.bulletin.delete_expired(LATER, 2) in {0, 2}  # DynamoDB removes them by itself
    assert stores.bulletin.delete_expired(LATER, 2) in {0, 1}


# --- maintenance ---


@pytest.mark.parametrize("maintenance", [DISKS, replace(DISKS, ends_at=None, admins_start=True, text="")])
def test_maintenance_is_stored_with_all_its_facts(stores, maintenance):
    stores.bulletin.set_maintenance(None, maintenance)

    assert stores.bulletin.read(NOW) == Bulletin((), maintenance)


def test_one_of_two_admins_at_a_time_turns_maintenance_on(stores):
    stores.bulletin.set_maintenance(None, DISKS)

    for before, after in ((None, replace(DISKS, id="m-2")), (None, None), (replace(DISKS, id="m-0"), None)):
        with pytest.raises(StoreConflictError):
            stores.bulletin.set_maintenance(before, after)
    assert stores.bulletin.read(NOW).maintenance == DISKS

    stores.bulletin.set_maintenance(DISKS, replace(DISKS, id="m-2"))
    stores.bulletin.set_maintenance(replace(DISKS, id="m-2"), None)
    assert stores.bulletin.read(NOW).maintenance is None


def test_no_start_is_written_while_maintenance_is_on(stores, alice):
    stores.bulletin.set_maintenance(None, DISKS)

    assert not has_started(stores)
    assert stores.servers.find(alice.id, "").state is State.STOPPED
    assert not has_started(stores, LATER - MOMENT)
    assert has_started(stores, LATER)


def test_maintenance_without_an_end_lasts_until_it_is_turned_off(stores, alice):
    lasting = replace(DISKS, ends_at=None)
    stores.bulletin.set_maintenance(None, lasting)
    assert not has_started(stores, LATER + timedelta(days=9999))

    stores.bulletin.set_maintenance(lasting, None)

    assert has_started(stores)


@pytest.mark.parametrize(("admins_start", "of_admin", "starts"), [(1, 1, True), (1, 0, False), (0, 1, False)])
def test_an_admin_starts_in_maintenance_where_it_says_so(stores, alice, admins_start, of_admin, starts):
    stores.bulletin.set_maintenance(None, replace(DISKS, admins_start=bool(admins_start)))

    assert has_started(stores, of_admin=bool(of_admin)) is starts


def test_a_write_that_is_no_start_goes_on_in_maintenance(stores, alice):
    start(stores)
    stores.bulletin.set_maintenance(None, DISKS)
    requested = stores.servers.find(alice.id, "")

    stores.servers.write(requested, replace(requested, state=State.LAUNCHING, revision=2))

    assert stores.servers.find(alice.id, "").state is State.LAUNCHING


def test_after_maintenance_is_on_no_start_of_a_class_gets_in(stores, alice):
    """Each copy that a start may check refuses it, and a start is either before the maintenance or not at all."""
    names = [f"s{number}" for number in range(MANY)]
    for name in names:
        stores.servers.create(a_server(name))

    def act(number):
        if number == MANY // 2:
            stores.bulletin.set_maintenance(None, DISKS)
            return len(stores.servers.in_states([State.REQUESTED]))
        return has_started(stores, number=names[number])

    outcomes = concurrently(act)

    known = outcomes.pop(MANY // 2)
    assert len(stores.servers.in_states([State.REQUESTED])) == sum(outcomes) == known
