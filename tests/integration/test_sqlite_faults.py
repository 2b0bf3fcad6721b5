"""What the SQLite store says and keeps when the file, the disk or a process fails."""

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from hubless.adapters.sqlite import schema
from hubless.adapters.sqlite.database import Database
from hubless.adapters.sqlite.queue import SqliteQueue
from hubless.adapters.sqlite.routes import SqliteRouteStore
from hubless.adapters.sqlite.tokens import SqliteTokenStore
from hubless.adapters.sqlite.users import SqliteGroupStore, SqliteUserStore
from hubless.domain.errors import StoreBusyError, StoreUnavailableError
from hubless.domain.messages import Message, MessageKind
from hubless.domain.routes import RouteChange, ServerKey
from hubless.domain.users import Group
from tests.support.builders import NOW, a_user
from tests.support.concurrency import concurrently

ROOT = Path(__file__).parents[2]


def filled(path, users=300):
    database = Database(path)
    SqliteUserStore(database).create([a_user(f"user{n:04}", user_info={"pad": "x" * 200}) for n in range(users)])
    database.write("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()


def use(path):
    database = Database(path)
    SqliteUserStore(database).page(offset=0, limit=9999)
    SqliteUserStore(database).create([a_user("new")])


def test_a_file_that_is_no_database_is_named_and_left_alone(tmp_path):
    path = tmp_path / "hub.sqlite"
    content = b"these are my notes, not a database\n" * 200
    path.write_bytes(content)
    with pytest.raises(StoreUnavailableError) as refused:
        use(path)
    assert str(path) in str(refused.value)
    assert "not a database of hubless" in str(refused.value)
    assert path.read_bytes() == content


def test_a_corrupt_file_is_named_with_what_to_do(tmp_path):
    path = tmp_path / "hub.sqlite"
    filled(path)
    content = bytearray(path.read_bytes())
    content[4096:] = b"\xa5" * (len(content) - 4096)  # the first page says that this is a database; the rest is noise
    path.write_bytes(content)
    with pytest.raises(StoreUnavailableError) as refused:
        use(path)
    assert str(path) in str(refused.value)
    assert "from a backup" in str(refused.value)


def test_a_truncated_file_is_said_to_be_broken(tmp_path):
    path = tmp_path / "hub.sqlite"
    filled(path)
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)
    with pytest.raises(StoreUnavailableError, match="from a backup"):
        use(path)


def test_the_file_is_for_its_owner_alone_whatever_the_umask(tmp_path):
    def modes():
        return {file.name: oct(file.stat().st_mode & 0o777) for file in tmp_path.iterdir()}

    alone = dict.fromkeys(("hub.sqlite", "hub.sqlite-wal", "hub.sqlite-shm"), "0o600")
    before = os.umask(0)
    try:
        first = Database(tmp_path / "hub.sqlite")
        assert modes() == alone
        for file in tmp_path.iterdir():
            file.chmod(0o666)  # as older versions left them
        second = Database(tmp_path / "hub.sqlite")
        assert modes() == alone
    finally:
        os.umask(before)
    second.close()
    first.close()


def test_of_the_links_of_an_older_file_the_newest_stays(tmp_path):
    file, before = tmp_path / "hub.sqlite", schema.STEPS.index(schema._LIMITED_LINKS)
    with contextlib.closing(sqlite3.connect(file)) as raw:
        for step in schema.STEPS[:before]:
            raw.executescript(step)
        for values in (("u1", "ada", "ada", 0, 1, 0), ("u2", "bo", "bo", 0, 1, 0)):
            columns = "id, name, folded, admin, created_at, revision"
            raw.execute(f"INSERT INTO users ({columns}) VALUES (?, ?, ?, ?, ?, ?)", values)
        raw.execute("INSERT INTO password_links VALUES ('a', 'u1', 5), ('b', 'u1', 7), ('c', 'u1', 6), ('d', 'u2', 1)")
        raw.execute(f"PRAGMA user_version = {before}")
        raw.commit()
    database = Database(file)
    assert database.read("SELECT sha256, within FROM password_links ORDER BY sha256") == [("b", None), ("d", None)]
    database.close()


