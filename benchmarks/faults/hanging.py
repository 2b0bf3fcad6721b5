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
    assert hub.is_reached(user), f"the server of {user} never came"
    took = time.monotonic() - began
    hub.ask("DELETE", f"/hub/api/users/{user}/server")
    seconds_until(lambda: user not in hub.owners_running())
    seconds_until(lambda: not hub.server(user) or hub.server(user)["stopped"])
    return took


def of_hub(hub, rounds, owners):
    """Return the medians of a start alone and beside hanging servers of so many owners, and how many of those ran."""
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
    hanging = sum(hub.owners_running().values())
    beside = [start_seconds(hub, "other") for _ in range(rounds)]
    found = statistics.median(alone), statistics.median(beside), hanging
    progress(f"hanging servers of {owners}, {hub.name}: alone {found[0]:.2f} s, beside {hanging} {found[1]:.2f} s")
    return found


def is_met(alone, beside, hanging):
    """Say whether the bound is met: beside nothing that hangs it says nothing."""
    return hanging > 0 and beside <= BOUND * alone


def text_of(alone, beside, hanging):
    return f"{beside:.2f} s beside {hanging} that run, alone {alone:.2f} s: {beside / alone:.1f}x"


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
        name = f"another's start beside {HANGING} hanging servers of {text}"
        rows.append(Row(name, f"≤ {BOUND}x", is_met(*shown[0]), *(text_of(*one) for one in shown)))
    return rows
