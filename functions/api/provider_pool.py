"""Calls that wait for providers of logins, in threads of their own: a slow provider holds up no other request."""

from collections.abc import Callable
from functools import lru_cache
from typing import TypeVar, TypeVarTuple

from anyio import CapacityLimiter, to_thread

THREADS = 32  # they wait for most of their time, and a class of 300 logs in at once
Arguments = TypeVarTuple("Arguments")
Result = TypeVar("Result")


async def in_provider_pool(function: Callable[[*Arguments], Result], *arguments: *Arguments) -> Result:
    """Return the result of *function* with *arguments*, called in the pool's next free thread."""
    return await to_thread.run_sync(function, *arguments, limiter=_limiter())


@lru_cache(maxsize=1)
def _limiter() -> CapacityLimiter:
    return CapacityLimiter(THREADS)
