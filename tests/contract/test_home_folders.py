"""Homes by name, and moving, deleting and archiving the homes of removed users, on a real file system."""

import fcntl
import os
import stat
import tarfile
from datetime import UTC, datetime
from pathlib import Path

import pytest

from hubless.adapters.processes import home_archive, home_folders
from hubless.adapters.processes.accounts import Account
from hubless.adapters.processes.home_archive import archive
from hubless.adapters.processes.home_folders import LocalHomeFolders
from hubless.adapters.processes.isolation.homes import make_home
from hubless.domain.errors import HomeTaskError
from hubless.domain.ids import identifier
from hubless.domain.users import User

AT = datetime(2026, 11, 28, tzinfo=UTC)
MARIA, ANNA = (identifier("u", AT, bytes([number] * 10)) for number in (1, 2))
RECEIVER = User(id=ANNA, name="anna", created_at=AT)
NEEDS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files to another account")


class Isolation:
    """Gives every owner one uid, or the hub's own."""

    def __init__(self, homes: Path, uid: int | None = None) -> None:
        self.homes, self.uid = homes, uid

    def account(self, owner_name: str, owner_id: str) -> Account:
        return Account(owner_name, self.homes / owner_id, "/bin/sh", self.uid, self.uid)

    def prepare(self, account: Account) -> None:
        make_home(account)


@pytest.fixture
def homes(tmp_path: Path) -> Path:
    made = tmp_path / "homes"
    made.mkdir()
    return made


@pytest.fixture
def folders(homes: Path) -> LocalHomeFolders:
    return folders_of(homes)


@pytest.fixture
def maria(homes: Path) -> Path:
    """The home of a user."""
    home = homes / MARIA
    (home / "work").mkdir(parents=True)
    (home / "work" / "notes.txt").write_text("notes")
    return home


def folders_of(homes: Path, uid: int | None = None) -> LocalHomeFolders:
    return LocalHomeFolders(homes, homes.parent / "lock", lambda: Isolation(homes, uid))  # type: ignore[arg-type]


def links(homes: Path) -> dict[str, str]:
    return {one.name: str(one.readlink()) for one in (homes / "by-name").iterdir() if one.is_symlink()}


# --- links by name ---


def test_a_home_is_found_by_name(folders: LocalHomeFolders, homes: Path, maria: Path) -> None:
    folders.link_names({MARIA: "maria"})
    assert (homes / "by-name" / "maria" / "work" / "notes.txt").read_text() == "notes"
    assert stat.S_IMODE((homes / "by-name").stat().st_mode) == 0o700


def test_links_follow_names(folders: LocalHomeFolders, homes: Path) -> None:
    folders.link_names({MARIA: "maria", ANNA: "anna"})
    folders.link_names({MARIA: "anna", ANNA: "maria"})
    assert links(homes) == {"anna": f"../{MARIA}", "maria": f"../{ANNA}"}
    folders.link_names({ANNA: "maria"})
    assert links(homes) == {"maria": f"../{ANNA}"}


def test_links_of_an_earlier_hub_are_put_right(homes: Path) -> None:
    folders_of(homes).link_names({MARIA: "maria", ANNA: "gone"})
    folders_of(homes).link_names({MARIA: "maria-2"})
    assert links(homes) == {"maria-2": f"../{MARIA}"}


def test_an_operators_own_files_stay(folders: LocalHomeFolders, homes: Path) -> None:
    (homes / "by-name").mkdir()
    (homes / "by-name" / "maria").write_text("mine")
    (homes / "by-name" / "backup").symlink_to("/srv/backup")
    folders.link_names({MARIA: "maria"})
    assert (homes / "by-name" / "maria").read_text() == "mine"
    assert links(homes) == {"backup": "/srv/backup"}


def test_only_homes_are_homes(folders: LocalHomeFolders, homes: Path, maria: Path) -> None:
    for name in ("lost+found", "by-name", ".trial-own", "unclear", "u" * 27):
        (homes / name).mkdir()
    (homes / ANNA).symlink_to(maria)
    assert folders.owner_ids() == {MARIA}


