"""Work that takes long on purpose (hashing passwords), in threads of its own and few at once."""

from collections.abc import Callable
from functools import lru_cache
from typing import TypeVar, TypeVarTuple

from anyio import CapacityLimiter, to_thread

AT_ONCE = 4  # each needs 64 MiB (RFC 9106): a crowd at the door waits, and takes no memory from anybody
Given = TypeVarTuple("Given")
Made = TypeVar("Made")


async def slowly(function: Callable[[*Given], Made], *given: *Given) -> Made:
    """Return what *function* makes of *given*, when its turn has come."""
    return await to_thread.run_sync(function, *given, limiter=_limiter())


@lru_cache(maxsize=1)
def _limiter() -> CapacityLimiter:
    return CapacityLimiter(AT_ONCE)
