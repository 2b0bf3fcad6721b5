"""Invalid input: a quick 4xx that names the fault, changes nothing and reveals no internals."""

import json
import tracemalloc

import pytest

from tests.api.hub import An

WRITES = [
    ("POST", "/users"),
    ("POST", "/users/new"),
    ("PATCH", "/users/alice"),
    ("POST", "/users/alice/activity"),
    ("POST", "/users/alice/tokens"),
    ("POST", "/users/alice/server"),
    ("PATCH", "/users/alice/server"),
    ("PUT", "/users/alice/servers/lab"),
    ("DELETE", "/users/alice/servers/lab"),
    ("POST", "/groups"),
    ("POST", "/groups/g"),
    ("POST", "/groups/staff/users"),
    ("DELETE", "/groups/staff/users"),
    ("PUT", "/groups/staff/properties"),
    ("POST", "/shares/alice/"),
    ("PATCH", "/shares/alice/"),
    ("POST", "/share-codes/alice/"),
    ("POST", "/services/s"),
    ("POST", "/shutdown"),
]
NAMES = [
    "a\nb",
    "a\x00b",
    "a\x7fb",
    "a\u2028b",
    "a\ud800b",
    " a",
    "a ",
    "",
    ".",
    "..",
    "a/b",
    "%2e%2e",
    "x" * 256,
    "%2E",
]


@pytest.fixture
def admin(hub):
    hub.user("alice", groups=["staff"])
    hub.as_token(An.ADMIN_TOKEN).put("/users/alice/servers/lab", {})
    return hub.as_token(An.ADMIN_TOKEN)


def refused(answer, *statuses):
    assert answer.status_code in (statuses or (400,)), answer.text
    received = answer.json()
    assert received["status"] == answer.status_code
    assert received["message"]
    assert "Traceback" not in answer.text
    return received["message"]


@pytest.mark.parametrize(("method", "path"), WRITES)
@pytest.mark.parametrize(
    "content",
    [
        b"{",
        b"nonsense",
        b"{'a': 1}",
        b'{"a": NaN}',
        b'{"a": 1e999}',
        b'{"a": -1e9999}',
        b"\xef\xbb\xbf{}",
        b"\xff\xfe",
        b"[" * 100_000,
        b'"' + b"x" * 10,
    ],
)
def test_what_is_no_json_is_said_to_be_none(admin, method, path, content):
    assert refused(admin(method, path, content=content)) == "Invalid JSON in body of request"


@pytest.mark.parametrize(("method", "path"), WRITES)
@pytest.mark.parametrize("body", [[], 1, "x", True, [[]]])
def test_what_is_no_object_is_said_to_be_none(admin, method, path, body):
    assert "object" in refused(admin(method, path, json=body))


# Where JupyterHub takes what it does not know as options or properties, or passes it over.
LENIENT = {
    ("POST", "/users/alice/server"),
    ("PUT", "/users/alice/servers/lab"),
    ("PUT", "/groups/staff/properties"),
    ("POST", "/users/alice/activity"),
    ("POST", "/users/alice/tokens"),
    ("DELETE", "/users/alice/servers/lab"),
    ("POST", "/shutdown"),
}


@pytest.mark.parametrize(("method", "path"), [write for write in WRITES if write not in LENIENT])
def test_an_unknown_key_is_named(admin, method, path):
    assert "planet" in refused(admin(method, path, json={"planet": "mars"}))


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/users/alice/activity", {"last_activity": "2026-01-01T00:00:00Z"}, 200),
        (
            "POST",
            "/users/alice/activity",
            {"servers": {"lab": {"last_activity": "2026-01-01T00:00:00Z", "planet": "mars"}}},
            200,
        ),
        ("POST", "/users/alice/tokens", {"note": "a"}, 201),
        ("DELETE", "/users/alice/servers/lab", {"remove": True}, 204),
        ("DELETE", "/users/alice/servers/lab", {"remove": None}, 204),
        ("POST", "/users/alice/server", {"user_options": {}}, 202),
        ("PUT", "/users/alice/servers/new", {"display_name": "New"}, 201),
        ("POST", "/shutdown", {}, 202),
    ],
)
def test_a_key_that_jupyterhub_passes_over_is_passed_over(admin, method, path, body, status):
    assert admin(method, path, json=body | {"planet": "mars"}).status_code == status


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PATCH", "/users/alice", None),
        ("PATCH", "/users/alice", {"name": None}),
        ("PATCH", "/users/alice", {"admin": None}),
        ("PATCH", "/users/alice", {"auth_state": None}),
        ("PATCH", "/users/alice/servers/lab", {"user_options": None}),
        ("PUT", "/users/alice/servers/new", {"display_name": None}),
        ("POST", "/users/alice/server", {"display_name": None}),
    ],
)
def test_null_is_no_value(admin, method, path, body):
    refused(admin(method, path, json=body))


