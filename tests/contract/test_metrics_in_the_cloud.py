from pathlib import Path

import pytest

from hubless.bootstrap.cloud import CloudHub
from hubless.settings import parse
from tests.api.hub import SETTINGS, An, TheHub
from tests.support.dynamodb import in_new_table
from tests.unit.test_cloud_settings import CLOUD


@pytest.fixture
def functions(in_moto):
    """Two environments of the API's function, on one table."""
    stores = in_new_table(in_moto)
    hubs = []
    for _ in range(2):
        settings = parse('[hub]\npublic_url = "https://hub.example.org"\n' + SETTINGS, Path(), {})
        hub = CloudHub(settings, CLOUD, "eu-central-1", {}, lambda _: "{}")
        hub.__dict__["_database"], hub.__dict__["key"] = stores.database, b"k" * 32
        hubs.append(TheHub(hub))
    yield hubs
    for hub in hubs:
        hub.close()
    stores.close()


def test_functions_add_up_what_is_rare_and_leave_out_requests(functions):
    one, other = functions
    for hub, password in ((one, "wrong"), (other, "wrong too")):
        browser = hub.browser(address="https://hub.example.org")
        browser.get("/hub/login")
        assert browser.submit("/hub/login", username="alice", password=password).status_code == 403

    text = one.as_token(An.ADMIN_TOKEN).get("/metrics").text
    assert 'jupyterhub_login_duration_seconds_count{status="LoginStatus.failure"} 2\n' in text
    assert 'jupyterhub_server_poll_duration_seconds_count{status="ServerPollStatus.running"} 0\n' in text
    assert "jupyterhub_request_duration_seconds_count{" not in text
