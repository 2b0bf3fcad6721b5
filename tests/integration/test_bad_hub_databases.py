"""What cannot be read is refused with a sentence that says what to do, or left out with a remark."""

import hashlib
import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from hubless.adapters.jupyterhub_database.reading import read
from hubless.adapters.jupyterhub_database.source import UnreadableSourceError
from hubless.domain.errors import InvalidRequestError
from tests.support.jupyterhub_databases import VERSIONS, Made

SIX = Made("6.1.1")
FIVE = Made("5.4.6")


def refusal(source, **more):
    with pytest.raises(UnreadableSourceError) as refused:
        read(str(source), now=SIX.at, **more)
    return str(refused.value)


def archive_of(folder, *changes, of=SIX, **more):
    return read(str(of.copied(folder, *changes)), now=of.at, **more)


def left_out(archive, kind):
    return [r.what for r in archive.remarks if r.kind == kind and "broken" in r.what]


def fingerprint(folder):
    return {p.name: (hashlib.sha256(p.read_bytes()).hexdigest(), p.stat().st_mtime_ns) for p in folder.iterdir()}


@pytest.mark.parametrize("version", VERSIONS)
def test_reading_leaves_the_file_and_its_folder_as_they_are(tmp_path, version):
    made = Made(version)
    made.copied(tmp_path)
    before = fingerprint(tmp_path)
    read(str(tmp_path), now=made.at)
    assert fingerprint(tmp_path) == before


def test_a_file_can_be_named_by_path_folder_and_url(tmp_path):
    path = SIX.copied(tmp_path)
    for source in (path, tmp_path, f"sqlite:///{path}"):
        assert len(read(str(source), now=SIX.at).users) == 5


def test_what_is_no_database_is_refused(tmp_path):
    assert "There is no file" in refusal(tmp_path)
    path = tmp_path / "jupyterhub.sqlite"
    path.touch()
    assert "is empty" in refusal(path)
    path.write_bytes(os.urandom(8192))
    assert "or it is encrypted" in refusal(path)
    path.unlink()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE users (id)")
    assert "No JupyterHub made" in refusal(path)


@pytest.mark.parametrize("page", range(1, 30, 4))
def test_a_file_with_a_broken_page_is_refused(tmp_path, page):
    path = SIX.copied(tmp_path)
    content = bytearray(path.read_bytes())
    content[4096 * page : 4096 * page + 512] = b"\xff" * 512
    path.write_bytes(content)
    assert "restore a backup" in refusal(path)


def test_a_file_that_was_cut_is_refused(tmp_path):
    path = SIX.copied(tmp_path)
    path.write_bytes(path.read_bytes()[:50_000])
    assert "restore a backup" in refusal(path)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (["UPDATE alembic_version SET version_num = 'ffffffffffff'"], "does not know"),
        (["UPDATE alembic_version SET version_num = '896818069c98'"], "before 1.0"),
        (["UPDATE alembic_version SET version_num = 'be8ecf03ddac'"], "broke off"),
        (["UPDATE alembic_version SET version_num = '4621fec11365'"], "broke off: it has JupyterHub 6's"),
        (["DELETE FROM alembic_version"], "it has 0 versions"),
        (["INSERT INTO alembic_version VALUES ('4621fec11365')"], "it has 2 versions"),
        (["CREATE TABLE _alembic_tmp_users (id)"], "a migration left"),
        (["DROP TABLE shares"], "a column id in the table shares"),
        (["DROP TABLE api_tokens"], "in the table api_tokens"),
        (["ALTER TABLE users DROP COLUMN user_info"], "a column user_info in the table users"),
        (["DROP TABLE roles", "CREATE VIEW roles AS SELECT 1 AS id"], "in the table roles"),
    ],
)
def test_a_half_migrated_or_unknown_schema_is_refused(tmp_path, changes, says):
    assert says in refusal(SIX.copied(tmp_path, *changes))


def test_a_name_in_the_journal_of_migrations_is_cut(tmp_path):
    path = SIX.copied(tmp_path, ("UPDATE alembic_version SET version_num = ?", ("x" * 100_000,)))
    assert len(refusal(path)) < 500


