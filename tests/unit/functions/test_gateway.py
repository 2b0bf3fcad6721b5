"""Events of API Gateway, function URLs and load balancers as requests; and which headers are trusted."""

import asyncio
import contextlib
import json
from dataclasses import replace
from pathlib import Path

import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse

from functions.api import gateway
from functions.api.lambda_events import client_of, front_client_of, raw_path
from hubless.bootstrap.cloud import CloudHub
from hubless.domain.errors import StoreUnavailableError
from hubless.settings import parse
from tests.doubles.gateway import balancer_event_of, event_of, headers_of, rest_event_of
from tests.unit.test_cloud_settings import CLOUD

FRONT, OLD = "f" * 40, "o" * 40
CLOUDFRONT = ("130.176.0.0/16", "2600:9000::/28")


@pytest.fixture(scope="module", autouse=True)
def event_loop():
    """Close the loop that Mangum runs in: it makes one and leaves it, and the warning fails some later test."""
    with contextlib.closing(asyncio.new_event_loop()) as loop:
        asyncio.set_event_loop(loop)
        yield
        asyncio.set_event_loop(None)


def event(target="/hub/", source="130.176.1.1", **headers):
    return event_of("GET", target, [(name.replace("_", "-"), value) for name, value in headers.items()], b"", source)


@pytest.mark.parametrize(
    "path",
    ["/hub/api/users/a%2Fb", "/hub/api/users/what%3F", "/hub/api/users/100%25", "/hub/api/users/zo%C3%AB", "/a//b"],
)
def test_the_path_is_as_the_client_sent_it(path):
    assert raw_path(event(path + "?limit=1")) == path


@pytest.mark.parametrize(
    ("decoded", "encoded"),
    [
        ("/hub/api/users/zoë", "/hub/api/users/zo%C3%AB"),
        ("/hub/api/users/100%", "/hub/api/users/100%25"),
        ("/a b", "/a%20b"),
    ],
)
def test_without_a_header_the_path_is_api_gateways(decoded, encoded):
    received = event() | {"rawPath": decoded}
    del received["headers"]["x-hubless-path"]

    assert raw_path(received) == encoded


def test_a_function_url_keeps_paths_as_sent():
    received = event() | {"rawPath": "/hub/api/users/a%2Fb"}
    del received["headers"]["x-hubless-path"]
    received["requestContext"]["domainName"] = "abc.lambda-url.eu-central-1.on.aws"

    assert raw_path(received) == "/hub/api/users/a%2Fb"


@pytest.mark.parametrize(
    ("source", "claims", "client"),
    [
        ("203.0.113.9", "", "203.0.113.9"),
        ("203.0.113.9", "6.6.6.6", "203.0.113.9"),  # no trusted proxy sent it
        ("130.176.1.1", "203.0.113.9", "203.0.113.9"),
        ("130.176.1.1", "203.0.113.9, 130.176.1.1", "203.0.113.9"),
        ("130.176.1.1", "6.6.6.6, 203.0.113.9, 130.176.7.7", "203.0.113.9"),  # addresses further left may be forged
        ("2600:9000::1", "2001:db8::1", "2001:db8::1"),
        ("130.176.1.1", "", "130.176.1.1"),
        ("130.176.1.1", "nonsense", "nonsense"),
    ],
)
def test_the_client_is_what_the_last_trusted_proxy_saw(source, claims, client):
    assert client_of(event(source=source, x_forwarded_for=claims), CLOUDFRONT) == client


def test_without_trusted_proxies_headers_are_ignored():
    assert client_of(event(source="203.0.113.9", x_forwarded_for="6.6.6.6"), ()) == "203.0.113.9"


