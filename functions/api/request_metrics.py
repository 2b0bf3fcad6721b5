"""The middleware that measures requests: how long each took, and which of them were logins or logouts."""

import time
from datetime import timedelta

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from functions.api.handler_labels import handler_label
from hubless.bootstrap.hub import Hub
from hubless.domain.histograms import LOGGED_IN, LOGIN_DURATION, LOGIN_FAILED, LOGOUT_DURATION, REQUEST_DURATION

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})  # as JupyterHub, no others
_LOGIN, _LOGOUT = "hubless.login", "hubless.logout"  # keys of a scope


class RequestMetrics:
    """Wraps the application (ASGI)."""

    def __init__(self, app: ASGIApp, hub: Hub) -> None:
        self._app, self._hub = app, hub

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, and measure it until its answer is sent."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.perf_counter(), 500  # the answer's status where the application raises

        async def send_and_note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, send_and_note)
        finally:
            self._observe(scope, status, timedelta(seconds=time.perf_counter() - began))

    def _observe(self, scope: Scope, status: int, took: timedelta) -> None:
        hub = self._hub  # in the cloud the first measurement loads what measures
        if hub.measures_requests and scope["method"] in _METHODS:
            hub.metrics.observe(REQUEST_DURATION, took, scope["method"], handler_label(scope), str(status))
        if (outcome := scope.get(_LOGIN)) is not None:
            hub.metrics.observe(LOGIN_DURATION, took, outcome)
        if scope.get(_LOGOUT):
            hub.metrics.observe(LOGOUT_DURATION, took)


def note_login(request: Request, *, succeeded: bool) -> None:
    """Note that the request is a login. The last word counts, because a login may fail in the end."""
    request.scope[_LOGIN] = LOGGED_IN if succeeded else LOGIN_FAILED


def note_logout(request: Request) -> None:
    """Note that the request is a logout."""
    request.scope[_LOGOUT] = True
