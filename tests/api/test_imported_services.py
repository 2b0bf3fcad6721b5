"""Services of a JupyterHub that was imported go on working with their tokens and OAuth secrets."""

from dataclasses import replace
from datetime import timedelta
from urllib.parse import urlencode

import pytest
from jupyterhub.services.auth import HubOAuth

from hubless.adapters.jupyterhub_database.reading import read
from hubless.domain.archive import Archive, ArchivedService, ArchivedToken
from hubless.domain.import_choices import Choices
from hubless.domain.import_items import Kind
from hubless.domain.import_plan import Action
from hubless.domain.imported_secrets import ImportedHash
from hubless.domain.tokens import OwnerKind, sha256
from hubless.services.imported_secret_checks import AT_ONCE
from tests.api.hub import SETTINGS, build_hub, served
from tests.api.test_oauth import code_of
from tests.support.builders import an_imported_hash
from tests.support.jupyterhub_databases import VERSIONS, Made

SECRET = "service-dash-token-0123456789abcdef"
CULLER = """
[[services]]
name = "boss"

[[roles]]
name = "idle-culler"
scopes = ["list:users", "read:users:activity", "read:servers", "delete:servers", "admin:users"]
services = ["boss"]
"""


def bring(hub, archive):
    """Import *archive* as the command does, and return the plan."""
    choices = Choices(services=frozenset(service.name for service in hub.hub.settings.services))
    plan = hub.hub.moving.plan(archive, "there", choices)
    hub.hub.moving.carry_out(plan, "there")
    return plan


def the_archive(hub, *tokens, **facts):
    """Return what a JupyterHub with the service dash had; each token is its secret and further facts."""
    standard = {"oauth_client_id": "service-dash", "client_secret_hash": an_imported_hash(SECRET, 16_384, salt="5a17")}
    now = hub.hub.clock.now()
    return Archive(
        "there",
        services=(ArchivedService("dash", **standard | facts),),
        tokens=tuple(
            ArchivedToken(
                OwnerKind.SERVICE,
                "dash",
                an_imported_hash(secret, 16_384),
                **{"scopes": ("inherit",), "created_at": now} | more,
            )
            for secret, more in tokens
        ),
    )


def tokens_of(hub, name="dash"):
    owner = hub.hub.services.get(name).token_owner
    return hub.hub.token_store.of_owner(OwnerKind.SERVICE, owner)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_culler_and_a_service_of_a_real_hub_go_on_with_their_tokens(tmp_path, version):
    made, hub = Made(version), build_hub(tmp_path, SETTINGS + CULLER)
    bring(hub, read(str(made.path), now=made.at, crypt_keys=made.known["crypt_key"]))
    secrets = made.known["services"]
    culler = hub.as_token(secrets["boss"])
    for _ in range(2):
        names = {user["name"] for user in culler.get("/users").json()}
        assert {"ada", "bob", "carol"} <= names
    assert culler.get("/users/bob").json()["last_activity"]
    assert culler.delete("/users/carol").status_code == 204
    assert culler.get("/services").status_code == 403
    service = hub.as_token(secrets["dash"])
    assert [service.get("/user").json()[fact] for fact in ("kind", "name", "scopes")] == ["service", "dash", []]
    for name in ("boss", "dash"):
        (token,) = tokens_of(hub, name)
        assert token.sha256 == sha256(secrets[name])
        assert token.last_activity_at is not None


