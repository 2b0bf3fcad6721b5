"""What FastAPI does by itself and a hub must not do; and that routes are no slower kind than they say."""

import subprocess
import sys
from typing import Annotated

import httpx
import pytest
from fastapi import Cookie, Depends, FastAPI, Header, Request, Response
from fastapi.routing import APIRoute
from pydantic import BaseModel

from functions.api.app import ROUTERS
from functions.api.route_class import HubRoute
from tests.api.hub import An, InProcess

SECRET = "correct-horse-battery"
# A global OpenTelemetry provider records spans, as an operator's instrumentation would.
TRACED = """
import sys, pathlib, tempfile
from opentelemetry import trace
spans = []
class Tracer(trace.NoOpTracer):
    def start_span(self, name, *args, **more):
        spans.append((name, str(more.get("attributes"))))
        return super().start_span(name, *args, **more)
    def start_as_current_span(self, name, *args, **more):
        spans.append((name, str(more.get("attributes"))))
        return super().start_as_current_span(name, *args, **more)
class Provider(trace.TracerProvider):
    def get_tracer(self, *args, **more):
        return Tracer()
trace.set_tracer_provider(Provider())
if sys.argv[1] == "hub":
    from tests.api.hub import build_hub
    client = build_hub(pathlib.Path(tempfile.mkdtemp())).client
else:
    import httpx
    from fastapi import FastAPI
    from tests.api.hub import InProcess
    app = FastAPI()
    @app.get("/hub/api/user")
    async def user(): return {}
    client = httpx.Client(transport=InProcess(app), base_url="http://hub.test")
traceparent = "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01"
client.get("/hub/api/user?token=a-secret", headers={"traceparent": traceparent})
print(len(spans))
"""


def spans(which):
    received = subprocess.run([sys.executable, "-c", TRACED, which], capture_output=True, text=True, check=True)
    return int(received.stdout)


def test_no_request_is_traced_where_a_tracer_is_installed():
    assert spans("plain FastAPI") > 0  # so the hub's zero means something
    assert spans("hub") == 0


def test_an_invalid_body_is_400_and_never_repeats_a_password(hub):
    hub.user("alice")
    refused = hub.anybody.post("/users/alice/tokens", {"auth": {"username": ["alice"], "password": [SECRET]}})
    assert refused.status_code == 400
    assert refused.json()["status"] == 400
    assert SECRET not in refused.text


class Login(BaseModel):
    password: int


@pytest.mark.parametrize("body", [f'{{"password": "{SECRET}"}}', '{"password": NaN}', "{"])
def test_a_route_of_fastapis_own_class_repeats_no_password_either(hub, body):
    async def log_in(login: Login):
        return login

    hub.transport.app.router.routes.insert(0, APIRoute("/hub/api/log-in", log_in, methods=["POST"]))
    refused = hub.anybody("POST", "/log-in", content=body, headers={"Content-Type": "application/json"})
    assert refused.status_code == 400
    assert refused.json() == {"status": 400, "message": "The request is invalid"}
    del hub.transport.app.router.routes[0]


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_a_number_that_is_none_is_400_and_no_error_of_the_hub(alice, number):
    body = f'{{"user_options": {{"n": {number}}}}}'
    assert alice("PUT", "/users/alice/servers/one", content=body).status_code == 400


@pytest.mark.parametrize("path", ["/hub/api/users/", "/hub/api/info/", "/hub/home/"])
def test_no_redirect_adds_or_drops_a_slash(hub, path):
    answer = hub.client.get(path, headers={"Host": "evil.example", "Authorization": f"token {An.ADMIN_TOKEN}"})
    assert answer.status_code == 404


@pytest.mark.parametrize("path", ["/docs", "/redoc", "/openapi.json", "/hub/docs", "/hub/openapi.json"])
def test_fastapis_own_documents_are_not_served(hub, path):
    answer = hub.client.get(path, follow_redirects=True)
    assert answer.status_code == 404
    assert "swagger" not in answer.text.lower()


def test_head_is_answered_wherever_get_is(hub):
    tried = 0
    for route in (route for router in ROUTERS for route in router.routes):
        if "GET" not in route.methods or "progress" in route.path:
            continue
        path = route.path_format.format(**dict.fromkeys(route.param_convertors, "1"))
        headers = {"Authorization": f"token {An.ADMIN_TOKEN}"}
        got = hub.client.get(path, headers=headers)
        asked = hub.client.head(path, headers=headers)
        assert (asked.status_code, asked.headers.get("content-type")) == (
            got.status_code,
            got.headers.get("content-type"),
        )
        tried += 1
    assert tried > 50


def test_a_method_that_a_path_does_not_take_is_405_as_in_jupyterhub(admin):
    refused = admin("PUT", "/users")
    assert (refused.status_code, refused.json()) == (405, {"status": 405, "message": None})


