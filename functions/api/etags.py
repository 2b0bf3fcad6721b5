"""ETags (RFC 9110 8.8, 13.1): adds one to each answer to a GET of the API, and answers 304 if the client has it."""

import hashlib

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


def _validated(scope: Scope, start: Message, body: Message) -> tuple[Message, Message]:
    etag = b'"%s"' % hashlib.sha256(body.get("body", b"")).hexdigest()[:32].encode()
    headers = [*start["headers"], (b"etag", etag)]
    if not _is_known(scope, etag):
        return {**start, "headers": headers}, body
    kept = [(name, value) for name, value in headers if name.lower() not in {b"content-length", b"content-type"}]
    return {**start, "status": 304, "headers": kept}, {**body, "body": b""}


def _is_known(scope: Scope, etag: bytes) -> bool:
    given = [value for name, value in scope["headers"] if name == b"if-none-match"]
    known = {part.strip().removeprefix(b"W/") for value in given for part in value.split(b",")}
    return etag in known or b"*" in known
