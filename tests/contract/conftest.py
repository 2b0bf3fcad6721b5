import pytest

from hubless.adapters.dynamodb.database import Database
from tests.support import sqlite
from tests.support.builders import a_session, a_user
from tests.support.dynamodb import REGION, in_new_table, ministack, moto

ADAPTERS = {
    "sqlite": lambda request: sqlite.in_new_file(request.getfixturevalue("tmp_path") / "hub.sqlite"),
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
    return Database("hubless", region=REGION, endpoint=ministack_url)


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


@pytest.fixture(scope="module", autouse=True)
def files_that_wait_for_no_disk():
    with sqlite.unsynced():
        yield
