"""The whole application over real SQLite, asked in process; nothing is started and no port is opened."""

import pytest
from argon2 import profiles

from tests.api.hub import OPENED, An, build_hub
from tests.support.sqlite import unsynced


@pytest.fixture(autouse=True)
def close_hubs():
    """Close the hubs that a test opens; those of a whole module are opened before it, and close with their fixture."""
    before = len(OPENED)
    yield
    while len(OPENED) > before:
        OPENED.pop().close()


@pytest.fixture
def hub(tmp_path):
    return build_hub(tmp_path)


@pytest.fixture
def admin(hub):
    return hub.as_token(An.ADMIN_TOKEN)


@pytest.fixture
def root(hub):
    return hub.browser("root")


@pytest.fixture
def alice(hub):
    hub.user("alice")
    return hub.as_user("alice")


@pytest.fixture
def bob(hub):
    hub.user("bob")
    return hub.as_user("bob")


@pytest.fixture(scope="module", autouse=True)
def cheap_hashes():
    """Hash passwords in no time: what hubs really use is tested in unit/test_argon2.py, and by whole hubs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(profiles, "RFC_9106_LOW_MEMORY", profiles.CHEAPEST)
        yield


@pytest.fixture(scope="module", autouse=True)
def files_that_wait_for_no_disk():
    with unsynced():
        yield
