"""The client's address, as the API sees it."""

import asyncio
from typing import Any

import pytest

from embedded.api import with_client_address


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
