"""The whole application over real SQLite, asked in process; nothing is started and no port is opened."""

import pytest

from tests.api.hub import An, build_hub


@pytest.fixture
def hub(tmp_path):
    made = build_hub(tmp_path)
    with made.client:
        yield made


@pytest.fixture
def admin(hub):
    return hub.as_token(An.ADMIN_TOKEN)


@pytest.fixture
def alice(hub):
    hub.user("alice")
    return hub.as_user("alice")


@pytest.fixture
def bob(hub):
    hub.user("bob")
    return hub.as_user("bob")