def test_an_added_service_has_the_scopes_of_each_of_its_tokens(hub):
    expired = {"expires_at": hub.hub.clock.now() + timedelta(seconds=60)}
    given = (
        ("aaaa-all", {}),
        ("bbbb-none", {"scopes": ()}),
        ("cccc-names", {"scopes": ("list:users",)}),
        ("dddd-ends", expired),
    )
    bring(hub, the_archive(hub, *given, admin=True))
    assert hub.as_token("aaaa-all").get("/users").status_code == 200
    assert hub.as_token("bbbb-none").get("/user").json()["name"] == "dash"
    assert hub.as_token("bbbb-none").get("/users").status_code == 403
    assert hub.as_token("cccc-names").get("/users").status_code == 200
    assert hub.as_token("cccc-names").get("/proxy").status_code == 403
    assert hub.as_token("dddd-ends").get("/users").status_code == 200
    (token,) = (one for one in tokens_of(hub) if one.expires_at)
    hub.hub.token_store.delete([token.id])
    hub.hub.token_store.create(replace(token, expires_at=hub.hub.clock.now()))
    assert hub.as_token("dddd-ends").get("/users").status_code == 403


def test_a_service_of_the_same_name_has_none_of_the_old_tokens(hub, admin):
    bring(hub, the_archive(hub, (SECRET, {}), ("unused-one", {})))
    assert hub.as_token(SECRET).get("/user").status_code == 200
    service, kept = hub.hub.services.get("dash"), tokens_of(hub)
    admin.delete("/services/dash")
    for token in kept:  # as a crash in the cloud leaves them
        hub.hub.token_store.create(token)
    for body in ({"admin": True}, {"admin": True, "api_token": "another-token-0123456789"}):
        assert admin.post("/services/dash", body).status_code == 201
        assert hub.hub.services.get("dash").id not in {"", service.id}
        for secret in (SECRET, "unused-one"):
            assert hub.as_token(secret).get("/user").status_code == 403
        admin.delete("/services/dash")


def test_a_service_of_the_settings_gets_tokens_from_an_import_alone(tmp_path):
    """Whoever added a service under some name is not the one that settings name so later."""
    before = build_hub(tmp_path)
    source = the_archive(before, (SECRET, {}), ("unused-one", {}))
    bring(before, source)
    assert before.as_token(SECRET).get("/user").status_code == 200
    before.close()
    hub = build_hub(tmp_path, SETTINGS + CULLER.replace("boss", "dash"))
    assert hub.as_token(SECRET).get("/users").status_code == 403
    assert hub.as_token("unused-one").get("/users").status_code == 403
    plan = bring(hub, source)
    assert plan.count(Action.ADD) == {Kind.TOKEN: 2}
    assert hub.as_token(SECRET).get("/users").status_code == 200
    assert hub.as_token("unused-one").get("/users").status_code == 200
    assert bring(hub, source).steps == ()


# --- the secret of an OAuth client ---


@pytest.fixture
def dash(hub):
    """Import the service without its tokens."""
    bring(hub, the_archive(hub, url="http://127.0.0.1:18556", oauth_no_confirm=True))
    hub.user("root", admin=True)
    return hub.browser("root")


def exchange(hub, browser, secret):
    asked = {"client_id": "service-dash", "response_type": "code", "state": "s"}
    code = code_of(browser.get("/hub/api/oauth2/authorize?" + urlencode(asked)))
    form = {"grant_type": "authorization_code", "code": code, "client_id": "service-dash", "client_secret": secret}
    return hub.client.post("/hub/api/oauth2/token", data=form)


def test_a_client_logs_people_in_with_its_old_secret(hub, dash, monkeypatch):
    assert hub.hub.services.get("dash").client_secret_hash.startswith("sha512:16384:")
    answer = exchange(hub, dash, SECRET)
    assert answer.status_code == 200, answer.text
    assert hub.as_token(answer.json()["access_token"]).get("/user").json()["name"] == "root"
    assert hub.hub.services.get("dash").client_secret_hash == sha256(SECRET)
    monkeypatch.setattr(ImportedHash, "matches", lambda *_: pytest.fail("hashed as JupyterHub does"))
    assert exchange(hub, dash, SECRET).status_code == 200
    assert exchange(hub, dash, SECRET + "x").status_code == 401