# --- deleting ---


def test_a_deleted_home_is_gone(folders: LocalHomeFolders, homes: Path, maria: Path) -> None:
    assert list(folders.delete(MARIA))[-1] == 3
    assert not maria.exists()
    assert list(folders.delete(MARIA)) == []  # again, after a crash before anybody noted it


def test_deleting_follows_no_link(folders: LocalHomeFolders, maria: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "file").touch()
    (maria / "folder").symlink_to(kept)
    (maria / "file").symlink_to(kept / "file")
    list(folders.delete(MARIA))
    assert (kept / "file").exists()


def test_a_home_that_is_a_link_stays(folders: LocalHomeFolders, homes: Path, tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (homes / MARIA).symlink_to(tmp_path / "kept")
    with pytest.raises(OSError, match=MARIA):
        list(folders.delete(MARIA))
    assert (tmp_path / "kept").is_dir()


def test_folders_deep_in_each_other_are_deleted(
    folders: LocalHomeFolders, maria: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(home_folders, "MAX_DEPTH", 7)
    descriptor = os.open(maria, os.O_RDONLY)
    for _ in range(30):  # longer than a path may be
        os.mkdir("d" * 200, dir_fd=descriptor)
        inner = os.open("d" * 200, os.O_RDONLY, dir_fd=descriptor)
        os.close(descriptor)
        descriptor = inner
    os.close(descriptor)
    before = open_files()
    list(folders.delete(MARIA))
    assert not maria.exists()
    assert open_files() == before


def test_a_deletion_goes_on_where_it_was_stopped(
    folders: LocalHomeFolders, maria: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(home_folders, "BATCH", 5)
    for number in range(40):
        (maria / f"{number}").touch()
    before = open_files()
    steps = folders.delete(MARIA)
    next(steps)
    steps.close()
    assert maria.exists()
    assert open_files() == before
    list(folders.delete(MARIA))
    assert not maria.exists()


def test_what_cannot_be_deleted_is_named(
    folders: LocalHomeFolders, maria: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "unlink", refuse)
    with pytest.raises(HomeTaskError, match="work' cannot be deleted: Operation not permitted"):
        list(folders.delete(MARIA))


def test_a_failure_names_files_whose_names_are_no_text(
    folders: LocalHomeFolders, maria: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    (maria / "work").rename(maria / os.fsdecode(b"w\xff\n\x1b[2J"))
    monkeypatch.setattr(os, "unlink", refuse)
    with pytest.raises(HomeTaskError) as refused:
        list(folders.delete(MARIA))
    assert r"w\udcff\n\x1b[2J' cannot be deleted" in refused.value.message
    refused.value.message.encode()  # as stores and logs do


def test_nothing_outside_the_folder_of_homes_is_deleted(folders: LocalHomeFolders, tmp_path: Path) -> None:
    for wrong in ("", ".", "..", "../homes", "by-name"):
        with pytest.raises(HomeTaskError):
            list(folders.delete(wrong))


# --- giving ---


def test_given_files_lie_in_a_folder_of_the_receiver(folders: LocalHomeFolders, homes: Path, maria: Path) -> None:
    assert folders.give(MARIA, "maria", RECEIVER) == "files-of-maria"
    assert (homes / ANNA / "files-of-maria" / "work" / "notes.txt").read_text() == "notes"
    assert not maria.exists()
    assert folders.give(MARIA, "maria", RECEIVER) == ""  # again, after a crash before anybody noted it


def test_given_files_replace_nothing(folders: LocalHomeFolders, homes: Path, maria: Path, tmp_path: Path) -> None:
    (homes / ANNA / "files-of-maria").mkdir(parents=True)
    (homes / ANNA / "files-of-maria-2").symlink_to(tmp_path)
    assert folders.give(MARIA, "maria", RECEIVER) == "files-of-maria-3"
    assert not any((homes / ANNA / "files-of-maria").iterdir())


def test_files_of_the_longest_name_are_given(folders: LocalHomeFolders, homes: Path, maria: Path) -> None:
    found = folders.give(MARIA, "ü" * 255, RECEIVER)
    assert (homes / ANNA / found / "work").is_dir()


def test_a_receiver_whose_home_cannot_be_made_gets_nothing(
    folders: LocalHomeFolders, maria: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Isolation, "prepare", refuse)
    with pytest.raises(HomeTaskError, match=r"cannot be moved into .*: Operation not permitted"):
        folders.give(MARIA, "maria", RECEIVER)
    assert maria.exists()


def test_files_that_cannot_be_moved_stay(
    folders: LocalHomeFolders, homes: Path, maria: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "rename", refuse)
    with pytest.raises(HomeTaskError, match="on another file system"):
        folders.give(MARIA, "maria", RECEIVER)
    assert (maria / "work" / "notes.txt").exists()
    assert not any((homes / ANNA).iterdir())


@NEEDS_ROOT
def test_given_files_belong_to_the_receiver(homes: Path, maria: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").touch()
    (maria / "link").symlink_to(tmp_path / "elsewhere")
    folders_of(homes, 4321).give(MARIA, "maria", RECEIVER)
    given = homes / ANNA / "files-of-maria"
    assert {one.lstat().st_uid for one in (given, *given.rglob("*"))} == {4321}
    assert (tmp_path / "elsewhere").stat().st_uid == 0


# --- archives ---


def test_an_archive_has_the_files_with_their_owners_name(maria: Path, tmp_path: Path) -> None:
    (maria / "link").symlink_to("/etc/passwd")
    os.link(maria / "work" / "notes.txt", maria / "again")
    os.mkfifo(maria / "pipe")
    *_, last = archive(maria, tmp_path / "maria.tar.gz", "maria")
    assert (last.files, last.left_out) == (5, 1)
    with tarfile.open(tmp_path / "maria.tar.gz") as tar:
        members = {one.name: one for one in tar.getmembers()}
        inside = [one for one in members.values() if not one.issym()]
        tar.extractall(tmp_path / "unpacked", filter="data", members=inside)
    assert members.keys() == {"maria", "maria/work", "maria/work/notes.txt", "maria/link", "maria/again"}
    assert {one.uname for one in members.values()} == {"maria"}
    assert members["maria/link"].linkname == "/etc/passwd"
    assert (tmp_path / "unpacked" / "maria" / "again").read_text() == "notes"
    assert stat.S_IMODE((tmp_path / "maria.tar.gz").stat().st_mode) == 0o600


def test_a_stopped_archive_leaves_nothing(maria: Path, tmp_path: Path) -> None:
    before, opened = sorted(tmp_path.iterdir()), open_files()
    steps = archive(maria, tmp_path / "maria.tar.gz", "maria")
    next(steps)
    steps.close()
    assert sorted(tmp_path.iterdir()) == before
    assert open_files() == opened


def test_an_archive_replaces_no_file(maria: Path, tmp_path: Path) -> None:
    (tmp_path / "maria.tar.gz").write_text("mine")
    with pytest.raises(HomeTaskError, match="exists already"):
        list(archive(maria, tmp_path / "maria.tar.gz", "maria"))
    (tmp_path / "maria.tar.gz").unlink()
    steps = archive(maria, tmp_path / "maria.tar.gz", "maria")
    next(steps)
    (tmp_path / "maria.tar.gz").write_text("mine")
    with pytest.raises(HomeTaskError, match="File exists"):
        list(steps)
    assert (tmp_path / "maria.tar.gz").read_text() == "mine"


def test_an_archive_says_what_lies_too_deep(maria: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(home_archive, "MAX_DEPTH", 2)
    (maria / "work" / "deep" / "deeper").mkdir(parents=True)
    *_, last = archive(maria, tmp_path / "maria.tar.gz", "maria")
    assert last.left_out == 1


def test_homes_are_worked_on_one_at_a_time(homes: Path) -> None:
    with folders_of(homes).work(), (homes.parent / "lock").open() as lock, pytest.raises(BlockingIOError):
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    with (homes.parent / "lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


def open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())
