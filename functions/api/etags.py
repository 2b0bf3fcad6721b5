"""ETags (RFC 9110 8.8, 13.1): adds one to each answer to a GET of the API, and answers 304 if the client has it."""

import hashlib
from collections.abc import Iterable

from starlette.types import Message, Scope, Send

_OK = 200


def with_etag(scope: Scope, send: Send) -> Send:
    """Return *send* that adds an ETag to an answer of one part; streams stay as they are."""
    held: list[Message] = []

    async def send_with_etag(message: Message) -> None:
        if message["type"] == "http.response.start" and message["status"] == _OK:
            held.append(message)  # until the body is known
            return
        if held:
            start = held.pop()
            if not message.get("more_body", False):
                start, message = _validated(scope, start, message)
            await send(start)
        await send(message)

    return send_with_etag


def etag_of(body: bytes | memoryview) -> str:
    """Return the ETag of an answer with this *body*."""
    return f'"{hashlib.sha256(body).hexdigest()[:32]}"'


def is_listed(etag: str, headers: Iterable[str]) -> bool:
    """Say whether `If-Match` or `If-None-Match` *headers* have *etag*.

    A weak one counts as well: proxies that compress an answer make one of ours weak.
    """
    known = {part.strip().removeprefix("W/") for header in headers for part in header.split(",")}
    return etag in known or "*" in known


def _validated(scope: Scope, start: Message, body: Message) -> tuple[Message, Message]:
    etag = etag_of(body.get("body", b""))
    headers = [*start["headers"], (b"etag", etag.encode())]
    given = [value.decode("latin-1") for name, value in scope["headers"] if name == b"if-none-match"]
    if not is_listed(etag, given):
        return {**start, "headers": headers}, body
    kept = [(name, value) for name, value in headers if name.lower() not in {b"content-length", b"content-type"}]
    return {**start, "status": 304, "headers": kept}, {**body, "body": b""}