@pytest.mark.parametrize("wrong", [SECRET[:-1], SECRET.upper(), "serv", "", "x" * 5000])
def test_a_wrong_secret_of_a_client_changes_nothing(hub, dash, wrong):
    before = hub.hub.services.get("dash")
    assert exchange(hub, dash, wrong).status_code in {400, 401}
    assert exchange(hub, dash, before.client_secret_hash).status_code == 401
    assert hub.hub.services.get("dash") == before


def test_a_flood_of_wrong_secrets_of_a_client_is_put_off(hub, dash, monkeypatch):
    start = hub.hub.clock.now()
    monkeypatch.setattr(type(hub.hub.clock), "now", lambda _self: start)
    form = {"grant_type": "authorization_code", "code": "none", "client_id": "service-dash"}

    def ask(secret):
        return hub.client.post("/hub/api/oauth2/token", data=form | {"client_secret": secret})

    answers = [ask(f"serv{number}") for number in range(AT_ONCE + 1)]
    assert [answer.status_code for answer in answers] == [401] * AT_ONCE + [429]
    assert (answers[-1].json()["error"], answers[-1].headers["retry-after"]) == ("slow_down", "1")

    monkeypatch.setattr(type(hub.hub.clock), "now", lambda _self: start + timedelta(seconds=1))
    assert exchange(hub, dash, SECRET).status_code == 200


def test_the_secret_of_a_client_is_no_token_by_itself(hub, dash):
    for _ in range(2):
        assert hub.as_token(SECRET).get("/user").status_code == 403
        assert exchange(hub, dash, SECRET).status_code == 200


def test_a_client_works_again_after_a_crash_before_its_secret_was_adopted(hub, dash, monkeypatch):
    store = type(hub.hub.service_store)
    with monkeypatch.context() as broken:
        broken.setattr(store, "change", lambda *_: (_ for _ in ()).throw(RuntimeError("crash")))
        assert exchange(hub, dash, SECRET).status_code == 500
    assert exchange(hub, dash, SECRET).status_code == 200
    assert hub.hub.services.get("dash").client_secret_hash == sha256(SECRET)


def test_a_secret_that_an_import_replaces_meanwhile_is_left_alone(hub, dash):
    client, newer = hub.hub.services.client("service-dash"), an_imported_hash("another-secret", 16_384)
    service = hub.hub.services.get("dash")
    hub.hub.service_store.change(service, replace(service, client_secret_hash=newer))
    hub.hub.services.adopt_client_secret(client, sha256(SECRET))
    assert hub.hub.services.get("dash").client_secret_hash == newer
    assert exchange(hub, dash, SECRET).status_code == 401
    assert exchange(hub, dash, "another-secret").status_code == 200


def test_jupyterhubs_own_client_logs_in_with_the_token_it_had(hub):
    """A service has one secret in JupyterHub: its API token, with which it is an OAuth client too."""
    source = the_archive(
        hub, (SECRET, {"scopes": ("read:users:name", "list:users")}), admin=True, oauth_no_confirm=True
    )
    bring(hub, source)
    hub.user("root", admin=True)
    asked = {"client_id": "service-dash", "response_type": "code", "state": "s"}
    code = code_of(hub.browser("root").get("/hub/api/oauth2/authorize?" + urlencode(asked)))
    with served(hub) as address:
        client = HubOAuth(
            api_url=f"{address}/hub/api",
            api_token=SECRET,
            oauth_client_id="service-dash",
            oauth_redirect_uri="/services/dash/oauth_callback",
            cache_max_age=0,
        )
        given = client.token_for_code(code)
        assert client.user_for_token(given, use_cache=False)["name"] == "root"
        itself = client.user_for_token(SECRET, use_cache=False)
        assert (itself["kind"], itself["name"]) == ("service", "dash")
        assert client.user_for_token(SECRET + "x", use_cache=False) is None
    assert hub.hub.services.get("dash").client_secret_hash == sha256(SECRET)
    assert [token.sha256 for token in tokens_of(hub)] == [sha256(SECRET)]
