"""ETags (RFC 9110 8.8, 13.1): adds one to each answer to a GET of the API, and answers 304 if the client has it."""

import hashlib
import re
from collections.abc import Collection

from starlette.types import Message, Scope, Send

ANY = "*"
_OK = 200
_ELEMENT = re.compile(r'((?:W/)?"[!#-~\x80-\xff]*")?[ \t]*(?:,[ \t]*|\Z)')  # of a list; it may be empty


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


def listed(header: str) -> frozenset[str]:
    """Return the ETags of an `If-Match` or `If-None-Match` *header*, or `*` alone; commas join several headers.

    Raises:
        ValueError: when it is neither a list of ETags nor `*`.
    """
    text, found, at = header.strip(" \t"), set[str](), 0
    if text == ANY:
        return frozenset({ANY})
    while at < len(text):
        element = _ELEMENT.match(text, at)
        if element is None:
            raise ValueError("no ETags")
        if element[1]:
            found.add(element[1])
        at = element.end()
    return frozenset(found)


def is_among(etag: str, tags: Collection[str], *, weakly: bool = False) -> bool:
    """Say whether *etag*, a strong one, is among the *tags* of a header (RFC 9110 8.8.3.2).

    Compared *weakly* a weak tag counts as well: proxies that compress an answer make one of ours weak.
    """
    return ANY in tags or etag in tags or (weakly and f"W/{etag}" in tags)


def _validated(scope: Scope, start: Message, body: Message) -> tuple[Message, Message]:
    etag = etag_of(body.get("body", b""))
    headers = [*start["headers"], (b"etag", etag.encode())]
    if not _has(scope, etag):
        return {**start, "headers": headers}, body
    kept = [(name, value) for name, value in headers if name.lower() not in {b"content-length", b"content-type"}]
    return {**start, "status": 304, "headers": kept}, {**body, "body": b""}


def _has(scope: Scope, etag: str) -> bool:
    given = [value.decode("latin-1") for name, value in scope["headers"] if name == b"if-none-match"]
    try:
        return is_among(etag, listed(",".join(given)), weakly=True)
    except ValueError:
        return False
