"""Several at once, and waiting for what must come."""

import threading
import time

MANY = 8


def at_once(function, times=MANY):
    """Call *function* with 0, 1, … from as many threads that start together; return what came back or was raised."""
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
    """Return the first true value of *function*; fail when none comes."""
    end = time.monotonic() + within
    while not (value := function()):
        assert time.monotonic() < end, f"{function} never came true"
        time.sleep(0.01)
    return value
