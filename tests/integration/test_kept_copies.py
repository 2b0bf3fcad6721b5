"""Which copies of the database that upgrades and restores kept are removed."""

import io
import json
import os
import sqlite3
from contextlib import closing
from dataclasses import asdict
from datetime import UTC, datetime, timedelta

import pytest

from embedded import data_folder, isolation, kept_copies
from embedded.ipc import ChildConfig
from hubless.settings import parse

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
OLD = 30  # days


class Copies:
    """Copies of one kind in a data folder."""

    def __init__(self, data):
        data.mkdir()
        self.data, self.told = data, []

    def make(self, number, *, days_old, is_whole=True):
        """Make a copy whose name has the number."""
        made_at = NOW - timedelta(days=days_old)
        file = self._file(number, made_at)
        with closing(sqlite3.connect(file)) as database:
            database.execute("CREATE TABLE users (name)")
            database.execute("PRAGMA user_version = 7")
            database.commit()
        if not is_whole:
            file.write_bytes(file.read_bytes()[:1000])
        os.utime(file, (made_at.timestamp(),) * 2)

    def left(self):
        """Remove old copies, and return the numbers of those that are left."""
        kept_copies.remove_old_copies(parse("", self.data), NOW, self.told.append)
        return {int(path.name[-1]) for path in self.data.iterdir()}


class OfUpgrades(Copies):
    def _file(self, number, _):
        return self.data / f"hub.sqlite.schema-{number}"


class OfRestores(Copies):
    def _file(self, number, made_at):
        folder = self.data / f"{kept_copies.name_of_restore(made_at)}x{number}"
        folder.mkdir()
        return folder / "hub.sqlite"


@pytest.fixture(params=[OfUpgrades, OfRestores])
def copies(request, tmp_path):
    return request.param(tmp_path / "data")


def test_the_newest_three_stay_and_each_that_goes_is_told(copies):
    for number in range(6):
        copies.make(number, days_old=OLD + number)
    assert copies.left() == {0, 1, 2}
    assert [line.partition(":")[0][-1] for line in copies.told] == ["3", "4", "5"]
    assert all(line.startswith("Removed ") for line in copies.told)


def test_what_is_young_stays_however_much_it_is(copies):
    for number in range(6):
        copies.make(number, days_old=number)
    assert copies.left() == {0, 1, 2, 3, 4, 5}


def test_the_last_good_copy_stays_beside_newer_ones_of_a_damaged_database(copies):
    for number in range(6):
        copies.make(number, days_old=OLD + number, is_whole=number > 3)
    assert copies.left() == {0, 1, 2, 4}
    assert copies.left() == {0, 1, 2, 4}


def test_an_empty_database_is_no_good_copy(copies):
    for number in range(5):
        copies.make(number, days_old=OLD + number)
    for file in [*copies.data.glob("*[012]"), *copies.data.glob("*[012]/hub.sqlite")]:
        if file.is_file():
            file.write_bytes(b"")
            os.utime(file, ((NOW - timedelta(days=OLD)).timestamp(),) * 2)
    assert 3 in copies.left()


def test_a_copy_that_cannot_be_removed_is_told_and_the_others_go(copies, monkeypatch):
    for number in range(5):
        copies.make(number, days_old=OLD + number)

    def refuse(path):
        if str(path).endswith("3"):
            raise PermissionError(1, "Operation not permitted")
        path.rename(copies.data.parent / "gone")

    monkeypatch.setattr("shutil.rmtree", refuse)
    monkeypatch.setattr("pathlib.Path.unlink", refuse)
    assert copies.left() == {0, 1, 2, 3}
    assert "Remove it yourself" in copies.told[0]


def test_what_others_put_there_stays(copies):
    for number in range(4):
        copies.make(number, days_old=OLD + number)
    for name in ("hub.sqlite.schema-old7", "before-restore-mine8", "hub.sqlite-9"):
        (copies.data / name).mkdir()
    (copies.data / "before-restore-20250101T000000Z-archive.6").touch()
    (copies.data / "hub.sqlite.schema-5").mkdir()
    assert copies.left() == {0, 1, 2, 5, 6, 7, 8, 9}


def test_a_start_removes_old_copies_and_says_so(tmp_path, monkeypatch, capsys):
    copies = OfUpgrades(tmp_path / "data")
    for number in range(4):
        copies.make(number, days_old=OLD + number)
    (copies.data / "hubless-data").touch()
    settings = "[servers]\nisolation = 'none'"
    data_folder.prepare(parse(settings, copies.data))
    child = ChildConfig(str(copies.data), settings, "settings", "127.0.0.1", 8000, 1, stop_on_exit=False)
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(asdict(child))))
    isolation.main()
    assert capsys.readouterr().err.startswith(f"Removed {copies.data}/hub.sqlite.schema-3: 3 newer copies")
