import pytest
from starlette.requests import Request

from functions.api.destinations import safe_next


def a_request(host="hub.example:8000", scheme="http"):
    return Request({
        "type": "http", "method": "GET", "scheme": scheme, "path": "/hub/login", "query_string": b"",
        "headers": [(b"host", host.encode())], "server": ("127.0.0.1", 8000),
    })  # fmt: skip


EVIL = [
    "//evil.example", "///evil.example", "////evil.example", "/\\evil.example", "\\\\evil.example", "\\/evil.example",
    "https:evil.example", "http:evil.example", "https://evil.example/", "javascript:alert(1)", "data:text/html,x",
    "http://hub.example:8000//evil.example", "http://hub.example:8000///evil.example", "http://hub.example:8000/\\evil",
    "http://hub.example:8000////evil.example", "http://hub.example:8000/////evil.example", "HTTP://hub.example:8000//evil.example",
    "http://hub.example:8000@evil.example/", "http://hub.example:80000/", "https://hub.example:8000/x",
    "/\t/evil.example", "\t//evil.example", "/\n/evil.example", " //evil.example", "http://hub.example:8000 /x", "/%0a\n/evil", "evil.example", "?x", "",
    "http://[bad", "\x00/x", "/x\x7f", "x" * 5000,
]  # fmt: skip


@pytest.mark.parametrize("given", EVIL)
def test_nothing_that_might_lead_elsewhere_is_followed(given):
    assert safe_next(a_request(), given) is None


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
        ("/hub/api/oauth2/authorize?redirect_uri=%2Fuser%2Fa%2Foauth_callback", "/hub/api/oauth2/authorize?redirect_uri=%2Fuser%2Fa%2Foauth_callback"),
    ],
)
def test_places_on_this_host_are_followed_as_they_were_sent(given, followed):
    assert safe_next(a_request(), given) == followed
