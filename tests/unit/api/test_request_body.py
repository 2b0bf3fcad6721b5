"""The limits of a body's size and time."""

import asyncio
from collections.abc import Iterable
from typing import Any

import pytest
from starlette.exceptions import HTTPException

from functions.api import request_body
from functions.api.request_body import MAX_BODY, limited


def received(messages: Iterable[dict[str, Any]], count: int) -> list[dict[str, Any]]:
    """Return the first *count* messages that come through the limits; after *messages* nothing comes any more."""
    left = iter(messages)

    async def receive() -> Any:
        for message in left:
            return message
        return await asyncio.get_running_loop().create_future()

    async def all_of_them() -> list[Any]:
        receive_some = limited(receive, asyncio.Lock())
        return [await receive_some() for _ in range(count)]

    return asyncio.run(all_of_them())


def part(size: int, *, more: bool) -> dict[str, Any]:
    return {"type": "http.request", "body": b"x" * size, "more_body": more}


@pytest.mark.parametrize("before", [[], [part(10, more=True)]])
def test_a_body_whose_rest_never_comes_is_408(before: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request_body, "BODY_SECONDS", 0.01)
    with pytest.raises(HTTPException) as error:
        received(before, len(before) + 1)
    assert (error.value.status_code, error.value.headers) == (408, {"Connection": "close"})


def test_between_two_late_bodies_others_have_a_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request_body, "BODY_SECONDS", 0)
    served: list[str] = []

    async def late(turns: asyncio.Lock) -> None:
        never = asyncio.get_running_loop().create_future()
        with pytest.raises(HTTPException):
            await limited(lambda: never, turns)()
        served.append("late")

    async def others() -> None:
        while served.count("late") < 20:
            served.append("other")
            await asyncio.sleep(0)

    async def both() -> None:
        turns = asyncio.Lock()
        await asyncio.gather(others(), *(late(turns) for _ in range(20)))

    asyncio.run(both())
    assert "late late" not in " ".join(served)


def test_the_parts_of_a_body_share_one_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    deadlines: list[float] = []
    timeout_at = asyncio.timeout_at
    monkeypatch.setattr(asyncio, "timeout_at", lambda at: deadlines.append(at) or timeout_at(at))
    received([part(1, more=True), part(1, more=True), part(1, more=False)], 3)
    assert (len(deadlines), len(set(deadlines))) == (3, 1)


def test_a_stream_waits_for_its_clients_end_without_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request_body, "BODY_SECONDS", 0.01)
    left = [part(0, more=False)]

    async def receive() -> Any:
        if left:
            return left.pop()
        await asyncio.sleep(0.05)
        return {"type": "http.disconnect"}

    async def both() -> list[str]:
        receive_some = limited(receive, asyncio.Lock())
        return [(await receive_some())["type"] for _ in range(2)]

    assert asyncio.run(both()) == ["http.request", "http.disconnect"]


def test_a_body_above_the_limit_is_413() -> None:
    with pytest.raises(HTTPException) as error:
        received([part(MAX_BODY, more=True), part(1, more=True)], 2)
    assert error.value.status_code == 413