KINDS = {"HTTP API": event_of, "REST API": rest_event_of, "load balancer": balancer_event_of}
PATHS = ["/hub/api/users/a%2Fb", "/hub/api/users/what%3F", "/hub/api/users/100%25", "/hub/api/users/zo%C3%AB"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("path", PATHS)
def test_each_kind_of_event_has_the_path_as_sent(kind, path):
    assert raw_path(KINDS[kind]("GET", path, [], b"")) == path


@pytest.mark.parametrize("path", PATHS)
def test_a_load_balancer_keeps_paths_as_sent(path):
    received = balancer_event_of("GET", path, [], b"", path_header=False)

    assert raw_path(received) == path


@pytest.mark.parametrize("path", PATHS)
def test_a_rest_api_keeps_paths_as_sent(path):
    received = rest_event_of("GET", path, [], b"")
    del received["headers"]["x-hubless-path"], received["multiValueHeaders"]["x-hubless-path"]

    assert raw_path(received) == path


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_event_has_the_clients_address(kind):
    forwarded = [("X-Forwarded-For", "6.6.6.6, 203.0.113.9")]
    event = KINDS[kind]("GET", "/", forwarded, b"", "130.176.1.1")

    assert client_of(event, CLOUDFRONT) == "203.0.113.9"
    assert client_of(event, ()) == "130.176.1.1"


@pytest.mark.parametrize(
    ("received", "client"), [("203.0.113.9", "203.0.113.9"), (" 2001:DB8::1 ", "2001:db8::1"), ("nobody", ""), ("", "")]
)
def test_an_invalid_client_address_is_ignored(received, client):
    assert front_client_of(event(x_hubless_address=received)) == client


# --- whole requests, to an application that returns what it received ---


async def echo(scope, receive, send):
    request = Request(scope, receive)
    received = {
        "path": scope["raw_path"].decode(),
        "client": request.client.host,
        "url": str(request.url.replace(path="", query="")),
        "cookies": request.cookies,
        "query": scope["query_string"].decode(),
        "body": (await request.body()).decode(),
        "headers": sorted(request.headers),
        "host": request.headers["host"],
    }
    answer = JSONResponse(received)
    answer.set_cookie("one", "1")
    answer.set_cookie("two", "2")
    await answer(scope, receive, send)


@pytest.fixture
def ask(monkeypatch):
    monkeypatch.setattr(gateway, "create_app", lambda _hub: echo)

    def asked(event, front="", subdomains=False, text_of=None):
        cloud = replace(CLOUD, front=front)
        settings = parse(
            '[hub]\npublic_url = "https://hub.example.org"\nsubdomains = {}'.format(str(subdomains).lower()), Path(), {}
        )
        hub = CloudHub(settings, cloud, "eu-central-1", {}, text_of)
        answer = gateway.handle(hub, event, None)
        return answer, json.loads(answer["body"])

    return asked


def by_the_front(kind, front, target="/hub/", source="130.176.1.1", **headers):
    given = [("x-hubless-front", front), *((name.replace("_", "-"), value) for name, value in headers.items())]
    return KINDS[kind]("GET", target, given, b"", source)


@pytest.mark.parametrize(
    ("kind", "given"), [("HTTP API", FRONT), ("REST API", FRONT), ("load balancer", ""), ("load balancer", "guess")]
)
def test_requests_with_the_front_secret_are_trusted(ask, kind, given):
    """Only CloudFront reaches a load balancer, and sends it no secret, because ELB would pass it on to servers."""
    event = by_the_front(kind, given, x_hubless_address="203.0.113.9", x_hubless_host="maria.hub.example.org")

    answer, received = ask(event, "/front", subdomains=True, text_of={"/front": FRONT}.__getitem__)

    assert answer["statusCode"] == 200
    assert (received["client"], received["url"]) == ("203.0.113.9", "https://maria.hub.example.org")
    assert "x-hubless-front" not in received["headers"]  # the application must not see the secret


@pytest.mark.parametrize("kind", ["HTTP API", "REST API"])
@pytest.mark.parametrize("given", ["", "a" * 40, FRONT[:-1], f"{FRONT},{FRONT}", f"{FRONT} {OLD}", "ü"])
def test_requests_without_the_front_secret_are_refused(ask, kind, given):
    answer, received = ask(by_the_front(kind, given), "/front", text_of={"/front": f"{FRONT} {OLD}"}.__getitem__)

    assert answer["statusCode"] == 403
    assert received == {"status": 403, "message": "Ask the hub at its own address, https://hub.example.org"}


@pytest.mark.parametrize("kind", ["HTTP API", "REST API"])
def test_a_client_cannot_pose_as_a_load_balancer(ask, kind):
    event = by_the_front(kind, "", requestContext='{"elb": {}}', x_amzn_elb="1", elb="1")

    assert ask(event, "/front", text_of={"/front": FRONT}.__getitem__)[0]["statusCode"] == 403


@pytest.mark.parametrize("given", [FRONT, OLD])
def test_during_a_rotation_both_secrets_are_valid(ask, given):
    assert (
        ask(by_the_front("HTTP API", given), "/front", text_of={"/front": f"{FRONT}\n{OLD}\n"}.__getitem__)[0][
            "statusCode"
        ]
        == 200
    )


@pytest.mark.parametrize("held", ["", " ", "short", f"{FRONT} short"])
def test_a_short_front_secret_refuses_all_requests(ask, held):
    answer, _ = ask(by_the_front("HTTP API", held), "/front", text_of={"/front": held}.__getitem__)

    assert answer["statusCode"] == 503


def test_an_unreadable_front_secret_refuses_requests_until_it_is_read(ask):
    tries = iter([StoreUnavailableError("at the first request"), FRONT])

    def text_of(_name):
        found = next(tries)
        if isinstance(found, Exception):
            raise found
        return found

    hub = CloudHub(
        parse('[hub]\npublic_url = "https://hub.example.org"', Path(), {}),
        replace(CLOUD, front="/front"),
        "eu-central-1",
        {},
        text_of,
    )

    assert [gateway.handle(hub, by_the_front("HTTP API", FRONT), None)["statusCode"] for _ in range(3)] == [
        503,
        200,
        200,
    ]


def test_a_hub_without_a_reader_refuses_all_requests(ask):
    assert ask(by_the_front("HTTP API", ""), "/front", text_of=None)[0]["statusCode"] == 503


@pytest.mark.parametrize("kind", KINDS)
def test_without_a_front_client_headers_are_ignored(ask, kind):
    _, received = ask(
        by_the_front(kind, "anything", x_hubless_address="6.6.6.6", x_hubless_host="maria.hub.example.org")
    )

    assert (received["client"], received["url"]) == ("130.176.1.1", "https://hub.example.org")


@pytest.mark.parametrize(
    ("sent_by_front", "subdomains", "expected_host"),
    [
        ({"x_hubless_host": "maria.hub.example.org"}, True, "maria.hub.example.org"),
        ({"x_hubless_host": "maria.hub.example.org:8443"}, True, "maria.hub.example.org:8443"),
        ({"x_hubless_host": "maria.hub.example.org"}, False, "hub.example.org"),
        ({"x_hubless_host": "evil.example.org"}, True, "evil.example.org"),
        ({"x_forwarded_host": "maria.hub.example.org"}, True, ""),
        ({"x_hubless_host": "mari\u00e0.hub.example.org"}, True, ""),
        ({}, True, ""),
    ],
)
def test_with_subdomains_the_host_is_the_fronts_or_none(ask, sent_by_front, subdomains, expected_host):
    """The application checks the host later: it redirects an unknown host to the hub's, and refuses a missing one."""
    _, received = ask(
        by_the_front("HTTP API", FRONT, **sent_by_front),
        "/front",
        subdomains=subdomains,
        text_of={"/front": FRONT}.__getitem__,
    )

    assert received["host"] == expected_host


def test_without_a_front_the_host_is_the_edges(ask):
    assert (
        ask(by_the_front("HTTP API", "", x_forwarded_host="maria.hub.example.org"), subdomains=True)[1]["url"]
        == "https://maria.hub.example.org"
    )


@pytest.mark.parametrize("kind", [*KINDS, "load balancer of single headers"])
def test_each_kind_of_event_has_body_query_and_cookies(ask, kind):
    headers = [("Cookie", "a=1; b=2"), ("Cookie", "c=3"), ("Content-Type", "text/plain")]
    made = KINDS.get(kind) or (lambda *given: balancer_event_of(*given, several=False))

    answer, received = ask(made("POST", "/hub/api/users/a%2Fb?name=zo%C3%AB&limit=1", headers, "grün".encode()))

    assert (received["path"], received["query"], received["body"]) == (
        "/hub/api/users/a%2Fb",
        "name=zo%C3%AB&limit=1",
        "grün",
    )
    assert received["cookies"] == {"a": "1", "b": "2", "c": "3"}
    set_ = [value for name, value in headers_of(answer) if name.lower() == "set-cookie"]
    assert [cookie.partition(";")[0] for cookie in set_] == ["one=1", "two=2"]
