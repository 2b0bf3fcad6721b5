"""Password hashing, which is slow on purpose, in a few threads of its own."""

from collections.abc import Callable
from functools import lru_cache
from typing import TypeVar, TypeVarTuple

from anyio import CapacityLimiter, to_thread

THREADS = 4  # each needs 64 MiB (RFC 9106): many logins at once wait, and do not exhaust the memory
Arguments = TypeVarTuple("Arguments")
Result = TypeVar("Result")


async def in_password_pool(function: Callable[[*Arguments], Result], *arguments: *Arguments) -> Result:
    """Return the result of *function* with *arguments*, called in the pool's next free thread."""
    return await to_thread.run_sync(function, *arguments, limiter=_limiter())


@lru_cache(maxsize=1)
def _limiter() -> CapacityLimiter:
    return CapacityLimiter(THREADS)
