"""What clients can take from a real HAProxy and from the API behind it: places, connections, and room for headers."""

import contextlib
import http.client
import http.server
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edge_proxy.haproxy_binary import HAProxyBinary
from edge_proxy.haproxy_config import LARGE_PLACES, UnixSocket
from hubless.domain.routes import Route
from tests.support.concurrency import eventually
from tests.support.edge_world import World, edge_world
from tests.support.http_servers import Echo, UnixServer, ask_on, running

pytestmark = pytest.mark.real
SLOW = 300  # clients that send no body
LIMIT = 20  # connections of one address
POST = "POST {} HTTP/1.1\r\nHost: hub.example.org\r\nContent-Length: 10\r\n\r\n"
KB = 1024
HTTP2_PREFACE = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


@pytest.fixture
def world(tmp_path: Path, haproxy: HAProxyBinary) -> Iterator[World]:
    with edge_world(tmp_path / "hub.sqlite", haproxy) as world:
        yield world


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, haproxy: HAProxyBinary) -> Iterator[World]:
    """Return a running edge, for tests that change nothing of it: to start a HAProxy takes longer than they do."""
    with edge_world(tmp_path_factory.mktemp("hub") / "hub.sqlite", haproxy) as world:
        world.route("/user/alice/", "alice")
        world.started()
        yield world


@pytest.fixture
def lines() -> Iterator[contextlib.ExitStack]:
    """Return a stack that closes the test's connections."""
    with contextlib.ExitStack() as stack:
        yield stack


def connected(world: World, lines: contextlib.ExitStack, text: str = "", source: str = "127.0.0.1") -> socket.socket:
    """Open a connection from *source* and send *text*."""
    line = lines.enter_context(socket.create_connection(("127.0.0.1", world.port), 20, (source, 0)))
    if text:  # the edge may have closed it already
        line.sendall(text.encode())
    return line


def told(line: socket.socket) -> str:
    """Return all that arrives until the edge closes the connection."""
    received = b""
    with contextlib.suppress(ConnectionError):
        while more := line.recv(65536):
            received += more
    return received.decode()


def status(line: socket.socket) -> int:
    """Return the status of the next answer; 0 where the edge closes the connection without one."""
    try:
        return answer(line).status
    except (http.client.RemoteDisconnected, ConnectionError):
        return 0


def answer(line: socket.socket) -> http.client.HTTPResponse:
    """Read the next answer, as its headers say how long it is: HAProxy 3.0 closes no connection in mid-request."""
    received = http.client.HTTPResponse(line)
    received.begin()
    return received


# --- bodies ---


@pytest.fixture
def counted(world: World) -> list[str]:
    """Return the requests that the API of this world receives."""
    requests: list[str] = []

    class Counting(Echo):
        def parse_request(self) -> bool:
            requests.append(self.raw_requestline.decode())
            return super().parse_request()

    world.api.RequestHandlerClass = Counting
    return requests


def test_bodies_that_never_arrive_hold_no_place_at_the_api(
    world: World, lines: contextlib.ExitStack, counted: list[str]
) -> None:
    world.started(request_seconds=1, max_connections=1000)
    waiting = [connected(world, lines, POST.format("/hub/login")) for _ in range(SLOW)]
    assert world.ask("/hub/home").who == "API"
    assert {status(line) for line in waiting} == {408}
    assert [request.split()[1] for request in counted] == ["/hub/home"]


