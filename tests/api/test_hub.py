import pytest

from tests.api.hub import An


def test_a_token_can_ask_for_the_owner_of_another_token(hub, admin, alice):
    hub.user("alice")
    received = admin.get(f"/authorizations/token/{alice.secret}").json()
    assert (received["kind"], received["name"]) == ("user", "alice")
    assert admin.get(f"/authorizations/token/{An.ADMIN_TOKEN}").json()["kind"] == "service"
    assert admin.get("/authorizations/token/none").status_code == 404
    assert hub.anybody.get(f"/authorizations/token/{alice.secret}").status_code == 403


def test_a_tokens_holder_sees_of_its_owner_only_what_their_scopes_show(alice, bob):
    assert set(alice.get(f"/authorizations/token/{bob.secret}").json()) == {
        "kind",
        "name",
        "user_info",
        "admin",
        "groups",
    }


def test_a_token_can_ask_for_the_owner_of_a_cookie(hub, admin):
    browser = hub.browser("bob")
    cookie = browser.cookies.get("jupyterhub-hub-login", path="/hub/")
    assert admin.get(f"/authorizations/cookie/jupyterhub-hub-login/{cookie}").json()["name"] == "bob"
    assert admin("GET", "/authorizations/cookie/jupyterhub-hub-login", content=cookie).json()["name"] == "bob"
    assert admin.get(f"/authorizations/cookie/other/{cookie}").status_code == 404
    assert admin.get("/authorizations/cookie/jupyterhub-hub-login").status_code == 404
    assert browser.get(f"/hub/api/authorizations/cookie/jupyterhub-hub-login/{cookie}").status_code == 403


def test_what_jupyterhub_removed_says_where_to_go(admin):
    assert "/users/:user/tokens" in admin.post("/authorizations/token", {}).json()["message"]


def test_shutting_down_stops_servers_only_where_asked(hub, admin, alice):
    alice.post("/users/alice/server", {})
    assert "no server was touched" in admin.post("/shutdown", {}).json()["message"]
    assert alice.get("/users/alice").json()["pending"] == "spawn"
    done = admin.post("/shutdown", {"servers": True, "proxy": True})
    assert (done.status_code, done.json()["message"]) == (
        202,
        "The hub has no process to shut down; 1 servers are being stopped",
    )
    assert alice.get("/users/alice").json()["pending"] != "spawn"


@pytest.mark.parametrize("body", [{"servers": 1}, {"proxy": "yes"}, [], "yes"])
def test_a_malformed_shutdown_stops_nothing(admin, alice, body):
    alice.post("/users/alice/server", {})
    assert admin.post("/shutdown", body).status_code == 400
    assert alice.get("/users/alice").json()["pending"] == "spawn"


def test_only_who_may_shuts_down_or_speaks_of_proxies(alice):
    assert alice.post("/shutdown", {}).status_code == 403
    assert alice.patch("/proxy", {}).status_code == 403


def test_a_new_proxy_needs_a_body(admin):
    assert admin.patch("/proxy", {"api_url": "http://x"}).status_code == 200
    assert admin("PATCH", "/proxy").status_code == 400


def test_what_is_unchanged_is_not_sent_again(admin, alice):
    first = admin.get("/users/alice")
    again = admin.get("/users/alice", headers={"If-None-Match": f'"other", W/{first.headers["etag"]}'})
    assert (again.status_code, again.content) == (304, b"")
    admin.patch("/users/alice", {"admin": True})
    changed = admin.get("/users/alice", headers={"If-None-Match": first.headers["etag"]})
    assert changed.status_code == 200
    assert changed.headers["etag"] != first.headers["etag"]


def test_only_what_was_read_well_has_an_etag(admin):
    assert "etag" not in admin.get("/users/nobody").headers
    assert "etag" not in admin.post("/users/carol", {}).headers


def test_a_default_server_is_there_before_it_started(alice):
    model = alice.get("/users/alice/server").json()
    assert (model["name"], model["stopped"], model["url"]) == ("", True, "/user/alice/")
    assert alice.get("/users/alice/servers/").json() == model
    assert alice.delete("/users/alice/server").status_code == 204
    assert alice.patch("/users/alice/server", {"user_options": {"a": 1}}).json()["user_options"] == {"a": 1}


def test_admin_access_is_refused_as_jupyterhub_does(admin, alice):
    assert admin.post("/users/alice/admin-access").status_code == 403


def test_metrics_are_prometheus_text(hub, admin, alice):
    alice.post("/users/alice/server", {})
    received = admin.get("/metrics")
    assert received.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert 'jupyterhub_active_users{period="24h"} 1\n' in received.text
    assert "jupyterhub_total_users 2\n" in received.text
    assert 'hubless_servers{state="requested"} 1\n' in received.text
    assert "hubless_starts_held 0\n" in received.text
    names = [line.split()[2] for line in received.text.splitlines() if line.startswith("# TYPE")]
    assert len(names) == len(set(names)) == received.text.count("# HELP")


def test_metrics_are_for_who_may_read_them(hub, alice):
    assert alice.get("/metrics").status_code == 403
    assert hub.anybody.get("/metrics").status_code == 403
    assert hub.browser("alice").get("/hub/metrics").status_code == 403


def test_no_secret_in_a_path_reaches_the_log(hub, admin, alice, monkeypatch, caplog):
    def broken(*_args, **_more):
        raise RuntimeError("away")

    secret = alice.secret
    monkeypatch.setattr("functions.api.routes.authorizations._owner", broken)
    assert admin.get(f"/authorizations/token/{secret}").status_code == 500
    assert caplog.records
    assert secret not in caplog.text


def test_auth_state_is_refused_where_none_is_kept(admin, alice):
    assert "not enabled" in admin.patch("/users/alice", {"auth_state": {"a": 1}}).json()["message"]
    assert admin.get("/users/alice").json()["auth_state"] is None
