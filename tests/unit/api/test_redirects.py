import pytest
from starlette.requests import Request

from functions.api.redirects import Redirects
from hubless.domain.origins import SHARED, Origins

BELOW = Origins("http://hub.example:8000", subdomains=True)


def redirects(host="hub.example:8000", scheme="http", origins=SHARED):
    request = Request(
        {
            "type": "http",
            "method": "GET",
            "scheme": scheme,
            "path": "/hub/login",
            "query_string": b"",
            "headers": [(b"host", host.encode())],
            "server": ("127.0.0.1", 8000),
        }
    )
    return Redirects(request, origins)


EVIL = [
    "//evil.example",
    "///evil.example",
    "////evil.example",
    "/\\evil.example",
    "\\\\evil.example",
    "\\/evil.example",
    "https:evil.example",
    "http:evil.example",
    "https://evil.example/",
    "javascript:alert(1)",
    "data:text/html,x",
    "http://hub.example:8000//evil.example",
    "http://hub.example:8000///evil.example",
    "http://hub.example:8000/\\evil",
    "http://hub.example:8000////evil.example",
    "http://hub.example:8000/////evil.example",
    "HTTP://hub.example:8000//evil.example",
    "http://hub.example:8000@evil.example/",
    "http://hub.example:80000/",
    "https://hub.example:8000/x",
    "/\t/evil.example",
    "\t//evil.example",
    "/\n/evil.example",
    " //evil.example",
    "http://hub.example:8000 /x",
    "/%0a\n/evil",
    "evil.example",
    "?x",
    "",
    "http://[bad",
    "\x00/x",
    "/x\x7f",
    "x" * 5000,
]


@pytest.mark.parametrize("origins", [SHARED, BELOW])
@pytest.mark.parametrize("given", EVIL)
def test_nothing_that_might_lead_elsewhere_is_followed(given, origins):
    assert redirects(origins=origins).safe(given) is None


ELSEWHERE = [
    "http://evil.example/user/alice/",
    "http://hub.example.evil/user/alice/",
    "http://evilhub.example:8000/user/alice/",
    "ftp:///user/alice/",
    "//alice.hub.example:8000/user/alice/",
    "http://x@alice.hub.example:8000/user/alice/",
    "http://alice.hub.example:8000@evil.example/",
    "http://alice.hub.example:8000//evil.example/",
    "http://alice.hub.example:8000/\\evil.example",
    "javascript://alice.hub.example/%0aalert(1)",
]


@pytest.mark.parametrize("given", ELSEWHERE)
def test_where_each_has_a_host_nothing_else_is_followed_either(given):
    assert redirects(origins=BELOW).safe(given) is None
    assert redirects().safe(given) is None


@pytest.mark.parametrize(
    ("given", "place"),
    [
        ("/user/alice/lab?x=1", "http://alice.hub.example:8000/user/alice/lab?x=1"),
        ("http://alice.hub.example:8000/user/alice/lab#z", "http://alice.hub.example:8000/user/alice/lab#z"),
        ("http://alice.hub.example:8000/user/bob/", "http://bob.hub.example:8000/user/bob/"),
        ("http://alice.hub.example:8000/hub/token", "/hub/token"),
        ("/services/x/", "http://x--service.hub.example:8000/services/x/"),
        ("/user/%65vil.example%2F/", "http://u-evilexam--{}.hub.example:8000/user/%65vil.example%2F/"),
        ("/user/@evil.example/", "http://u-evilexam--{}.hub.example:8000/user/@evil.example/"),
    ],
)
def test_whose_path_it_is_says_at_which_host_it_is_followed(given, place):
    allowed = redirects(origins=BELOW)
    led = allowed.link_to(allowed.safe(given))
    before, _, after = place.partition("{}")
    assert led.startswith(before)
    assert led.endswith(after or before)


@pytest.mark.parametrize(
    ("given", "followed"),
    [
        ("/hub/token", "/hub/token"),
        ("/user/a%40b/lab?x=1&y=%2F#z", "/user/a%40b/lab?x=1&y=%2F#z"),
        ("/user/alice/lab/tree/My Notebook.ipynb", "/user/alice/lab/tree/My%20Notebook.ipynb"),
        (" /hub/token ", "/hub/token"),
        ("/ /evil", "/%20/evil"),
        ("/user/alice/lab/tree/ü.ipynb", "/user/alice/lab/tree/%C3%BC.ipynb"),
        ("http://hub.example:8000/user/alice/lab?x=1", "/user/alice/lab?x=1"),
        (
            "/hub/api/oauth2/authorize?redirect_uri=%2Fuser%2Fa%2Foauth_callback",
            "/hub/api/oauth2/authorize?redirect_uri=%2Fuser%2Fa%2Foauth_callback",
        ),
    ],
)
def test_places_on_this_host_are_followed_as_they_were_sent(given, followed):
    assert redirects().safe(given) == followed
