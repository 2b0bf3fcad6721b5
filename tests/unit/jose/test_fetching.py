import pytest

from hubless.adapters.jose.fetching import Answer, Fetcher, FetchError, check_url


@pytest.mark.parametrize(
    "url",
    ["https://idp.example.org/keys?a=b", "http://127.0.0.1:4711/keys", "http://localhost/keys", "http://[::1]:8080/"],
)
def test_https_and_this_machine_are_asked(url):
    assert check_url(url) == url


@pytest.mark.parametrize(
    "url",
    [
        *("http://idp.example.org/keys", "ftp://127.0.0.1/", "file:///etc/passwd", "", "https://", "https://[1/"),
        *("https://user:secret@idp.example.org/", "https://idp.example.org/a b", "https://idp.example.org:port/"),
        *("http://127.0.0.1.example.org/", "http://127.0.0.1@example.org/", "//idp.example.org/"),
    ],
)
def test_other_addresses_are_not_asked(url):
    with pytest.raises(FetchError):
        Fetcher().request("GET", url)


def test_an_answer_that_is_no_json_is_said():
    assert Answer(200, {}, b'{"a": 1}').json() == {"a": 1}
    for body in b"<html>", b"", b"\xff", b"[" * 100_000:
        with pytest.raises(FetchError, match="no JSON"):
            Answer(200, {}, body).json()
