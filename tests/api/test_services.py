import pytest

TOKEN = "grader-token-0123456789"


@pytest.fixture
def root(hub):
    hub.user("root", admin=True)
    return hub.as_user("root")


def test_a_service_that_was_added_knows_itself_and_is_a_client(hub, admin):
    body = {"url": "http://127.0.0.1:9999", "api_token": TOKEN, "info": {"course": 1}, "oauth_no_confirm": True}
    made = admin.post("/services/grader", body)
    assert made.status_code == 201
    assert made.json() == {
        "kind": "service",
        "name": "grader",
        "admin": False,
        "roles": [],
        "url": "http://127.0.0.1:9999",
        "prefix": "/services/grader/",
        "command": [],
        "pid": 0,
        "info": {"course": 1},
        "display": True,
    }
    me = hub.as_token(TOKEN).get("/user").json()
    assert (me["kind"], me["name"], me["scopes"]) == ("service", "grader", [])
    assert hub.hub.services.client("service-grader").redirect_uri == "/services/grader/oauth_callback"


def test_its_route_comes_and_goes_with_it(hub, admin):
    admin.post("/services/grader", {"url": "http://127.0.0.1:9999"})
    assert admin.get("/proxy").json()["/services/grader/"]["target"] == "http://127.0.0.1:9999"
    assert admin.delete("/services/grader").status_code == 200
    assert "/services/grader/" not in admin.get("/proxy").json()


def test_its_token_ends_with_it(hub, admin):
    admin.post("/services/grader", {"api_token": TOKEN})
    admin.delete("/services/grader")
    assert hub.as_token(TOKEN).get("/user").status_code == 403
    assert admin.delete("/services/grader").status_code == 404


def test_it_is_there_after_a_restart(hub, admin, tmp_path):
    from tests.api.hub import build_hub

    admin.post("/services/grader", {"api_token": TOKEN})
    assert build_hub(tmp_path).as_token(TOKEN).get("/user").json()["name"] == "grader"


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ({}, "Invalid service data"),
        ({"url": "ftp://x"}, "url must be an address"),
        ({"url": "http://user:pass@x"}, "url must be an address"),
        ({"url": "http://a b"}, "url must be an address"),
        ({"url": "http://x:99999999"}, "url must be an address"),
        ({"url": "http://a..b"}, "url must be an address"),
        ({"url": f"http://{'x' * 64}.org"}, "url must be an address"),
        ({"url": f"http://{'a.' * 127}org"}, "url must be an address"),
        ({"url": "http://x\nshow map"}, "url must be an address"),
        ({"url": 3}, "url"),
        ({"planet": "mars"}, "planet"),
        ({"api_token": "short"}, "api_token"),
        ({"command": ["true"]}, "runs no services itself"),
        ({"api_token": TOKEN, "url": "http://x", "oauth_client_id": "jupyterhub-user-x"}, "must start with 'service-'"),
        ({"api_token": TOKEN, "oauth_redirect_uri": "//evil.example/"}, "oauth_redirect_uri"),
        ({"oauth_client_allowed_scopes": ["nonsense"]}, "No such scope"),
    ],
)
def test_a_service_that_cannot_be_is_400_and_says_why(hub, admin, body, fault):
    refused = admin.post("/services/grader", body)
    assert refused.status_code == 400
    assert fault in refused.json()["message"]
    assert admin.get("/services/grader").status_code == 404


@pytest.mark.parametrize("name", ["a b", "%2e", "%2e%2e", "a%2Fb", "a%0ab", "x" * 300])
def test_a_name_that_would_not_stay_in_its_place_is_refused(admin, name):
    assert admin.post(f"/services/{name}", {"display": False}).status_code in {400, 404}


def test_a_token_or_client_id_of_another_is_refused(hub, admin):
    admin.post("/services/one", {"api_token": TOKEN, "url": "http://x"})
    assert admin.post("/services/two", {"api_token": TOKEN}).status_code == 409
    taken = {"api_token": "another-token-01234", "url": "http://x", "oauth_client_id": "service-checker"}
    assert admin.post("/services/two", taken).status_code == 409
    assert admin.get("/services/two").status_code == 404


@pytest.mark.parametrize("body", [{"admin": True}, {"oauth_client_allowed_scopes": ["admin:users"]}])
def test_an_admin_cannot_add_a_service_with_more_rights_than_its_own(hub, root, body):
    narrow = hub.as_user("root", ["admin:services"])
    refused = narrow.post("/services/grader", body)
    assert refused.status_code == 400
    assert "would have scopes that you do not have" in refused.json()["message"]
    assert narrow.post("/services/grader", {"display": False}).status_code == 201


def test_who_may_add_one_service_adds_no_other(hub, root):
    narrow = hub.as_user("root", ["admin:services!service=mine"])
    assert narrow.post("/services/yours", {"display": False}).status_code == 404
    assert narrow.post("/services/mine", {"display": False}).status_code == 201
    assert list(narrow.get("/services").json()) == ["mine"]
    assert narrow.delete("/services/admin").status_code == 404


def test_settings_services_stay_as_settings_say(admin):
    assert admin.delete("/services/checker").status_code == 405
    assert admin.post("/services/checker", {"display": False}).status_code == 409


def test_plain_users_see_and_add_none(alice):
    assert alice.get("/services").status_code == 403
    assert alice.post("/services/x", {"display": False}).status_code == 403
    assert alice.delete("/services/checker").status_code == 403
