"""What is done at a signal, done by a thread."""

import queue
import signal
import threading
from collections.abc import Callable, Collection


def on_signals(numbers: Collection[int], *acts: Callable[[], object]) -> None:
    """Have a thread do the next of *acts* at each of these signals; when all are done, signals do nothing more.

    A handler runs in the midst of whatever its thread does. An event that it sets may just be being waited for there, with
    the event's lock held, and then neither goes on; the queue that it speaks to here has no such lock.
    """
    told: queue.SimpleQueue[int] = queue.SimpleQueue()

    def pass_on() -> None:
        for act in acts:
            told.get()
            act()

    threading.Thread(target=pass_on, name="signals", daemon=True).start()
    for number in numbers:
        signal.signal(number, lambda number, _frame: told.put(number))