@pytest.mark.parametrize("path", ["/users/new", "/users"])
def test_the_rest_of_a_users_model_is_taken_and_nothing_comes_of_it(admin, path):
    rest = {"name": "other", "groups": ["staff"], "roles": ["admin"], "auth_state": {"a": 1}}
    body = rest if path == "/users/new" else rest | {"usernames": ["new"]}

    assert admin.post(path, body).status_code == 201
    assert admin.get("/users/new").json() | {"created": None} == {
        "kind": "user",
        "name": "new",
        "admin": False,
        "groups": [],
        "roles": ["user"],
        "server": None,
        "pending": None,
        "created": None,
        "last_activity": None,
        "servers": {},
        "user_info": None,
        "auth_state": None,
    }


def test_the_rest_of_a_groups_model_is_taken_and_nothing_comes_of_it(admin):
    assert admin.post("/groups/new", {"name": "other", "roles": ["admin"]}).json() == {
        "kind": "group",
        "name": "new",
        "users": [],
        "properties": {},
        "roles": [],
    }


@pytest.mark.parametrize("number", [10**400, -(10**400), 1e308, -1, 0, 2**63])
@pytest.mark.parametrize(
    ("method", "path", "key"),
    [
        ("POST", "/users/alice/tokens", "expires_in"),
        ("POST", "/share-codes/alice/", "expires_in"),
        ("POST", "/users/alice/activity", "last_activity"),
        ("PATCH", "/users/alice", "name"),
    ],
)
def test_a_number_that_is_none_of_ours_is_refused(admin, method, path, key, number):
    assert key in refused(admin(method, path, content=json.dumps({key: number})))


@pytest.mark.parametrize("time", ["soon", "9999-12-31T23:59:59-23:00", 5])
def test_a_wrong_time_is_refused_in_the_hubs_own_words(admin, time):
    message = refused(admin.post("/users/alice/activity", {"last_activity": time}))
    assert message.startswith(("Invalid last_activity: Not a ", "Invalid last_activity: must be a timestamp"))


@pytest.mark.parametrize(
    "query", ["limit=x", "offset=1.5", "limit=" + "9" * 400, "state=dead", "sort=planet", "offset=%00"]
)
def test_a_query_that_means_nothing_is_refused(admin, query):
    refused(admin.get(f"/users?{query}"))


@pytest.mark.parametrize("name", NAMES)
def test_a_name_that_cannot_be_is_named_and_nobody_is_made(admin, name):
    message = refused(admin.post("/users", content=json.dumps({"usernames": ["good", name]})))
    assert "Invalid username" in message or "\\ud" in json.dumps(name)
    assert len(message) < 300
    assert [user["name"] for user in admin.get("/users").json()] == ["root", "alice"]


@pytest.mark.parametrize("name", ["a\nb", " a", "a/b", "", "x" * 300])
def test_a_group_name_that_cannot_be_is_refused(admin, name):
    assert "group name" in refused(admin.post("/groups", {"groups": ["good", name]}))
    assert {group["name"] for group in admin.get("/groups").json()} == {"staff", "sharers"}


