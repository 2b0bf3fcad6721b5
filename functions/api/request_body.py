"""Request bodies: limits their size, reads them as JSON of any content type, and validates them."""

from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import Message, Receive

from functions.api import json_codec

MAX_BODY = 1_000_000  # bytes
NO_OBJECT = "The body must be a JSON object"
_MAX_KEY = 60  # characters of a key that an error shows
Model = TypeVar("Model", bound=BaseModel)


def limited(receive: Receive) -> Receive:
    """Return *receive* with a limit: it refuses a body of more than `MAX_BODY` bytes.

    Raises:
        HTTPException: 413 from the returned function.
    """
    size = 0

    async def receive_some() -> Message:
        nonlocal size
        message = await receive()
        size += len(message.get("body", b""))
        if size > MAX_BODY:
            raise HTTPException(413, f"A body may have at most {MAX_BODY} bytes")
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
    try:
        return model.model_validate(body)
    except ValidationError as invalid:
        errors = invalid.errors(include_input=False, include_url=False)
        # An unknown key says more than the known key that is missing because of it.
        error = next((e for e in errors if e["type"] == "extra_forbidden"), errors[0])
        where = ".".join(str(part)[:_MAX_KEY] for part in error["loc"])
        why = error["msg"].removeprefix("Value error, ")  # what pydantic puts before the words of our own validators
        raise HTTPException(400, f"Invalid {where or 'body'}: {why}") from None
