"""The client's address as the API sees it, and what uvicorn logs about clients."""

import asyncio
import logging
import resource
from typing import Any

import pytest
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from embedded import api
from embedded.api import Protocol, allow_open_files, is_worth_logging, with_client_address


def seen(*, trusted: tuple[str, ...] = (), **headers: str) -> tuple[str, str]:
    """Return the address and the scheme that an application behind the edge sees."""
    found: dict[str, Any] = {}

    async def app(scope: Any, _receive: Any, _send: Any) -> None:
        found.update(scope)

    named = {key.replace("_", "-").encode(): value.encode() for key, value in headers.items()}
    scope = {"type": "http", "scheme": "http", "client": None, "headers": list(named.items())}
    asyncio.run(with_client_address(app, trusted)(scope, None, None))  # type: ignore[arg-type]
    return found["client"][0], found["scheme"]


def test_the_client_address_comes_from_the_edge() -> None:
    assert seen(x_forwarded_for="192.0.2.7", x_forwarded_proto="http") == ("192.0.2.7", "http")


def test_behind_a_trusted_proxy_the_client_address_comes_from_it() -> None:
    received = seen(trusted=("10.0.0.0/8",), x_forwarded_for="192.0.2.7, 10.0.0.1", x_forwarded_proto="https")

    assert received == ("192.0.2.7", "https")


@pytest.mark.parametrize("claim", ["198.51.100.1", "127.0.0.1", "10.9.9.9", "the edge", "", "x" * 300])
def test_a_client_cannot_forge_its_address_behind_a_trusted_proxy(claim: str) -> None:
    address, _ = seen(trusted=("10.0.0.0/8",), x_forwarded_for=f"{claim}, 192.0.2.7, 10.0.0.1")

    assert address == "192.0.2.7"


class Connection(asyncio.Transport):
    """A connection that drops what is written to it."""

    def write(self, data: Any) -> None:
        pass

    def is_closing(self) -> bool:
        return False

    def close(self) -> None:
        pass


@pytest.mark.parametrize(
    "request_text",
    [
        "GET /user/ada/ HTTP/1.1\r\nHost: hub\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        "PAINT / HTTP/1.1\r\nHost: hub\r\n\r\n",
    ],
)
def test_a_request_that_uvicorn_does_not_like_is_not_logged(
    request_text: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 404, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def serve() -> None:
        config = uvicorn.Config(app, ws="none", lifespan="off", log_config=None, access_log=False)
        config.load()
        protocol = HttpToolsProtocol(config, ServerState(), {})
        protocol.connection_made(Connection())
        protocol.data_received(request_text.encode())
        await asyncio.gather(*asyncio.all_tasks() - {asyncio.current_task()})

    log = logging.getLogger("uvicorn.error")
    monkeypatch.setattr(log, "filters", [])
    for one in (log, logging.getLogger("uvicorn")):  # whatever a server in this process has set
        monkeypatch.setattr(one, "propagate", True)
        monkeypatch.setattr(one, "disabled", False)
        monkeypatch.setattr(one, "level", logging.NOTSET)
    asyncio.run(serve())
    assert caplog.records  # uvicorn itself logs it
    caplog.clear()

    log.addFilter(is_worth_logging)
    asyncio.run(serve())

    assert caplog.messages == []


def test_what_an_operator_can_change_is_logged() -> None:
    assert is_worth_logging(logging.makeLogRecord({"msg": "Cancel %s running task(s)", "args": (3,)}))


class FullConnection(Connection):
    """A connection whose client takes nothing: its buffer is full from the first byte."""

    def __init__(self) -> None:
        super().__init__()
        self.protocol: Any = None
        self.is_aborted = False

    def write(self, data: Any) -> None:
        self.protocol.pause_writing()

    def abort(self) -> None:
        self.is_aborted = True
        self.protocol.connection_lost(None)


def answered(connection: FullConnection, during: Any) -> list[str]:
    """Let uvicorn send an answer of three parts over *connection*, run *during*, and return how the answer ended."""
    ended: list[str] = []

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(3):
            await send({"type": "http.response.body", "body": b"x", "more_body": True})
        ended.append("cut" if connection.is_aborted else "sent")

    async def serve() -> None:
        config = uvicorn.Config(app, ws="none", lifespan="off", log_config=None, access_log=False)
        config.load()
        connection.protocol = Protocol(config, ServerState(), {})
        connection.protocol.connection_made(connection)
        connection.protocol.data_received(b"GET /hub/static/style.css HTTP/1.1\r\nHost: hub\r\n\r\n")
        others = asyncio.all_tasks() - {asyncio.current_task()}
        await during(connection)
        await asyncio.gather(*others)

    asyncio.run(serve())
    return ended


def test_a_client_that_takes_nothing_of_its_answer_loses_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "READ_SECONDS", 0.01)

    async def waits(_connection: FullConnection) -> None:
        """Take nothing."""

    assert answered(FullConnection(), waits) == ["cut"]


def test_a_client_that_takes_its_answer_piece_by_piece_gets_it_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "READ_SECONDS", 3600)

    async def takes(connection: FullConnection) -> None:
        loop, timers = connection.protocol.loop, list[asyncio.TimerHandle]()
        call_later = loop.call_later
        monkeypatch.setattr(loop, "call_later", lambda *of: timers.append(call_later(*of)) or timers[-1])
        for _ in range(20):
            await asyncio.sleep(0)
            connection.protocol.resume_writing()
        assert len(timers) > 1
        assert all(timer.cancelled() for timer in timers)

    assert answered(FullConnection(), takes) == ["sent"]


@pytest.mark.parametrize(
    ("soft", "hard", "expected"),
    [
        (1024, 1_048_576, 4000),
        (1024, 2048, 2048),
        (8192, 1_048_576, 8192),
        (1024, resource.RLIM_INFINITY, 4000),
        (resource.RLIM_INFINITY, resource.RLIM_INFINITY, resource.RLIM_INFINITY),
    ],
)
def test_the_api_may_open_a_file_for_each_place(
    soft: int, hard: int, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = [(soft, hard)]
    monkeypatch.setattr(resource, "getrlimit", lambda _: limits[-1])
    monkeypatch.setattr(resource, "setrlimit", lambda _, both: limits.append(both))
    allow_open_files(4000)
    assert limits[-1] == (expected, hard)


def test_streams_of_open_pages_end_before_the_process_waits_for_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    class Supervisor:
        def send_event(self, _event: str) -> None:
            pass

    monkeypatch.setattr(api.ipc, "listen", lambda *_: None)
    config = uvicorn.Config(lambda *_: None, log_config=None)  # type: ignore[arg-type, return-value]  # nothing is asked
    config.load()
    done: list[str] = []
    ticked = asyncio.Event()
    server = api.Server(config, Supervisor(), ticked.set, lambda: done.append("end"))  # type: ignore[arg-type]

    async def serve() -> None:
        serving = asyncio.create_task(server.main_loop())
        await asyncio.wait_for(ticked.wait(), 5)
        assert done == []
        server._on_event(None)
        await asyncio.wait_for(serving, 5)

    asyncio.run(serve())
    assert done == ["end"]
    assert config.timeout_graceful_shutdown == api.ORPHANS_REQUESTS_SECONDS  # the next hub waits for this one's end
