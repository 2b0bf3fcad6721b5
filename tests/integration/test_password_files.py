"""Password files of FirstUseAuthenticator, in each format of Python's dbm, as the real libraries wrote them."""

import dbm.dumb
import fcntl
import json
import random
import shutil
import sqlite3
from pathlib import Path

import bcrypt
import pytest

from hubless.adapters.jupyterhub_passwords import dbm_files, first_use, sqlite_file
from hubless.domain.archive import Archive, ArchivedUser
from hubless.domain.errors import InvalidRequestError

FILES = Path(__file__).parents[1] / "data/jupyterhub-passwords"
FORMATS = ["berkeley", "dumb", "gnu", "sqlite"]
KNOWN = json.loads((FILES / "known.json").read_text())
ALL = {name.encode(): hashed.encode() for name, (_, hashed) in KNOWN.items()}


def read(folder, name="passwords.dbm"):
    return dict(dbm_files.read(Path(folder) / name).pairs)


@pytest.fixture
def copy(tmp_path):
    def copied(form):
        shutil.copytree(FILES / form, tmp_path, dirs_exist_ok=True)
        return tmp_path

    return copied


@pytest.mark.parametrize("form", FORMATS)
def test_each_format_gives_its_names_and_newest_values(form):
    assert len(dbm_files.read(FILES / form / "passwords.dbm").pairs) == len(ALL)
    assert read(FILES / form) == ALL


@pytest.mark.parametrize(
    ("form", "name"),
    [
        ("berkeley", "passwords.dbm.db"),
        *[("dumb", f"passwords.dbm.{suffix}") for suffix in ("dir", "dat", "bak")],
    ],
)
def test_a_file_is_found_from_each_of_its_names(form, name):
    assert read(FILES / form, name) == ALL


def test_a_name_that_ends_like_a_format_is_a_name(copy):
    folder = copy("gnu")
    (folder / "passwords.dbm").rename(folder / "passwords.db")
    assert read(folder, "passwords.db") == ALL
    (folder / "passwords.db").rename(folder / "passwords.pag")  # dbm.ndbm on top of GNU dbm
    (folder / "passwords.dir").touch()
    assert read(folder, "passwords") == ALL


def test_without_its_index_a_dumb_file_is_read_by_the_older_one(copy):
    folder = copy("dumb")
    (folder / "passwords.dbm.dir").unlink()
    found = dbm_files.read(folder / "passwords.dbm")
    assert dict(found.pairs) == ALL
    assert "passwords.dbm.dir is missing" in found.warning


def test_what_the_log_of_sqlite_holds_counts(copy):
    folder = copy("sqlite")
    opened = sqlite3.connect(folder / "passwords.dbm", isolation_level=None)
    opened.execute("PRAGMA journal_mode = wal")
    opened.execute("INSERT INTO Dict VALUES (?, ?)", (b"new", b"in the log"))
    before = {one.name: one.read_bytes() for one in folder.iterdir() if one.suffix != ".dbm-shm"}
    found = read(folder)
    after = {one.name: one.read_bytes() for one in folder.iterdir() if one.suffix != ".dbm-shm"}
    opened.close()

    assert found == ALL | {b"new": b"in the log"}
    assert before == after


def test_a_view_that_never_ends_is_given_up(copy, monkeypatch):
    folder = copy("sqlite")
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i key, i value FROM n WHERE i < 0"
    opened = sqlite3.connect(folder / "passwords.dbm")
    opened.executescript(f"PRAGMA journal_mode = delete; DROP TABLE Dict; CREATE VIEW Dict AS {endless}")
    opened.close()
    monkeypatch.setattr(sqlite_file, "_MOST_STEPS", 20)
    with pytest.raises(InvalidRequestError, match="interrupted"):
        read(folder)


def test_odd_names_of_a_dumb_file_are_those_that_python_reads(tmp_path):
    rolls = random.Random(7)
    odd = [bytes(rolls.randrange(256) for _ in range(rolls.randrange(1, 12))) for _ in range(300)]
    odd += [b"'", b'"', b"'\"", b"\\", b"\\'", b"\n", b"', (0, 1)\n'x", b"\\x41", "zoë".encode()]
    with dbm.dumb.open(str(tmp_path / "passwords.dbm"), "n") as made:
        for name in odd:
            made[name] = b"value of " + name
    assert read(tmp_path) == {name: b"value of " + name for name in odd}


@pytest.mark.parametrize(
    "line",
    ["'a', (0, __import__('os').getpid())", "f'{1}', (0, 3)", "'a' 'b', (0, 3)", "'\\u0041', (0, 3)", "'a', (0, -3)"],
)
def test_no_other_form_of_a_dumb_index_is_read_or_run(tmp_path, line):
    (tmp_path / "passwords.dbm.dir").write_text(line + "\n")
    (tmp_path / "passwords.dbm.dat").write_bytes(b"abc")
    with pytest.raises(InvalidRequestError, match=r"dbm\.dumb"):
        read(tmp_path)


