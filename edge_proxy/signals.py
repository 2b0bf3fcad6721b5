"""Runs actions on signals, in a thread."""

import queue
import signal
import threading
from collections.abc import Callable, Collection


def on_signals(numbers: Collection[int], *actions: Callable[[], object]) -> None:
    """Run the next of *actions* in a thread at each of these signals; ignore the signals after the last action.

    A signal handler interrupts the main thread anywhere. If it set an event while the main thread waits for that event
    and holds its lock, both would wait for ever. A SimpleQueue is safe to use in a handler.
    """
    received: queue.SimpleQueue[int] = queue.SimpleQueue()

    def run_actions() -> None:
        for action in actions:
            received.get()
            action()

    threading.Thread(target=run_actions, name="signals", daemon=True).start()
    for number in numbers:
        signal.signal(number, lambda number, _frame: received.put(number))
