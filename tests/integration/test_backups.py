"""`hubless backup`, `hubless restore`, `hubless strays`, and a database that was removed, restored or is older."""

import errno
import io
import os
import shutil
import sqlite3
import stat
import subprocess
import sys
import tarfile
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

from embedded import backup_file, data_folder, database_file
from embedded.cli import main
from hubless.adapters.processes.launch_folder import LaunchFolder
from hubless.adapters.processes.strays import strays
from hubless.adapters.sqlite import schema
from hubless.adapters.sqlite.users import SqliteUserStore
from hubless.bootstrap import machine
from hubless.settings import parse
from tests.support.builders import a_user
from tests.support.concurrency import eventually

NOW = datetime(2026, 11, 28, tzinfo=UTC)


class Machine:
    """A machine with a hub's data folder, and commands that an operator runs there."""

    def __init__(self, folder):
        folder.mkdir()
        self.data = folder / "data"
        self.settings = parse("", self.data)
        self.told = []

    def run(self, *words):
        return CliRunner().invoke(main, [*map(str, words), "--data", str(self.data)])

    def start(self):
        """Do what a start of the hub does to the files."""
        data_folder.prepare(self.settings)
        return database_file.begin_run(self.settings, self.told.append)

    def add(self, name):
        assert self.run("user", "add", name).exit_code == 0

    def users(self):
        return [line.split()[0] for line in self.run("user", "list").output.splitlines()]

    def serve(self, launch_id, user, **facts):
        """Let a process run as the server of a launch, which the database does not know."""
        folder = LaunchFolder(self.settings.launches / launch_id)
        folder.make()
        folder.write_owner({"user": user, "server": "", **facts})
        lock = folder.try_lock()
        process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, pass_fds=(lock,))
        folder.pid_file.write_text(str(process.pid))
        os.close(lock)
        return process


@pytest.fixture
def here(tmp_path):
    return Machine(tmp_path / "here")


@pytest.fixture
def empty(tmp_path):
    return Machine(tmp_path / "empty")


@pytest.fixture
def saved(here, tmp_path):
    """Return a backup of a hub with the user ada, who has files."""
    here.start()
    here.add("ada")
    home = here.settings.homes / "ada"
    home.mkdir()
    (home / "notes.txt").write_text("my notes")
    (home / "link").symlink_to("/etc/passwd")
    (home / "shut").mkdir()
    (home / "shut" / "in.txt").write_text("inside")
    (home / "shut").chmod(0o500)
    os.mkfifo(home / "pipe")
    done = here.run("backup", tmp_path / "hub.tar", "--homes")
    (home / "shut").chmod(0o700)
    assert (done.exit_code, done.output) == (0, f"Wrote {tmp_path / 'hub.tar'}: database, secret and homes.\n")
    return tmp_path / "hub.tar"