@pytest.mark.parametrize(
    ("version", "headers", "piece"),
    [
        ("1.0", "Content-Length: 100000", b"x"),
        ("1.1", "Content-Length: 100000", b"x"),
        ("1.1", "Transfer-Encoding: chunked", b"1\r\nx\r\n"),
    ],
)
def test_a_body_that_trickles_reaches_no_api(
    world: World, lines: contextlib.ExitStack, counted: list[str], *, version: str, headers: str, piece: bytes
) -> None:
    world.started(request_seconds=1)
    line = connected(world, lines, f"POST /hub/login HTTP/{version}\r\nHost: hub.example.org\r\n{headers}\r\n\r\n")
    line.settimeout(0.05)
    received = b""
    with contextlib.suppress(ConnectionError):
        for _ in range(100):
            line.sendall(piece)
            with contextlib.suppress(TimeoutError):
                received += line.recv(65536)
            if received:
                break
    assert received.startswith(b"HTTP/1.1 408")
    assert counted == []


def test_a_late_body_is_told_so_in_the_clients_media_type(world: World, lines: contextlib.ExitStack) -> None:
    world.started(request_seconds=1)
    for_html = POST.format("/hub/login").replace("\r\n\r\n", "\r\nAccept: text/html\r\n\r\n")
    page, said = (
        answer(connected(world, lines, text)).read().decode() for text in (for_html, POST.format("/hub/api/users"))
    )
    assert "<h1>The request did not arrive in time</h1>" in page
    assert json.loads(said) == {
        "status": 408,
        "message": "The request did not arrive in time",
    }


def test_headers_that_never_end_close_the_connection(world: World, lines: contextlib.ExitStack) -> None:
    world.started(request_seconds=1)
    assert status(connected(world, lines, "GET /hub/home HTTP/1.1\r\nHost: hub.exa")) == 408


def test_a_client_that_waits_to_be_asked_for_its_body_is_asked(world: World, lines: contextlib.ExitStack) -> None:
    world.started()
    line = connected(world, lines, POST.format("/hub/api/x").replace("\r\n\r\n", "\r\nExpect: 100-continue\r\n\r\n"))
    assert line.recv(65536).startswith(b"HTTP/1.1 100")
    line.sendall(b"0123456789")
    assert b'"body": "0123456789"' in line.recv(65536)


def test_large_bodies_reach_the_api_whole(world: World) -> None:
    world.started(request_seconds=1)
    assert len(world.ask("/hub/api/x", "POST", body="x" * 900_000).said["body"]) == 900_000


@pytest.mark.parametrize(
    ("query", "headers", "sent"),
    [
        ("", "Content-Length: 100000", b"x" * 60_000),
        ("", "Transfer-Encoding: chunked", b"EA60\r\n" + b"x" * 60_000 + b"\r\n"),
        ("", "Transfer-Encoding: chunked", b"1\r\nx\r\n" * 80_000),
        ("", f"X-Padding: {'x' * 30 * KB}\r\nTransfer-Encoding: chunked", b"1\r\nx\r\n" * 40_000),
        ("", f"X-Padding: {'x' * 30 * KB}\r\nContent-Length: 20000", b"x" * 19_000),
        ("", f"Content-Length: {2**32}", b"x" * 60_000),
        (f"?{'x' * 13 * KB}", f"X-Padding: {'x' * 30 * KB}\r\nContent-Length: 12000", b"x" * 6_000),
    ],
)
def test_bodies_that_stop_half_way_leave_places_for_others(
    world: World, lines: contextlib.ExitStack, query: str, headers: str, sent: bytes
) -> None:
    held: list[str] = []

    class Holding(Echo):
        def do_POST(self) -> None:
            held.append(self.path)
            self.rfile.read()

    world.api.RequestHandlerClass = Holding
    world.started(max_connections=1000)
    head = f"POST /hub/login{query} HTTP/1.1\r\nHost: hub.example.org\r\n{headers}\r\n\r\n"
    for _ in range(LARGE_PLACES + 50):
        connected(world, lines, head).sendall(sent)
    eventually(lambda: len(held) == LARGE_PLACES)
    assert world.ask("/hub/home").who == "API"
    assert len(held) == LARGE_PLACES