def test_an_encoded_slash_is_part_of_a_name(hub, admin):
    assert admin.get("/groups/a%2Fb").json()["message"] == "No such group: a/b"
    assert admin.get("/groups/a/b").status_code == 404


def test_too_large_a_body_and_a_broken_handler_answer_in_jupyterhubs_shape(hub, admin, monkeypatch):
    large = admin("POST", "/users", content=b"[" + b" " * 1_000_001)
    assert (large.status_code, large.json()["status"]) == (413, 413)

    def broken(*_args, **_more):
        raise RuntimeError(SECRET)

    monkeypatch.setattr(type(hub.hub.users), "page", broken)
    failed = admin.get("/users")
    assert (failed.status_code, failed.json()["status"]) == (500, 500)
    assert SECRET not in failed.text


@pytest.mark.parametrize("kind", ["application/json", "text/plain", "application/x-www-form-urlencoded", None])
def test_a_body_is_json_whatever_its_content_type(admin, kind):
    headers = {} if kind is None else {"Content-Type": kind}
    made = admin("POST", "/users/somebody", content=b'{"admin": true}', headers=headers)
    assert (made.status_code, made.json()["admin"]) == (201, True)


# --- the class of routes ---------------------------------------------------------------------------------------------


async def asynchronous():
    return 1


def plain():
    return 1


class Made:
    pass


async def opened():
    yield 1


async def with_body(login: Login):
    return login


def routed(dependency):
    async def handler(given: Annotated[object, Depends(dependency)]):
        return Response(str(given))

    return handler


async def with_cookie(session: Annotated[str, Cookie()]):
    return Response(session)


async def with_number_in_header(age: Annotated[int, Header()]):
    return Response(str(age))


async def with_number(limit: int):
    return Response(str(limit))


async def with_response(response: Response):
    return response


@pytest.mark.parametrize(
    ("handler", "why"),
    [
        (plain, "must be an async function"),
        (routed(plain), "must be an async function"),
        (routed(Made), "must be an async function"),
        (routed(opened), "must be an async function"),
        (routed(with_body), "only handlers do"),
        (with_cookie, "cookie_params"),
        (with_number_in_header, "age must be a text"),
        (with_response, "response_param_name"),
        (with_number, "limit must be a text"),
    ],
)
def test_a_route_refuses_what_would_run_in_a_thread_or_be_left_out(handler, why):
    with pytest.raises(TypeError, match=why):
        HubRoute("/", handler).app  # noqa: B018 builds it


def test_a_dependency_that_two_others_share_is_called_once():
    calls = []

    async def shared(request: Request):
        calls.append(request.url.path)
        return len(calls)

    async def first(given: Annotated[int, Depends(shared)]):
        return given

    async def handler(one: Annotated[int, Depends(first)], two: Annotated[int, Depends(shared)], name: str):
        return Response(f"{one} {two} {name}")

    app = FastAPI(routes=[HubRoute("/{name}", handler)])
    with httpx.Client(transport=InProcess(app), base_url="http://hub.test") as client:
        assert client.get("/alice").text == "1 1 alice"
    assert calls == ["/alice"]


def test_several_headers_of_a_name_are_one_and_none_is_the_default():
    async def handler(tag: Annotated[str | None, Header(alias="If-Match")] = None):
        return Response(repr(tag))

    app = FastAPI(routes=[HubRoute("/", handler)])
    with httpx.Client(transport=InProcess(app), base_url="http://hub.test") as client:
        assert client.get("/", headers=[("If-Match", "a"), ("if-match", "b")]).text == "'a, b'"
        assert client.get("/").text == "None"


# --- the page that shows the document --------------------------------------------------------------------------------


def test_the_docs_page_loads_only_from_this_host_and_runs_no_inline_script(hub):
    page = hub.client.get("/hub/api/docs")
    assert page.status_code == 200
    assert page.headers["content-security-policy"].startswith("default-src 'self';")
    assert "<script>" not in page.text
    assert "://" not in page.text.replace("http://hub.test", "")
    for name, kind in (("swagger-ui.css", "text/css"), ("swagger-ui-bundle.js", "text/javascript")):
        assert f"/hub/api/docs/{name}" in page.text
        file = hub.client.get(f"/hub/api/docs/{name}")
        assert (file.status_code, file.headers["content-type"].partition(";")[0]) == (200, kind)
    assert hub.client.get("/hub/api/docs/__init__.py").status_code == 404


def test_the_document_is_made_at_its_first_request_only(hub):
    assert hub.transport.app.openapi_schema is None
    first = hub.anybody.get("/openapi.json").json()
    assert first["paths"]["/users"]["get"]["security"] == [{"token": ["list:users"]}]
    assert first["paths"]["/users"]["get"]["summary"] == "List users, page by page"
    kept = hub.transport.app.openapi_schema
    hub.anybody.get("/openapi.json")
    assert hub.transport.app.openapi_schema is kept
