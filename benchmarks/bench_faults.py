"""Bad days: the hub's table of faults, with JupyterHub 6.1.1 beside it where it has the same notion.

ROUNDS=5 is a quick run, 100 the full one, which takes hours; `PARTS=kills,websockets` runs some of the parts, and with
PEER=0 JupyterHub is left out. What takes long says on standard error how far it is. Prints the table, and fails if a
bound is not met.
"""

import contextlib
import os
import sys
import tempfile
from pathlib import Path

from faults import downtime, hanging, kills, memory, slow_bodies, slow_write, unread_log, websockets
from faults.hubs import Ours, Theirs
from faults.rows import HEAD, Row, progress

from tests.support.bad_days import TOKEN
from tests.support.local_hub import LocalHub

ROUNDS = int(os.environ.get("ROUNDS", "5"))
HAS_PEER = os.environ.get("PEER", "1") != "0"
LOGIN_FACTOR, MEMORY_FACTOR = 2.0, 1.1


def slow_writes():
    """GET while another process holds SQLite's write lock, at both hubs."""
    figures = []
    for kind in (Ours, Theirs) if HAS_PEER else (Ours,):
        hub = kind()
        with contextlib.closing(hub.up() if kind is Ours else hub):
            file = hub.folder / ("data/hub.sqlite" if kind is Ours else "peer/jupyterhub.sqlite")
            figures.append(slow_write.measure(hub.url, TOKEN, file))
    ours = figures[0]
    return [
        Row(
            f"GET p99 while a writer holds SQLite {slow_write.HELD_SECONDS:g} s",
            *(f"{one['get_p99_ms']:.0f} ms" for one in figures[:1]),
            f"≤ {slow_write.BOUND_MS:g} ms",
            ours["get_p99_ms"] <= slow_write.BOUND_MS and not ours["gets_failed"],
            *(f"{one['get_p99_ms']:.0f} ms" for one in figures[1:]),
        )
    ]


def logins_beside_slow_bodies():
    """Logins beside requests whose bodies never come."""
    with tempfile.TemporaryDirectory(prefix="hubless-bench-") as folder:
        hub = LocalHub(Path(folder), slow_bodies.SETTINGS)
        with contextlib.closing(hub):
            alone, beside = slow_bodies.measure(hub)
    ratio = beside / alone
    text = f"{beside * 1000:.0f} ms, alone {alone * 1000:.0f} ms: {ratio:.1f}x"
    name = f"{slow_bodies.BODIES} bodies that never come: login p99"
    return [Row(name, text, f"≤ {LOGIN_FACTOR:g}x unloaded", ratio <= LOGIN_FACTOR)]


def growth_of_memory():
    """Memory before and after many requests, starts and stops."""
    with tempfile.TemporaryDirectory(prefix="hubless-bench-") as folder:
        Path(folder).chmod(0o755)
        program = Path(folder) / "server.py"
        program.write_text(memory.SERVER)
        hub = LocalHub(Path(folder), memory.settings(program))
        with contextlib.closing(hub):
            before, after = (sum(sizes.values()) for sizes in memory.measure(hub))
    ratio = after / before
    name = f"memory after {memory.REQUESTS} requests and {memory.STARTS} starts and stops"
    text = f"{after:.0f} MB, before {before:.0f} MB: {ratio:.2f}x"
    return [Row(name, text, f"≤ {MEMORY_FACTOR}x before", ratio <= MEMORY_FACTOR)]


PARTS = {
    "kills": lambda: kills.measure(ROUNDS, has_peer=HAS_PEER),
    "websockets": lambda: websockets.measure(ROUNDS, has_peer=HAS_PEER),
    "hanging": lambda: hanging.measure(ROUNDS, has_peer=HAS_PEER),
    "unread_log": lambda: unread_log.measure(ROUNDS),
    "downtime": lambda: downtime.measure(ROUNDS),
    "slow_write": slow_writes,
    "slow_bodies": logins_beside_slow_bodies,
    "memory": growth_of_memory,
}


def main():
    wanted = os.environ.get("PARTS", "")
    rows = []
    for name in wanted.split(",") if wanted else PARTS:
        progress(f"== {name}")
        rows += PARTS[name]()
        print("\n".join(map(str, rows)), file=sys.stderr, flush=True)
    print(f"ROUNDS={ROUNDS}\n\n{HEAD}")
    print("\n".join(map(str, rows)))
    sys.exit(not all(row.is_met for row in rows))


if __name__ == "__main__":
    main()