def test_a_backup_restores_onto_an_empty_machine(here, empty, saved):
    done = empty.run("restore", saved, "--yes")
    assert done.exit_code == 0, done.output
    empty.start()
    assert empty.users() == ["ada"]
    assert empty.settings.secret_file.read_bytes() == here.settings.secret_file.read_bytes()
    home = empty.settings.homes / "ada"
    assert (home / "notes.txt").read_text() == "my notes"
    assert str((home / "link").readlink()) == "/etc/passwd"
    assert (home / "shut" / "in.txt").read_text() == "inside"
    assert stat.S_IMODE((home / "shut").stat().st_mode) == 0o500
    assert sorted(entry.name for entry in home.iterdir()) == ["link", "notes.txt", "shut"]
    assert empty.told == []


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a folder read-only needs root")
def test_what_is_on_a_read_only_disk_can_be_saved(here, empty, tmp_path):
    here.start()
    database = machine.open_database(here.settings)
    SqliteUserStore(database).create([a_user("ada")])
    database.close()
    subprocess.run(["mount", "--bind", here.data, here.data], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", here.data], check=True)
        done = here.run("backup", tmp_path / "hub.tar")
    finally:
        subprocess.run(["umount", "-l", here.data], check=True)  # the command's own process may still have it open
    assert done.exit_code == 0, done.output
    assert empty.run("restore", tmp_path / "hub.tar", "--yes").exit_code == 0
    assert empty.users() == ["ada"]


def test_a_backup_is_for_its_owner_alone(saved):
    assert stat.S_IMODE(saved.stat().st_mode) == 0o600


def test_a_backup_beside_writers_is_one_state_of_the_database(here, tmp_path):
    here.start()
    with closing(sqlite3.connect(here.settings.database, isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("UPDATE sweep SET place = 'half'")
        assert here.run("backup", tmp_path / "hub.tar").exit_code == 0
        writer.execute("COMMIT")
    with tarfile.open(tmp_path / "hub.tar") as archive:
        archive.extract("hub.sqlite", tmp_path, filter="data")
    with closing(sqlite3.connect(tmp_path / "hub.sqlite")) as copy:
        assert copy.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert copy.execute("SELECT place FROM sweep").fetchone() == ("",)


def test_a_restore_keeps_what_was_there_and_says_what_ends(here, saved):
    here.add("ben")
    (here.settings.homes / "ada" / "notes.txt").write_text("newer notes")
    done = here.run("restore", saved, "--yes")
    assert "everything since then ends" in done.output
    here.start()
    assert here.users() == ["ada"]
    (kept,) = here.data.glob("before-restore-*")
    assert {"hub.sqlite", "secret"} <= {file.name for file in kept.iterdir()}
    assert (here.settings.homes / "ada" / "notes.txt").read_text() == "newer notes"


def test_restores_within_one_second_keep_what_each_replaced(here, saved, monkeypatch):
    monkeypatch.setattr("hubless.adapters.system_clock.SystemClock.now", lambda _: NOW)
    for _ in range(2):
        here.add("ben")
        assert here.run("restore", saved, "--yes").exit_code == 0
    kept = [*here.data.glob("before-restore-*")]
    assert [{"hub.sqlite", "secret"} <= {file.name for file in folder.iterdir()} for folder in kept] == [True, True]


def test_a_restore_removes_old_copies_and_what_a_killed_one_left(here, saved):
    killed = [here.data / "restoring-1", here.settings.homes / ".restoring-1"]
    for folder in (*killed, *(here.data / f"before-restore-2020010{day}T000000Z-x" for day in range(1, 5))):
        folder.mkdir()
    done = here.run("restore", saved, "--yes")
    assert done.output.count("Removed ") == 2
    assert len([*here.data.glob("before-restore-*")]) == 3
    assert not any(folder.exists() for folder in killed)


def test_what_goes_while_homes_are_saved_is_told_and_no_more(here, tmp_path, monkeypatch):
    here.start()
    (here.settings.homes / "ada").mkdir()
    walk = os.fwalk

    def late(*arguments, **options):
        for folder, folders, files, descriptor in walk(*arguments, **options):
            yield folder, [*folders, "gone"], [*files, "gone.txt"], descriptor

    monkeypatch.setattr("os.fwalk", late)
    done = here.run("backup", tmp_path / "hub.tar", "--homes")
    assert done.exit_code == 0, done.output
    assert "could not be read: ada/gone.txt" in done.output


def test_a_disk_that_is_full_before_all_homes_are_saved_is_no_success(here, tmp_path, monkeypatch):
    here.start()
    (here.settings.homes / "notes.txt").write_text("my notes")
    add = tarfile.TarFile.addfile

    def full(archive, entry, content=None):
        if entry.name == "homes/notes.txt":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        add(archive, entry, content)

    monkeypatch.setattr(tarfile.TarFile, "addfile", full)
    done = here.run("backup", tmp_path / "hub.tar", "--homes")
    assert (done.exit_code, "No space left" in done.output) == (1, True)
    assert not list(tmp_path.glob("hub.tar*"))


def test_a_file_that_breaks_while_it_is_read_keeps_its_place():
    with Path("/proc/self/mem").open("rb") as broken:  # its first page can be read by nobody
        content = backup_file._Padded(broken, 5)
        assert (content.read(3), content.read(), content.is_whole) == (bytes(3), bytes(2), False)


@pytest.mark.parametrize("name", ["homes/ada/link/inside", "homes/../../outside"])
@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.REGTYPE, tarfile.DIRTYPE])
def test_a_restore_writes_nothing_outside_of_homes(here, saved, tmp_path, name, kind):
    (elsewhere := tmp_path / "elsewhere").mkdir()
    with tarfile.open(saved, "a") as archive:
        for path, its, target in (("homes/ada/link", tarfile.SYMTYPE, str(elsewhere)), (name, kind, "/etc")):
            entry = tarfile.TarInfo(path)
            entry.type, entry.linkname = its, target
            archive.addfile(entry)
    done = here.run("restore", saved, "--yes")
    assert (done.exit_code, "Cannot unpack" in done.output) == (1, True)
    assert list(elsewhere.iterdir()) == []
    assert here.users() == ["ada"]


def test_nothing_is_restored_over_a_hub_that_runs(here, saved):
    lock = data_folder.lock(here.data)
    done = here.run("restore", saved, "--yes")
    lock.release()
    assert done.exit_code == 1
    assert "A hub runs in" in done.output
    assert not list(here.data.glob("before-restore-*"))


def test_nothing_is_restored_unasked(here, saved):
    done = here.run("restore", saved)
    assert (done.exit_code, "Add --yes to restore" in done.output) == (1, True)
    assert not list(here.data.glob("before-restore-*"))


def damaged(file):
    with tarfile.open(file) as archive:
        entries = {
            one.name: archive.extractfile(one).read() for one in archive if one.name in ("backup.json", "secret")
        }
    entries["hub.sqlite"] = b"no database" * 1000
    with tarfile.open(file, "w") as archive:
        for name, content in entries.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda file: file.write_bytes(b"no tar file"), "is no backup"),
        (lambda file: file.unlink(), "No such file"),
        (lambda file: file.write_bytes(file.read_bytes()[:20_000]), "Cannot unpack|is no backup"),
        (damaged, "is damaged"),
    ],
)
def test_a_file_that_is_no_whole_backup_changes_nothing(here, saved, spoil, says):
    spoil(saved)
    done = here.run("restore", saved, "--yes")
    assert done.exit_code == 1
    assert any(one in done.output for one in says.split("|")), done.output
    assert "Traceback" not in done.output
    assert here.users() == ["ada"]


