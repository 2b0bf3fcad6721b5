"""Password hashing, which is slow on purpose, in a few threads of its own.

A new password has other threads than logins, because its user is told by mail: a slow mail server holds up no login.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import TypeVar, TypeVarTuple

from anyio import CapacityLimiter, to_thread

THREADS = 4  # of each kind; all of them together hash as few passwords at once as the memory allows (`argon2`)
Arguments = TypeVarTuple("Arguments")
Result = TypeVar("Result")


async def in_password_pool(function: Callable[[*Arguments], Result], *arguments: *Arguments) -> Result:
    """Return the result of *function* with *arguments*, called in the next free thread of logins."""
    return await to_thread.run_sync(function, *arguments, limiter=_limiter())


async def in_new_password_pool(function: Callable[[*Arguments], Result], *arguments: *Arguments) -> Result:
    """Return the result of *function*, which sets a password and may wait for a mail server."""
    return await to_thread.run_sync(function, *arguments, limiter=_limiter_of_new())


@lru_cache(maxsize=1)
def _limiter() -> CapacityLimiter:
    return CapacityLimiter(THREADS)


@lru_cache(maxsize=1)
def _limiter_of_new() -> CapacityLimiter:
    return CapacityLimiter(THREADS)
