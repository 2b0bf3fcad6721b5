from types import SimpleNamespace

import pytest

from hubless.adapters.dynamodb.database import Database as DynamoDatabase
from hubless.adapters.sqlite.database import Database
from hubless.adapters.sqlite.passwords import SqliteAttemptStore, SqlitePasswordStore
from hubless.adapters.sqlite.queue import SqliteQueue
from hubless.adapters.sqlite.routes import SqliteRouteStore
from hubless.adapters.sqlite.servers import SqliteServerStore
from hubless.adapters.sqlite.services import SqliteServiceStore
from hubless.adapters.sqlite.shares import SqliteShareCodeStore, SqliteShareStore
from hubless.adapters.sqlite.sweeps import SqliteSweepStore
from hubless.adapters.sqlite.tokens import SqliteClientStore, SqliteSessionStore, SqliteTokenStore
from hubless.adapters.sqlite.usage import SqliteUsageLog
from hubless.adapters.sqlite.users import SqliteGroupStore, SqliteUserStore
from tests.builders import a_session, a_user
from tests.dynamodb import REGION, in_new_table, ministack, moto


def sqlite(folder):
    database = Database(folder / "hub.sqlite")
    return SimpleNamespace(
        users=SqliteUserStore(database),
        groups=SqliteGroupStore(database),
        servers=SqliteServerStore(database),
        shares=SqliteShareStore(database),
        codes=SqliteShareCodeStore(database),
        services=SqliteServiceStore(database),
        tokens=SqliteTokenStore(database),
        clients=SqliteClientStore(database),
        sessions=SqliteSessionStore(database),
        routes=SqliteRouteStore(database),
        queue=SqliteQueue(database),
        passwords=SqlitePasswordStore(database),
        attempts=SqliteAttemptStore(database),
        usage=SqliteUsageLog(database),
        sweeps=SqliteSweepStore(database),
        close=database.close,
    )


ADAPTERS = {
    "sqlite": lambda request: sqlite(request.getfixturevalue("tmp_path")),
    "dynamodb-moto": lambda request: in_new_table(request.getfixturevalue("in_moto")),
    "dynamodb-ministack": lambda request: in_new_table(request.getfixturevalue("in_ministack")),
}


@pytest.fixture(scope="session")
def in_moto():
    with moto() as database:
        yield database


@pytest.fixture(scope="session")
def ministack_url(tmp_path_factory):
    with ministack(tmp_path_factory.mktemp("ministack")) as url:
        yield url


@pytest.fixture(scope="session")
def in_ministack(ministack_url):
    return DynamoDatabase("hubless", region=REGION, endpoint=ministack_url)


@pytest.fixture(params=ADAPTERS)
def stores(request):
    made = ADAPTERS[request.param](request)
    yield made
    made.close()


@pytest.fixture
def alice(stores):
    user = a_user()
    stores.users.create([user])
    return user


@pytest.fixture
def bob(stores):
    user = a_user("bob")
    stores.users.create([user])
    return user


@pytest.fixture
def session(stores, alice):
    """A browser in which alice is logged in."""
    made = a_session()
    stores.sessions.create(made)
    return made
