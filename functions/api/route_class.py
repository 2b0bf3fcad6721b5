"""The class of all routes: FastAPI's, but built when needed, and with dependencies in a fixed order.

FastAPI reads a handler's signature and describes it in OpenAPI. This class changes four things; docs/adr/0024 has the
reasons:

- A route is built at its first request. Otherwise a cold start builds a hundred routes for one request.
- Dependencies are sorted once, at that moment. FastAPI walks their tree in every request, between two exit stacks.
- A handler with long store calls runs in a thread (`store_pool`), and one that may write waits for its turn
  (`write_gate`).
- Bodies, errors and HEAD are as in JupyterHub. A body of any content type is read as JSON; an invalid one is a 400.
"""

import inspect
from collections.abc import Callable, Coroutine
from typing import Any, NamedTuple, get_args

from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Route, compile_path
from starlette.types import Receive, Scope, Send

from functions.api.auth.authentication import sender_of
from functions.api.auth.csrf import READ_ONLY
from functions.api.dependencies import HubPart
from functions.api.request_body import json_object, validated
from functions.api.store_pool import in_store_pool, is_long
from functions.api.write_gate import WriteGate

_Call = Callable[..., Coroutine[Any, Any, Any]]
_UNSUPPORTED = (
    "cookie_params",
    "websocket_param_name",
    "http_connection_param_name",
    "response_param_name",
    "background_tasks_param_name",
    "security_scopes_param_name",
    "concurrency",
)


