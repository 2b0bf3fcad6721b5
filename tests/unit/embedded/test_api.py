"""The client's address as the API sees it, and what uvicorn logs about clients."""

import asyncio
import logging
from typing import Any

import pytest
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from embedded.api import is_worth_logging, with_client_address


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
    asyncio.run(serve())
    assert caplog.records  # uvicorn itself logs it
    caplog.clear()

    log.addFilter(is_worth_logging)
    asyncio.run(serve())

    assert caplog.messages == []


def test_what_an_operator_can_change_is_logged() -> None:
    assert is_worth_logging(logging.makeLogRecord({"msg": "Cancel %s running task(s)", "args": (3,)}))
