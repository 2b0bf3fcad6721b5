"""Another's start beside 20 servers that take connections and do not answer."""

import contextlib
import statistics
import time
from concurrent.futures import ThreadPoolExecutor

from faults.hubs import Ours, Theirs, seconds_until
from faults.rows import Row, progress

HANGING = 20
BOUND = 1.5
SETTLED_SECONDS = 10  # a hub may let fewer than all start at once


def start_seconds(hub, user):
    """Start the user's server, stop it again, and return how long the start took until it was reached."""
    began = time.monotonic()
    hub.until(hub.ask, "POST", f"/hub/api/users/{user}/server")
    seconds_until(hub.is_ready, user)
    seconds_until(hub.is_reached, user)
    took = time.monotonic() - began
    hub.ask("DELETE", f"/hub/api/users/{user}/server")
    seconds_until(lambda: user not in hub.owners_running())
    seconds_until(lambda: not hub.server(user) or hub.server(user)["stopped"])
    return took


def of_hub(hub, rounds, owners):
    """Return the medians of a start alone and beside hanging servers of so many owners."""
    hub.until(hub.ask, "POST", "/hub/api/users/other")
    start_seconds(hub, "other")  # what is loaded at the first start
    alone = [start_seconds(hub, "other") for _ in range(rounds)]
    names = [f"hang{number}" for number in range(owners)]
    for name in names:
        hub.until(hub.ask, "POST", f"/hub/api/users/{name}")

    def ask(number):
        path = f"/hub/api/users/{names[number % owners]}/server" + (f"s/s{number}" if owners == 1 else "")
        hub.ask("POST", path)

    with ThreadPoolExecutor(HANGING) as pool:  # JupyterHub answers a POST after ten seconds where a server hangs
        asked = [pool.submit(ask, number) for number in range(HANGING)]
        seconds_until(lambda: sum(hub.owners_running().values()) == HANGING, limit=SETTLED_SECONDS)
        for one in asked:
            one.result()
    beside = [start_seconds(hub, "other") for _ in range(rounds)]
    found = statistics.median(alone), statistics.median(beside)
    progress(f"hanging servers of {owners}, {hub.name}: alone {found[0]:.2f} s, beside {found[1]:.2f} s")
    return found


def measure(rounds, *, has_peer):
    """Return the rows."""
    rows = []
    for owners, text in ((1, "one owner"), (HANGING, f"{HANGING} owners")):
        shown = []
        for kind in (Ours, Theirs) if has_peer else (Ours,):
            hub = kind()
            if kind is Ours:
                hub.change("named_limit = 0", f"named_limit = {HANGING}")
            with contextlib.closing(hub.up()):
                shown.append(of_hub(hub, rounds, owners))
        ratios = [beside / alone for alone, beside in shown]
        texts = [f"{b:.2f} s, alone {a:.2f} s: {r:.1f}x" for (a, b), r in zip(shown, ratios, strict=True)]
        name = f"another's start beside {HANGING} hanging servers of {text}"
        rows.append(Row(name, f"≤ {BOUND}x", ratios[0] <= BOUND, *texts))
    return rows
