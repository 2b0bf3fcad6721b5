"""What is made for a group goes with it, on each store: also after a crash, and with two people at once."""

from dataclasses import replace
from datetime import timedelta

import pytest

from hubless.domain.announcements import MOST, Announcement, Kind
from hubless.domain.errors import InvalidRequestError
from hubless.domain.join_links import JoinLink
from hubless.domain.sign_ups import SignUp
from hubless.domain.users import Group
from hubless.services.announcements import Announcements, Wish
from hubless.services.schedules import Schedules
from tests.support.world import World
from tests.unit.services.test_schedules import LAB

DAY = timedelta(days=1)


@pytest.fixture
def world(stores):
    made = World(stores=stores)
    made.groups.create(Group("g-1", "physics"), Group("g-2", "staff"))
    return made


def an_announcement(world, of="n1", groups=("physics",)):
    now = world.clock.now()
    return Announcement(of, "Exams", Kind.INFO, now, now + DAY, "ada", now, groups)


def fill(world):
    """Make an announcement and a schedule for one group and for two, and two join links; remove nothing."""
    stores, now = world.stores, world.clock.now()
    for made in (an_announcement(world), an_announcement(world, "n2", ("staff", "physics"))):
        assert stores.bulletin.add(made, now, most=MOST)
    assert stores.schedules.add(replace(LAB, groups=("physics",)))
    assert stores.schedules.add(replace(LAB, name="both", groups=("physics", "staff")))
    for name in ("physics", "staff"):
        waiting = SignUp(f"new-{name}", f"u-{name}", "hash", now, now + DAY, needs_approval=True, group=name)
        assert stores.sign_ups.add(waiting, now, most=9)
        assert stores.join_links.add(JoinLink(f"j-{name}", name * 9, "ada", now, now + DAY, 9, name), now, most=9)


def named(world):
    """Return all references by the groups that they name."""
    now = world.clock.now()
    return [
        [(one.id, one.groups) for one in world.stores.bulletin.read(now).announcements],
        [(one.name, one.groups) for one in world.stores.schedules.all()],
        [(one.id, one.group) for one in world.stores.join_links.all(now)],
        [(one.name, one.group) for one in world.stores.sign_ups.all(now)],
    ]


LEFT = [
    [("n2", ("staff",))],
    [("both", ("staff",))],
    [("j-staff", "staff")],
    [("new-physics", ""), ("new-staff", "staff")],
]


def test_no_later_group_of_the_name_has_what_was_made_for_a_group(world):
    fill(world)
    world.group_references.remove(world.groups.find("physics"))
    assert named(world) == LEFT
    world.groups.create(Group("g-3", "physics"))
    assert named(world) == LEFT
    world.clock.jump(-DAY / 2)
    assert named(world) == LEFT


@pytest.mark.parametrize("calls", range(7))
def test_a_removal_that_crashes_is_done_by_the_next_one(world, monkeypatch, calls):
    fill(world)
    left = calls

    def crash_later(store, name):
        write = getattr(store, name)

        def written(*args, **more):
            nonlocal left
            if left == 0:
                raise KeyboardInterrupt
            left -= 1
            return write(*args, **more)

        monkeypatch.setattr(store, name, written)

    for store, name in (
        (world.stores.bulletin, "replace"),
        (world.stores.bulletin, "remove"),
        (world.stores.schedules, "replace"),
        (world.stores.schedules, "remove"),
        (world.stores.join_links, "end"),
        (world.stores.sign_ups, "change"),
        (world.stores.groups, "delete"),
    ):
        crash_later(store, name)
    with pytest.raises(KeyboardInterrupt):
        world.group_references.remove(world.groups.find("physics"))
    monkeypatch.undo()

    group = world.groups.find("physics")
    assert group is not None  # so that somebody removes it again
    world.group_references.remove(group)
    assert named(world) == LEFT


@pytest.mark.parametrize("kind", ["bulletin", "schedules"])
def test_what_is_made_while_the_group_is_removed_does_not_stay(world, monkeypatch, kind):
    store, group = getattr(world.stores, kind), world.groups.find("physics")
    add, references = store.add, world.group_references

    def after_its_removal(*args, **more):
        references.remove(group)
        return add(*args, **more)

    monkeypatch.setattr(store, "add", after_its_removal)
    wish = Wish("Exams", world.clock.now() + DAY, groups=("physics", "staff"))
    makers = {
        "bulletin": lambda: Announcements(store, references.reader, references, world.clock).make("ada", wish),
        "schedules": lambda: Schedules((), store, references, (), world.clock).add(replace(LAB, profile="")),
    }
    with pytest.raises(InvalidRequestError, match="no group 'physics'"):
        makers[kind]()
    assert "physics" not in str(named(world))


def test_what_is_made_just_before_the_group_is_gone_goes_too(world, monkeypatch):
    delete = world.groups.delete

    def after_another(group_id):
        fill(world)
        delete(group_id)

    monkeypatch.setattr(world.groups, "delete", after_another)
    world.group_references.remove(world.groups.find("physics"))
    assert named(world) == LEFT


def test_a_change_at_the_same_moment_is_read_again(world, monkeypatch):
    fill(world)
    replace_one, changed = world.stores.bulletin.replace, []

    def after_another(before, after):
        if not changed:
            changed.append(replace(before, text="Moved", revision=before.revision + 1))
            replace_one(before, changed[0])
        replace_one(before, after)

    monkeypatch.setattr(world.stores.bulletin, "replace", after_another)
    world.group_references.remove(world.groups.find("physics"))
    assert named(world) == LEFT
    assert changed


def test_who_signs_up_while_the_group_is_removed_joins_none(world):
    waiting = SignUp("ada", "u-ada", "hash", world.clock.now(), world.clock.now() + DAY, group="physics")
    with world.group_references.of_sign_up("physics"):
        world.group_references.remove(world.groups.find("physics"))
        world.groups.create(Group("g-3", "physics"))
        assert world.stores.sign_ups.add(waiting, world.clock.now(), most=9)
    with world.group_references.of_sign_up("later"):  # the first who is let in makes it
        assert world.stores.sign_ups.add(replace(waiting, name="bob", group="later"), world.clock.now(), most=9)
    assert named(world)[3] == [("ada", ""), ("bob", "later")]


def test_a_reference_needs_its_group(world):
    with pytest.raises(InvalidRequestError, match="There is no group 'chess'"), world.group_references.to(["chess"]):
        pytest.fail("nothing is written")