@pytest.mark.parametrize("name", ["%0a", "a%0ab", "%00", "%2e", "a%2Fb", "%ff", "%F0%9F%92%A9%0d", "x" * 3000])
def test_a_name_in_a_path_that_cannot_be_is_refused(admin, name):
    assert admin.post(f"/users/{name}", {}).status_code in {400, 404}
    answer = admin.get(f"/users/{name}")
    assert answer.status_code == 404
    assert answer.json()["status"] == 404


@pytest.mark.parametrize(("method", "path"), WRITES)
def test_a_body_of_ten_megabytes_is_refused_without_being_kept(admin, method, path):
    def chunks():
        for _ in range(160):
            yield b" " * 65_536

    assert "bytes" in refused(admin(method, path, content=chunks()), 413)


def test_a_hundred_thousand_names_are_refused_at_once(admin):
    body = json.dumps({"usernames": [f"u{n:06}" for n in range(100_000)]})
    tracemalloc.start()
    message = refused(admin.post("/users", content=body), 400, 413)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert "bytes" in message or "usernames" in message
    assert most < 40_000_000
    assert len(admin.get("/users").json()) == 2


def test_ten_thousand_names_with_a_bad_one_among_them_make_nobody(admin):
    names = [f"u{n:05}" for n in range(9_999)] + ["a/b"]
    assert "'a/b'" in refused(admin.post("/users", {"usernames": names}))
    assert len(admin.get("/users").json()) == 2


@pytest.mark.parametrize("part", ["%", "_", "\\", "'", '"', "%%", "*"])
def test_no_sign_in_a_name_filter_means_another(hub, admin, part):
    hub.user("a%b_c")
    assert [u["name"] for u in admin.get("/users", params={"name_filter": part}).json()] == (
        ["a%b_c"] if part in "%_" else []
    )


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"user_options": {"__jupyterhub_x": 1}}, 400),
        ({"__jupyterhub_x": 1}, 400),
        ({"user_options": {"profile": "none"}}, 400),
        ({"user_options": {"x": "y" * 20_000}}, 400),
        ({"user_options": {"image": "evil:latest"}}, 202),
        ({"display_name": "a\nb"}, 400),
    ],
)
def test_options_that_choose_nothing_on_offer_start_nothing(hub, admin, body, status):
    assert admin.post("/users/alice/server", body).status_code == status
    state = hub.hub.servers.find(hub.user("alice").id, "")
    assert (state is not None and state.launch_id is not None) == (status == 202)


@pytest.mark.parametrize(
    "path", ["/nothing", "/users/", "/users/alice/nothing", "/groups/", "/..", "/users/alice/servers/lab/extra"]
)
def test_a_path_that_is_none_is_a_plain_404(admin, path):
    answer = admin.get(path)
    assert answer.status_code in {404, 301}  # the client resolves dots by itself
    assert answer.status_code == 301 or answer.json() == {"status": 404, "message": None}


@pytest.mark.parametrize(
    ("method", "path"), [("PUT", "/users"), ("DELETE", "/users"), ("POST", "/user"), ("PATCH", "/groups/staff")]
)
def test_a_method_that_is_none_is_a_plain_405(admin, method, path):
    answer = admin(method, path)
    assert (answer.status_code, answer.json()) == (405, {"status": 405, "message": None})


@pytest.mark.parametrize(
    "header", ["token", "Bearer", "Basic YTpi", "token  ", "token a b", "bearer " + "x" * 100, "\x80", ""]
)
def test_an_authorization_that_is_none_is_403(hub, header):
    answer = hub.client.get("/hub/api/users", headers={b"Authorization": header.encode("latin-1")})
    assert (answer.status_code, answer.json()["message"]) == (403, "Missing or invalid credentials.")


def test_a_fault_of_our_own_tells_nothing_of_the_inside(hub, admin, monkeypatch, caplog):
    def broken(*_args, **_more):
        raise RuntimeError("the secret is 12345")

    monkeypatch.setattr(type(hub.hub.users), "page", broken)
    answer = admin.get("/users")
    assert answer.status_code == 500
    assert "12345" not in answer.text
    mark = answer.json()["message"].rpartition(" ")[2].rstrip(".")
    assert any(mark in record.getMessage() for record in caplog.records)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/shares/alice/", {"user": "\ud800"}),
        ("/users/alice/tokens", {"note": "\udfff"}),
        ("/groups/staff/users", {"users": ["\ud800"]}),
        ("/users", {"usernames": ["\ud800"]}),
        ("/services/s", {"info": {"\ud800": 1}}),
        ("/users/alice/server", {"a": "\ud800"}),
    ],
)
def test_half_a_character_is_no_text(admin, path, body):
    assert refused(admin.post(path, content=json.dumps(body))) == "Invalid JSON in body of request"


