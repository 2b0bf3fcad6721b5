"""The data folder: layout, permissions, the key, and one hub at a time."""

import errno
import os
import re
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest

from embedded import data_folder
from embedded.data_folder import DataFolderError
from hubless.settings import Settings


def mode(file: Path) -> int:
    return stat.S_IMODE(file.stat().st_mode)


def test_creates_the_folder_for_its_owner_alone(tmp_path: Path) -> None:
    settings = Settings(tmp_path / "deep" / "data")

    data_folder.prepare(settings)

    assert mode(settings.data) == 0o700
    assert mode(settings.secret_file) == 0o600
    assert len(settings.secret_file.read_bytes()) == 32
    assert settings.launches.is_dir()
    assert settings.homes.is_dir()


@pytest.mark.parametrize("found", ["thesis.tex", "homes", ".ssh"])
def test_a_folder_that_is_no_hubs_is_refused_and_left_alone(tmp_path: Path, found: str) -> None:
    folder = tmp_path / "home"
    folder.mkdir(mode=0o755)
    (folder / found).mkdir()

    with pytest.raises(DataFolderError, match=rf"home is not the data folder of a hub: .*{found}.*--data"):
        data_folder.prepare(Settings(folder))

    assert mode(folder) == 0o755
    assert [entry.name for entry in folder.iterdir()] == [found]


@pytest.mark.parametrize("found", ["", "lost+found", "hubless.toml"])
def test_an_empty_folder_becomes_a_hubs(tmp_path: Path, found: str) -> None:
    if found:
        (tmp_path / found).touch()
    data_folder.prepare(Settings(tmp_path))
    (tmp_path / "secret").unlink()  # an operator may remove it
    (tmp_path / "hub.sqlite").unlink()
    (tmp_path / "notes").touch()

    data_folder.prepare(Settings(tmp_path))

    assert mode(tmp_path) == 0o700


@pytest.mark.parametrize("found", ["hub.sqlite", "secret"])
def test_a_folder_from_before_there_was_a_marker_is_a_hubs(tmp_path: Path, found: str) -> None:
    (tmp_path / found).write_bytes(b"k" * 32 if found == "secret" else b"")
    (tmp_path / "notes").touch()

    data_folder.prepare(Settings(tmp_path))

    assert {"hubless-data", "hub.sqlite", "secret", "notes"} <= {entry.name for entry in tmp_path.iterdir()}


def test_the_database_is_its_owners_alone_from_the_start(tmp_path: Path) -> None:
    settings = Settings(tmp_path / "data")
    data_folder.prepare(settings)
    old = settings.data / "hub.sqlite-wal"
    old.touch(mode=0o644)

    data_folder.prepare(settings)

    assert (mode(settings.database), mode(old)) == (0o600, 0o600)


def test_a_way_to_homes_of_other_accounts_stays_open(tmp_path: Path) -> None:
    settings = Settings(tmp_path / "data")
    data_folder.prepare(settings)
    for folder in (settings.data, settings.homes):
        folder.chmod(0o711)

    data_folder.prepare(settings)

    assert mode(settings.data) == 0o711
    settings.homes.chmod(0o700)
    data_folder.prepare(settings)
    assert mode(settings.data) == 0o700


def test_keeps_an_existing_secret(tmp_path: Path) -> None:
    settings = Settings(tmp_path)
    data_folder.prepare(settings)
    key = settings.secret_file.read_bytes()

    data_folder.prepare(settings)

    assert settings.secret_file.read_bytes() == key


def test_concurrent_starts_agree_on_one_secret(tmp_path: Path) -> None:
    settings = Settings(tmp_path)

    def key(_: int) -> bytes:
        data_folder.prepare(settings)
        return settings.secret_file.read_bytes()

    with ThreadPoolExecutor(8) as pool:
        keys = set(pool.map(key, range(32)))

    assert len(keys) == 1
    assert not list(tmp_path.glob("secret.*"))


def test_a_damaged_secret_stops_the_start_with_a_message(tmp_path: Path) -> None:
    settings = Settings(tmp_path)
    settings.secret_file.write_bytes(b"short")

    with pytest.raises(DataFolderError, match="is damaged"):
        data_folder.prepare(settings)


def test_a_folder_that_cannot_be_created_is_named_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(DataFolderError, match=r"file/data cannot be used: Not a directory\. .*--data"):
        data_folder.prepare(Settings(tmp_path / "file" / "data"))


