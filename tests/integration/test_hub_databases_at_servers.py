"""Hubs' databases at a real MariaDB and a real PostgreSQL are read as the SQLite files of the same hubs are."""

import gc
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, is_dataclass, replace
from datetime import datetime
from pathlib import Path

import bcrypt
import pytest
from nativeauthenticator.orm import UserInfo
from sqlalchemy import create_engine, make_url, text

from embedded import import_sources
from hubless.adapters.jupyterhub_database.reading import read
from hubless.adapters.jupyterhub_database.server import ServerDatabase, opened
from hubless.adapters.jupyterhub_database.source import UnreadableSourceError
from hubless.adapters.jupyterhub_database.tokens import Tokens
from tests.integration.test_moving_commands import Shell
from tests.support.database_servers import PASSWORD, mariadb, postgresql, put
from tests.support.jupyterhub_databases import Made

TOP = Path(__file__).parents[2]
HUBS = {version: TOP / f".venv-jupyterhubs/{version}/bin/python" for version in ("1.5.1", "5.4.6")}
HUBS["6.1.1"] = Path(sys.executable)
SIX = Made("6.1.1")


def database_of(version):
    return f"hub_{version.replace('.', '_')}"


@pytest.fixture(scope="module")
def servers(tmp_path_factory):
    """Return servers that have the databases of hubs; the latest hub has NativeAuthenticator's table too."""
    folder = tmp_path_factory.mktemp("servers")
    files = {version: Made(version).path for version in HUBS} | {SIX.version: with_native(SIX.copied(folder))}
    with mariadb(folder / "mariadb") as one, postgresql(folder / "postgresql") as other:
        with ThreadPoolExecutor(len(HUBS)) as pool:
            list(pool.map(lambda v: put(files[v], HUBS[v], database_of(v), (one, other)), HUBS))
        for server in (one, other):
            server.files = files
        yield {server.kind: server for server in (one, other)}


@pytest.fixture(params=["mariadb", "postgresql"])
def server(request, servers):
    return servers[request.param]


def with_native(path):
    """Add what NativeAuthenticator keeps: of ada, of zoë with an app, and of a newcomer who waits."""
    hashed = bcrypt.hashpw(b"old password", bcrypt.gensalt(4))
    app = {"has_2fa": True, "otp_secret": "GEZDGNBVGY3TQOJQ"}
    people = [
        {"username": "ada", "password": hashed, "is_authorized": True},
        {"username": "zoë", "password": hashed, "is_authorized": True} | app,
        {"username": "newcomer", "password": hashed, "is_authorized": False, "email": "new@example.org"},
    ]
    engine = create_engine(f"sqlite:///{path}")
    UserInfo.__table__.create(engine)
    with engine.begin() as connection:
        for one in people:
            connection.execute(UserInfo.__table__.insert(), one)
    engine.dispose()
    return path


@pytest.fixture
def copied(server):
    """Return a function that copies a hub's database, runs statements in the copy, and returns its URL."""
    made = []

    def make(*statements, **of_url):
        name = f"copy_{len(made)}"
        server.copy(database_of("6.1.1"), name)
        made.append(name)
        server.run(name, *statements)
        return server.url(name, **of_url)

    yield make
    for name in made:
        server.run(None, f"DROP DATABASE {name}")


def whole(url, made=SIX):
    beside = import_sources.Surroundings(crypt_keys=made.known["crypt_key"])
    return import_sources.read(str(url), beside, (), made.at)


def in_seconds(record):
    """Return a record with its instants cut to seconds, as columns of MySQL have them."""
    if isinstance(record, datetime):
        return record.replace(microsecond=0)
    if isinstance(record, tuple):
        return tuple(map(in_seconds, record))
    if is_dataclass(record):
        return replace(record, **{f.name: in_seconds(getattr(record, f.name)) for f in fields(record) if f.init})
    return record


def refusal(url):
    with pytest.raises(UnreadableSourceError) as refused:
        read(str(url), now=SIX.at)
    said = str(refused.value)
    assert "hunter2" not in said
    assert "\n" not in said
    assert len(said) < 500
    return said


@pytest.mark.parametrize("version", HUBS)
def test_a_server_gives_the_very_same_archive_as_the_file(server, version):
    made = Made(version)
    found = whole(server.url(database_of(version)), made)
    said = whole(server.files[version], made)
    assert found.source.endswith(f":***@127.0.0.1:{server.port}/{database_of(version)}")
    if server.kind == "mariadb":
        assert found != said  # or else the next line could compare exactly
        found, said = in_seconds(found), in_seconds(said)
    assert replace(found, source=said.source) == said
    assert found.tokens
    assert found.is_whole
    if version == SIX.version:
        assert [(one.name, one.address) for one in found.sign_ups] == [("newcomer", "new@example.org")]
        assert {user.name for user in found.users if user.app is not None} == {"zoë"}


