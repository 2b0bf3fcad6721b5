"""SQLite for tests."""

import tempfile
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import pytest

from hubless.adapters.sqlite import database as opening
from hubless.adapters.sqlite.audit import SqliteAuditLog
from hubless.adapters.sqlite.auth_state import SqliteAuthStateStore
from hubless.adapters.sqlite.budgets import SqliteBudgetStore
from hubless.adapters.sqlite.bulletin import SqliteBulletinStore
from hubless.adapters.sqlite.desired_state import SqliteDesiredEdgeStateStore
from hubless.adapters.sqlite.email_addresses import SqliteEmailAddressStore
from hubless.adapters.sqlite.external_identities import SqliteIdentityStore
from hubless.adapters.sqlite.histograms import SqliteHistogramStore
from hubless.adapters.sqlite.import_marks import SqliteImportMarkStore
from hubless.adapters.sqlite.join_links import SqliteJoinLinkStore
from hubless.adapters.sqlite.launch_times import SqliteLaunchTimeStore
from hubless.adapters.sqlite.leases import SqliteLeaseStore
from hubless.adapters.sqlite.ledgers import SqliteLedgerStore
from hubless.adapters.sqlite.letters import SqliteLetterStore
from hubless.adapters.sqlite.lti import SqliteLtiStore
from hubless.adapters.sqlite.password_logins import SqlitePasswordLoginStore
from hubless.adapters.sqlite.passwords import SqliteAttemptStore, SqlitePasswordStore
from hubless.adapters.sqlite.pending_logins import SqlitePendingLoginStore
from hubless.adapters.sqlite.people_batches import SqlitePeopleBatchStore
from hubless.adapters.sqlite.queue import SqliteQueue
from hubless.adapters.sqlite.routes import SqliteRouteStore
from hubless.adapters.sqlite.schedules import SqliteScheduleStore
from hubless.adapters.sqlite.second_factors import SqliteFactorStore
from hubless.adapters.sqlite.servers import SqliteServerStore
from hubless.adapters.sqlite.services import SqliteServiceStore
from hubless.adapters.sqlite.shares import SqliteShareCodeStore, SqliteShareStore
from hubless.adapters.sqlite.sign_ups import SqliteJoinCodeStore, SqliteSignUpStore
from hubless.adapters.sqlite.single_use import SqliteSingleUseStore
from hubless.adapters.sqlite.sweeps import SqliteSweepStore
from hubless.adapters.sqlite.tokens import SqliteClientStore, SqliteSessionStore, SqliteTokenStore
from hubless.adapters.sqlite.usage import SqliteUsageLog
from hubless.adapters.sqlite.user_notes import SqliteUserNoteStore
from hubless.adapters.sqlite.users import SqliteGroupStore, SqliteUserStore
from hubless.adapters.sqlite.visits import SqliteVisitStore
from hubless.adapters.sqlite.waiting import SqliteWaitingList


@contextmanager
def unsynced():
    """Let this process's files wait for no disk, as no test's machine loses its power: closing a file waits twice."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(opening._SYNCHRONOUS, "normal", "PRAGMA synchronous = OFF")
        yield


@cache
def empty_tables():
    """Return a database's file with nothing in it but its tables: making them takes longer than most tests."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "hub.sqlite"
        opening.Database(file).close()
        return file.read_bytes()


def with_tables(file):
    """Return *file*; write a database that has its tables, and nothing in them, if there is none."""
    if not file.exists():
        file.write_bytes(empty_tables())
    return file


def in_new_file(file):
    """Return the stores of a file that has its tables, and nothing in them."""
    return stores_of(opening.Database(with_tables(file)))


class InMemory(opening.Database):
    """A database without a file that copies its empty tables from another one."""

    def _connect(self):
        connection = super()._connect()
        if not connection.execute("PRAGMA page_count").fetchone()[0]:
            _empty_one()._keeper.backup(connection)
        return connection


@cache
def _empty_one():
    return opening.Database()


def stores_of(database):
    """Return all the stores of one database."""
    return SimpleNamespace(
        database=database,
        users=SqliteUserStore(database),
        groups=SqliteGroupStore(database),
        servers=SqliteServerStore(database),
        shares=SqliteShareStore(database),
        codes=SqliteShareCodeStore(database),
        services=SqliteServiceStore(database),
        lti=SqliteLtiStore(database),
        tokens=SqliteTokenStore(database),
        clients=SqliteClientStore(database),
        sessions=SqliteSessionStore(database),
        routes=SqliteRouteStore(database),
        queue=SqliteQueue(database),
        passwords=SqlitePasswordStore(database),
        attempts=SqliteAttemptStore(database),
        password_logins=SqlitePasswordLoginStore(database),
        factors=SqliteFactorStore(database),
        usage=SqliteUsageLog(database),
        audit=SqliteAuditLog(database),
        ledgers=SqliteLedgerStore(database),
        budgets=SqliteBudgetStore(database),
        schedules=SqliteScheduleStore(database),
        histograms=SqliteHistogramStore(database),
        sweeps=SqliteSweepStore(database),
        leases=SqliteLeaseStore(database),
        external_identities=SqliteIdentityStore(database),
        pending_logins=SqlitePendingLoginStore(database),
        bulletin=SqliteBulletinStore(database),
        join_links=SqliteJoinLinkStore(database),
        people_batches=SqlitePeopleBatchStore(database),
        single_use=SqliteSingleUseStore(database),
        launch_times=SqliteLaunchTimeStore(database),
        waiting=SqliteWaitingList(database),
        visits=SqliteVisitStore(database),
        email_addresses=SqliteEmailAddressStore(database),
        letters=SqliteLetterStore(database),
        user_notes=SqliteUserNoteStore(database),
        sign_ups=SqliteSignUpStore(database),
        join_codes=SqliteJoinCodeStore(database),
        auth_states=SqliteAuthStateStore(database),
        import_marks=SqliteImportMarkStore(database),
        desired_edge_state=SqliteDesiredEdgeStateStore(database),
        held=lambda: _held(database),
        close=database.close,
    )


def _held(database):
    """Return the launches that have a client, one each, and the hashes of servers' own tokens."""
    launches = [row[0] for row in database.read("SELECT launch_id FROM clients")]
    return launches, [row[0] for row in database.read("SELECT sha256 FROM tokens WHERE server_id IS NOT NULL")]