def test_users_of_an_older_file_keep_their_names_free_of_look_alikes(tmp_path):
    file, before = tmp_path / "hub.sqlite", schema.STEPS.index(schema._SKELETONS)
    with contextlib.closing(sqlite3.connect(file)) as raw:
        for step in schema.STEPS[:before]:
            raw.executescript(step)
        names = ["Dave", "dave", "zoë"]
        raw.executemany("INSERT INTO users VALUES (?1, ?1, ?1, 0, 1, NULL, NULL, 0)", [(name,) for name in names])
        raw.execute(f"PRAGMA user_version = {before}")
        raw.commit()
    users = SqliteUserStore(Database(file))
    assert users.holders(["Dave", "dave", "DAVE", "ZOË", "bob"]) == {
        "Dave": "Dave",
        "dave": "dave",
        "DAVE": "Dave",
        "ZOË": "zoë",
    }
    assert users.create([a_user("DAVE"), a_user("ZOË")]) == []
    assert users.find("Dave").id == "Dave"


def test_a_newer_schema_is_refused_and_left_alone(tmp_path):
    path = tmp_path / "hub.sqlite"
    filled(path, 1)
    with sqlite3.connect(path) as raw:
        raw.execute(f"PRAGMA user_version = {schema.VERSION + 1}")
    raw.close()
    with pytest.raises(StoreUnavailableError, match="newer hubless") as refused:
        Database(path)
    assert str(path) in str(refused.value)
    with sqlite3.connect(path) as raw:
        assert raw.execute("PRAGMA user_version").fetchone() == (schema.VERSION + 1,)
        assert raw.execute("SELECT count(*) FROM users").fetchone() == (1,)
    raw.close()


def test_a_file_of_the_first_version_takes_the_steps_that_it_lacks(tmp_path):
    path = tmp_path / "hub.sqlite"
    with sqlite3.connect(path) as raw:
        raw.executescript(schema.STEPS[0])
        raw.execute("INSERT INTO users VALUES ('u1', 'alice', 'alice', 0, 0, NULL, NULL, 0)")
        raw.execute("PRAGMA user_version = 1")
    raw.close()
    database = Database(path)
    assert SqliteUserStore(database).find("alice").shared == ()
    assert database.read_one("PRAGMA user_version") == (schema.VERSION,)
    database.close()


def test_the_upgrade_binds_filters_of_old_tokens_to_ids(tmp_path):
    path = tmp_path / "hub.sqlite"
    scopes = [
        "read:users!user=bob",
        "groups!group=staff",
        "servers!server=bob/lab",
        "servers!server=bob/",
        "users!user=nobody",
        "x",
    ]
    with sqlite3.connect(path) as raw:
        for step in schema.STEPS[:3]:
            raw.executescript(step)
        raw.execute("INSERT INTO users VALUES ('u1', 'bob', 'bob', 0, 0, NULL, NULL, 0)")
        raw.execute("INSERT INTO groups VALUES ('g1', 'staff', '{}')")
        raw.execute("INSERT INTO servers VALUES ('s1', 'u1', 'lab', 'stopped', NULL, 0, 0, NULL, '{}')")
        raw.execute(
            "INSERT INTO tokens (id, sha256, owner_kind, owner_id, user_id, scopes, created_at, note)"
            " VALUES ('a1', 'digest', 'user', 'u1', 'u1', ?, 0, '')",
            (json.dumps(scopes),),
        )
        raw.execute("PRAGMA user_version = 3")
    raw.close()
    database = Database(path)
    database.write("UPDATE users SET name = 'rob' WHERE id = 'u1'")
    database.write(
        "INSERT INTO users (id, name, folded, admin, created_at, revision, skeleton)"
        " VALUES ('u2', 'bob', 'bob', 0, 0, 0, 'bob')"
    )
    found = SqliteTokenStore(database).find("digest")
    assert found.scopes == (
        "read:users!user=rob",
        "groups!group=staff",
        "servers!server=rob/lab",
        "servers!server=rob/",
        "x",
    )
    database.close()


def test_routes_of_an_older_file_learn_whose_they_are(tmp_path):
    path = tmp_path / "hub.sqlite"
    with sqlite3.connect(path) as raw:
        for step in schema.STEPS[:4]:
            raw.executescript(step)
        raw.execute("INSERT INTO users VALUES ('u1', 'bob', 'bob', 0, 0, NULL, NULL, 0)")
        raw.execute("INSERT INTO servers VALUES ('s1', 'u1', '', 'ready', 'l1', 0, 0, NULL, '{}')")
        for prefix, launch in (("/user/bob/", "l1"), ("/services/x/", "service:/services/x/")):
            raw.execute("INSERT INTO routes VALUES (?, '127.0.0.1:1', ?, 1)", (prefix, launch))
        raw.execute("INSERT INTO route_changes (prefix, address) VALUES ('/user/bob/', '127.0.0.1:1')")
        raw.execute("PRAGMA user_version = 4")
    raw.close()
    database = Database(path)
    routes = SqliteRouteStore(database)
    assert {route.prefix: route.server for route in routes.all()} == {
        "/services/x/": None,
        "/user/bob/": ServerKey("s1", "u1"),
    }
    assert routes.changes_since(0, 9) == [RouteChange(1, "/user/bob/", "127.0.0.1:1")]
    database.close()


