"""What the hub asks providers, sent to real web servers on this machine."""

import gzip
import http.server
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from functions.api import provider_pool
from hubless.adapters.jose.fetching import MAX_BYTES, Fetcher, FetchError
from tests.support.http_servers import TcpServer, certificate, over_tls, running


class Provider(http.server.BaseHTTPRequestHandler):
    """Answers each path with one kind of answer."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        getattr(self, self.path.partition("?")[0].removeprefix("/"))()

    def good(self) -> None:
        self._send(b'{"keys": []}')

    def together(self) -> None:
        self.server.barrier.wait(30)  # type: ignore[attr-defined]
        self._send(b"{}")

    def redirect(self) -> None:
        self._send(b"", 302, Location="/good")

    def broken(self) -> None:
        self._send(b"{}", 500)

    def page(self) -> None:
        self._send(b"<html>")

    def long(self) -> None:
        self._send(b" " * (MAX_BYTES + 1))

    def bomb(self) -> None:
        self._send(gzip.compress(b" " * 50 * MAX_BYTES), **{"Content-Encoding": "gzip"})

    def cut(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "100")
        self.end_headers()
        self.wfile.write(b"{}")
        self.close_connection = True

    def slow(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "100000")
        self.end_headers()
        while True:  # until the hub hangs up
            self.wfile.write(b" ")
            self.wfile.flush()
            time.sleep(0.01)

    def setup(self) -> None:
        super().setup()
        self.server.connections.append(self.client_address)  # type: ignore[attr-defined]

    def _send(self, body: bytes, status: int = 200, **headers: str) -> None:
        self.server.seen.append(dict(self.headers))  # type: ignore[attr-defined]
        self.send_response(status)
        for name, text in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, text)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args) -> None:
        pass


@pytest.fixture
def provider():
    server = running(TcpServer(("127.0.0.1", 0), Provider))
    server.seen, server.connections = [], []
    server.url = f"http://127.0.0.1:{server.server_address[1]}"
    yield server
    server.shutdown()
    server.server_close()


def test_json_is_fetched_and_the_hub_says_who_asks(provider):
    assert Fetcher().get_json(f"{provider.url}/good", {"Authorization": "Bearer x"}) == {"keys": []}
    (headers,) = provider.seen
    assert (headers["User-Agent"], headers["Accept"]) == ("hubless", "application/json")
    assert headers["Authorization"] == "Bearer x"


def test_a_class_that_comes_at_once_keeps_its_connections(provider, caplog):
    fetcher, provider.barrier = Fetcher(), threading.Barrier(provider_pool.THREADS)
    with ThreadPoolExecutor(provider_pool.THREADS) as threads:
        for _ in range(2):
            asked = [f"{provider.url}/together"] * provider_pool.THREADS
            assert list(threads.map(fetcher.get_json, asked)) == [{}] * provider_pool.THREADS
    assert len(provider.connections) == provider_pool.THREADS
    assert not caplog.records


def test_redirects_are_not_followed(provider):
    assert Fetcher().request("GET", f"{provider.url}/redirect").headers["location"] == "/good"
    with pytest.raises(FetchError, match="answered 302"):
        Fetcher().get_json(f"{provider.url}/redirect")
    assert len(provider.seen) == 2


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("broken", "answered 500 to GET /broken"),
        ("page", "answered no JSON to GET /page"),
        ("long", "longer than"),
        ("bomb", "longer than"),
        ("cut", "gave no answer to GET /cut"),
        ("slow", "too slow"),
    ],
)
def test_bad_answers_are_said_without_the_query(provider, path, words):
    fetcher = Fetcher(seconds=0.5 if path == "slow" else 5)

    with pytest.raises(FetchError, match=words) as failed:
        fetcher.get_json(f"{provider.url}/{path}?code=secret")

    assert "secret" not in str(failed.value)
    assert fetcher.get_json(f"{provider.url}/good") == {"keys": []}


def test_a_silent_host_is_said():
    server = TcpServer(("127.0.0.1", 0), Provider)
    url = f"http://127.0.0.1:{server.server_address[1]}/good"
    server.server_close()

    with pytest.raises(FetchError, match="gave no answer to GET /good"):
        Fetcher().get_json(url)


def test_certificates_are_checked(tmp_path):
    pem = certificate(tmp_path, "localhost")
    server = running(over_tls(pem, []))
    url = f"https://localhost:{server.server_address[1]}/good"

    try:
        assert Fetcher(ca_file=str(pem)).get_json(url)["path"] == "/good"
        with pytest.raises(FetchError, match="gave no answer"):
            Fetcher().get_json(url)
    finally:
        server.shutdown()
        server.server_close()
