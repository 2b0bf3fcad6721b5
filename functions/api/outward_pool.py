"""Calls to other services, such as an LMS, in a few threads of their own: they wait, and hold up nobody else."""

from collections.abc import Callable
from functools import lru_cache
from typing import TypeVar, TypeVarTuple

from anyio import CapacityLimiter, to_thread

THREADS = 16  # each waits for one answer, for some seconds at most
Arguments = TypeVarTuple("Arguments")
Result = TypeVar("Result")


async def in_outward_pool(function: Callable[[*Arguments], Result], *arguments: *Arguments) -> Result:
    """Return the result of *function* with *arguments*, called in the pool's next free thread."""
    return await to_thread.run_sync(function, *arguments, limiter=_limiter())


@lru_cache(maxsize=1)
def _limiter() -> CapacityLimiter:
    return CapacityLimiter(THREADS)