def test_a_hub_at_work_in_wal_mode_is_read_and_goes_on(tmp_path):
    path = SIX.copied(tmp_path)
    with closing(sqlite3.connect(path)) as hub:
        hub.execute("PRAGMA journal_mode = WAL")
        hub.execute("PRAGMA wal_autocheckpoint = 0")
        hub.execute("INSERT INTO users (name, admin, cookie_id) VALUES ('committed', 0, 1)")
        hub.commit()
        hub.execute("INSERT INTO users (name, admin, cookie_id) VALUES ('not-yet', 0, 2)")
        main = path.read_bytes()
        names = {user.name for user in read(str(path), now=SIX.at).users}
        assert "committed" in names
        assert "not-yet" not in names
        hub.commit()
        assert path.read_bytes() == main
        assert hub.execute("SELECT count(*) FROM users").fetchone() == (7,)


def test_a_write_ahead_log_that_a_crash_left_is_read(tmp_path):
    crashed, left = tmp_path / "crashed", tmp_path / "left"
    crashed.mkdir()
    left.mkdir()
    path = SIX.copied(crashed)
    with closing(sqlite3.connect(path)) as hub:
        hub.execute("PRAGMA journal_mode = WAL")
        hub.execute("INSERT INTO users (name, admin, cookie_id) VALUES ('late', 0, 1)")
        hub.commit()
        for end in ("", "-wal"):  # what is on the disk when the machine loses power
            Path(f"{left}/{path.name}{end}").write_bytes(Path(f"{path}{end}").read_bytes())
    before = fingerprint(left)
    assert "late" in {user.name for user in read(str(left), now=SIX.at).users}
    assert fingerprint(left) == before


def test_a_transaction_that_a_crash_broke_off_is_not_read(tmp_path):
    crashed, left = tmp_path / "crashed", tmp_path / "left"
    crashed.mkdir()
    left.mkdir()
    path = SIX.copied(crashed)
    with closing(sqlite3.connect(path)) as hub:
        hub.execute("PRAGMA cache_size = 1")  # pages reach the file before the commit
        hub.execute("PRAGMA cache_spill = 1")
        hub.execute("UPDATE users SET name = name || 'x'")
        hub.executemany("INSERT INTO groups (name) VALUES (?)", [(f"{n}" * 200,) for n in range(2000)])
        for end in ("", "-journal"):
            Path(f"{left}/{path.name}{end}").write_bytes(Path(f"{path}{end}").read_bytes())
        hub.rollback()
    before = fingerprint(left)
    archive = read(str(left), now=SIX.at)
    assert {user.name for user in archive.users} == {"ada", "bob", "carol", "d.ora-x@example.org", "zoë"}
    assert len(archive.groups) == 3
    assert fingerprint(left) == before


