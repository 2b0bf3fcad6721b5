"""What API Gateway says of a request, read for what was asked."""

import pytest

from functions.api.gateway import client_of, raw_path
from tests.doubles.gateway import event_of

CLOUDFRONT = ("130.176.0.0/16", "2600:9000::/28")


def event(target="/hub/", source="130.176.1.1", **headers):
    return event_of("GET", target, [(name.replace("_", "-"), value) for name, value in headers.items()], b"", source)


@pytest.mark.parametrize("path", ["/hub/api/users/a%2Fb", "/hub/api/users/what%3F", "/hub/api/users/100%25", "/hub/api/users/zo%C3%AB", "/a//b"])
def test_a_path_is_as_it_was_sent(path):
    assert raw_path(event(path + "?limit=1")) == path


@pytest.mark.parametrize(
    ("decoded", "encoded"),
    [("/hub/api/users/zoë", "/hub/api/users/zo%C3%AB"), ("/hub/api/users/100%", "/hub/api/users/100%25"), ("/a b", "/a%20b")],
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
