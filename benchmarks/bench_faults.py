"""Bad days: the hub's table of faults, with JupyterHub 6.1.1 beside it where it has the same notion.

ROUNDS=1 is a quick run of some minutes, 100 the full one, which takes hours; `PARTS=kills,websockets` runs some of the
parts, and with PEER=0 JupyterHub is left out. What takes long says on standard error how far it is. Prints the table,
and fails if a bound is not met. INT and TERM end it at once; it leaves no process and no folder.
"""

import contextlib
import os
import sys
import time

from faults import cloud_downtime, downtime, hanging, kills, memory, slow_bodies, slow_write, unread_log, websockets
from faults.hubs import Ours, Theirs
from faults.rows import HEAD, Row, progress
from faults.scratch import scratch

from tests.support.bad_days import TOKEN

ROUNDS = int(os.environ.get("ROUNDS", "5"))
HAS_PEER = os.environ.get("PEER", "1") != "0"
KINDS = (Ours, Theirs) if HAS_PEER else (Ours,)
LOGIN_FACTOR, MEMORY_FACTOR = 2.0, 1.1
TURNS = min(max(slow_bodies.TURNS, ROUNDS // 10), 5)
REQUESTS, STARTS = memory.REQUESTS * ROUNDS // 100, memory.STARTS * ROUNDS // 100


def at_each(measure, **facts):
    """Return what *measure* finds at each hub; *facts* are for ours."""
    found = []
    for kind in KINDS:
        with contextlib.closing(kind(**facts if kind is Ours else {}).up()) as hub:
            found.append(measure(hub))
            progress(f"{hub.name}: {found[-1]}")
    return found


def slow_writes():
    """GET while another process holds SQLite's write lock, at each hub."""
    figures = at_each(lambda hub: slow_write.measure(hub.url, TOKEN, hub.database))
    ours = figures[0]
    return [
        Row(
            f"GET p99 while a writer holds SQLite {slow_write.HELD_SECONDS:g} s",
            f"≤ {slow_write.BOUND_MS:g} ms",
            ours["get_p99_ms"] <= slow_write.BOUND_MS and not ours["gets_failed"],
            *(f"{one['get_p99_ms']:.0f} ms, {one['gets_failed']} of {one['gets']} failed" for one in figures),
        )
    ]


def logins_beside_slow_bodies():
    """Logins beside requests whose bodies never come."""
    login = f"kind = 'shared-password'\npassword = '{slow_bodies.PASSWORD}'"
    found = at_each(lambda hub: slow_bodies.measure(hub, TURNS), login=login)
    texts = [f"{beside * 1000:.0f} ms, alone {alone * 1000:.0f} ms: {beside / alone:.1f}x" for alone, beside in found]
    name = f"{slow_bodies.BODIES} bodies that never come: login p99"
    alone, beside = found[0]
    return [Row(name, f"≤ {LOGIN_FACTOR:g}x unloaded", beside <= LOGIN_FACTOR * alone, *texts)]


def growth_of_memory():
    """Memory before and after many requests, starts and stops, of processes that lived through them."""

    def measure(hub):
        processes = hub.pids()
        figures = memory.measure(hub, hub.megabytes, TOKEN, REQUESTS, STARTS)
        assert hub.pids() == processes, "a process ended meanwhile, and what it had grown to is not counted"
        return figures

    found = at_each(measure)
    texts = [f"{after:.0f} MB, before {before:.0f} MB: {after / before:.2f}x" for before, after in found]
    name = f"memory after {REQUESTS} requests and {STARTS} starts and stops"
    before, after = found[0]
    return [Row(name, f"≤ {MEMORY_FACTOR}x before", after <= MEMORY_FACTOR * before, *texts)]


PARTS = {
    "kills": lambda: kills.measure(ROUNDS, has_peer=HAS_PEER),
    "websockets": lambda: websockets.measure(ROUNDS, has_peer=HAS_PEER),
    "hanging": lambda: hanging.measure(ROUNDS, has_peer=HAS_PEER),
    "unread_log": lambda: unread_log.measure(ROUNDS),
    "downtime": lambda: [*downtime.measure(ROUNDS), *cloud_downtime.measure()],
    "slow_write": slow_writes,
    "slow_bodies": logins_beside_slow_bodies,
    "memory": growth_of_memory,
}


def main():
    wanted = os.environ.get("PARTS", "")
    rows = []
    with scratch():
        for name in wanted.split(",") if wanted else PARTS:
            progress(f"== {name}")
            began = time.monotonic()
            rows += PARTS[name]()
            print("\n".join(map(str, rows)), file=sys.stderr, flush=True)
            progress(f"== {name} took {time.monotonic() - began:.0f} s")
    print(f"ROUNDS={ROUNDS}\n\n{HEAD}")
    print("\n".join(map(str, rows)))
    sys.exit(not all(row.is_met for row in rows))


if __name__ == "__main__":
    main()
