"""What AWS's services say of a request, read for what was asked; and who is believed."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse

from functions.api import gateway
from functions.api.lambda_events import client_of, raw_path, told_client_of
from hubless.bootstrap.cloud import CloudHub
from hubless.domain.errors import StoreUnavailableError
from hubless.settings import parse
from tests.doubles.gateway import balancer_event_of, event_of, headers_of, rest_event_of
from tests.unit.test_cloud_settings import CLOUD

FRONT, OLD = "f" * 40, "o" * 40
CLOUDFRONT = ("130.176.0.0/16", "2600:9000::/28")


def event(target="/hub/", source="130.176.1.1", **headers):
    return event_of("GET", target, [(name.replace("_", "-"), value) for name, value in headers.items()], b"", source)


@pytest.mark.parametrize(
    "path",
    ["/hub/api/users/a%2Fb", "/hub/api/users/what%3F", "/hub/api/users/100%25", "/hub/api/users/zo%C3%AB", "/a//b"],
)
def test_a_path_is_as_it_was_sent(path):
    assert raw_path(event(path + "?limit=1")) == path


@pytest.mark.parametrize(
    ("decoded", "encoded"),
    [
        ("/hub/api/users/zoë", "/hub/api/users/zo%C3%AB"),
        ("/hub/api/users/100%", "/hub/api/users/100%25"),
        ("/a b", "/a%20b"),
    ],
)
def test_a_path_that_nobody_hands_on_is_what_api_gateway_has_decoded(decoded, encoded):
    told = event() | {"rawPath": decoded}
    del told["headers"]["x-hubless-path"]

    assert raw_path(told) == encoded


def test_the_address_of_a_function_itself_says_paths_as_they_were_sent():
    told = event() | {"rawPath": "/hub/api/users/a%2Fb"}
    del told["headers"]["x-hubless-path"]
    told["requestContext"]["domainName"] = "abc.lambda-url.eu-central-1.on.aws"

    assert raw_path(told) == "/hub/api/users/a%2Fb"


@pytest.mark.parametrize(
    ("source", "claims", "client"),
    [
        ("203.0.113.9", "", "203.0.113.9"),
        ("203.0.113.9", "6.6.6.6", "203.0.113.9"),  # nobody trusted says so
        ("130.176.1.1", "203.0.113.9", "203.0.113.9"),
        ("130.176.1.1", "203.0.113.9, 130.176.1.1", "203.0.113.9"),
        ("130.176.1.1", "6.6.6.6, 203.0.113.9, 130.176.7.7", "203.0.113.9"),  # what is left of it is anybody's claim
        ("2600:9000::1", "2001:db8::1", "2001:db8::1"),
        ("130.176.1.1", "", "130.176.1.1"),
        ("130.176.1.1", "nonsense", "nonsense"),
    ],
)
def test_who_asks_is_whom_the_last_trusted_proxy_heard_from(source, claims, client):
    assert client_of(event(source=source, x_forwarded_for=claims), CLOUDFRONT) == client


def test_without_trusted_proxies_nobody_is_believed():
    assert client_of(event(source="203.0.113.9", x_forwarded_for="6.6.6.6"), ()) == "203.0.113.9"


KINDS = {"HTTP API": event_of, "REST API": rest_event_of, "load balancer": balancer_event_of}
PATHS = ["/hub/api/users/a%2Fb", "/hub/api/users/what%3F", "/hub/api/users/100%25", "/hub/api/users/zo%C3%AB"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("path", PATHS)
def test_each_kind_of_event_tells_the_path_as_it_was_sent(kind, path):
    assert raw_path(KINDS[kind]("GET", path, [], b"")) == path


@pytest.mark.parametrize("path", PATHS)
def test_a_load_balancer_hands_paths_on_by_itself(path):
    told = balancer_event_of("GET", path, [], b"", path_header=False)

    assert raw_path(told) == path


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_event_tells_who_asks(kind):
    forwarded = [("X-Forwarded-For", "6.6.6.6, 203.0.113.9")]
    event = KINDS[kind]("GET", "/", forwarded, b"", "130.176.1.1")

    assert client_of(event, CLOUDFRONT) == "203.0.113.9"
    assert client_of(event, ()) == "130.176.1.1"


@pytest.mark.parametrize(
    ("told", "client"), [("203.0.113.9", "203.0.113.9"), (" 2001:DB8::1 ", "2001:db8::1"), ("nobody", ""), ("", "")]
)
def test_an_address_that_the_front_tells_is_one_or_nothing(told, client):
    assert told_client_of(event(x_hubless_address=told)) == client


# --- the whole of it, with an application that says what it was asked ---


async def echo(scope, receive, send):
    request = Request(scope, receive)
    told = {
        "path": scope["raw_path"].decode(),
        "client": request.client.host,
        "url": str(request.url.replace(path="", query="")),
        "cookies": request.cookies,
        "query": scope["query_string"].decode(),
        "body": (await request.body()).decode(),
        "headers": sorted(request.headers),
        "host": request.headers["host"],
    }
    answer = JSONResponse(told)
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
def test_what_comes_by_the_front_is_believed(ask, kind, given):
    """Only CloudFront reaches a load balancer, and sends it no secret: ELB would pass that on to servers."""
    event = by_the_front(kind, given, x_hubless_address="203.0.113.9", x_hubless_host="maria.hub.example.org")

    answer, told = ask(event, "/front", subdomains=True, text_of={"/front": FRONT}.__getitem__)

    assert answer["statusCode"] == 200
    assert (told["client"], told["url"]) == ("203.0.113.9", "https://maria.hub.example.org")
    assert "x-hubless-front" not in told["headers"]  # nothing behind may tell of it


@pytest.mark.parametrize("kind", ["HTTP API", "REST API"])
@pytest.mark.parametrize("given", ["", "a" * 40, FRONT[:-1], f"{FRONT},{FRONT}", f"{FRONT} {OLD}", "ü"])
def test_what_does_not_come_by_the_front_is_refused_with_where_to_ask(ask, kind, given):
    answer, told = ask(by_the_front(kind, given), "/front", text_of={"/front": f"{FRONT} {OLD}"}.__getitem__)

    assert answer["statusCode"] == 403
    assert told == {"status": 403, "message": "Ask the hub at its own address, https://hub.example.org"}


@pytest.mark.parametrize("kind", ["HTTP API", "REST API"])
def test_nobody_becomes_a_load_balancer_by_what_they_say(ask, kind):
    event = by_the_front(kind, "", requestContext='{"elb": {}}', x_amzn_elb="1", elb="1")

    assert ask(event, "/front", text_of={"/front": FRONT}.__getitem__)[0]["statusCode"] == 403


@pytest.mark.parametrize("given", [FRONT, OLD])
def test_while_the_text_is_changed_both_are_right(ask, given):
    assert (
        ask(by_the_front("HTTP API", given), "/front", text_of={"/front": f"{FRONT}\n{OLD}\n"}.__getitem__)[0][
            "statusCode"
        ]
        == 200
    )


@pytest.mark.parametrize("held", ["", " ", "short", f"{FRONT} short"])
def test_a_front_whose_text_is_too_short_lets_nobody_in(ask, held):
    answer, _ = ask(by_the_front("HTTP API", held), "/front", text_of={"/front": held}.__getitem__)

    assert answer["statusCode"] == 503


def test_a_front_that_cannot_be_read_lets_nobody_in_until_it_can_and_is_read_once(ask):
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


def test_a_front_whose_text_nobody_here_reads_lets_nobody_in(ask):
    assert ask(by_the_front("HTTP API", ""), "/front", text_of=None)[0]["statusCode"] == 503


@pytest.mark.parametrize("kind", KINDS)
def test_without_a_front_nobody_is_believed_about_who_asks(ask, kind):
    _, told = ask(by_the_front(kind, "anything", x_hubless_address="6.6.6.6", x_hubless_host="maria.hub.example.org"))

    assert (told["client"], told["url"]) == ("130.176.1.1", "https://hub.example.org")


@pytest.mark.parametrize(
    ("told_by", "subdomains", "heard"),
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
def test_where_each_has_a_host_it_is_the_one_that_the_front_says_or_none(ask, told_by, subdomains, heard):
    """Later code checks whether the host is one of the hub's: another redirects to the hub, and none is refused."""
    _, told = ask(
        by_the_front("HTTP API", FRONT, **told_by),
        "/front",
        subdomains=subdomains,
        text_of={"/front": FRONT}.__getitem__,
    )

    assert told["host"] == heard


def test_without_a_front_the_host_is_what_an_edge_says(ask):
    assert (
        ask(by_the_front("HTTP API", "", x_forwarded_host="maria.hub.example.org"), subdomains=True)[1]["url"]
        == "https://maria.hub.example.org"
    )


@pytest.mark.parametrize("kind", [*KINDS, "load balancer of single headers"])
def test_bodies_queries_and_cookies_come_through_whichever_service_hands_them_over(ask, kind):
    headers = [("Cookie", "a=1; b=2"), ("Cookie", "c=3"), ("Content-Type", "text/plain")]
    made = KINDS.get(kind) or (lambda *given: balancer_event_of(*given, several=False))

    answer, told = ask(made("POST", "/hub/api/users/a%2Fb?name=zo%C3%AB&limit=1", headers, "grün".encode()))

    assert (told["path"], told["query"], told["body"]) == ("/hub/api/users/a%2Fb", "name=zo%C3%AB&limit=1", "grün")
    assert told["cookies"] == {"a": "1", "b": "2", "c": "3"}
    set_ = [value for name, value in headers_of(answer) if name.lower() == "set-cookie"]
    assert [cookie.partition(";")[0] for cookie in set_] == ["one=1", "two=2"]
