"""Handlers whose store calls may take long, in a few threads of their own, so that they hold up no other request.

On one machine the store's calls run in the process that answers requests. Nearly all take less than a millisecond, less
than a change of threads costs. docs/architecture.md lists the long ones, with what was measured.
"""

from collections.abc import Callable, Coroutine
from functools import lru_cache
from typing import Any, TypeVar

from anyio import CapacityLimiter, to_thread

THREADS = 4  # long calls wait for each other before they take the processor from the short ones
Handler = TypeVar("Handler", bound=Callable[..., Coroutine[Any, Any, Any]])
_long: set[Any] = set()


def has_long_store_calls(handler: Handler) -> Handler:
    """Mark *handler*: `HubRoute` runs it in a thread. It may not await; its dependencies and its body are read before.

    Put it below the route's own decorator.
    """
    _long.add(handler)
    return handler


def is_long(handler: Any) -> bool:
    """Say whether *handler* is marked."""
    return handler in _long


async def in_store_pool(handler: Callable[..., Coroutine[Any, Any, Any]], arguments: dict[str, Any]) -> Any:
    """Return what *handler* returns, called in the pool's next free thread.

    Raises:
        TypeError: when the handler awaits something.
    """
    return await to_thread.run_sync(_run, handler, arguments, limiter=_limiter())


def _run(handler: Callable[..., Coroutine[Any, Any, Any]], arguments: dict[str, Any]) -> Any:
    handling = handler(**arguments)
    try:
        handling.send(None)
    except StopIteration as done:
        return done.value
    handling.close()
    raise TypeError(f"{handler!r} awaits, but it is marked as one that runs in a thread")


@lru_cache(maxsize=1)
def _limiter() -> CapacityLimiter:
    return CapacityLimiter(THREADS)