def test_a_folder_that_is_not_there_is_said(tmp_path):
    with pytest.raises(StoreUnavailableError, match="folder must exist"):
        Database(tmp_path / "nowhere" / "hub.sqlite")


def test_opening_again_keeps_what_is_there(tmp_path):
    path = tmp_path / "hub.sqlite"
    filled(path, 3)
    assert SqliteUserStore(Database(path)).count() == 3


def test_eight_who_open_a_new_file_at_once_all_can(tmp_path):
    for turn in range(5):
        path = tmp_path / f"hub{turn}.sqlite"

        def opened(n, path=path):
            return SqliteUserStore(Database(path)).create([a_user(f"u{n}")])

        outcomes = concurrently(opened)
        assert [o for o in outcomes if isinstance(o, Exception)] == []
        assert SqliteUserStore(Database(path)).count() == 8


# --- a full disk ---


@pytest.fixture
def full(tmp_path):
    """A database that can have a few pages more, and its users."""
    database = Database(tmp_path / "hub.sqlite")
    pages = database.read_one("PRAGMA page_count")[0]
    database.write(f"PRAGMA max_page_count = {pages + 20}")
    return database


def fill(database):
    """Add users one by one until it fails; return the names that were acknowledged and the error."""
    users, known = SqliteUserStore(database), []
    for n in range(10_000):
        try:
            users.create([a_user(f"user{n}", user_info={"pad": "x" * 3000})])
        except StoreUnavailableError as error:
            return known, error
        known.append(f"user{n}")
    raise AssertionError("the disk never filled")


def test_a_full_disk_is_said_in_words(full):
    _, error = fill(full)
    assert "The disk is full" in str(error)


def test_what_was_acknowledged_before_the_disk_was_full_is_there(full, tmp_path):
    known, _ = fill(full)
    assert known
    full.close()
    again = SqliteUserStore(Database(tmp_path / "hub.sqlite"))
    assert again.count() == len(known)
    assert all(again.find(name) for name in known)


def test_a_transaction_that_met_the_full_disk_wrote_nothing(full):
    users, groups = SqliteUserStore(full), SqliteGroupStore(full)
    users.create([a_user("alice")])
    with pytest.raises(StoreUnavailableError, match="The disk is full"):
        users.create([a_user(f"user{n}", user_info={"pad": "x" * 3000}) for n in range(1000)])
    with pytest.raises(StoreUnavailableError, match="The disk is full"):
        groups.create(Group("g1", "staff", ("alice",), {"pad": "x" * 1_000_000}))
    assert users.count() == 1
    assert groups.find("staff") is None


def test_when_there_is_room_again_the_same_connection_goes_on(full):
    known, _ = fill(full)
    full.write("PRAGMA max_page_count = 100000")
    SqliteUserStore(full).create([a_user("carol")])
    SqliteQueue(full).send(Message(MessageKind.STOP, "s", "l"))
    assert SqliteUserStore(full).count() == len(known) + 1
    assert SqliteQueue(full).depth() == 1


def test_others_can_read_and_write_after_somebody_met_the_full_disk(full, tmp_path):
    known, _ = fill(full)
    other = Database(tmp_path / "hub.sqlite")  # the limit is the connection's: here is room
    SqliteUserStore(other).create([a_user("carol")])
    assert SqliteUserStore(other).count() == len(known) + 1


# --- a writer that dies ---

WRITER = """
import sys
from pathlib import Path
from hubless.adapters.sqlite.database import Database
from hubless.adapters.sqlite.queue import SqliteQueue
from hubless.adapters.sqlite.users import SqliteUserStore
from hubless.domain.messages import MessageKind, Message
from tests.support.builders import a_user
database = Database(Path(sys.argv[1]))
users, queue = SqliteUserStore(database), SqliteQueue(database)
for n in range(1_000_000):
    with database.transaction():
        users.create([a_user(f"{sys.argv[2]}-{n}")])
        queue.send(Message(MessageKind.LAUNCH, f"{sys.argv[2]}-{n}", "l"))
    print(f"{sys.argv[2]}-{n}", flush=True)
"""