def test_a_file_that_stays_locked_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("hubless.adapters.jupyterhub_database.sqlite_file._PATIENCE", 0.0)
    path = SIX.copied(tmp_path)
    with closing(sqlite3.connect(path)) as hub:
        hub.execute("BEGIN EXCLUSIVE")
        assert "stays locked" in refusal(path)


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("user", "UPDATE users SET name = '' WHERE name = 'zoë'"),
        ("user", "UPDATE users SET name = NULL WHERE name = 'zoë'"),
        ("user", ("UPDATE users SET name = ? WHERE name = 'zoë'", (b"zo\xeb",))),
        ("user", "UPDATE users SET name = CAST(x'7a6feb' AS TEXT) WHERE name = 'zoë'"),
        ("user", ("UPDATE users SET name = ? WHERE name = 'zoë'", ("z" * 1_000_000,))),
        ("user", "UPDATE users SET admin = 'perhaps' WHERE name = 'zoë'"),
        ("user", "UPDATE users SET created = 'yesterday' WHERE name = 'zoë'"),
        ("user", "UPDATE users SET created = '0001-01-01 00:00:00' WHERE name = 'zoë'"),
        ("user", "UPDATE users SET created = '9999-12-31 23:59:59' WHERE name = 'zoë'"),
        ("user", "UPDATE users SET user_info = '[1]' WHERE name = 'zoë'"),
        ("user", "UPDATE users SET user_info = '{\"n\": NaN}' WHERE name = 'zoë'"),
        ("user", "UPDATE users SET user_info = '{\"n\": 1e999}' WHERE name = 'zoë'"),
        ("user", "UPDATE users SET user_info = '{\"n\": \"\\ud800\"}' WHERE name = 'zoë'"),
        ("user", ("UPDATE users SET user_info = ? WHERE name = 'zoë'", ('{"a":' * 5000 + "1" + "}" * 5000,))),
        ("user", ("UPDATE users SET user_info = ? WHERE name = 'zoë'", ('{"a":' * 60 + "1" + "}" * 60,))),
        ("user", ("UPDATE users SET user_info = ? WHERE name = 'zoë'", ('{"a":"' + "x" * 1_000_001 + '"}',))),
        ("group", "UPDATE groups SET properties = 'no json' WHERE name = 'class-c'"),
        ("role", "UPDATE roles SET scopes = '{}' WHERE name = 'grader'"),
        ("role", "UPDATE roles SET scopes = '[1]' WHERE name = 'grader'"),
        ("service", "UPDATE services SET info = '[]' WHERE name = 'late'"),
        ("service", "UPDATE oauth_clients SET secret = 'plain' WHERE identifier = 'service-late'"),
        ("server", "UPDATE spawners SET user_options = '[' WHERE name = 'old'"),
        ("token", "UPDATE api_tokens SET hashed = 'sha512:1:salt:short' WHERE note = 'carol'"),
        ("token", "UPDATE api_tokens SET hashed = 'sha512:99999' || substr(hashed, 9) WHERE note = 'carol'"),
        ("token", "UPDATE api_tokens SET prefix = 'too long' WHERE note = 'carol'"),
        ("token", "UPDATE api_tokens SET scopes = '\"inherit\"' WHERE note = 'carol'"),
        ("token", "UPDATE api_tokens SET expires_at = 'never' WHERE note = 'carol'"),
        ("share", "UPDATE shares SET scopes = '[\"access:servers!server=ada/\"]' WHERE user_id IS NOT NULL"),
        ("share", "UPDATE shares SET scopes = '[]' WHERE user_id IS NOT NULL"),
        ("share", "UPDATE shares SET group_id = 1 WHERE user_id IS NOT NULL"),
        ("share", "UPDATE shares SET spawner_id = 4711 WHERE user_id IS NOT NULL"),
        ("share code", "UPDATE share_codes SET exchange_count = -1"),
        ("share code", "UPDATE share_codes SET expires_at = NULL"),
    ],
)
def test_a_broken_row_is_left_out_and_remarked_on(tmp_path, kind, change):
    whole, archive = archive_of(tmp_path), archive_of(tmp_path, change)
    assert len(left_out(archive, kind)) == 1, archive.remarks
    records = {"user": "users", "share code": "share_codes"}.get(kind, f"{kind}s")
    assert len(getattr(archive, records)) == len(getattr(whole, records)) - 1
    assert not left_out(whole, kind)
    assert all(len(remark.what) < 300 for remark in archive.remarks)


def test_a_row_of_a_user_who_is_left_out_breaks_no_other(tmp_path):
    archive = archive_of(tmp_path, "UPDATE users SET name = '' WHERE name = 'bob'")
    assert {token.owner for token in archive.tokens} == {"ada", "carol", "zoë", "boss", "dash", "late"}
    assert not archive.shares
    assert {server.owner for server in archive.servers} == {"ada", "carol"}
    assert [group.users for group in archive.groups if group.name == "class-a"] == [("carol",)]


def test_many_broken_rows_are_remarked_on_up_to_a_bound(tmp_path):
    many = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 3000) "
    archive = archive_of(tmp_path, many + "INSERT INTO users (name, admin, cookie_id) SELECT 'u' || x, 7, x FROM n")
    assert len(archive.remarks) < 1020
    assert "2,000 more rows of this kind are broken" in {remark.what for remark in archive.remarks}


def test_scopes_null_and_empty_let_a_token_do_nothing(tmp_path):
    """JupyterHub reads NULL as an empty list (`orm.JSONList`), and only `["inherit"]` as everything."""
    change = "UPDATE api_tokens SET scopes = NULL WHERE note = 'carol'"
    scopes = {token.note: token.scopes for token in archive_of(tmp_path, change).tokens}
    assert (scopes["carol"], scopes["empty"], scopes["all of mine"]) == ((), (), ("inherit",))


def test_a_note_alone_does_not_make_a_token_a_servers(tmp_path):
    change = "UPDATE api_tokens SET note = 'Server at /home is where I run this' WHERE note = 'carol'"
    assert "carol" in {token.owner for token in archive_of(tmp_path, change).tokens}


def test_a_default_server_that_nobody_started_is_none(tmp_path):
    change = "UPDATE spawners SET state = NULL, last_activity = NULL, user_options = NULL WHERE user_id = 1"
    assert "ada" not in {server.owner for server in archive_of(tmp_path, change).servers}


