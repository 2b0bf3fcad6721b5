"""Calls that wait for somebody else's server, such as a provider's, in threads of their own."""

from collections.abc import Callable
from functools import lru_cache, partial
from typing import ParamSpec, TypeVar

from anyio import CapacityLimiter, to_thread

THREADS = 40  # they wait and do not compute: a class that comes at once is let in within seconds
Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


async def in_provider_pool(
    function: Callable[Parameters, Result], *arguments: Parameters.args, **named: Parameters.kwargs
) -> Result:
    """Return the result of *function* with these arguments, called in the pool's next free thread."""
    return await to_thread.run_sync(partial(function, *arguments, **named), limiter=_limiter())


@lru_cache(maxsize=1)
def _limiter() -> CapacityLimiter:
    return CapacityLimiter(THREADS)
