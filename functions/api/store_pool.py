"""Handlers whose store calls may take long, in a few threads of their own, so that they hold up no other request.

On one machine the store's calls run in the process that answers requests. Nearly all take less than a millisecond, less
than a change of threads costs. docs/architecture.md lists the long ones, with what was measured.

One person's calls take at most half of the threads, and only so many wait for one: a flood holds up its sender alone.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from datetime import timedelta
from functools import lru_cache
from typing import Any, TypeVar

from hubless.domain.errors import QuotaExceededError
from hubless.domain.translatable import gettext as _

THREADS = 4  # long calls wait for each other before they take the processor from the short ones
RUNNING = THREADS // 2  # of one person's calls
# Of one person's calls, those that run and those that wait. HTTPX and aiohttp open 100 connections unless told
# otherwise, so a script that asks for all at once is refused nothing, as in JupyterHub. Most calls take 10 to 100 ms.
OPEN = 128
_RETRY_AFTER = timedelta(seconds=1)
Handler = TypeVar("Handler", bound=Callable[..., Coroutine[Any, Any, Any]])
_long: set[Any] = set()
_open: Counter[str] = Counter()  # the number of open calls of each person who has any
_running: dict[str, asyncio.Semaphore] = {}  # of the same persons


def has_long_store_calls(handler: Handler) -> Handler:
    """Mark *handler*: `HubRoute` runs it in a thread. It may not await; its dependencies and its body are read before.

    Put it below the route's own decorator.
    """
    _long.add(handler)
    return handler


def is_long(handler: Any) -> bool:
    """Say whether *handler* is marked."""
    return handler in _long


async def in_store_pool(handler: Callable[..., Coroutine[Any, Any, Any]], arguments: dict[str, Any], who: str) -> Any:
    """Return what *handler* returns, called in the pool's next free thread.

    Args:
        handler: a marked one.
        arguments: its arguments.
        who: whose request it is; requests of nobody known count as one person's.

    Raises:
        QuotaExceededError: when this person has `OPEN` calls here already.
        TypeError: when the handler awaits something.
    """
    with _place_of(who) as own:
        async with own:
            call = asyncio.get_running_loop().run_in_executor(_threads(), copy_context().run, _run, handler, arguments)
            try:
                return await asyncio.shield(call)
            except asyncio.CancelledError:
                await asyncio.wait([call])  # it cannot be stopped, and keeps its place as long as it runs
                raise


@contextmanager
def _place_of(who: str) -> Iterator[asyncio.Semaphore]:
    """Count one more call of this person, and yield what limits those that run."""
    if _open[who] >= OPEN:
        words = _(
            "%(open)s of your requests for long lists or changes are still open. Wait for them before you send more.",
            open=OPEN,
        )
        raise QuotaExceededError(words, limit=OPEN, retry=True, after=_RETRY_AFTER)
    _open[who] += 1
    try:
        yield _running.setdefault(who, asyncio.Semaphore(RUNNING))
    finally:
        _open[who] -= 1
        if not _open[who]:
            del _open[who], _running[who]


def _run(handler: Callable[..., Coroutine[Any, Any, Any]], arguments: dict[str, Any]) -> Any:
    handling = handler(**arguments)
    try:
        handling.send(None)
    except StopIteration as done:
        return done.value
    handling.close()
    raise TypeError(f"{handler!r} awaits, but it is marked as one that runs in a thread")


@lru_cache(maxsize=1)
def _threads() -> ThreadPoolExecutor:
    # asyncio's own means: AnyIO's limiters and threads took a tenth of the time of a short list.
    return ThreadPoolExecutor(THREADS, thread_name_prefix="store")
