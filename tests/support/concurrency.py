"""Run a function in several threads together, and wait for a condition."""

import threading
import time

MANY = 8


def concurrently(function, times=MANY):
    """Call *function* with 0, 1, … from *times* threads that start together; return each result or exception."""
    barrier = threading.Barrier(times)
    outcomes = [None] * times

    def run(number):
        barrier.wait(30)
        try:
            outcomes[number] = function(number)
        except Exception as error:
            outcomes[number] = error

    threads = [threading.Thread(target=run, args=(number,)) for number in range(times)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return outcomes


def eventually(function, within=20):
    """Return the first true value of *function*; fail when none comes *within* that many seconds."""
    end = time.monotonic() + within
    while not (value := function()):
        assert time.monotonic() < end, f"{function} never came true"
        time.sleep(0.01)
    return value
