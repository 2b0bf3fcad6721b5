"""Request bodies: limits their size and time, reads them as JSON of any content type, and validates them."""

import asyncio
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import Message, Receive

from functions.api import json_codec
from hubless.domain.bounds import MAX_BODY, MAX_KEYS

BODY_SECONDS = 30.0  # for a whole body; the edge waits for the first 48 kB, and has its own limit for that
NO_OBJECT = "The body must be a JSON object"
_MAX_KEY = 60  # characters of a key that an error shows
Model = TypeVar("Model", bound=BaseModel)


def limited(receive: Receive, turns: asyncio.Lock) -> Receive:
    """Return *receive* with limits: a body has at most `MAX_BODY` bytes, and arrives within `BODY_SECONDS`.

    Once the body is complete, only the end of the connection can follow: streams wait for that without a limit.

    Bodies that were sent together are late together, and each gets a page. So late ones take *turns*, which all share,
    and the event loop serves others between two of them.

    Raises:
        HTTPException: 408 or 413 from the returned function.
    """
    size, ends_at, is_complete = 0, 0.0, False

    async def receive_some() -> Message:
        nonlocal size, ends_at, is_complete
        if is_complete:
            return await receive()
        ends_at = ends_at or asyncio.get_running_loop().time() + BODY_SECONDS
        try:
            async with asyncio.timeout_at(ends_at):
                message = await receive()
        except TimeoutError:
            async with turns:
                await asyncio.sleep(0)
            # The rest of the body may still come, and must not count as the next request.
            raise HTTPException(408, "The request did not arrive in time", {"Connection": "close"}) from None
        size += len(message.get("body", b""))
        if size > MAX_BODY:
            raise HTTPException(413, f"A body may have at most {MAX_BODY} bytes")
        is_complete = not message.get("more_body", False)
        return message

    return receive_some


async def raw_json(request: Request) -> Any:
    """Return the body's JSON, or None when there is no body.

    Raises:
        HTTPException: 400 when it is not JSON.
    """
    body = await request.body()
    if not body:
        return None
    try:
        return json_codec.read(body)
    except ValueError:
        raise HTTPException(400, "Invalid JSON in body of request") from None


async def json_object(request: Request) -> dict[str, Any]:
    """Return the body, which must be a JSON object.

    Raises:
        HTTPException: 400 when it is not.
    """
    body = await raw_json(request)
    if not isinstance(body, dict):
        raise HTTPException(400, NO_OBJECT)
    return body


async def validated(request: Request, model: type[Model]) -> Model:
    """Return the body as *model*; no body and `null` are an empty object, as in JupyterHub.

    Raises:
        HTTPException: 400 naming the key that is wrong. It never repeats what was sent, which may be a password.
    """
    body = await raw_json(request)
    if body is None:
        body = {}
    if not isinstance(body, dict):
        raise HTTPException(400, NO_OBJECT)
    if len(body) > MAX_KEYS:  # pydantic describes each key that it does not know
        raise HTTPException(400, f"The body may have at most {MAX_KEYS} keys")
    try:
        return model.model_validate(body)
    except ValidationError as invalid:
        errors = invalid.errors(include_input=False, include_url=False)
        # An unknown key says more than the known key that is missing because of it.
        error = next((e for e in errors if e["type"] == "extra_forbidden"), errors[0])
        where = ".".join(str(part)[:_MAX_KEY] for part in error["loc"])
        why = error["msg"].removeprefix("Value error, ")  # what pydantic puts before the words of our own validators
        raise HTTPException(400, f"Invalid {where or 'body'}: {why}") from None