def test_a_start_without_the_database_it_had_says_what_to_do(here, saved):
    here.settings.database.unlink()
    with pytest.raises(data_folder.DataFolderError, match=r"hub.sqlite is gone\. .*hubless restore"):
        here.start()
    assert "is gone" in here.run("user", "list").output
    assert here.run("restore", saved, "--yes").exit_code == 0
    here.start()
    assert here.users() == ["ada"]


def test_an_emptied_database_is_not_begun_anew(here):
    here.start()
    for file in here.data.glob("hub.sqlite*"):
        os.truncate(file, 0)
    with pytest.raises(data_folder.DataFolderError, match="is empty"):
        here.start()


def test_a_start_after_a_restore_lists_unknown_servers_and_ends_none(here, saved):
    process = here.serve("l1", "ben")
    try:
        assert here.run("restore", saved, "--yes").exit_code == 0
        here.start()
        assert "l1  ben/" in here.told[-1]
        assert here.run("strays").output.startswith("l1  ben/")
        assert machine.build(here.settings).launcher.tasks() == []

        assert "next sweep ends 1 servers" in here.run("strays", "--end", "--all").output
        assert [task.task for task in machine.build(here.settings).launcher.tasks()] == ["l1"]
        assert strays(here.settings.launches) == []
    finally:
        process.communicate(b"\n")


