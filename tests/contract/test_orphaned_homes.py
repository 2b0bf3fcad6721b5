"""What the hub knows of homes of removed users, and what becomes of them: the store, the folders and the service."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hubless.adapters.processes.home_folders import LocalHomeFolders
from hubless.adapters.sqlite.database import Database
from hubless.adapters.sqlite.home_usage import SqliteHomeUsageStore
from hubless.adapters.sqlite.orphaned_homes import SqliteOrphanedHomeStore
from hubless.domain.errors import InvalidRequestError, IsolationError, NotFoundError, StoreConflictError
from hubless.domain.home_usage import HomeUsage
from hubless.domain.ids import identifier
from hubless.domain.lifecycle import State
from hubless.domain.orphaned_homes import HomeTask, OrphanedHome
from hubless.domain.users import User
from hubless.services.home_keeping import HomeKeeping
from tests.contract.test_home_folders import Isolation
from tests.support import sqlite
from tests.support.builders import NOW, a_server
from tests.support.fakes import StoppedClock

LATER = NOW + timedelta(days=1)


def user(name: str, number: int) -> User:
    return User(id=identifier("u", NOW, bytes([number] * 10)), name=name, created_at=NOW)


MARIA, ANNA = user("maria", 1), user("anna", 2)


class World:
    """A hub's users and homes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.homes = folder / "homes"
        self.homes.mkdir()
        self.database = Database(folder / "hub.sqlite")
        self.stores: SimpleNamespace = sqlite.stores_of(self.database)
        self.usage = SqliteHomeUsageStore(self.database)
        self.store = SqliteOrphanedHomeStore(self.database)
        self.keeping = self.started()
        self.stores.users.create([MARIA, ANNA])
        for one in (MARIA, ANNA):
            (self.homes / one.id).mkdir()
            (self.homes / one.id / "notes.txt").write_text(one.name)

    def started(self) -> HomeKeeping:
        """Return the service of a hub that has just started."""
        isolation: Any = Isolation(self.homes)
        folders = LocalHomeFolders(self.homes, self.folder / "lock", lambda: isolation)
        return HomeKeeping(self.store, folders, self.stores.users, StoppedClock(NOW))

    def links(self) -> dict[str, str]:
        return {one.name: one.readlink().name for one in (self.homes / "by-name").iterdir()}

    def remove(self, one: User) -> OrphanedHome:
        self.stores.users.delete(one.id, at=LATER)
        return self.keeping.find(one.id)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.database.close()


def all_steps(steps: Iterator[None]) -> None:
    for _ in steps:
        pass


# --- what is known ---


def test_a_removed_users_home_is_known(world: World) -> None:
    world.usage.put(HomeUsage(MARIA.id, 7_000_000, True, NOW))
    world.stores.users.delete(MARIA.id, at=LATER)
    # The last size may be from before the last files, so it is measured once more.
    assert world.store.all() == [OrphanedHome(MARIA.id, "maria", LATER)]


def test_a_user_who_stays_is_not_noted(world: World) -> None:
    world.stores.servers.create(a_server(owner_id=MARIA.id, state=State.REQUESTED))
    with pytest.raises(StoreConflictError):
        world.stores.users.delete(MARIA.id, at=LATER)
    world.store.note([ANNA.id])
    assert world.store.all() == []


def test_a_home_of_which_nothing_was_noted_is_found(world: World) -> None:
    """As after a hub of an older version removed the user."""
    world.stores.users.delete(MARIA.id, at=LATER)
    world.store.forget(MARIA.id)
    world.keeping.keep()
    world.keeping.keep()
    assert world.keeping.all() == [OrphanedHome(MARIA.id)]


def test_users_without_files_are_forgotten(world: World) -> None:
    (world.homes / MARIA.id / "notes.txt").unlink()
    (world.homes / MARIA.id).rmdir()
    world.remove(MARIA)
    world.keeping.keep()
    assert world.keeping.all() == []


def test_a_disk_that_is_not_mounted_forgets_nothing(world: World) -> None:
    world.remove(MARIA)
    world.keeping.keep()
    world.homes.rename(world.homes.with_name("elsewhere"))
    with pytest.raises(FileNotFoundError):
        world.keeping.keep()
    world.homes.mkdir()
    world.keeping.keep()
    assert [one.name for one in world.keeping.all()] == ["maria"]
    assert not any(world.homes.iterdir())


def test_the_last_removed_comes_first(world: World) -> None:
    world.stores.users.delete(ANNA.id, at=LATER + timedelta(days=1))
    world.stores.users.delete(MARIA.id, at=LATER)
    unknown = user("x", 3).id
    (world.homes / unknown).mkdir()
    world.keeping.keep()
    assert [one.owner_id for one in world.keeping.all()] == [ANNA.id, MARIA.id, unknown]


def test_names_that_several_had_are_told_apart(world: World) -> None:
    again = user("maria", 3)
    world.remove(MARIA)
    world.stores.users.create([again])
    world.remove(again)
    with pytest.raises(InvalidRequestError, match=f"{again.id}, {MARIA.id}|{MARIA.id}, {again.id}"):
        world.keeping.find("maria")
    assert world.keeping.find(again.id).owner_id == again.id
    with pytest.raises(NotFoundError):
        world.keeping.find("nobody")


def test_a_new_user_of_the_name_gets_no_files(world: World) -> None:
    world.remove(MARIA)
    world.stores.users.create([user("maria", 3)])
    world.keeping.keep()
    assert world.links() == {"anna": ANNA.id}
    assert [one.owner_id for one in world.keeping.all()] == [MARIA.id]