def test_small_chunked_bodies_wait_for_no_large_ones(world: World, lines: contextlib.ExitStack) -> None:
    held: list[str] = []

    class Holding(Echo):
        def do_POST(self) -> None:
            held.append(self.path)
            self.rfile.read(60_000)

    world.api.RequestHandlerClass = Holding
    world.started(max_connections=1000)
    for _ in range(LARGE_PLACES + 10):
        connected(world, lines, POST.format("/hub/login").replace("10", "100000")).sendall(b"x" * 60_000)
    eventually(lambda: len(held) == LARGE_PLACES)
    chunked = POST.format("/hub/small").replace("Content-Length: 10", "Transfer-Encoding: chunked")
    connected(world, lines, chunked).sendall(b"5\r\nhello\r\n0\r\n\r\n")
    eventually(lambda: "/hub/small" in held)


def test_a_client_cannot_ask_a_hundred_things_at_once_over_one_connection(
    world: World, lines: contextlib.ExitStack
) -> None:
    world.started()
    line = connected(world, lines, HTTP2_PREFACE)
    line.sendall(bytes([0, 0, 0, 4, 0, 0, 0, 0, 0]))  # no settings
    assert line.recv(65536).startswith(b"HTTP/1.1 400")


def test_a_slow_upload_to_a_server_is_not_cut(world: World, lines: contextlib.ExitStack) -> None:
    world.route("/user/alice/", "alice")
    world.started(request_seconds=1)
    upload = connected(world, lines, POST.format("/user/alice/api/contents/x.ipynb").replace("10", "200002"))
    late = connected(world, lines, POST.format("/hub/login"))
    upload.sendall(b"x" * 100_000)
    assert status(late) == 408  # so the time for the hub's own requests is over
    upload.sendall(b"x" * 100_002)
    assert b"200 OK" in upload.recv(65536)


# --- connections ---


def test_an_address_has_a_limited_number_of_connections(world: World, lines: contextlib.ExitStack) -> None:
    world.route("/user/alice/", "alice")
    world.started(connections_per_address=LIMIT)
    waiting = [connected(world, lines) for _ in range(LIMIT - 1)]
    assert world.ask("/user/alice/").who == "alice"
    waiting.append(connected(world, lines))
    page = world.ask("/user/alice/lab", headers=("Accept: text/html",))
    assert (page.status, page.headers["Retry-After"], page.headers["Connection"]) == (429, "30", "close")
    assert "connections_per_address" in page.text
    refused = world.ask("/hub/api/users")
    assert (refused.status, refused.said["status"]) == (429, 429)
    with socket.create_connection(("127.0.0.1", world.port), 20, ("127.0.0.2", 0)) as other:
        assert ask_on(other, "/user/alice/").who == "alice"
    waiting.pop().close()
    eventually(lambda: world.ask("/user/alice/").status == 200)


def test_far_above_the_limit_connections_are_closed_unread(world: World, lines: contextlib.ExitStack) -> None:
    agent = world.started(connections_per_address=LIMIT)
    for _ in range(agent._edge.address_limit.cut_above):
        connected(world, lines)
    with contextlib.suppress(ConnectionError):  # the edge may close it before the call returns
        assert told(connected(world, lines)) == ""


@pytest.mark.parametrize(
    ("one", "other", "shared"),
    [
        ("2001:db8:0:1::1", "2001:db8:0:1:ffff::2", True),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
        ("192.0.2.1", "192.0.2.2", False),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
    ],
)
@pytest.mark.parametrize("front", ["a proxy", "CloudFront"])
def test_behind_a_proxy_each_client_has_a_limit(
    world: World, lines: contextlib.ExitStack, *, one: str, other: str, shared: bool, front: str
) -> None:
    world.route("/user/alice/", "alice")
    facts = {"trusted_proxies": ("127.0.0.0/8",)} if front == "a proxy" else {"host_header": "x-hubless-host"}
    header = "X-Forwarded-For: 6.6.6.6, " if front == "a proxy" else "x-hubless-address: "
    agent = world.started(connections_per_address=LIMIT, **facts)
    for _ in range(LIMIT):  # they send no body, so the server does not answer
        connected(world, lines, POST.format("/user/alice/x").replace("\r\n\r\n", f"\r\n{header}{one}\r\n\r\n"))
    for _ in range(LIMIT):
        connected(world, lines)  # the proxy's own idle ones
    eventually(lambda: f"conn_cur={LIMIT}" in agent._haproxy.runtime.command("show table addresses"))
    assert world.ask("/user/alice/", headers=(f"{header}{one}",)).status == 429
    assert world.ask("/user/alice/", headers=(f"{header}{other}",)).status == (429 if shared else 200)
    if front == "a proxy":
        assert world.ask("/user/alice/", headers=(f"{header}127.0.0.9",)).status == 200  # a second proxy before it