class HubRoute(APIRoute):
    """One route of the hub.

    Raises:
        TypeError: at the first use, when the handler or a dependency asks for something that hubless does not offer.
    """

    def __init__(self, path: str, endpoint: _Call, **facts: Any) -> None:
        self.path, self.endpoint, self._facts = path, endpoint, facts
        self.methods: set[str] = {method.upper() for method in facts.get("methods") or ["GET"]}
        self._prefix = path.partition("{")[0]

    def __getattr__(self, name: str) -> Any:
        """Compile the path, or build the whole route, at the first use of an attribute that needs it."""
        if name in {"path_regex", "path_format", "param_convertors"}:
            self.path_regex, self.path_format, self.param_convertors = compile_path(self.path)
            return self.__dict__[name]
        facts = self.__dict__.pop("_facts", None)
        if facts is None:
            raise AttributeError(name)
        super().__init__(self.path, self.endpoint, **facts)
        self.app = _app(self.dependant)
        return getattr(self, name)

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Match path and method; a route that serves GET also serves HEAD (RFC 9110 9.3.2)."""
        path: str = scope["path"]
        if not path.startswith(self._prefix) or scope["type"] != "http":
            return Match.NONE, {}
        params: dict[str, Any] = {}
        if len(self._prefix) < len(self.path):  # it has parts that vary
            found = self.path_regex.match(path)
            if found is None:
                return Match.NONE, {}
            params = {name: self.param_convertors[name].convert(text) for name, text in found.groupdict().items()}
        elif path != self.path:
            return Match.NONE, {}
        child = {"endpoint": self.endpoint, "path_params": params, "route": self}
        return (Match.FULL if self._serves(scope["method"]) else Match.PARTIAL), child

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if self._serves(scope["method"]):
            await self.app(scope, receive, send)
        else:
            await Route.handle(self, scope, receive, send)

    def _serves(self, method: str) -> bool:
        return method in self.methods or (method == "HEAD" and "GET" in self.methods)


class _Step(NamedTuple):
    """One call of a request: a dependency, or the handler as the last one."""

    call: _Call
    request: str | None  # the argument that takes the request
    path: tuple[str, ...]  # arguments that are parts of the path
    query: tuple[tuple[str, str, Any], ...]  # arguments that are in the query: name, key, default
    headers: tuple[tuple[str, str, Any], ...]  # arguments that are headers: name, header, default
    results: tuple[tuple[str, int], ...]  # arguments that earlier steps gave: name, number of the step
    part: str | None  # the part of the hub that the call gives

    def arguments(self, request: Request, results: list[Any]) -> dict[str, Any]:
        """Return the arguments of the call."""
        given = {name: results[step] for name, step in self.results}
        if self.request is not None:
            given[self.request] = request
        if self.path:
            params = request.scope["path_params"]
            for name in self.path:
                given[name] = params[name]
        for name, key, default in self.query:
            given[name] = request.query_params.get(key, default)
        for name, key, default in self.headers:
            several = request.headers.getlist(key)
            given[name] = ", ".join(several) if several else default  # RFC 9110 5.3
        return given


def _app(dependant: Dependant) -> Any:
    """Return the ASGI application that calls the dependencies in their order, and then the handler."""
    steps: list[_Step] = []
    _collect(dependant, steps, {})
    *dependencies, handler = steps
    body, takes_parts = _Body.of(dependant), any(step.part is not None for step in dependencies)
    called = _caller(handler.call)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive, send)
        try:
            response = await respond(request)
        finally:
            await request.close()  # a form's files
        await response(scope, receive, send)

    async def respond(request: Request) -> Response:
        results: list[Any] = []
        hub = request.app.state.hub if takes_parts else None
        for step in dependencies:
            if step.part is None:
                results.append(await step.call(**step.arguments(request, results)))
            else:
                results.append(getattr(hub, step.part))  # what the call would do, without a coroutine
        arguments = handler.arguments(request, results)
        if body is not None:
            arguments[body.name] = await body.read(request)
        return await called(request, arguments)

    return app


def _caller(handler: _Call) -> Callable[[Request, dict[str, Any]], Coroutine[Any, Any, Response]]:
    """Return what calls *handler*: in a thread if it is marked, and behind the gate if the request may write."""
    in_thread = is_long(handler)

    async def called(request: Request, arguments: dict[str, Any]) -> Response:
        if in_thread:
            found: Response = await in_store_pool(handler, arguments, sender_of(request))
        else:
            found = await handler(**arguments)
        return found

    async def gated(request: Request, arguments: dict[str, Any]) -> Response:
        if request.method in READ_ONLY:
            return await called(request, arguments)
        gate: WriteGate = request.app.state.write_gate
        await gate.wait()
        with gate.patient():
            return await called(request, arguments)

    return gated


def _collect(dependant: Dependant, steps: list[_Step], known: dict[Any, int]) -> int:
    """Add the steps of *dependant*, what it needs before it, and return its number; each call is made once."""
    call = dependant.call
    if call in known:
        return known[call]
    _check(dependant)
    for sub in dependant.dependencies:
        if sub.body_params:
            raise TypeError(f"{sub.call!r} takes a body: only handlers do")
    results = [(sub.name or "", _collect(sub, steps, known)) for sub in dependant.dependencies]
    step = _Step(
        call,  # type: ignore[arg-type]  # FastAPI allows None; `_check` does not
        dependant.request_param_name,
        tuple(field.alias for field in dependant.path_params),
        tuple((field.name, field.alias, field.field_info.default) for field in dependant.query_params),
        tuple((one.name, one.alias.replace("_", "-"), one.field_info.default) for one in dependant.header_params),
        tuple((name, number) for name, number in results if name),
        call.name if isinstance(call, HubPart) else None,
    )
    steps.append(step)
    known[call] = len(steps) - 1
    return known[call]


def _check(dependant: Dependant) -> None:
    """Refuse what FastAPI would run in a thread, and what this class does not support."""
    call: Any = dependant.call
    if not inspect.iscoroutinefunction(call) and not inspect.iscoroutinefunction(getattr(call, "__call__", None)):  # noqa: B004 dependencies may be objects
        raise TypeError(f"{call!r} must be an async function or an object with an async __call__")
    for name in _UNSUPPORTED:
        if getattr(dependant, name):
            raise TypeError(f"{call!r} uses FastAPI's {name}, which a HubRoute does not offer")
    for field in (*dependant.query_params, *dependant.header_params):
        annotation = field.field_info.annotation
        if not set(get_args(annotation) or (annotation,)) <= {str, type(None)}:
            raise TypeError(
                f"{call!r}: {field.name} must be a text: convert it in the handler, with JupyterHub's error message"
            )


class _Body(NamedTuple):
    """The argument that takes the body."""

    name: str
    model: type[BaseModel] | None  # None for any JSON object

    @classmethod
    def of(cls, dependant: Dependant) -> "_Body | None":
        """Return the one body of a handler, or None."""
        if not dependant.body_params:
            return None
        (field,) = dependant.body_params
        annotation = field.field_info.annotation
        models = [one for one in (annotation, *get_args(annotation)) if _is_model(one)]
        return cls(field.name, models[0] if models else None)

    async def read(self, request: Request) -> Any:
        """Return the body as the handler takes it.

        Raises:
            HTTPException: 400 with what is wrong with it.
        """
        if self.model is None:
            return await json_object(request)
        return await validated(request, self.model)


def _is_model(annotation: Any) -> bool:
    return inspect.isclass(annotation) and issubclass(annotation, BaseModel)
