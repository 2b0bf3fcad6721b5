"""An edge to which browsers come by a load balancer alone: real HAProxy, on the hosts of users (ADR 37)."""

import json
import logging
import socket
import ssl
import threading
from contextlib import suppress

import pytest
from websockets.sync.client import connect
from websockets.sync.server import serve

from tests.doubles.network_balancer import health_check, network_balancer, proxied
from tests.support.concurrency import eventually
from tests.support.edge_world import edge_world
from tests.support.http_servers import ask_on, certificate

pytestmark = pytest.mark.real
HUB, CLIENT = "hub.example.org", "198.51.100.7"
ALICE, BOB = f"alice.{HUB}", f"bob.{HUB}"
SPOOFED = (
    "X-Forwarded-For: 203.0.113.9",
    "X-Forwarded-Proto: http",
    "X-Forwarded-Host: evil.example",
    "X-Forwarded-Port: 8000",
    "X-Real-IP: 203.0.113.9",
    "Forwarded: for=203.0.113.9",
    "x-hubless-address: 203.0.113.9",
    "x-hubless-host: evil.example",
    "x_hubless_front: a guess",
    "x-hubless-front: a guess",
)


class DirectEdge:
    def __init__(self, world):
        self.world = world

    def started(self, **facts):
        return self.world.started(
            **{"api": None, "domain": HUB, "is_direct": True, "health_path": "/edge/health"} | facts
        )

    def line(self, header):
        line = socket.create_connection(("127.0.0.1", self.world.port), timeout=20)
        line.sendall(header)
        return line

    def ask(self, path, method="GET", headers=(), *, host=ALICE, address=CLIENT):
        with self.line(proxied(address)) as line:
            return ask_on(line, path, method, (*headers, "Connection: close"), host=host)


@pytest.fixture
def edge(tmp_path, haproxy):
    with edge_world(tmp_path / "hub.sqlite", haproxy) as world:
        world.route("/user/alice/", "alice")
        yield DirectEdge(world)


@pytest.fixture(scope="module")
def shared(tmp_path_factory, haproxy):
    """A running edge, for tests that change nothing of it: to start a HAProxy takes longer than they do."""
    with edge_world(tmp_path_factory.mktemp("hub") / "hub.sqlite", haproxy) as world:
        world.route("/user/alice/", "alice")
        made = DirectEdge(world)
        made.started()
        yield made


def test_a_users_host_leads_to_that_users_server_alone(shared):
    assert shared.ask("/user/alice/lab").who == "alice"
    assert shared.ask("/user/alice/lab", host=BOB).status == 302


@pytest.mark.parametrize("address", [CLIENT, "2001:db8::7"])
def test_a_server_learns_the_address_that_the_balancer_tells(shared, address):
    headers = shared.ask("/user/alice/api/contents", "PUT", SPOOFED, address=address).said["headers"]

    assert headers["x-forwarded-for"] == [address]
    assert (headers["x-forwarded-proto"], headers["x-forwarded-port"]) == (["https"], ["443"])
    assert headers["host"] == headers["x-forwarded-host"] == [ALICE]
    assert not {name for name in headers if "hubless" in name or name in {"forwarded", "x-real-ip"}}


@pytest.mark.parametrize(
    ("asked", "there"),
    [
        ("/user/bob/lab/tree/a%20b?x=%2F..&redirects=1", "/hub/user/bob/lab/tree/a%20b?x=%2F..&redirects=1"),
        ("/services/grades/", "/hub/services/grades/"),
        ("/hub/static/refresh.js", "/hub/static/refresh.js"),
        ("/hub", "/hub"),
        ("/hub/home?", "/hub/home"),
        ("/user/bob/?", "/hub/user/bob/"),
        ("/", "/hub/"),
        ("//evil.example/x", "/hub//evil.example/x"),
        ("/user/alice/../bob/", "/hub/user/alice/../bob/"),
        ("/user/bob/%0d%0aset-cookie:%20x=1", "/hub/user/bob/%0d%0aset-cookie:%20x=1"),
    ],
)
def test_people_without_a_server_are_sent_to_the_hub(shared, asked, there):
    received = shared.ask(asked, headers=("Accept: text/html", "Sec-Fetch-Mode: navigate"), host=BOB)

    assert (received.status, received.headers["Location"]) == (302, f"https://{HUB}{there}")


@pytest.mark.parametrize(
    ("method", "path", "headers"),
    [
        ("GET", "/user/bob/api/kernels", ()),
        ("GET", "/user/bob/lab/settings", ("Accept: application/json",)),
        ("POST", "/user/bob/upload", ("Accept: text/html",)),
        ("GET", "/user/bob/api/kernels/1/channels", ("Upgrade: websocket", f"Sec-WebSocket-Key: {'A' * 22}==")),
    ],
)
def test_programs_learn_that_no_server_runs(shared, method, path, headers):
    received = shared.ask(path, method, headers, host=BOB)

    assert (received.status, received.headers["Cache-Control"]) == (424, "no-store")
    assert HUB in received.text
    if "text/html" not in str(headers):
        assert received.said["status"] == 424