@pytest.mark.parametrize("form", FORMATS)
def test_a_cut_file_is_refused_in_a_sentence(copy, form):
    folder = copy(form)
    file = max(folder.iterdir(), key=lambda one: one.stat().st_size)
    content = file.read_bytes()
    for length in (len(content) - 4000, 2000, 100):
        file.write_bytes(content[:length])
        with pytest.raises(InvalidRequestError, match=r"docs/moving-logins\.md"):
            read(folder)


@pytest.mark.parametrize("form", FORMATS)
def test_a_changed_file_gives_entries_or_a_sentence(copy, form):
    folder, rolls = copy(form), random.Random(form)
    files = sorted(folder.iterdir())
    contents = {file: file.read_bytes() for file in files}
    refused = 0
    for _ in range(400):
        file = rolls.choice(files)
        changed = bytearray(contents[file])
        for _ in range(rolls.randrange(1, 5)):
            changed[rolls.randrange(min(len(changed), rolls.choice([64, 512, 2**20])))] = rolls.randrange(256)
        file.write_bytes(changed)
        try:
            assert sum(len(name) + len(stored) for name, stored in read(folder).items()) < 10 * 2**20
        except InvalidRequestError:
            refused += 1
        file.write_bytes(contents[file])
    assert 0 < refused < 400


def test_what_cannot_be_read_is_refused_and_named(copy, monkeypatch):
    folder = copy("gnu")
    with pytest.raises(InvalidRequestError, match=r"No file of passwords is at .*other"):
        read(folder, "other")
    shutil.copy(FILES / "berkeley/passwords.dbm.db", folder)
    with pytest.raises(InvalidRequestError, match=r"passwords.dbm and passwords.dbm.db are both in"):
        read(folder)
    (folder / "passwords.dbm.db").unlink()
    with (folder / "passwords.dbm").open("rb") as writer:
        fcntl.flock(writer, fcntl.LOCK_EX)
        with pytest.raises(InvalidRequestError, match="Another program writes"):
            read(folder)
    monkeypatch.setattr(dbm_files, "MAX_FILE", 1000)
    with pytest.raises(InvalidRequestError, match="larger than 1000 bytes"):
        read(folder)
    monkeypatch.undo()
    monkeypatch.setattr(dbm_files, "MAX_ENTRIES", 3)
    with pytest.raises(InvalidRequestError, match="more than 3 entries"):
        read(folder)
    (folder / "passwords.dbm").write_bytes(b"name: hash\n")
    with pytest.raises(InvalidRequestError, match="none of the formats"):
        read(folder)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ((0x061561).to_bytes(4, "big") + bytes(600), "1.85"),
        ((0x13579ACD).to_bytes(4, "little") + bytes(600), "32 bits"),
        ((0x13579ACF).to_bytes(4, "big") + bytes(600), "order of bytes"),
    ],
)
def test_files_of_other_machines_are_named(tmp_path, content, said):
    (tmp_path / "passwords.dbm").write_bytes(content)
    with pytest.raises(InvalidRequestError, match=said):
        read(tmp_path)


def test_users_get_their_passwords_and_others_a_remark(copy):
    users = tuple(map(ArchivedUser, ["ada", "zoë", "dora"]))
    after = first_use.with_passwords(Archive("a hub", users), FILES / "gnu/passwords.dbm")

    ada, zoe, dora = after.users
    assert bcrypt.checkpw(b"a-long-password-1", ada.password_hash.encode())
    assert bcrypt.checkpw("zoë's password".encode(), zoe.password_hash.encode())
    assert dora.password_hash is None
    assert {(one.subject, one.is_left_out) for one in after.remarks} == {("dora", False)} | {
        (name, True) for name in KNOWN if name not in {"ada", "zoë"}
    }
    assert not any("$2b$" in f"{one}" for one in (*after.remarks, after))


def test_spellings_from_before_names_were_normalised(tmp_path):
    one, other = (bcrypt.hashpw(text, bcrypt.gensalt(4)) for text in (b"one", b"other"))
    with dbm.dumb.open(str(tmp_path / "p"), "n") as made:
        made["Ada"] = one
        made["Bob"], made["bob"] = other, one
        made["Carol"], made["CAROL"] = one, other
        made["dora"] = b"plain text"
        made["eve"] = b"$2b$31$" + one[7:]
        made[b"\xff"] = one
        made["n" * 2000] = one
    users = tuple(map(ArchivedUser, ["ada", "bob", "carol", "dora", "eve"]))
    after = first_use.with_passwords(Archive("a hub", users), tmp_path / "p")

    assert {user.name: user.password_hash for user in after.users} == {
        "ada": one.decode(), "bob": one.decode(), "carol": None, "dora": None, "eve": None
    }  # fmt: skip
    remarks = {remark.subject: remark.what for remark in after.remarks}
    assert "2 spellings" in remarks["carol"]
    assert "no hash of bcrypt" in remarks["dora"]
    assert "too long" in remarks["eve"]
    assert len(remarks) == 5
