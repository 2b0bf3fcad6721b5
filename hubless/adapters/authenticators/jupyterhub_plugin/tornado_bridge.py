"""Asks tornado handlers without a port: from a request of the hub to an answer."""

import re
from asyncio import Event, Future
from collections.abc import Callable
from types import SimpleNamespace

from tornado import httputil
from tornado.web import Application

from hubless.adapters.authenticators.jupyterhub_plugin.handlers import Conversation
from hubless.ports.login_plugin import PluginAnswer, PluginPage, PluginRequest

# templates/page.html writes these; the hub's own frame goes around what is between them.
_PAGE = re.compile(r"\s*<!--title-->(?P<title>.*?)<!--main-->(?P<main>.*)<!--end-->\s*", re.DOTALL)
_FAILED = 400
_DROPPED = frozenset({"content-length", "content-type", "etag", "server", "date", "transfer-encoding"})


class _Connection(httputil.HTTPConnection):
    """Keeps the response instead of sending it."""

    def __init__(self, request: PluginRequest) -> None:
        self.context = SimpleNamespace(remote_ip=request.address, protocol=request.scheme)
        self.conversation = Conversation(request)
        self.status, self.headers, self.body = 500, httputil.HTTPHeaders(), b""
        self.finished = Event()

    def set_close_callback(self, callback: Callable[[], None] | None) -> None:
        """Ignore it: the browser's connection is not this one."""

    def write_headers(
        self,
        start_line: httputil.RequestStartLine | httputil.ResponseStartLine,
        headers: httputil.HTTPHeaders,
        chunk: bytes | None = None,
    ) -> "Future[None]":
        """Keep the status and the headers."""
        assert isinstance(start_line, httputil.ResponseStartLine)  # noqa: S101 a response
        self.status, self.headers = start_line.code, headers
        return self.write(chunk or b"")

    def write(self, chunk: bytes) -> "Future[None]":
        """Keep a part of the body."""
        self.body += chunk
        done: Future[None] = Future()
        done.set_result(None)
        return done

    def finish(self) -> None:
        """Let the one who waits have the response."""
        self.finished.set()


async def ask(application: Application, request: PluginRequest) -> PluginAnswer:
    """Return what *application* answers to *request*."""
    connection = _Connection(request)
    try:
        headers = httputil.HTTPHeaders()
        for name, value in [*request.headers, ("Host", request.host)]:
            headers.add(name, value)
        delegate = application.start_request(connection, connection)
        delegate.headers_received(httputil.RequestStartLine(request.method, request.target, "HTTP/1.1"), headers)
        delegate.data_received(request.body)
        delegate.finish()
    except httputil.HTTPInputError:
        return PluginAnswer(400, (("content-type", "text/plain"),), b"This request cannot be read")
    await connection.finished.wait()
    return _answer(connection, connection.conversation)


def _answer(connection: _Connection, conversation: Conversation) -> PluginAnswer:
    kind = connection.headers.get("Content-Type", "")
    page = _page(connection.body) if kind.startswith("text/html") else None
    kept = [(name, value) for name, value in connection.headers.get_all() if name.lower() not in _DROPPED]
    if page is None and kind:
        kept.append(("content-type", kind))
    return PluginAnswer(
        connection.status,
        tuple(kept),
        b"" if page else connection.body,
        page,
        conversation.identity
        if connection.status < _FAILED
        else None,  # a handler that fails in the end proves nothing
        conversation.ends_session,
    )


def _page(body: bytes) -> PluginPage | None:
    found = _PAGE.fullmatch(body.decode(errors="replace"))
    return PluginPage(found["title"].strip(), found["main"]) if found else None