@pytest.mark.parametrize("version", HUBS)
def test_an_import_from_a_server_brings_tokens_and_people(server, version, tmp_path, monkeypatch):
    made, here = Made(version), Shell(tmp_path / "here")
    monkeypatch.setenv("OLD_KEY", made.known["crypt_key"])
    source = ("import", server.url(database_of(version)), "--crypt-key-env", "OLD_KEY")
    told = here.run(*source, "--yes", "--report-file", tmp_path / "report")
    assert told.exit_code == 0, told.output
    hub = here.hub()
    assert {user.name for user in hub.accounts.all()} == {one["name"] for one in made.known["users"]}
    for one in made.known["tokens"]:
        if one["status"] == 200:
            assert hub.identities.of_token(one["token"]).user.name == one["user"]
    again = here.run(*source, "--yes")
    assert "There is nothing to import" in again.output

    written = told.output + again.output + (tmp_path / "report").read_text()
    files = [file for file in (tmp_path / "here").rglob("*") if file.is_file()]
    assert f"127.0.0.1:{server.port}/{database_of(version)}" in written
    assert PASSWORD not in written
    assert files
    assert not [file for file in files if PASSWORD.encode() in file.read_bytes()]


def test_a_read_sees_one_moment_while_the_hub_goes_on(server, copied, monkeypatch):
    url = copied()
    name = make_url(url).database
    before = whole(url)
    columns, tokens = ServerDatabase.columns, Tokens.all
    hub_writes = iter(["INSERT INTO users (id, name, admin, cookie_id) VALUES (99, 'late', false, 'x')"])

    def columns_then_write(database):
        found = columns(database)
        server.run(name, *hub_writes)
        return found

    def write_then_tokens(of):
        server.run(name, "DELETE FROM api_tokens", "DELETE FROM users_info", "UPDATE roles SET scopes = '[]'")
        return tokens(of)

    monkeypatch.setattr(ServerDatabase, "columns", columns_then_write)
    monkeypatch.setattr(Tokens, "all", write_then_tokens)
    assert whole(url) == before
    monkeypatch.undo()
    after = whole(url)
    assert "late" in {user.name for user in after.users}
    assert (after.tokens, after.sign_ups) == ((), ())


def test_a_read_could_not_write(server):
    with pytest.raises(UnreadableSourceError) as refused, opened(server.url(database_of("6.1.1"))) as database:
        database._connection.execute(text("DELETE FROM users"))
    assert "read-only" in str(refused.value).lower().replace("read only", "read-only")


@pytest.mark.parametrize(
    "scheme", ["mysql", "mysql+mysqldb", "mariadb+mariadbconnector", "postgres", "postgresql", "postgresql+psycopg2"]
)
def test_urls_may_name_any_driver(server, scheme):
    if scheme.startswith("postgres") == (server.kind == "postgresql"):
        assert len(read(server.url(database_of("6.1.1"), scheme), now=SIX.at).users) == 5


def test_a_password_may_lie_where_the_drivers_look_for_it(server, tmp_path, monkeypatch):
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    options = tmp_path / "my.cnf"
    options.write_text(f"[client]\npassword = {PASSWORD}\n")
    more = {"mariadb": {"read_default_file": str(options)}, "postgresql": {}}[server.kind]
    assert len(read(server.url(database_of("6.1.1"), password=None, **more), now=SIX.at).users) == 5


def test_names_of_all_scripts_arrive_whatever_the_url_says(server, copied):
    encoding = {"mariadb": {"charset": "utf8mb3"}, "postgresql": {"client_encoding": "latin1"}}[server.kind]
    url = copied("UPDATE users SET name = 'zo\u00eb-\u5b66-\U0001f393' WHERE name = 'ada'", **encoding)
    assert "zoë-学-🎓" in {user.name for user in read(url, now=SIX.at).users}


def test_a_database_of_postgresql_without_an_encoding_is_read(servers):
    server = servers["postgresql"]
    server.copy(database_of("6.1.1"), "without_encoding")
    server.run(None, "UPDATE pg_database SET encoding = 0 WHERE datname = 'without_encoding'")  # SQL_ASCII
    names = {user.name for user in read(server.url("without_encoding"), now=SIX.at).users}
    assert "zoë" in names


def test_who_is_refused_by_the_server_hears_why(server):
    for url, why in [
        (server.url(database_of("6.1.1"), password="hunter2-wrong"), {"Access denied", "authentication failed"}),
        (server.url("missing"), {"Unknown database", "does not exist"}),
        (server.url(database_of("6.1.1"), nonsense="1"), {"nonsense"}),
    ]:
        said = refusal(url)
        assert "lets nobody in" in said
        assert any(one in said for one in why), said


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("UPDATE alembic_version SET version_num = 'ffffffffffff'", "does not know"),
        ("UPDATE alembic_version SET version_num = 'be8ecf03ddac'", "broke off: its version"),
        ("UPDATE alembic_version SET version_num = '4621fec11365'", "broke off: it has JupyterHub 6's"),
        ("INSERT INTO alembic_version VALUES ('4621fec11365')", "it has 2 versions"),
        ("ALTER TABLE users DROP COLUMN user_info", "broke off: JupyterHub 6 has a column user_info"),
        ("DROP TABLE alembic_version", "No JupyterHub made"),
    ],
)
def test_a_half_migrated_or_unknown_schema_is_refused(copied, change, says):
    assert says in refusal(copied(change))


def test_a_server_that_goes_away_meanwhile_is_named(server, copied, monkeypatch):
    url = copied()
    tokens = Tokens.all

    def cut(of):
        server.cut(make_url(url).database)
        return tokens(of)

    monkeypatch.setattr(Tokens, "all", cut)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # psycopg cannot close what the server has closed
        said = refusal(url)
        gc.collect()
    assert "cannot be read any further" in said
    assert "import again" in said
