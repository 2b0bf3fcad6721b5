"""What a hub on one machine leaves on the disk stays bounded: the database, and what launches left."""

import os
import time
from contextlib import closing
from pathlib import Path

import pytest

from embedded import data_folder, database_file
from hubless.adapters.processes import launch_folder
from hubless.adapters.processes.launch_folder import ENDED_LOG_LIMIT, LOG_KEPT, LaunchFolder
from hubless.adapters.processes.launcher import LEFT_SECONDS
from hubless.adapters.sqlite import database as sqlite
from hubless.adapters.sqlite.database import PAGES_AT_ONCE, SPARE_PAGES, WAL_BYTES, Database
from hubless.bootstrap import machine
from hubless.bootstrap.machine import MachineHub
from hubless.domain.errors import StoreUnavailableError
from hubless.domain.lifecycle import State
from hubless.settings import Settings, load
from tests.support.builders import a_server, a_user

PAGE = 4096
PID = "4194304 1"  # of a process that has ended: Linux has no such id


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "hubless.toml").touch()
    found = load(tmp_path / "hubless.toml", tmp_path / "data", {"PATH": "/usr/bin"})
    data_folder.prepare(found)
    return found


# --- the database ---


def grown(database: Database, pages: int) -> None:
    """Add rows of about so many pages, and remove them again."""
    with database.transaction():
        database.write_many("INSERT INTO used VALUES (?, 0)", ((f"{n}{'x' * PAGE}",) for n in range(pages)))
    database.write("DELETE FROM used")
    database.write("PRAGMA wal_checkpoint(TRUNCATE)")


def test_the_database_gives_room_back_piece_by_piece_and_keeps_some(tmp_path: Path) -> None:
    file = tmp_path / "hub.sqlite"
    with closing(Database(file)) as database:
        grown(database, 2 * SPARE_PAGES)
        before = file.stat().st_size

        given = [database.give_room_back()]
        while given[-1]:
            given.append(database.give_room_back())

        assert PAGES_AT_ONCE <= given[0] < PAGES_AT_ONCE + 10  # with pages in which SQLite notes where others are
        assert SPARE_PAGES - 10 < database.read_one("PRAGMA freelist_count")[0] <= SPARE_PAGES
        database.write("PRAGMA wal_checkpoint(TRUNCATE)")
        assert before - file.stat().st_size == sum(given) * PAGE
        assert database_file.is_whole(file)