def test_a_whole_character_of_two_halves_is_text(admin):
    made = admin.post("/users/alice/tokens", content=json.dumps({"note": "\N{PARTY POPPER}"}))
    assert made.json()["note"] == "\N{PARTY POPPER}"


@pytest.mark.parametrize(
    "form",
    [
        b"username=%ff&password=%ff&_xsrf=%ff",
        b"\xff\xfe",
        b"=&=&=",
        b"username=" + b"a" * 5_000_000,
        b"x" * 2_000_000,
        b"&".join(b"a%d=1" % n for n in range(5000)),
    ],
)
def test_a_form_that_is_none_is_refused(hub, form):
    browser = hub.browser()
    browser.get("/hub/login")
    answer = browser.post("/hub/login", content=form, headers={"Content-Type": "application/x-www-form-urlencoded"})
    assert answer.status_code in {400, 403, 413}
    assert "Traceback" not in answer.text


def test_a_name_that_is_taken_among_new_groups_makes_none(admin):
    assert refused(admin.post("/groups", {"groups": ["good", "staff"]}), 409) == "Group staff already exists"
    assert {group["name"] for group in admin.get("/groups").json()} == {"staff", "sharers"}


def test_an_address_without_end_is_refused_unread(hub):
    answer = hub.client.get("/hub/api/users/" + "x" * 17_000)
    assert refused(answer, 414) == "An address may have at most 16384 bytes"
    assert refused(hub.client.get("/hub/api/users?a=" + "x" * 17_000), 414)


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [("/hub/" + "x" * 17_000, {}, 414), ("/hub/home", {"Cookie": "a=b;" * 20_000}, 431), ("/hub/%ff", {}, 404)],
)
@pytest.mark.parametrize("prefix", ["", "/hub/api"])
def test_what_is_refused_unread_has_the_security_headers_too(hub, path, headers, status, prefix):
    answer, usual = hub.client.get(prefix + path, headers=headers), hub.client.get(prefix + "/hub/none")
    names = ("x-content-type-options", "content-security-policy", "referrer-policy", "x-jupyterhub-version")
    assert (answer.status_code, usual.status_code) == (status, 404)
    assert {name: answer.headers.get(name) for name in names} == {name: usual.headers.get(name) for name in names}


@pytest.mark.parametrize(
    ("method", "path"), [write for write in WRITES if write != ("PUT", "/groups/staff/properties")]
)
def test_a_body_of_very_many_keys_is_refused_before_each_is_described(admin, method, path):
    assert "at most 1000 keys" in refused(admin(method, path, json={str(n): 1 for n in range(2000)}))


@pytest.mark.parametrize(
    ("method", "path", "key"),
    [
        ("POST", "/groups/new", "properties"),
        ("POST", "/services/new", "info"),
        ("PUT", "/groups/staff/properties", None),
    ],
)
def test_properties_that_no_store_would_take_are_refused(admin, method, path, key):
    facts = {"a": "x" * 66_000}
    assert "65536" in refused(admin(method, path, json=facts if key is None else {key: facts}))


def test_too_many_fields_for_the_token_endpoint_are_an_oauth_error(hub):
    answer = hub.client.post("/hub/api/oauth2/token", data={f"field{n}": "x" for n in range(21)})
    assert (answer.status_code, answer.json()) == (400, {"error": "invalid_request"})


def test_a_parameter_in_the_token_endpoints_address_is_an_oauth_error(hub):
    answer = hub.client.post("/hub/api/oauth2/token?code=x", data={"grant_type": "authorization_code"})
    assert (answer.status_code, answer.json()) == (400, {"error": "invalid_request"})
