"""An event loop in a thread of its own, for classes that expect tornado's loop and may block it."""

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

_TICK_SECONDS = 0.1
_LOOK_SECONDS = 0.25
Result = TypeVar("Result")


class LoopHangsError(Exception):
    """Raised when a call did not end within the limit, or when another call holds up the whole loop."""


class LoopThread:
    """Runs coroutines, each for at most *limit* seconds from its own start.

    A class that blocks the loop for longer than that cannot be stopped. Then the thread `is_lost`: every call that
    waits for it fails, and the owner makes a new one.
    """

    def __init__(self, limit: float) -> None:
        self._limit = limit
        self._loop = asyncio.new_event_loop()
        self._lock = threading.Lock()
        self._waiting: set[Future[Any]] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._moved_at = time.monotonic()
        self.is_lost = False
        self._thread = threading.Thread(target=self._serve, name="login-plugin", daemon=True)
        self._thread.start()

    def run(self, make: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
        """Return the result of the coroutine that *make* makes, called in the loop's thread.

        Raises:
            LoopHangsError: when it takes longer than the limit, or the loop is lost.
        """
        future: Future[Result] = Future()
        with self._lock:
            if self.is_lost:
                raise LoopHangsError
            if not self._waiting:
                self._moved_at = time.monotonic()
            self._waiting.add(future)
        self._loop.call_soon_threadsafe(self._start, make, future)
        while True:
            try:
                return future.result(_LOOK_SECONDS)
            except TimeoutError:
                if future.done():
                    raise
                self._give_up_if_stuck()

    def close(self) -> None:
        """End the thread, once its present call lets it."""
        with contextlib.suppress(RuntimeError):  # it has ended already
            self._loop.call_soon_threadsafe(self._loop.stop)

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
        finally:
            self._loop.close()

    def _start(self, make: Callable[[], Coroutine[Any, Any, Result]], future: "Future[Result]") -> None:
        task = self._loop.create_task(self._limited(make, future))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        if len(self._tasks) == 1:
            self._tick()

    def _tick(self) -> None:
        """Note that the loop still turns, as long as anybody waits for it."""
        self._moved_at = time.monotonic()
        if self._tasks:
            self._loop.call_later(_TICK_SECONDS, self._tick)

    async def _limited(self, make: Callable[[], Coroutine[Any, Any, Result]], future: "Future[Result]") -> None:
        self._moved_at = time.monotonic()
        limit = asyncio.timeout(self._limit)
        try:
            async with limit:
                result = await make()
        except TimeoutError as error:
            self._settle(future, error=LoopHangsError() if limit.expired() else error)
        except Exception as error:  # noqa: BLE001 whoever waits gets it
            self._settle(future, error=error)
        else:
            self._settle(future, result)
        finally:
            self._moved_at = time.monotonic()

    def _settle(self, future: "Future[Result]", result: Any = None, *, error: Exception | None = None) -> None:
        with self._lock:
            self._waiting.discard(future)
            if future.done():
                return
            if error is not None:
                future.set_exception(error)
            else:
                future.set_result(result)

    def _give_up_if_stuck(self) -> None:
        with self._lock:
            if time.monotonic() - self._moved_at <= self._limit:
                return
            self.is_lost = True
            for future in self._waiting:
                future.set_exception(LoopHangsError())
            self._waiting.clear()
        self.close()
