"""The table of users at 10,000 and at 100,000 users: CPU time of the server, size, and how long one person waits.

One process of the hub, asked directly, without a proxy. Goals are for CPU time, which does not depend on what else the
machine does. With `PEER=1` JupyterHub's admin page stands beside it, with the request by which its script fills it; its
first start with 10,000 users takes minutes, and it needs what peer.py names. Prints a Markdown table, and fails if a
page misses a goal.
"""

import os
import re
import statistics
import tempfile
import time
from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from bench_api import TOKEN, USERS, Hubless
from bench_pages import ADMIN, ADMIN_FILL, OURS, THEIRS, browser
from peer import JupyterHub

from hubless.adapters.sqlite.database import Database
from hubless.adapters.sqlite.users import SqliteGroupStore, SqliteUserStore
from hubless.domain.users import Group, User

ROUNDS = int(os.environ.get("ROUNDS", "5"))
EACH = 20  # requests for each page in each round: the CPU clock ticks every 10 ms
MANY = 100_000
TABLE, SEARCH, SIZE = 50, 30, 150_000  # milliseconds of CPU at most, and bytes


@dataclass(frozen=True)
class View:
    """One address of the table, the goal for it, and what its page has."""

    name: str
    path: str
    goal: int
    has: str = 'scope="row"'


VIEWS = [
    View("first page, 50 rows", "/hub/admin", TABLE),
    View(
        "100 rows with all columns",
        "/hub/admin?limit=100&columns=groups&columns=roles&columns=created&columns=hours&columns=cost",
        TABLE,
    ),
    View("in the middle, by last activity", '/hub/admin?sort=-last_activity&after=[-1,"user05000"]', TABLE),
    View("in the middle, by name", '/hub/admin?after=["user05000","u05000"]', TABLE),
    View("search for `ser0500`", "/hub/admin?name_filter=ser0500", SEARCH),
    View("search for `5`", "/hub/admin?name_filter=5", SEARCH),
    View("running servers, by start", "/hub/admin?state=ready&sort=-started", TABLE),
    View("one group", "/hub/admin?group=class", TABLE),
    View("running and idle for a day", "/hub/admin?idle=24", TABLE, "<h1>"),
]


def add_users(hub, number):
    """Add users up to *number*, of whom a hundred are in a group."""
    database, now = Database(hub.folder / "hub.sqlite"), datetime.now(UTC)
    store = SqliteUserStore(database)
    store.create([User(id=f"u{n:06}", name=f"user{n:06}", created_at=now) for n in range(USERS, number)])
    members = tuple(f"user{n:05}" for n in range(100))
    SqliteGroupStore(database).create(Group("g1", "class", members))
    database.close()


def ask(client, view):
    """Return how long a page takes in milliseconds, and its size in bytes."""
    began = time.perf_counter()
    answer = client.get(view.path)
    took = (time.perf_counter() - began) * 1000
    if answer.status_code != 200 or not re.search(view.has, answer.text):
        raise RuntimeError(f"{view.path}: {answer.status_code} {answer.text[:300]}")
    return took, len(answer.content)


def measure(hub):
    """Return for each view CPU milliseconds of a request, the median time, and the size."""
    client, found = browser(hub.url, ADMIN), {}
    for view in VIEWS:
        ask(client, view)  # warms
        before, asked = hub.cpu_seconds(), [ask(client, view) for _ in range(ROUNDS * EACH)]
        cpu = (hub.cpu_seconds() - before) * 1000 / len(asked)
        found[view.name] = cpu, statistics.median(took for took, _ in asked), asked[-1][1]
    return found


def measure_peer(folder):
    """Return JupyterHub's CPU milliseconds for its admin page, with the request that its script makes."""
    with closing(JupyterHub(folder, users=USERS, token=TOKEN, more=THEIRS)) as peer:
        client = browser(peer.url, ADMIN)
        pages = [View("page", "/hub/admin", TABLE, "react-admin-hook"), View("fill", ADMIN_FILL, TABLE, "user00000")]
        for view in pages:
            ask(client, view)
        before = peer.cpu_seconds()
        for _ in range(ROUNDS * EACH):
            for view in pages:
                ask(client, view)
        return (peer.cpu_seconds() - before) * 1000 / (ROUNDS * EACH)


def main():
    folder, missed = Path(tempfile.mkdtemp(prefix="hubless-bench-")), []
    found = {}
    for number in (USERS, MANY):
        with ExitStack() as stack:
            place = folder / str(number)
            place.mkdir()
            hub = stack.enter_context(closing(Hubless(place, more=OURS)))
            add_users(hub, number)
            found[number] = measure(hub)
    print(f"| view | CPU, ms | goal | p50, ms | kB (≤ {SIZE // 1000}) | CPU with {MANY:,} users | |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for view in VIEWS:
        cpu, p50, size = found[USERS][view.name]
        is_met = cpu <= view.goal and size <= SIZE
        missed += [] if is_met else [view.name]
        print(
            f"| {view.name} | {cpu:.1f} | ≤ {view.goal} | {p50:.1f} | {size / 1000:.0f}"
            f" | {found[MANY][view.name][0]:.1f} | {'met' if is_met else '**missed**'} |"
        )
    if os.environ.get("PEER"):
        print(f"\nJupyterHub's admin page with {USERS:,} users: {measure_peer(folder):.1f} ms of CPU")
    if missed:
        raise SystemExit(f"missed: {', '.join(missed)}")


if __name__ == "__main__":
    main()
