"""Logins beside 2,050 requests whose bodies never come: 50 more than the API has places.

The requests come through the edge from one address, and again as soon as the edge has given them up. Half of them send
nothing of a small body; the others send 60 kB of a large one, which fills HAProxy's buffer and goes on to the API.

Requests that were sent together are given up together: the edge's after 10 and 15 seconds, the API's after 30. So one
turn is logins alone for `TURN_SECONDS`, and then as long beside the bodies, which meets each of these times.
"""

import itertools
import multiprocessing
import resource
import select
import socket
import statistics
import time
from contextlib import contextmanager, suppress

import httpx

BODIES = 2_050
TURNS = 2
TURN_SECONDS = 35
PAUSE_SECONDS = 0.05  # between two logins
WARM_SECONDS = 2
EARLY_SECONDS = 5  # a request that ends sooner was refused, and not held: with many of them the figure says nothing
EARLY = 0.05  # of the requests
PASSWORD = "benchmark"
SETTINGS = f"[login]\nkind = 'shared-password'\npassword = '{PASSWORD}'\n"
_HEAD = (
    "POST /hub/login HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/x-www-form-urlencoded\r\n"
    "Content-Length: {}\r\n\r\n"
)
_SMALL = _HEAD.format(1_000).encode()
_LARGE = _HEAD.format(900_000).encode() + b"x" * 60_000
_SENDER = "127.0.0.2"


def hold(port, count, large_every, is_over, told):
    """Hold *count* requests whose bodies do not end until *is_over*; tell when all are open, and how many end early."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    texts = itertools.cycle([_SMALL] * (large_every - 1) + [_LARGE])
    lines, poll = {}, select.poll()

    def open_all():
        while len(lines) < count:
            line = socket.create_connection(("127.0.0.1", port), 20, (_SENDER, 0))
            line.setblocking(False)
            with suppress(BlockingIOError):
                line.send(next(texts))
            lines[line.fileno()] = line, time.monotonic()
            poll.register(line, select.POLLIN)

    open_all()
    told.send(None)
    early = 0
    while not is_over.is_set():
        for number, _ in poll.poll(100):  # the edge has answered or closed it
            poll.unregister(number)
            line, began = lines.pop(number)
            line.close()
            early += time.monotonic() - began < EARLY_SECONDS
        try:
            open_all()
        except OSError:  # tried again in a moment
            early += 1
    told.send(early)


@contextmanager
def slow_bodies(port, count=BODIES, *, large_every=2):
    """Hold so many requests open in a process of its own; every *large_every*th has a large body.

    Raises:
        AssertionError: when it could not.
    """
    start = multiprocessing.get_context("spawn")
    is_over, (hears, told) = start.Event(), start.Pipe(duplex=False)
    process = start.Process(target=hold, args=(port, count, large_every, is_over, told))
    process.start()
    told.close()
    try:
        assert hears.poll(60), "the requests are not open after a minute"
        hears.recv()
        yield
        is_over.set()
        early = hears.recv()
        assert early <= EARLY * count, f"{early} requests ended early: fewer than {count} were held"
    finally:
        is_over.set()
        process.join()


def login_seconds(url, last_seconds):
    """Return how long each login took, one after the other for so long, each with the page before it."""
    took, until = [], time.monotonic() + last_seconds
    while time.monotonic() < until:
        with httpx.Client(base_url=url, timeout=60, verify=False) as browser:
            began = time.monotonic()
            browser.get("/hub/login").raise_for_status()
            form = {"username": f"user{len(took)}", "password": PASSWORD, "_xsrf": browser.cookies["_xsrf"]}
            answer = browser.post("/hub/login", data=form)
            assert answer.is_redirect, (answer.status_code, answer.text[:500])
            took.append(time.monotonic() - began)
        time.sleep(PAUSE_SECONDS)
    return took


def p99(seconds):
    return statistics.quantiles(seconds, n=100, method="inclusive")[98]


def measure(hub, turns=TURNS):
    """Return the p99 of logins at *hub*, alone and beside the bodies in turns, in seconds; `PASSWORD` opens it."""
    alone, beside = [], []
    for _ in range(turns):
        login_seconds(hub.url, WARM_SECONDS)  # what is loaded at the first login, and what the last bodies left
        alone += login_seconds(hub.url, TURN_SECONDS)
        with slow_bodies(hub.port):
            beside += login_seconds(hub.url, TURN_SECONDS)
    return p99(alone), p99(beside)


def main():
    import sys
    import tempfile
    from pathlib import Path

    sys.path.insert(0, str(Path(__file__).parents[2]))
    from tests.support.local_hub import LocalHub

    with tempfile.TemporaryDirectory(prefix="hubless-bench-") as folder:
        hub = LocalHub(Path(folder), SETTINGS)
        try:
            alone, beside = measure(hub)
        finally:
            hub.close()
    print(f"login p99 alone {alone * 1000:.0f} ms; beside {BODIES} bodies that never come {beside * 1000:.0f} ms")


if __name__ == "__main__":
    main()
