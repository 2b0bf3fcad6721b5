"""auth_state in the API: as JupyterHub 6.1.1 shows it, to holders of `admin:auth_state` alone, and never in lists."""

import pytest

from hubless.domain.external_identities import ExternalId
from hubless.ports.authenticator import Identity
from tests.api.hub import SETTINGS, An, build_hub

STATE = {"access_token": "a-token-of-ada", "groups": ["staff"]}
ROLES = """
[[roles]]
name = "readers"
scopes = ["admin:auth_state!user=ada", "read:users"]
users = ["reader"]

[[roles]]
name = "others"
scopes = ["read:users", "list:users"]
users = ["other"]
"""


@pytest.fixture
def hub(tmp_path):
    made = build_hub(tmp_path, SETTINGS.replace("[login]", "[login]\nauth_state = true\nallow_all = true", 1) + ROLES)
    made.hub.logins.log_in(Identity("ada", external=ExternalId("https://sso.example.org", "1"), auth_state=STATE))
    made.user("bob")
    return made


def test_who_holds_the_scope_reads_auth_state_of_that_user_alone(hub):
    assert hub.as_token(An.ADMIN_TOKEN).get("/users/ada").json()["auth_state"] == STATE
    assert hub.as_token(An.ADMIN_TOKEN).get("/users/bob").json()["auth_state"] is None
    reader = hub.as_user("reader")
    assert reader.get("/users/ada").json()["auth_state"] == STATE
    assert "auth_state" not in reader.get("/users/bob").json()


def test_nobody_else_reads_auth_state(hub):
    assert "auth_state" not in hub.as_user("other").get("/users/ada").json()
    assert "auth_state" not in hub.as_user("ada").get("/users/ada").json()
    for answer in (hub.as_token(An.ADMIN_TOKEN).get("/users"), hub.as_user("ada").get("/user")):
        assert "a-token-of-ada" not in answer.text


def test_an_admin_replaces_auth_state(hub):
    admin = hub.as_token(An.ADMIN_TOKEN)
    changed = admin.patch("/users/ada", {"auth_state": {"access_token": "another"}})
    assert (changed.status_code, changed.json()["auth_state"]) == (200, {"access_token": "another"})
    assert admin.get("/users/ada").json()["auth_state"] == {"access_token": "another"}
    assert admin.patch("/users/ada", {"admin": False}).json()["auth_state"] == {"access_token": "another"}


def test_auth_state_of_a_removed_user_is_nobodys(hub):
    admin = hub.as_token(An.ADMIN_TOKEN)
    assert admin.delete("/users/ada").status_code == 204
    assert admin.post("/users/ada", {}).status_code == 201
    assert admin.get("/users/ada").json()["auth_state"] is None
