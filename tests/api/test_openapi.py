"""The OpenAPI document is true: it names every route and its scopes, and no answer is another than it says."""

import re

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from starlette.datastructures import Headers

from functions.api.app import api_document, create_app
from hubless.services import user_removal
from tests.api.hub import An, build_hub

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
SCHEMA = schemathesis.openapi.from_dict(api_document())
OPERATIONS = [found.ok() for found in SCHEMA.get_all_operations()]
NAMES = {
    "name": ["alice", "bob", "staff", "checker", "jupyterhub-hub-login"],
    "owner": ["alice", "bob"],
    "server": ["lab", "new"],
    "secret": ["x"],
    "token_id": ["a0"],
    "session_id": ["a0"],
    "announcement_id": ["n0"],
    "message_id": ["le0"],
    "link_id": ["a0"],
    "spare_id": ["w0"],
}
BODIES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.text(max_size=20),
    st.lists(st.integers(), max_size=3),
    st.dictionaries(
        st.sampled_from(["name", "usernames", "users", "scopes", "expires_in", "user", "admin", "servers", "url"]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
            max_leaves=5,
        ),
        max_size=4,
    ),
)
# A start that nobody carries out here is followed without an end; tests/e2e follow real ones.
ENDLESS = "/progress"
# What any request may have: who asks, from where, in which form.
READ_OF_ALL = {
    *("accept", "accept-language", "authorization", "content-type", "cookie", "host", "origin", "referer"),
    *("sec-fetch-mode", "sec-fetch-site", "user-agent", "x-csrftoken", "x-xsrftoken"),
}
# What any answer may have: its form, and what browsers and caches may do with it.
SENT_BY_ALL = {
    *("access-control-allow-headers", "access-control-allow-origin", "cache-control", "content-disposition"),
    *("content-length", "content-security-policy", "content-type", "pragma", "referrer-policy"),
    *("x-content-type-options", "x-jupyterhub-version"),
}
LEAVES_ALONE = {"POST /shutdown", "POST /oauth2/token"}  # stops what others look at; takes no JSON


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(user_removal, "STOP_TIMEOUT", 0.05)  # nobody carries out what is asked for here: no use to wait
        hub = filled_hub(tmp_path_factory)
        yield hub
        hub.close()


def filled_hub(tmp_path_factory):
    hub = build_hub(tmp_path_factory.mktemp("hub"))
    admin = hub.as_token(An.ADMIN_TOKEN)
    for name in ("alice", "bob"):
        hub.user(name, groups=["staff", "sharers"])
        admin.put(f"/users/{name}/servers/lab", {})
    return hub


@pytest.fixture
def read(monkeypatch):
    """Return a set to which every header that the hub reads of a request is added."""
    names = set()

    def note(method):
        really = getattr(Headers, method)

        def noting(headers, name):
            if type(headers) is Headers:  # others are those of answers
                names.add(name.lower())
            return really(headers, name)

        monkeypatch.setattr(Headers, method, noting)

    for method in ("__getitem__", "__contains__", "getlist"):
        note(method)
    return names


def lower(names):
    return {name.lower() for name in names}


def send(hub, case, headers):
    request = case.as_transport_kwargs(base_url="http://hub.test/hub/api", headers=headers)
    # httpx warns of both: cookies of a single request (no operation has any), and a raw body that is called `data`.
    del request["cookies"]
    if isinstance(request.get("data"), bytes | str):
        request["content"] = request.pop("data")
    return hub.client.request(**request)


@pytest.mark.parametrize(
    "operation", [o for o in OPERATIONS if ENDLESS not in o.path], ids=lambda operation: operation.label
)
@pytest.mark.timeout(60)
def test_whatever_is_asked_is_answered_as_the_document_says(filled, operation, read):
    raw, sent = operation.definition.raw, set()
    admin = {"Authorization": f"token {An.ADMIN_TOKEN}"}
    restore = [name for name in ("alice", "bob") if operation.method.upper() in {"DELETE", "PATCH", "POST"}]

    @given(case=operation.as_strategy(), known=st.data())
    @settings(max_examples=12, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck))
    def ask(case, known):
        for part in case.path_parameters or {}:
            if known.draw(st.integers(0, 3)):
                case.path_parameters[part] = known.draw(st.sampled_from(NAMES[part]))
        for name in restore:  # what an earlier request took away
            filled.user(name)
        answer = send(filled, case, admin)
        case.validate_response(answer, checks=CHECKS)
        sent.update(answer.headers.keys() - lower(raw["responses"][f"{answer.status_code}"].get("headers", ())))

    ask()
    assert read - READ_OF_ALL <= lower(one["name"] for one in raw["parameters"] if one.get("in") == "header")
    assert sent - SENT_BY_ALL == set()


@pytest.mark.parametrize(
    "operation", [o for o in OPERATIONS if o.method.upper() not in {"GET", "HEAD"}], ids=lambda o: o.label
)
@pytest.mark.timeout(60)
def test_no_body_however_wrong_is_an_error_of_the_hub(filled, operation):
    path = re.sub(r"{(\w+)}", lambda part: NAMES[part[1]][0], operation.path)

    @given(body=BODIES)
    @settings(max_examples=25, deadline=None, database=None, derandomize=True)
    def ask(body):
        filled.user("alice")
        answer = filled.as_token(An.ADMIN_TOKEN)(operation.method.upper(), path, json=body)
        assert answer.status_code < 500
        if answer.status_code >= 400:
            assert answer.json()["status"] == answer.status_code

    if operation.label not in LEAVES_ALONE:
        ask()


def test_every_route_of_the_api_is_documented(filled):
    unseen = re.compile(r"/oauth2/authorize|/openapi\.json|/docs|//")
    there = {
        (method, re.sub(r":\w+}", "}", route.path.removeprefix("/hub/api")))
        for route in create_app(filled.hub).routes
        if route.path.startswith("/hub/api") and not unseen.search(route.path)
        for method in route.methods - {"HEAD"}
    }
    received = {(method.upper(), path) for path, methods in api_document()["paths"].items() for method in methods}
    assert there == received - {("HEAD", "/health")}


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.label)
def test_a_token_without_scopes_gets_the_documented_ones_in_the_error(filled, operation):
    scopes = [scope for each in operation.definition.raw.get("security", []) for scope in each.get("token", [])]
    if not scopes or operation.label == "GET /users/{name}":  # every token says whose it is, and so may read a name
        return
    path = re.sub(r"{(\w+)}", lambda part: NAMES[part[1]][0], operation.path)
    nobody = filled.as_user("bob", ["read:users:name!user=nobody"])
    refused = nobody(
        operation.method.upper(), path, json={"last_activity": "2026-01-01T00:00:00Z"} if "activity" in path else {}
    )
    assert refused.status_code == 403
    if operation.label != "POST /users/{name}/tokens":
        assert refused.json()["message"].endswith(f"requires any of [{', '.join(scopes)}]")


def test_the_document_is_open_to_all_and_holds_no_secret(filled):
    received = filled.anybody.get("/openapi.json")
    assert received.json()["openapi"] == "3.1.0"
    assert An.ADMIN_TOKEN not in received.text