def test_a_client_behind_no_proxy_cannot_claim_another_address(world: World, lines: contextlib.ExitStack) -> None:
    world.route("/user/alice/", "alice")
    world.started(connections_per_address=LIMIT, trusted_proxies=("10.0.0.0/8",))
    for _ in range(LIMIT):
        connected(world, lines)
    assert world.ask("/user/alice/", headers=("X-Forwarded-For: 192.0.2.1",)).status == 429


def test_ipv4_clients_of_an_ipv6_socket_are_counted_apart(world: World, lines: contextlib.ExitStack) -> None:
    world.route("/user/alice/", "alice")
    world.started(host="::", connections_per_address=LIMIT)
    for _ in range(LIMIT):
        connected(world, lines, source="127.0.0.2")
    assert world.ask("/user/alice/").who == "alice"
    with socket.create_connection(("127.0.0.1", world.port), 20, ("127.0.0.2", 0)) as line:
        assert ask_on(line, "/user/alice/").status == 429


def test_one_address_leaves_room_for_others(world: World, lines: contextlib.ExitStack) -> None:
    world.route("/user/alice/", "alice")
    world.started(connections_per_address=100_000, max_connections=100)
    for _ in range(150):
        with contextlib.suppress(ConnectionError):  # the edge may close it before the call returns
            connected(world, lines)
    with socket.create_connection(("127.0.0.1", world.port), 20, ("127.0.0.2", 0)) as other:
        assert ask_on(other, "/user/alice/").who == "alice"


def test_without_a_limit_one_address_may_have_them_all(world: World, lines: contextlib.ExitStack) -> None:
    world.started(connections_per_address=0, max_connections=100)
    for _ in range(99):
        connected(world, lines)
    assert world.ask("/hub/home").who == "API"


def test_routes_change_while_all_connections_are_taken(world: World, lines: contextlib.ExitStack) -> None:
    agent = world.started(connections_per_address=0, max_connections=100)
    taken = [connected(world, lines) for _ in range(120)]
    world.route("/user/alice/", "alice")
    agent.run_once()
    assert world.routes.reports()[0].sequence == world.routes.sequence()
    for line in taken:
        line.close()
    assert world.ask("/user/alice/").who == "alice"


# --- headers ---