# --- links by name ---


def test_links_follow_renames_and_removals(world: World) -> None:
    world.keeping.keep()
    assert world.links() == {"maria": MARIA.id, "anna": ANNA.id}
    found = world.stores.users.get(ANNA.id)
    world.stores.users.change(found, User(ANNA.id, "anna-2", NOW, revision=found.revision + 1))
    world.remove(MARIA)
    world.keeping.keep()
    assert world.links() == {"anna-2": ANNA.id}


def test_a_crash_before_the_link_is_made_good_at_the_start(world: World) -> None:
    world.keeping.keep()
    found = world.stores.users.get(ANNA.id)
    world.stores.users.change(found, User(ANNA.id, "anna-2", NOW, revision=found.revision + 1))
    world.started().keep()
    assert world.links() == {"maria": MARIA.id, "anna-2": ANNA.id}


def test_users_without_a_home_have_no_link(world: World) -> None:
    world.stores.users.create([user("new", 3)])
    world.keeping.keep()
    assert world.links().keys() == {"maria", "anna"}


# --- measuring ---


def test_homes_are_measured_once(world: World) -> None:
    world.remove(MARIA)
    all_steps(world.keeping.measure())
    size = world.keeping.find("maria").size
    assert size
    (world.homes / MARIA.id / "more").write_bytes(b"x" * 100_000)
    all_steps(world.keeping.measure())
    assert world.keeping.find("maria").size == size


# --- what admins want ---


def test_files_are_given(world: World) -> None:
    world.keeping.begin(world.remove(MARIA), HomeTask.GIVE, ANNA)
    all_steps(world.keeping.work())
    assert (world.homes / ANNA.id / "files-of-maria" / "notes.txt").read_text() == "maria"
    assert world.keeping.all() == []


def test_files_are_deleted(world: World) -> None:
    world.keeping.begin(world.remove(MARIA), HomeTask.DELETE)
    all_steps(world.keeping.work())
    assert not (world.homes / MARIA.id).exists()
    assert (world.homes / ANNA.id).exists()
    assert world.keeping.all() == []


def test_progress_is_noted_while_files_are_deleted(world: World) -> None:
    for number in range(1200):
        (world.homes / MARIA.id / f"{number}").touch()
    world.keeping.begin(world.remove(MARIA), HomeTask.DELETE)
    seen = set()
    for _ in world.keeping.work():
        seen.add(world.keeping.find("maria").progress)
    assert len(seen) == 2
    assert max(seen) >= 1000


def test_only_the_first_of_two_admins_is_heard(world: World) -> None:
    home = world.remove(MARIA)
    world.keeping.begin(home, HomeTask.GIVE, ANNA)
    with pytest.raises(InvalidRequestError, match="already"):
        world.keeping.begin(home, HomeTask.DELETE)
    all_steps(world.keeping.work())
    with pytest.raises(InvalidRequestError, match="gone"):
        world.keeping.begin(home, HomeTask.DELETE)


def test_files_of_a_user_who_is_here_are_never_touched(world: World) -> None:
    """As after the database was brought back from a copy."""
    world.remove(MARIA)
    assert world.store.begin(MARIA.id, HomeTask.DELETE)
    world.stores.users.create([MARIA])
    all_steps(world.keeping.work())
    assert (world.homes / MARIA.id / "notes.txt").exists()
    assert world.keeping.all() == []
    assert not world.store.begin(MARIA.id, HomeTask.DELETE)


def test_a_task_that_failed_says_why_and_may_be_repeated(world: World) -> None:
    home = world.remove(MARIA)
    world.keeping.begin(home, HomeTask.GIVE, ANNA)
    world.remove(ANNA)
    all_steps(world.keeping.work())
    failed = world.keeping.find("maria")
    assert (failed.task, failed.failure) == (HomeTask.NONE, "The user who was to get the files was removed meanwhile.")
    assert (world.homes / MARIA.id).exists()
    world.keeping.begin(failed, HomeTask.DELETE)
    assert world.keeping.find("maria").failure == ""


def test_a_hub_that_cannot_isolate_gives_no_files(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise IsolationError("Servers cannot be isolated")

    monkeypatch.setattr(LocalHomeFolders, "give", refuse)
    world.keeping.begin(world.remove(MARIA), HomeTask.GIVE, ANNA)
    all_steps(world.keeping.work())
    assert world.keeping.find("maria").failure == "Servers cannot be isolated"


def test_a_hub_that_was_killed_goes_on_with_its_task(world: World) -> None:
    world.keeping.begin(world.remove(MARIA), HomeTask.DELETE)
    (world.homes / MARIA.id / "notes.txt").unlink()
    (world.homes / MARIA.id).rmdir()  # it was killed after the last file, and before it noted that
    restarted = world.started()
    restarted.keep()
    assert [one.task for one in restarted.all()] == [HomeTask.DELETE]
    all_steps(restarted.work())
    assert restarted.all() == []


def test_a_task_that_another_process_did_is_left_alone(world: World) -> None:
    class Later(LocalHomeFolders):
        @contextmanager
        def work(self) -> Iterator[None]:
            with super().work():  # for which it has waited, while the other process did the task
                world.store.forget(MARIA.id)
                yield

    isolation: Any = Isolation(world.homes)
    folders = Later(world.homes, world.folder / "lock", lambda: isolation)
    world.keeping.begin(world.remove(MARIA), HomeTask.DELETE)
    all_steps(HomeKeeping(world.store, folders, world.stores.users, StoppedClock(NOW)).work())
    assert (world.homes / MARIA.id / "notes.txt").exists()
