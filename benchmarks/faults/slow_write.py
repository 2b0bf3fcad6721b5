"""One slow write: what reads and writes wait while another process holds SQLite's write lock.

`measure` asks a hub that runs on this machine. Run as a program, it starts one, prints the figures, and fails if a
bound is missed.
"""

import sqlite3
import statistics
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import httpx

TOP = Path(__file__).parents[2]
sys.path.insert(0, str(TOP))

from tests.support.local_hub import LocalHub  # noqa: E402 of this checkout

HELD_SECONDS = 5.0
READERS, WRITERS = 8, 4
PAUSE_SECONDS = 0.08  # between two requests of one of them
BOUND_MS = 50.0  # GET p99 while the lock is held
TOKEN = "benchmark-token-0123456789"
SETTINGS = f"""
[login]
kind = "shared-password"
password = "benchmark"
[[services]]
name = "benchmark"
admin = true
token = "{TOKEN}"
"""


def measure(url: str, token: str, database: Path, held_seconds: float = HELD_SECONDS) -> dict[str, float]:
    """Hold the lock of the hub's *database* while readers and writers ask the hub, and return figures.

    A request's time counts from when it was due, so that those that wait behind a slow one count too.

    Returns:
        `get_p50_ms`, `get_p99_ms`, `get_max_ms` and `gets` while it was held, `gets_failed`; of the writes `posts`,
        `posts_503`, those of them without `Retry-After`, `post_max_ms`; `post_after_status` of a write after it.
    """
    headers = {"Authorization": f"token {token}"}
    is_held = threading.Event()
    with ThreadPoolExecutor(1 + READERS + WRITERS) as pool:
        holding = pool.submit(_hold, database, held_seconds, is_held)
        while not is_held.wait(0.1) and not holding.done():
            pass
        end = time.monotonic() + held_seconds
        reading = [pool.submit(_ask, url, headers, "GET", n, end) for n in range(READERS)]
        writing = [pool.submit(_ask, url, headers, "POST", n, end) for n in range(WRITERS)]
        gets = [one for done in reading for one in done.result()]
        posts = [one for done in writing for one in done.result()]
        holding.result()
    after = httpx.post(f"{url}/hub/api/users/after", headers=headers, timeout=30)
    times = [took for took, *_ in gets]
    return {
        "gets": len(gets),
        "gets_failed": sum(status != 200 for _, status, _ in gets),
        "get_p50_ms": statistics.median(times),
        "get_p99_ms": statistics.quantiles(times, n=100)[98],
        "get_max_ms": max(times),
        "posts": len(posts),
        "posts_503": sum(status == 503 for _, status, _ in posts),
        "posts_503_without_retry_after": sum(status == 503 and not retry for _, status, retry in posts),
        "post_max_ms": max(took for took, *_ in posts),
        "post_after_status": after.status_code,
    }


def _hold(database: Path, seconds: float, is_held: threading.Event) -> None:
    """Hold the lock for so long, whoever waits: a hub that blocks answers only after the release."""
    with closing(sqlite3.connect(database, timeout=30, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        is_held.set()
        time.sleep(seconds)
        other.execute("ROLLBACK")


def _ask(url: str, headers: dict[str, str], method: str, number: int, end: float) -> list[tuple[float, int, str]]:
    """Return milliseconds, status (0: none) and Retry-After of each request of one client until *end*."""
    found = []
    with httpx.Client(base_url=f"{url}/hub/api", headers=headers, timeout=30, verify=False) as client:  # no TLS here
        due = time.monotonic() + number * PAUSE_SECONDS / READERS
        while due < end:
            time.sleep(max(0.0, due - time.monotonic()))
            path = "/users?limit=20" if method == "GET" else f"/users/somebody-{number}-{len(found)}"
            try:
                answer = client.request(method, path)
                told = answer.status_code, answer.headers.get("Retry-After", "")
            except httpx.HTTPError:
                told = 0, ""
            now = time.monotonic()
            found.append(((now - due) * 1000, *told))
            due = max(due + PAUSE_SECONDS, now if method == "POST" else 0.0)
    return found


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        hub = LocalHub(Path(folder), SETTINGS, admin_token=TOKEN)
        with closing(hub):
            hub.admin.get("/users").raise_for_status()
            figures = measure(hub.url, TOKEN, Path(folder) / "data" / "hub.sqlite")
    for name, figure in figures.items():
        print(f"{name:32} {figure:10.1f}")
    if figures["get_p99_ms"] > BOUND_MS or figures["gets_failed"] or figures["posts_503_without_retry_after"]:
        sys.exit(f"not met: GET p99 ≤ {BOUND_MS:g} ms, no GET fails, each 503 says when to come again")


if __name__ == "__main__":
    main()