def test_expired_shares_and_codes_are_counted(tmp_path):
    gone = "2020-01-01 00:00:00.000000"
    archive = archive_of(
        tmp_path, f"UPDATE shares SET expires_at = '{gone}'", f"UPDATE share_codes SET expires_at = '{gone}'"
    )
    assert not archive.shares
    assert not archive.share_codes
    assert {r.what for r in archive.remarks} >= {"Shares that expired: 2", "Share codes that expired: 1"}


def test_auth_state_without_its_key_is_one_remark(tmp_path):
    for keys, says in (("", "which is encrypted"), ("b" * 64, "none of the given keys opens")):
        archive = archive_of(tmp_path, crypt_keys=keys)
        remarks = [remark for remark in archive.remarks if remark.kind == "auth_state"]
        assert [remark.what for remark in remarks] == [f"There are 3 users with auth_state, {remarks[0].what[35:]}"]
        assert says in remarks[0].what
        assert all(user.auth_state is None for user in archive.users)


def test_old_keys_open_auth_state_in_each_of_their_forms(tmp_path):
    plain = bytes.fromhex("a" * 64)
    base64 = "qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqo="
    assert len(plain) == 32
    for keys in ("a" * 64, base64, f"{'b' * 64};;{base64}", f" ;{'raw key of 32 characters, as is!'};{'a' * 64}"):
        users = archive_of(tmp_path, crypt_keys=keys).users
        assert sum(user.auth_state is not None for user in users) == 3, keys


def test_a_wrong_key_is_refused_without_being_said(tmp_path):
    with pytest.raises(InvalidRequestError) as refused:
        archive_of(tmp_path, crypt_keys="hunter2")
    assert "hunter2" not in str(refused.value)


def test_auth_state_that_was_changed_is_left_out(tmp_path):
    change = "UPDATE users SET encrypted_auth_state = x'00ff' WHERE name = 'bob'"
    archive = archive_of(
        tmp_path, change, "UPDATE users SET encrypted_auth_state = 'text' WHERE name = 'ada'", crypt_keys="a" * 64
    )
    assert {user.name for user in archive.users if user.auth_state} == {"carol"}
    assert len([remark for remark in archive.remarks if remark.kind == "auth_state"]) == 2


@pytest.mark.parametrize(
    "url", ["oracle://u:hunter2@h/d", "postgresql://u:hunter2@h:port/d", "mysql://u:hunter2@h:port/d"]
)
def test_a_url_of_another_kind_is_refused_without_its_password(url):
    assert "hunter2" not in refusal(url)


@pytest.mark.parametrize("kind", ["postgresql", "mysql"])
@pytest.mark.parametrize(
    ("rest", "says"),
    [
        ("hub:hunt@er2@127.0.0.1:1/jupyterhub", "%40"),
        ("hub:hunter2@127.0.0.1:1", "names no database"),
        ("hub:hunter2@127.0.0.1:1/", "names no database"),
        ("hub@127.0.0.1:1/jupyterhub?password=hunter2", "lets nobody in"),
    ],
)
def test_a_url_that_cannot_be_used_is_refused_without_its_password(kind, rest, says):
    said = refusal(f"{kind}://{rest}")
    assert says in said
    assert "er2" not in said


@pytest.mark.parametrize("where", ["hub:hunter2@127.0.0.1:1/d?", "hub@127.0.0.1:1/d?password=hunter2&"])
def test_what_a_driver_says_is_told_without_the_password(where):
    said = refusal(f"postgresql://{where}sslmode=hunter2")
    assert 'invalid sslmode value: "***"' in said


def test_a_missing_file_of_a_url_is_refused():
    assert "No such file" in refusal("mysql://hub@127.0.0.1:1/d?ssl_ca=/nothing/here.pem")


@pytest.mark.parametrize("kind", ["postgresql", "postgresql+psycopg2", "mysql", "mysql+mysqlconnector", "mariadb"])
def test_a_server_that_is_not_there_is_refused_without_the_password(kind):
    said = refusal(f"{kind}://hub:hunter2@127.0.0.1:1/jupyterhub")
    assert "lets nobody in" in said
    assert "hunter2" not in said


@pytest.mark.parametrize(
    ("kind", "driver"),
    [("postgresql", "psycopg"), ("mysql", "pymysql"), ("mysql", "sqlalchemy.exc")],
)
def test_a_missing_driver_is_named(monkeypatch, kind, driver):
    monkeypatch.setitem(__import__("sys").modules, driver, None)
    assert "hubless[import]" in refusal(f"{kind}://hub:hunter2@127.0.0.1:1/jupyterhub")