def older(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a database as an older hubless did, with the user ada."""
    with monkeypatch.context() as before:
        before.setattr(sqlite, "AUTO_VACUUM", "NONE")
        hub = machine.build(settings)
        hub.users.create([a_user("ada")])
        hub._database.close()


def test_an_older_database_is_rebuilt_once_at_a_start(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    older(settings, monkeypatch)
    told: list[str] = []

    for _ in range(2):
        database_file.begin_run(settings, told.append)

    assert [text.partition(" once")[0] for text in told] == ["Rebuilding the database"]
    with closing(machine.open_database(settings)) as database:
        assert database.read("SELECT name FROM users") == [("ada",)]
        grown(database, 2 * SPARE_PAGES)
        assert database.give_room_back() > 0


def test_a_database_that_cannot_be_rebuilt_stays_as_it_is(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    older(settings, monkeypatch)
    told: list[str] = []

    def full(_: Database) -> None:
        raise StoreUnavailableError("The disk is full")

    with monkeypatch.context() as little_room:
        little_room.setattr(Database, "rebuild", full)
        database_file.begin_run(settings, told.append)

    assert told[1] == "The database stays as it is, and the next start tries again: The disk is full"
    with closing(machine.open_database(settings)) as database:
        grown(database, 2 * SPARE_PAGES)
        assert database.give_room_back() == 0


def test_the_file_of_recent_writes_shrinks_after_a_long_reader(tmp_path: Path) -> None:
    with closing(Database(tmp_path / "hub.sqlite")) as database, closing(Database(tmp_path / "hub.sqlite")) as reader:
        with reader.snapshot():
            reader.read("SELECT * FROM used")
            for _ in range(3):
                with database.transaction():
                    database.write_many("INSERT INTO used VALUES (?, 0)", ((f"{n}{'x' * PAGE}",) for n in range(2_000)))
                database.write("DELETE FROM used")
        wal = tmp_path / "hub.sqlite-wal"
        assert wal.stat().st_size > WAL_BYTES

        for number in range(2):
            database.write("PRAGMA wal_checkpoint(RESTART)")
            database.write("INSERT INTO used VALUES (?, 0)", (str(number),))

        assert wal.stat().st_size <= WAL_BYTES


# --- what launches leave ---


@pytest.fixture
def hub(settings: Settings) -> MachineHub:
    hub = machine.build(settings)
    hub.users.create([a_user("ada")])
    return hub


def a_launch(hub: MachineHub, launch_id: str, *, pid: str = "", seconds_ago: float = 0, log: bytes = b"") -> Path:
    folder = LaunchFolder(hub.settings.launches / launch_id)
    folder.make()
    folder.lock.touch()
    folder.log.write_bytes(log)
    if pid:
        folder.pid_file.write_text(pid)
    then = time.time() - seconds_ago
    os.utime(folder.path, (then, then))
    return folder.path


def test_what_launches_left_goes_once_no_record_has_them(hub: MachineHub) -> None:
    (ada,) = hub.users.page(offset=0, limit=1)[0]
    hub.servers.create(a_server(owner_id=ada.id, state=State.LAUNCHING, launch_id="l-live", task="l-live"))
    gone = [
        a_launch(hub, "l-over", pid=PID),
        a_launch(hub, "l-never-ran", seconds_ago=LEFT_SECONDS),
        a_launch(hub, "l-stray", pid=PID),
    ]
    LaunchFolder(gone[-1]).stray.touch()
    lives = f"{os.getpid()} {launch_folder.start_of(os.getpid())}"
    kept = [
        a_launch(hub, "l-live", pid=PID),
        a_launch(hub, "l-runs", pid=lives),
        a_launch(hub, "l-begins", seconds_ago=LEFT_SECONDS - 30),
    ]

    hub.leftovers.remove()

    assert [path.exists() for path in gone + kept] == [False] * 3 + [True] * 3


def test_a_start_that_is_under_way_is_no_leftover(hub: MachineHub) -> None:
    path = a_launch(hub, "l-slow", seconds_ago=10 * LEFT_SECONDS)
    lock = LaunchFolder(path).try_lock()
    assert lock is not None
    hub.leftovers.remove()
    os.close(lock)
    assert path.exists()


def test_of_a_launch_that_is_over_the_end_of_its_log_stays(hub: MachineHub) -> None:
    a_launch(hub, "l-over", pid=PID, log=b"x" * ENDED_LOG_LIMIT + b"\nlast line\n")
    hub.leftovers.remove()
    (kept,) = (hub.settings.launches / "ended").iterdir()
    assert kept.stat().st_size < LOG_KEPT + 200
    assert kept.read_text().startswith("[The hub has removed what came before: the log was larger than 256 KiB.]\nx")
    assert kept.read_text().endswith("x\nlast line\n")


def test_what_cannot_be_removed_is_told_and_goes_later(hub: MachineHub, caplog: pytest.LogCaptureFixture) -> None:
    path = a_launch(hub, "l-over", pid=PID, log=b"the end")
    ended = hub.settings.launches / "ended"
    ended.rmdir()
    ended.touch()  # so nothing can be moved there

    hub.launcher.forget("l-over")
    with pytest.raises(OSError, match=r"ended"):
        hub.leftovers.remove()
    assert path.exists()
    assert "cannot remove what launch l-over left, a later sweep tries again: " in caplog.text

    ended.unlink()
    assert hub.leftovers.remove() == 1
    assert [file.read_bytes() for file in ended.iterdir()] == [b"the end"]
