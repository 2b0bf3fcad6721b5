"""Logins beside 2,050 requests whose bodies never come: 50 more than the API has places.

The requests come through the edge from one address, and again as soon as the edge has given them up. Half of them send
nothing of a small body; the others send 60 kB of a large one, which fills HAProxy's buffer and goes on to the API.
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
LOGINS = 300
LAST_SECONDS = 20  # of the logins together: the edge gives a body up after 15
PASSWORD = "benchmark"
SETTINGS = f"[login]\nkind = 'shared-password'\npassword = '{PASSWORD}'\n"
_HEAD = (
    "POST /hub/login HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/x-www-form-urlencoded\r\n"
    "Content-Length: {}\r\n\r\n"
)
_SMALL = _HEAD.format(1_000).encode()
_LARGE = _HEAD.format(900_000).encode() + b"x" * 60_000
_SENDER = "127.0.0.2"


def hold(port, count, large_every, is_open, is_over):
    """Hold *count* requests open whose bodies do not end; set *is_open* once they are, and end with *is_over*."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    texts = itertools.cycle([_SMALL] * (large_every - 1) + [_LARGE])
    lines, poll = {}, select.poll()

    def open_one():
        line = socket.create_connection(("127.0.0.1", port), 20, (_SENDER, 0))
        line.setblocking(False)
        with suppress(BlockingIOError):
            line.send(next(texts))
        lines[line.fileno()] = line
        poll.register(line, select.POLLIN)

    for _ in range(count):
        open_one()
    is_open.set()
    while not is_over.is_set():
        for number, _ in poll.poll(100):  # the edge has answered or closed it
            poll.unregister(number)
            lines.pop(number).close()
            with suppress(OSError):
                open_one()


@contextmanager
def slow_bodies(port, count=BODIES, *, large_every=2):
    """Hold so many requests open in a process of its own; every *large_every*th has a large body."""
    start = multiprocessing.get_context("spawn")
    is_open, is_over = start.Event(), start.Event()
    process = start.Process(target=hold, args=(port, count, large_every, is_open, is_over))
    process.start()
    try:
        assert is_open.wait(60)
        yield
    finally:
        is_over.set()
        process.join()


def login_seconds(url, logins, pause):
    """Return how long each of so many logins took, one after the other, each with the page before it."""
    took = []
    for number in range(logins):
        with httpx.Client(base_url=url, timeout=60, verify=False) as browser:
            began = time.monotonic()
            browser.get("/hub/login").raise_for_status()
            form = {"username": f"user{number}", "password": PASSWORD, "_xsrf": browser.cookies["_xsrf"]}
            answer = browser.post("/hub/login", data=form)
            assert answer.is_redirect, (answer.status_code, answer.text[:500])
            took.append(time.monotonic() - began)
        time.sleep(pause)
    return took


def p99(seconds):
    return statistics.quantiles(seconds, n=100, method="inclusive")[98]


def measure(hub, logins=LOGINS):
    """Return the p99 of so many logins at *hub*, alone and beside the bodies, in seconds; `PASSWORD` opens it."""
    login_seconds(hub.url, 50, 0)  # what is loaded at the first login
    alone = p99(login_seconds(hub.url, logins, 0.12))
    with slow_bodies(hub.port):
        beside = p99(login_seconds(hub.url, logins, LAST_SECONDS / logins))
    return alone, beside


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