@pytest.mark.parametrize("path", ["/hub/login", "/hub/api/users/bob/tokens", "/services/grades/x"])
def test_no_form_and_no_password_reaches_the_hub_by_a_users_host(shared, path):
    refused = shared.ask(path, "POST")

    assert (refused.status, refused.said["message"]) == (
        403,
        f"The hub is at another address. The hub is at https://{HUB}",
    )


@pytest.mark.parametrize("host", [HUB, "evil.example", f"evil{HUB}", f"alice.{HUB}.evil.example", f"x/.{HUB}", ""])
def test_hosts_that_are_not_below_the_hubs_are_refused(shared, host):
    assert shared.ask("/user/alice/", host=host).status in {400, 421}


def test_a_host_with_capitals_or_the_port_is_the_same(shared):
    assert shared.ask("/user/alice/", host=f"Alice.{HUB.upper()}:443").who == "alice"


def test_each_answer_tells_browsers_to_stay_with_https(shared):
    for received in (
        shared.ask("/user/alice/"),
        shared.ask("/user/bob/", host=BOB),
        shared.ask("/", host="evil.example"),
    ):
        assert received.headers["Strict-Transport-Security"] == "max-age=31536000; includeSubDomains"
        assert received.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("address", [b"", bytes(12)])
def test_health_checks_of_the_balancer_are_answered(shared, address):
    with shared.line(health_check(address)) as line:
        assert ask_on(line, "/edge/health", host="10.0.0.5").status == 200


def test_whoever_does_not_tell_an_address_gets_nothing(shared):
    request = f"GET /user/alice/ HTTP/1.1\r\nHost: {ALICE}\r\n\r\n"
    with shared.line(request.encode()) as line, suppress(ConnectionResetError):
        assert line.recv(100) == b""


def test_a_client_cannot_tell_an_address_of_its_own(shared):
    """A load balancer leaves a header of the client's behind its own."""
    with shared.line(proxied(CLIENT) + proxied("203.0.113.9")) as line:
        assert ask_on(line, "/user/alice/", host=ALICE).status == 400


def test_an_address_has_its_limit_and_others_do_not_feel_it(edge):
    edge.started(connections_per_address=4)
    lines = [edge.line(proxied(CLIENT)) for _ in range(5)]
    try:
        answers = [ask_on(line, "/user/alice/", host=ALICE).status for line in lines]
        assert answers == [429] + [200] * 4  # the first is answered while five are open
        assert edge.ask("/user/alice/", address="198.51.100.8").status == 200
    finally:
        for line in lines:
            line.close()


def test_a_server_that_does_not_answer_sends_people_to_the_hub(edge):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        gone = "127.0.0.1:{}".format(closed.getsockname()[1])
    edge.world.addresses["gone"] = gone
    edge.world.route("/user/bob/", "gone")
    edge.started()

    received = edge.ask("/user/bob/lab", headers=("Accept: text/html",), host=BOB)

    assert received.status == 503
    assert received.headers["Refresh"] == f"10; url=https://{HUB}/hub/user/bob/lab"


def test_the_access_log_has_the_address_that_the_balancer_tells(edge, caplog):
    caplog.set_level(logging.INFO)
    edge.started(access_log=True)

    edge.ask("/user/alice/lab?token=secret", headers=("X-Forwarded-For: 203.0.113.9", "Accept: text/html"))

    eventually(lambda: "access:" in caplog.text)
    (line,) = [one for one in caplog.messages if one.startswith("access: ")]
    assert json.loads(line.removeprefix("access: "))["address"] == CLIENT
    assert "secret" not in caplog.text


def test_browsers_reach_a_server_and_its_kernel_by_tls(edge, tmp_path):
    """TLS ends at the load balancer, whose double this is; the rest is as it runs."""
    sockets = serve(lambda channel: [channel.send(message) for message in channel], "127.0.0.1", 0)
    threading.Thread(target=sockets.serve_forever, daemon=True).start()
    edge.world.addresses["kernel"] = "127.0.0.1:{}".format(sockets.socket.getsockname()[1])
    edge.world.route("/user/bob/", "kernel")
    edge.started()
    pem = certificate(tmp_path, f"*.{HUB}")
    trusted = ssl.create_default_context(cafile=str(pem))

    try:
        with network_balancer(pem, edge.world.port) as port:
            with trusted.wrap_socket(
                socket.create_connection(("127.0.0.1", port), timeout=20), server_hostname=ALICE
            ) as line:
                said = ask_on(line, "/user/alice/", host=ALICE).said
            where = f"wss://{BOB}/user/bob/api/kernels/1/channels"
            with connect(where, address=("127.0.0.1", port), ssl=trusted, proxy=None) as channel:
                channel.send("1 + 1")
                assert channel.recv(timeout=20) == "1 + 1"
    finally:
        sockets.shutdown()

    assert said["headers"]["x-forwarded-for"] == [CLIENT]
