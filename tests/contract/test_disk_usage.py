"""The size of a home on a real file system."""

import errno
import os
import tempfile
from pathlib import Path

import pytest

from hubless.adapters.processes import disk_usage
from hubless.adapters.processes.disk_usage import LocalHomes, walk
from hubless.adapters.processes.launch_folder import LaunchFolder, Note

KIB = 1024


def written(path, kib):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(os.urandom(kib * KIB))
    with path.open("rb") as file:
        os.fsync(file.fileno())  # otherwise the blocks come later
    return path


def measured(home):
    *_, last = walk(home)
    return last


def open_files():
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


@pytest.fixture
def home(tmp_path):
    made = tmp_path / "homes" / "u-1"
    made.mkdir(parents=True)
    return made


def test_files_at_every_depth_count(home):
    empty = measured(home).size
    written(home / "a", 400)
    written(home / "one" / "two" / "three" / "b", 600)
    found = measured(home)
    assert found.is_whole
    assert 1000 * KIB <= found.size - empty < 1100 * KIB


def test_links_are_not_followed(home, tmp_path):
    before = measured(home).size
    written(tmp_path / "elsewhere" / "large", 4000)
    (home / "folder").symlink_to(tmp_path / "elsewhere")
    (home / "file").symlink_to(tmp_path / "elsewhere" / "large")
    (home / "self").symlink_to(home)
    assert measured(home).size - before < 100 * KIB


def test_a_home_that_is_a_link_is_not_measured(home, tmp_path):
    written(home / "a", 400)
    (tmp_path / "link").symlink_to(home)
    found = measured(tmp_path / "link")
    assert (found.size, found.is_whole) == (0, False)


def test_a_file_with_several_names_counts_once(home):
    file = written(home / "a", 400)
    before = measured(home).size
    for number in range(20):
        os.link(file, home / f"again-{number}")
    assert measured(home).size - before < 100 * KIB


def test_too_many_names_to_remember_are_shared_out(home, monkeypatch):
    monkeypatch.setattr(disk_usage, "MAX_LINKED", 0)
    empty = measured(home).size
    file = written(home / "a", 400)
    os.link(file, home / "b")
    assert 400 * KIB <= measured(home).size - empty < 500 * KIB


def test_another_file_system_is_left_out():
    assert Path("/dev").stat().st_dev != Path("/dev/shm").stat().st_dev
    before = measured(Path("/dev")).size
    with tempfile.NamedTemporaryFile(dir="/dev/shm") as file:
        file.write(bytes(4000 * KIB))
        file.flush()
        assert measured(Path("/dev")).size - before < 4000 * KIB


def test_pipes_and_sockets_do_not_block(home):
    os.mkfifo(home / "pipe")
    assert measured(home).is_whole


def test_what_is_too_deep_is_told(home, monkeypatch):
    monkeypatch.setattr(disk_usage, "MAX_DEPTH", 3)
    written(home / "1" / "2" / "3" / "4" / "hidden", 400)
    found = measured(home)
    assert not found.is_whole
    assert found.size < 400 * KIB


def test_what_is_too_much_is_told(home, monkeypatch):
    monkeypatch.setattr(disk_usage, "MAX_ENTRIES", 3)
    for number in range(9):
        (home / str(number)).touch()
    assert not measured(home).is_whole


def test_a_walk_goes_in_steps_and_closes_what_it_leaves(home, monkeypatch):
    monkeypatch.setattr(disk_usage, "BATCH", 2)
    for number in range(9):
        written(home / str(number) / "file", 1)
    before = open_files()
    steps = walk(home)
    next(steps), next(steps)
    assert open_files() > before
    steps.close()
    assert open_files() == before
    assert sum(1 for _ in walk(home)) == 18 // 2 + 1
    assert open_files() == before


def test_a_directory_that_vanishes_is_passed_over(home, monkeypatch):
    monkeypatch.setattr(disk_usage, "BATCH", 1)
    for number in range(4):
        (home / str(number)).mkdir()
    steps = walk(home)
    next(steps)
    for number in range(4):
        (home / str(number)).rmdir()
    assert sum(1 for _ in steps) >= 1


@pytest.mark.parametrize("allowed", [0, 1])
def test_a_directory_that_cannot_be_listed_leaves_nothing_open(home, monkeypatch, allowed):
    for number in range(4):
        (home / str(number)).mkdir()
    before, scandir, left = open_files(), os.scandir, [True] * allowed

    def without_descriptors(path):
        if isinstance(path, int) and not (left and left.pop()):
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", without_descriptors)
    assert not measured(home).is_whole
    assert open_files() == before


def test_a_launch_knows_where_the_home_is(tmp_path, home):
    elsewhere = tmp_path / "home-of-alice"
    written(elsewhere / "a", 400)
    folder = LaunchFolder(tmp_path / "servers" / "l1")
    folder.make()
    folder.write_note(Note(1, str(elsewhere), 0))
    homes = LocalHomes(tmp_path / "servers", tmp_path / "homes")
    *_, by_task = homes.walk("u-1", "l1")
    *_, by_id = homes.walk("u-1", "never")
    assert by_task.size >= 400 * KIB > by_id.size
    assert homes.walk("u-2", None) is None