@pytest.mark.parametrize("path", ["/hub/home", "/user/alice/lab"])
@pytest.mark.parametrize("count", [1, 8, 150])
def test_32_kb_of_headers_pass(shared: World, path: str, count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("http.client._MAXHEADERS", 300)  # of the Python servers in this test
    cookies = tuple(f"Cookie: c{n}={'x' * (32_000 // count - 20)}" for n in range(count))
    received = shared.ask(path, headers=cookies).said["headers"]["cookie"]
    assert "; ".join(received) == "; ".join(line.removeprefix("Cookie: ") for line in cookies)


class Verbose(Echo):
    """A server that answers with 32 kB of headers, or with more than passes."""

    def do_GET(self) -> None:
        self.send_response(200)
        for n in range(8 if "ok" in self.path else 16):
            self.send_header("Set-Cookie", f"c{n}={'x' * 4_000}")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")


def test_32_kb_of_a_servers_headers_pass_and_more_are_explained(world: World) -> None:
    world.routes.put(Route("/user/alice/", world.server("alice", Verbose), "launch-1"))
    world.started()
    received = world.ask("/user/alice/ok")
    assert (received.text, len(received.headers.get_all("Set-Cookie", []))) == ("ok", 8)
    refused = world.ask("/user/alice/no", headers=("Accept: text/html",))
    assert (refused.status, "no answer that the hub can pass on" in refused.text) == (502, True)


def test_more_than_32_kb_of_headers_are_explained(shared: World) -> None:
    cookie = f"Cookie: c={'x' * 33 * KB}"
    for path in ("/hub/home", "/user/alice/lab"):
        page = shared.ask(path, headers=(cookie, "Accept: text/html"))
        assert (page.status, page.headers["Cache-Control"]) == (431, "no-store")
        assert 'href="/hub/clear-cookies"' in page.text
    for path in ("/hub/api/users", "/user/alice/api/contents"):
        said = shared.ask(path, headers=(cookie,)).said
        assert (said["status"], "32 kB" in said["message"]) == (431, True)


def test_cookies_can_be_removed_with_too_many_of_them(shared: World) -> None:
    cookie = f"Cookie: c={'x' * 40 * KB}"
    page = shared.ask("/hub/clear-cookies", headers=(cookie, "Accept: text/html"))
    assert page.status == 200
    assert "other sites of the same domain" in page.text
    assert '<form method="post" action="/hub/clear-cookies">' in page.text
    assert "Clear-Site-Data" not in page.headers
    cleared = shared.ask("/hub/clear-cookies", "POST", headers=(cookie, "Sec-Fetch-Site: same-origin"))
    assert (cleared.status, cleared.headers["Clear-Site-Data"]) == (200, '"cookies"')


@pytest.mark.parametrize("site", ["cross-site", "same-site", "none", ""])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_page_of_another_site_removes_no_cookies(shared: World, site: str, method: str) -> None:
    headers = (f"Sec-Fetch-Site: {site}",) if site else ()
    assert "Clear-Site-Data" not in shared.ask("/hub/clear-cookies", method, headers=headers).headers


# --- what the application never sees ---


def test_a_method_that_the_hub_does_not_know_is_405(world: World, counted: list[str]) -> None:
    world.route("/user/alice/", "alice")
    world.started()
    refused = world.ask("/hub/api/users", "PAINT")
    assert (refused.status, refused.said["status"]) == (405, 405)
    assert world.ask("/hub/home", "PAINT", headers=("Accept: text/html",)).status == 405
    assert counted == []
    assert world.ask("/user/alice/files/x", "PROPFIND").status == 501  # the server decides itself


class Refusing(http.server.BaseHTTPRequestHandler):
    """Answers 400 as uvicorn does before the application, and, on request, as the application does."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        text = b"Invalid HTTP request received."
        self.send_response(400)
        if "app" in self.path:
            self.send_header("X-JupyterHub-Version", "6.1.1")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *args: Any) -> None:
        pass


def test_what_uvicorn_refuses_has_jupyterhubs_shape(world: World) -> None:
    world.stop_api()
    world.api = running(UnixServer(str(world.api_socket), Refusing))
    world.started()
    assert world.ask("/hub/api/users").said == {"status": 400, "message": "The hub cannot read this request"}
    assert "<h1>" in world.ask("/hub/home", headers=("Accept: text/html",)).text
    assert world.ask("/hub/api/app").text == "Invalid HTTP request received."


def test_while_the_api_is_away_a_program_gets_json(world: World) -> None:
    world.started(api=UnixSocket(world.folder / "nowhere.sock"))
    refused = world.ask("/hub/api/users")
    assert (refused.status, refused.said) == (503, {"status": 503, "message": "The hub does not answer yet"})
