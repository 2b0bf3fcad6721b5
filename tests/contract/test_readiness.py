import socket
import threading
from contextlib import contextmanager, suppress

import pytest

from hubless.adapters.processes.readiness import HttpReadiness
from hubless.ports.readiness import Answer
from tests.support.builders import a_server as a_stored_server


def answers(address, prefix="/user/alice/"):
    return HttpReadiness().answers(a_stored_server(address=address), prefix) is not None


@contextmanager
def a_server(answer, *, drips=False):
    """A server that sends *answer* to each connection (None: it accepts connections and sends nothing).

    One that *drips* sends a byte now and then, without an end.
    """
    requests = []
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(0.1)
        done = threading.Event()

        def serve():
            open_ones = []
            while not done.is_set():
                try:
                    connection, _ = listening.accept()
                except TimeoutError:
                    continue
                open_ones.append(connection)
                connection.settimeout(5)
                requests.append(connection.recv(4096).decode())
                with suppress(OSError):  # until the other side hangs up
                    while drips:
                        connection.sendall(b"x")
                        done.wait(0.05)
                if answer is not None:
                    connection.sendall(answer)
                    connection.close()
            for connection in open_ones:
                connection.close()

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"127.0.0.1:{listening.getsockname()[1]}", requests
        finally:
            done.set()
            thread.join()


def status(code):
    return f"HTTP/1.1 {code} X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode()


@pytest.mark.parametrize("code", [200, 204, 302, 401, 403, 404, 499])
def test_any_status_below_500_answers(code):
    with a_server(status(code)) as (address, _):
        assert answers(address) is True


@pytest.mark.parametrize("code", [500, 502, 503, 599])
def test_500_and_above_does_not_answer(code):
    with a_server(status(code)) as (address, _):
        assert answers(address) is False


def naming(version):
    return f"HTTP/1.1 200 X\r\nContent-Length: 0\r\nX-JupyterHub-Version: {version}\r\n\r\n".encode()


@pytest.mark.parametrize("version", ["2.3.1", "5.0.0b1", "6.2.0.dev0", "10.0"])
def test_the_answer_names_the_version_of_jupyterhub(version):
    with a_server(naming(version)) as (address, _):
        assert HttpReadiness().answers(a_stored_server(address=address), "/user/alice/") == Answer(version)


@pytest.mark.parametrize("version", ["", "new", "4", "4.1\x1b[2J", "4.1 <b>", "4." + "1" * 50, "٤.1"])
def test_what_is_no_version_is_not_kept(version):
    with a_server(naming(version)) as (address, _):
        assert HttpReadiness().answers(a_stored_server(address=address), "/user/alice/") == Answer()


def test_it_asks_for_the_api_under_the_prefix_without_saying_who_it_is():
    with a_server(status(200)) as (address, requests):
        answers(address, "/user/%C3%A4%20b/lab/")
    assert requests[0].startswith("GET /user/%C3%A4%20b/lab/api HTTP/1.1\r\n")
    assert "authorization" not in requests[0].lower()
    assert "cookie" not in requests[0].lower()


def test_a_refused_connection_does_not_answer():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))  # bound and not listening: no other process gets the port
        assert answers(f"127.0.0.1:{probe.getsockname()[1]}") is False


def test_a_silent_server_does_not_answer():
    with a_server(None) as (address, _):
        assert answers(address) is False


def test_a_server_that_drips_does_not_answer():
    with a_server(None, drips=True) as (address, _):
        assert answers(address) is False


@pytest.mark.parametrize(
    "answer", [b"", b"nonsense\r\n\r\n", b"HTTP/1.1 abc\r\n\r\n", b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70000]
)
def test_a_server_without_http_does_not_answer(answer):
    with a_server(answer) as (address, _):
        assert answers(address) is False


@pytest.mark.parametrize(
    "address", ["", "127.0.0.1", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:99999", "no such host:80"]
)
def test_an_invalid_address_does_not_answer(address):
    assert answers(address) is False


@pytest.mark.parametrize("prefix", ["/user/ä/", "/user/a b/", "/user/\n/"])
def test_an_invalid_prefix_does_not_raise(prefix):
    with a_server(status(404)) as (address, _):
        answers(address, prefix)