def test_a_full_disk_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data_folder, "LEAST_FREE_BYTES", 2**80)

    with pytest.raises(DataFolderError, match="is full"):
        data_folder.prepare(Settings(tmp_path))


@pytest.mark.parametrize(
    ("number", "remedy"),
    [
        (errno.EROFS, "Read-only file system. Its disk is mounted read-only: mount it for writing, or"),
        (errno.ENOSPC, "No space left on device. Its disk has no room or no inode left"),
        (errno.EDQUOT, "Disk quota exceeded. Its disk has no room or no inode left"),
        (errno.EACCES, "Permission denied. Make the user that runs the hub its owner, or"),
    ],
)
def test_the_remedy_fits_what_is_wrong_with_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, remedy: str
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Path, "mkdir", refuse)

    with pytest.raises(DataFolderError, match=re.escape(f"{tmp_path / 'data'} cannot be used: {remedy}")):
        data_folder.prepare(Settings(tmp_path / "data"))


@pytest.mark.parametrize(("flags", "why"), [(os.ST_RDONLY, "Read-only file system"), (0, "Permission denied")])
def test_a_folder_that_cannot_be_written_is_found_without_a_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flags: int, why: str
) -> None:
    data_folder.require_writable(tmp_path / "new" / "data")
    monkeypatch.setattr("os.access", lambda path, _mode: path != tmp_path)  # root may write everywhere
    monkeypatch.setattr("os.statvfs", lambda _: SimpleNamespace(f_flag=flags))

    with pytest.raises(DataFolderError, match=why):
        data_folder.require_writable(tmp_path / "new" / "data")


class TestLock:
    def test_a_second_hub_is_refused_and_names_the_first(self, tmp_path: Path) -> None:
        held = data_folder.lock(tmp_path)
        held.write_facts({"pid": 4711, "url": "http://127.0.0.1:8000"})

        with pytest.raises(DataFolderError, match=r"process 4711, at http://127\.0\.0\.1:8000"):
            data_folder.lock(tmp_path)

        held.release()

    def test_reading_the_running_hubs_facts_does_not_take_the_lock(self, tmp_path: Path) -> None:
        held = data_folder.lock(tmp_path)
        held.write_facts({"pid": 1})
        assert data_folder.running_hub(tmp_path) == {"pid": 1}

        held.release()

        assert data_folder.running_hub(tmp_path) is None
        data_folder.lock(tmp_path).release()

    def test_no_hub_runs_in_a_folder_that_does_not_exist(self, tmp_path: Path) -> None:
        assert data_folder.running_hub(tmp_path / "none") is None

    def test_waits_for_the_children_of_a_killed_hub(self, tmp_path: Path) -> None:
        killed = data_folder.lock(tmp_path)
        os.close(killed.own)

        with pytest.raises(DataFolderError, match="earlier hub"):
            data_folder.lock(tmp_path, timeout_seconds=0.1)

        os.close(killed.tree)
        data_folder.lock(tmp_path).release()


class TestRunFolder:
    def test_is_in_the_data_folder_if_its_path_is_short(self) -> None:
        assert data_folder.run_folder_path(Path("/srv/hub")) == Path("/srv/hub/run")

    def test_is_in_the_temporary_folder_if_a_socket_would_not_fit(self, tmp_path: Path) -> None:
        data = tmp_path / ("long" * 20)
        data.mkdir()

        folder = data_folder.make_run_folder(data)

        assert len(str(folder)) <= data_folder.LONGEST_RUN_FOLDER
        assert mode(folder) == 0o700
        assert data_folder.make_run_folder(data) == folder
        data_folder.remove_run_folder(folder, data)
        assert not folder.exists()

    def test_stays_if_it_is_in_the_data_folder(self, tmp_path: Path) -> None:
        (tmp_path / "run").mkdir()

        data_folder.remove_run_folder(tmp_path / "run", tmp_path)

        assert (tmp_path / "run").is_dir()

    def test_a_folder_that_others_may_read_is_refused(self, tmp_path: Path) -> None:
        folder = data_folder.make_run_folder(tmp_path)
        folder.chmod(0o755)

        with pytest.raises(DataFolderError, match="belongs to another user, or others may read it"):
            data_folder.make_run_folder(tmp_path)

        folder.rmdir()
