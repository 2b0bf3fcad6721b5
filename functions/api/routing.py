"""Routes with arguments by name: parts of the path, the request, and what is worked out from it (who asks, a form).

Starlette's routes hand over the request alone. The rest of FastAPI costs more than all that a request does here
(docs/adr/0007): handlers read and answer by themselves.
"""

import inspect
from collections.abc import Awaitable, Callable, Sequence
from functools import wraps
from typing import Annotated, Any, TypeVar, get_args, get_origin

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from functions.api.openapi import Documented, Operation
from hubless.domain.values import value

Handler = TypeVar("Handler", bound=Callable[..., Awaitable[Response]])
Worked = Callable[[Request], Awaitable[Any]]


@value
class Needs:
    """Marks an argument, as `Annotated[Asking, Needs(asking)]`: what *by* makes of the request."""

    by: Worked


class Router:
    """Collects the routes of one resource."""

    def __init__(self) -> None:
        self._routes: list[tuple[str, tuple[str, ...], Callable[..., Awaitable[Response]]]] = []
        self.documented: list[Documented] = []

    def route(
        self, path: str, methods: Sequence[str], operation: Operation | None = None
    ) -> Callable[[Handler], Handler]:
        """Return a decorator that serves *path* with a handler, which does as *operation* says."""

        def keep(handler: Handler) -> Handler:
            self._routes.append((path, tuple(methods), handler))
            if operation is not None:
                summary = (handler.__doc__ or "").partition("\n")[0]
                self.documented += [Documented(m, path, summary, handler.__name__, operation) for m in methods]
            return handler

        return keep

    def get(self, path: str, operation: Operation | None = None) -> Callable[[Handler], Handler]:
        """Serve GET of *path* and HEAD."""
        return self.route(path, ["GET"], operation)

    def post(self, path: str, operation: Operation | None = None) -> Callable[[Handler], Handler]:
        """Serve POST of *path*."""
        return self.route(path, ["POST"], operation)

    def put(self, path: str, operation: Operation | None = None) -> Callable[[Handler], Handler]:
        """Serve PUT of *path*."""
        return self.route(path, ["PUT"], operation)

    def patch(self, path: str, operation: Operation | None = None) -> Callable[[Handler], Handler]:
        """Serve PATCH of *path*."""
        return self.route(path, ["PATCH"], operation)

    def delete(self, path: str, operation: Operation | None = None) -> Callable[[Handler], Handler]:
        """Serve DELETE of *path*."""
        return self.route(path, ["DELETE"], operation)

    def under(self, prefix: str) -> list[Route]:
        """Return the routes, in the order in which they were written, with *prefix* before their paths."""
        return [
            Route(prefix + path, _called(handler), methods=list(methods)) for path, methods, handler in self._routes
        ]


def _called(handler: Callable[..., Awaitable[Response]]) -> Worked:
    """Return *handler* as Starlette calls it; its signature is read once."""
    steps: list[tuple[str, Worked]] = []
    parts: list[str] = []
    for name, parameter in inspect.signature(handler, eval_str=True).parameters.items():
        if parameter.annotation is Request:
            steps.append((name, _itself))
        elif (needs := _needs(parameter.annotation)) is not None:
            steps.append((name, needs.by))
        else:
            parts.append(name)

    @wraps(handler)  # its name is what logs tell
    async def serve(request: Request) -> Response:
        path = request.path_params
        given = {name: path[name] for name in parts if name in path}
        for name, step in steps:
            given[name] = await step(request)
        return await handler(**given)

    return serve


async def _itself(request: Request) -> Request:
    return request


def _needs(annotation: Any) -> Needs | None:
    if get_origin(annotation) is not Annotated:
        return None
    return next((extra for extra in get_args(annotation)[1:] if isinstance(extra, Needs)), None)
