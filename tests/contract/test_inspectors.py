"""The inspector asks a server for its kernels and terminals, and survives whatever the server answers."""

import json
import socket
import ssl
import threading
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest

from hubless.adapters import http_inspector
from hubless.adapters.http_inspector import HttpInspector
from hubless.adapters.no_inspector import NoInspector
from hubless.domain.idleness import NoAnswer, ServerWork
from tests.support.builders import NOW, a_server
from tests.support.fakes import StoppedClock
from tests.support.http_servers import certificate, over_tls, running

PREFIX = "/user/alice/"
EARLIER = "2026-11-24T08:00:00.123456Z"
AT = datetime(2026, 11, 24, 8, 0, 0, 123456, UTC)


def inspect(address, prefix=PREFIX, token="secret"):
    inspector = HttpInspector(lambda server, _prefix: f"http://{server.address}", StoppedClock(NOW))
    return inspector.inspect(a_server(address=address), prefix, token)


@contextmanager
def a_jupyter_server(kernels, terminals=b"", *, drip=False):
    """A server that sends one of two raw answers; with *drip* byte by byte, until the client has enough."""
    requests, done = [], threading.Event()

    def answer(connection):
        with connection:
            connection.settimeout(5)
            request = connection.recv(65_536).decode()
            requests.append(request)
            raw = terminals if "/api/terminals" in request else kernels
            if not drip:
                connection.sendall(raw)
                return
            for byte in raw:
                if done.wait(0.02):
                    return
                connection.send(bytes([byte]))

    def serve(listening):
        while not done.is_set():
            try:
                connection, _ = listening.accept()
            except TimeoutError:
                continue
            try:
                answer(connection)
            except OSError:
                continue  # the client has enough

    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(0.05)
        thread = threading.Thread(target=serve, args=(listening,))
        thread.start()
        try:
            yield f"127.0.0.1:{listening.getsockname()[1]}", requests
        finally:
            done.set()
            thread.join()


def raw(body, status=200, headers=()):
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    head = [f"HTTP/1.1 {status} X", "Content-Type: application/json", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


def kernel(state="idle", at=EARLIER):
    return {"id": "k", "name": "python3", "last_activity": at, "execution_state": state, "connections": 0}


def test_kernels_and_terminals_are_read():
    kernels = raw([kernel("busy"), kernel("idle", "2026-11-24T07:00:00Z"), kernel("starting"), kernel("dead")])
    with a_jupyter_server(kernels, raw([{"name": "1", "last_activity": EARLIER}])) as (address, _):
        found = inspect(address)
    assert found == ServerWork(NOW, 1, (AT, AT.replace(hour=7, microsecond=0), AT, AT, AT))


def test_the_servers_own_clock_dates_its_answer():
    with a_jupyter_server(raw([], headers=["Date: Tue, 24 Nov 2026 23:00:00 GMT"]), raw([])) as (address, _):
        assert inspect(address).said_at == NOW.replace(hour=23, minute=0, second=0)


FAR_YEAR = f"Date: Tue, 24 Nov {'9' * 20} 23:00:00 GMT"


@pytest.mark.parametrize("date", ["Date: yesterday", "Date:", "Date: Tue, 99 Nov 2026 23:00:00 GMT", FAR_YEAR])
def test_a_malformed_date_is_as_none(date):
    with a_jupyter_server(raw([], headers=[date]), raw([])) as (address, _):
        assert inspect(address) == ServerWork(NOW)


def test_it_asks_with_the_token_and_is_no_activity_itself():
    with a_jupyter_server(raw([]), raw([])) as (address, requests):
        inspect(address, "/user/%C3%A4%20b/lab/", "s3cret")
    assert [request.split("\r\n")[0] for request in requests] == [
        "GET /user/%C3%A4%20b/lab/api/kernels?no_track_activity=1 HTTP/1.1",
        "GET /user/%C3%A4%20b/lab/api/terminals?no_track_activity=1 HTTP/1.1",
    ]
    assert all("Authorization: token s3cret\r\n" in request for request in requests)


@pytest.mark.parametrize("status", [204, 302, 401, 403, 404, 405])
def test_a_server_without_kernels_is_no_jupyter_server(status):
    with a_jupyter_server(raw(b"", status, ["Location: /elsewhere"])) as (address, requests):
        assert inspect(address) is NoAnswer.NOT_JUPYTER
    assert len(requests) == 1  # redirects are not followed: the token goes nowhere else


@pytest.mark.parametrize(
    "body", [b"<html>", b"", b"{}", b"[1]", b'["a"]', b"null", b"\xff\xfe", b"[" * 100_000, b'[{"a": NaN}, 3]']
)
def test_another_programs_answer_is_no_list_of_kernels(body):
    with a_jupyter_server(raw(body)) as (address, _):
        assert inspect(address) is NoAnswer.NOT_JUPYTER


@pytest.mark.parametrize("status", [403, 404])
def test_a_server_without_terminals_is_judged_by_its_kernels(status):
    with a_jupyter_server(raw([kernel("busy")]), raw({"message": "no"}, status)) as (address, _):
        assert inspect(address) == ServerWork(NOW, 1, (AT,))


@pytest.mark.parametrize(
    ("kernels", "terminals"),
    [
        (raw({"message": "no"}, 500), raw([])),
        (raw({"message": "no"}, 503), raw([])),
        (raw([]), raw({"message": "no"}, 500)),
        (raw([]), raw({})),
        (raw([]), b""),
        (b"", b""),
        (b"nonsense\r\n\r\n", b""),
        (b"HTTP/1.1 abc\r\n\r\n", b""),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000, b""),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n[]", b""),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n[]", b""),
        (raw(b"[" + b" " * http_inspector.MAX_BYTES + b"]"), raw([])),
    ],
)
def test_a_broken_or_endless_answer_is_none(kernels, terminals):
    with a_jupyter_server(kernels, terminals) as (address, _):
        assert inspect(address) is NoAnswer.SILENT


