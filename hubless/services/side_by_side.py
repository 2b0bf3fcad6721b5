"""Doing one thing to many at once, in a bounded number of threads."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

AHEAD = 2  # how many things for each thread are begun before the first result is taken
LOOK_SECONDS = 1.0  # how often `waiting` is called
T = TypeVar("T")
R = TypeVar("R")


def in_order(
    act: Callable[[T], R], things: Iterable[T], at_once: int, waiting: Callable[[], None] = lambda: None
) -> Iterator[R]:
    """Yield the results of *act* in the order of *things*.

    When one fails, no other begins; those that have begun end first. Few results are held, so memory stays bounded.

    Args:
        act: what to do with each.
        things: may be without end.
        at_once: how many threads; 1 means this thread and no other.
        waiting: is called by this thread every second in which it waits.

    Raises:
        Exception: the first one of *act*, in the order of *things*.
    """
    if at_once == 1:
        yield from map(act, things)
        return
    with ThreadPoolExecutor(at_once, thread_name_prefix="side-by-side") as pool:
        begun = deque[Future[R]]()
        try:
            for thing in things:
                begun.append(pool.submit(act, thing))
                if len(begun) >= AHEAD * at_once:
                    yield _result(begun.popleft(), waiting)
            while begun:
                yield _result(begun.popleft(), waiting)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _result(one: Future[R], waiting: Callable[[], None]) -> R:
    while not one.done():
        try:
            return one.result(LOOK_SECONDS)
        except TimeoutError:
            if not one.done():
                waiting()
    return one.result()


def batches(found: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """Return *found* in parts of at most *size*."""
    return (found[start : start + size] for start in range(0, len(found), size))