def test_an_operator_adopts_a_server_or_hears_why_not(here, saved):
    ada = machine.build(here.settings).users.find("ada")
    known = here.serve("l1", "ada", user_id=ada.id, server_id="s1", profile="default")
    unknown = here.serve("l2", "ben", user_id="u2", server_id="s2", profile="default")
    try:
        assert here.run("restore", saved, "--yes").exit_code == 0
        here.start()
        done = here.run("strays", "--adopt", "--all")
        assert (done.exit_code, "Adopted l1  ada/. " in done.output) == (1, True)
        assert "Cannot adopt l2  ben/: it belongs to a user ben, and the database has no such user." in done.output
        assert [one.launch_id for one in strays(here.settings.launches)] == ["l2"]
        hub = machine.build(here.settings)
        assert (hub.servers.find(ada.id, "").launch_id, hub.servers.find(ada.id, "").id) == ("l1", "s1")
        assert [task.task for task in hub.launcher.tasks()] == ["l1"]
        assert "server-adopted" in here.run("audit").output

        assert "The hub knows all servers called ada" in here.run("strays", "--adopt", "ada").output
        assert "next sweep ends 1 servers" in here.run("strays", "--end", "l2").output
    finally:
        for process in (known, unknown):
            process.communicate(b"\n")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--adopt", "--end"), "not both"),
        (("--adopt",), "adopt all with --all"),
        (("--end",), "end all with --all"),
        (("--end", "--all", "zoe"), "not both"),
        (("zoe",), "The hub knows all servers"),
    ],
)
def test_what_shall_become_of_strays_is_said_clearly(here, words, says):
    here.start()
    done = here.run("strays", *words)
    assert (done.exit_code, says in done.output) == (2, True)


def test_a_copy_in_place_of_the_database_is_noticed_too(here):
    here.start()
    shutil.copy(here.settings.database, here.data / "old")
    here.start()
    process = here.serve("l1", "ben")
    try:
        for file in here.data.glob("hub.sqlite*"):
            file.unlink()
        (here.data / "old").replace(here.settings.database)
        here.start()
        assert "Servers run that it does not know: 1" in here.told[-1]
    finally:
        process.communicate(b"\n")


def test_an_ordinary_start_finds_no_strays(here):
    here.start()
    process = here.serve("l1", "ben")
    try:
        here.start()
        assert here.told == []
        assert [task.task for task in machine.build(here.settings).launcher.tasks()] == ["l1"]
    finally:
        process.communicate(b"\n")
    eventually(lambda: not LaunchFolder(here.settings.launches / "l1").is_held())


@pytest.mark.parametrize(("text", "level"), [("", 1), ('hub.database_synchronous = "full"', 2)])
def test_a_setting_lets_writes_wait_for_the_disk(here, text, level):
    data_folder.prepare(here.settings)
    database = machine.open_database(parse(text, here.data))
    assert database.read_one("PRAGMA synchronous")[0] == level  # https://sqlite.org/pragma.html#pragma_synchronous


# --- upgrades ---


@pytest.fixture(params=[1, 2, 3])
def older(here, monkeypatch, request):
    """Return the schema of a hub's database that is some steps older, with the user ada."""
    version = schema.VERSION - request.param
    data_folder.prepare(here.settings)
    with monkeypatch.context() as before:
        before.setattr(schema, "STEPS", schema.STEPS[:version])
        before.setattr(schema, "VERSION", version)
        database = machine.open_database(here.settings)  # a command would ask for tables that are not there yet
        SqliteUserStore(database).create([a_user("ada")])
        database.close()
    return version


def test_an_upgrade_is_announced_and_keeps_a_copy(here, older):
    here.start()
    copy = here.data / f"hub.sqlite.schema-{older}"
    assert here.told[0].startswith(f"Upgrading the database from schema {older} to {schema.VERSION}. ")
    assert str(copy) in here.told[0]
    assert database_file.schema_of(copy) == older
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert here.users() == ["ada"]
    here.told.clear()
    here.start()
    assert here.told == []


def test_servers_run_on_through_an_upgrade(here, older):
    process = here.serve("l1", "ada")
    try:
        here.start()
        assert [task.task for task in machine.build(here.settings).launcher.tasks()] == ["l1"]
    finally:
        process.communicate(b"\n")


def test_no_command_upgrades_the_database_under_an_older_hub(here, older):
    lock = data_folder.lock(here.data)
    done = here.run("user", "list")
    lock.release()
    assert (done.exit_code, "A hub of an older hubless runs" in done.output) == (1, True)
    assert database_file.schema_of(here.settings.database) == older


def test_a_newer_database_is_refused_and_left_alone(here):
    here.start()
    with closing(sqlite3.connect(here.settings.database)) as newer, newer:
        newer.execute(f"PRAGMA user_version = {schema.VERSION + 1}")
    done = here.run("user", "list")
    assert (done.exit_code, "was written by a newer hubless" in done.output) == (1, True)
    assert database_file.schema_of(here.settings.database) == schema.VERSION + 1