def test_a_chunked_answer_is_read():
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n[]\r\n0\r\n\r\n"
    with a_jupyter_server(chunked, chunked) as (address, _):
        assert inspect(address) == ServerWork(NOW)


@pytest.mark.parametrize("part", ["headers", "body"])
def test_an_answer_that_drips_is_given_up(monkeypatch, part):
    monkeypatch.setattr(http_inspector, "SECONDS", 0.2)
    endless = b"HTTP/1.1 200 OK\r\n" + (b"X: " if part == "headers" else b"\r\n[") + b" " * 10_000
    with a_jupyter_server(endless, drip=True) as (address, _):
        assert inspect(address) is NoAnswer.SILENT


@pytest.mark.parametrize(
    "at", [None, 17, "", "yesterday", "9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59", "x" * 10_000, [], {}]
)
def test_a_malformed_time_of_a_kernel_is_left_out(at):
    with a_jupyter_server(raw([kernel("idle", at), kernel()]), raw([{}])) as (address, _):
        assert inspect(address) == ServerWork(NOW, 0, (AT,))


def test_a_time_without_a_zone_is_utc():
    with a_jupyter_server(
        raw([kernel(at="2026-11-24T08:00:00.123456"), kernel(at="2026-11-24T09:00:00.123456+01:00")]), raw([])
    ) as (
        address,
        _,
    ):
        assert inspect(address).moved_at == (AT, AT)


@pytest.mark.parametrize(
    "address", [None, "", "127.0.0.1", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:99999", "no host:80"]
)
def test_an_address_that_is_none_does_not_raise(address):
    assert inspect(address) is NoAnswer.SILENT


def test_a_refused_connection_is_no_answer():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))  # bound and not listening: no other process gets the port
        assert inspect(f"127.0.0.1:{probe.getsockname()[1]}") is NoAnswer.SILENT


@pytest.mark.parametrize(
    ("prefix", "token"), [("/user/a b/", "t"), ("/user/\n/", "t"), ("/user/ä/", "t"), (PREFIX, "a\nb")]
)
def test_nothing_that_breaks_a_line_is_sent(prefix, token):
    with a_jupyter_server(raw([]), raw([])) as (address, requests):
        assert inspect(address, prefix, token) is NoAnswer.SILENT
    assert requests == []


def test_without_an_inspector_no_server_is_known():
    assert NoInspector().inspect(a_server(), PREFIX, "t") is NoAnswer.NOT_JUPYTER
    assert ServerWork(NOW).last_worked_at(NOW + timedelta(days=1), count_busy=True) is None


def test_over_tls_only_a_trusted_server_gets_the_token(tmp_path):
    pem = certificate(tmp_path, "localhost")
    names = []
    server = over_tls(pem, names)
    running(server)
    try:
        port = server.server_address[1]
        inspector = HttpInspector(lambda _server, _prefix: f"https://localhost:{port}", StoppedClock(NOW))
        assert inspector.inspect(a_server(), PREFIX, "t") is NoAnswer.SILENT
        inspector.__dict__["_tls"] = ssl.create_default_context(cafile=str(pem))
        assert inspector.inspect(a_server(), PREFIX, "t") is NoAnswer.NOT_JUPYTER  # the server only echoes
    finally:
        server.shutdown()
        server.server_close()
    assert names == ["localhost", "localhost"]