def test_every_acknowledged_write_survives_a_crash_of_its_writers(tmp_path):
    path = tmp_path / "hub.sqlite"
    Database(path).close()
    acknowledged = set()
    for turn in range(3):
        writers = [
            subprocess.Popen(
                [sys.executable, "-c", WRITER, str(path), f"w{turn}{n}"], cwd=ROOT, stdout=subprocess.PIPE, text=True
            )
            for n in range(2)
        ]
        for writer in writers:
            for _ in range(40):
                acknowledged.add(writer.stdout.readline().strip())
        for writer in writers:
            os.kill(writer.pid, signal.SIGKILL)
        for writer in writers:
            # What was said before the kill is still in the pipe; a last line without its end was not said whole.
            acknowledged |= {line.strip() for line in writer.stdout if line.endswith("\n")}
            writer.wait()
            writer.stdout.close()
    database = Database(path)
    users = {user.name for user in SqliteUserStore(database).page(offset=0, limit=1_000_000)[0]}
    queued = {row[0] for row in database.read("SELECT server_id FROM queue")}
    assert "" not in acknowledged
    assert len(acknowledged) >= 3 * 2 * 40
    assert acknowledged <= users
    assert users == queued  # each transaction whole or not at all
    assert database.read_one("PRAGMA integrity_check")[0] == "ok"
    SqliteUserStore(database).create([a_user("after", created_at=NOW)])


def test_a_writer_killed_in_a_transaction_leaves_no_change_and_no_lock(tmp_path):
    path = tmp_path / "hub.sqlite"
    Database(path).close()
    code = WRITER.split("for n in", maxsplit=1)[0] + (
        "import os, signal\nwith database.transaction():\n    users.create([a_user('half')])\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    died = subprocess.run([sys.executable, "-c", code, str(path), "w"], cwd=ROOT, check=False)
    assert died.returncode == -signal.SIGKILL
    users = SqliteUserStore(Database(path))
    assert users.find("half") is None
    assert users.create([a_user("whole")])


def test_opening_the_file_again_keeps_the_locks_of_this_process(tmp_path):
    path = tmp_path / "hub.sqlite"
    first = Database(path)
    first.read("SELECT 1")
    Database(path).read("SELECT 1")
    another = (
        "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('SELECT * FROM users').fetchall(); c.close()"
    )
    subprocess.run([sys.executable, "-c", another, str(path)], check=True)
    # The last process to close the file removes the WAL: without our locks the other one took itself for the last.
    assert path.with_name("hub.sqlite-wal").exists()


def test_of_writes_that_meet_a_held_lock_one_waits_and_others_try_once(tmp_path):
    path = tmp_path / "hub.sqlite"
    database = Database(path)

    def waited():
        with pytest.raises(StoreBusyError, match="Another process writes"):
            database.write("UPDATE sweep SET place = 'x'")
        return database.read_one("PRAGMA busy_timeout")[0]

    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other, database.wait_at_most(0.02):
        assert database.is_free()
        other.execute("BEGIN IMMEDIATE")
        assert [waited(), waited()] == [20, 0]
        assert not database.is_free()
        other.execute("ROLLBACK")
        assert database.is_free()
        other.execute("BEGIN IMMEDIATE")
        assert waited() == 20
        other.execute("ROLLBACK")
        database.write("UPDATE sweep SET place = 'x'")
    database.close()


def test_another_thread_can_read_while_somebody_holds_the_write_lock(tmp_path):
    path = tmp_path / "hub.sqlite"
    database = Database(path)
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert concurrently(lambda _: database.read("SELECT 1"), times=1) == [[(1,)]]
        other.execute("ROLLBACK")
    database.close()


def replaced(path):
    other = path.with_name("other.sqlite")
    filled(other, users=1)
    other.replace(path)


@pytest.mark.parametrize("fault", [Path.unlink, replaced])
def test_a_write_to_a_file_that_was_removed_or_replaced_is_no_success(tmp_path, fault):
    path = tmp_path / "hub.sqlite"
    database = Database(path)
    users = SqliteUserStore(database)
    users.create([a_user("before")])
    fault(path)
    with pytest.raises(StoreUnavailableError, match=r"was removed or replaced.*hubless restore"):
        users.create([a_user("after")])
    with pytest.raises(StoreUnavailableError, match="was removed or replaced"):
        database.write("UPDATE sweep SET place = 'x'")


def test_another_thread_opens_no_other_file_than_the_first(tmp_path):
    path = tmp_path / "hub.sqlite"
    database = Database(path)
    replaced(path)
    (refused,) = concurrently(lambda _: database.read("SELECT 1"), times=1)
    assert isinstance(refused, StoreUnavailableError)
    assert "was removed or replaced" in str(refused)


def test_only_a_first_start_makes_the_file(tmp_path):
    path = tmp_path / "hub.sqlite"
    with pytest.raises(StoreUnavailableError, match="was removed or replaced"):
        Database(path, create=False)
    assert not path.exists()
