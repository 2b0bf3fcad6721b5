"""A downtime of twice `idle_after`: no server in use is ended by it, and those that nobody uses are ended after it."""

import threading
import time

from faults.hubs import Ours, seconds_until
from faults.rows import NO_NOTION, Row, progress

IDLE_SECONDS = 10
USED, UNUSED = 5, 2  # servers
CULLED_SECONDS = 90  # until a hub that culls has ended those that nobody uses
ROUNDS_AT_MOST = 10


def measure(rounds):
    """Return the row."""
    times = max(2, min(rounds // 5, ROUNDS_AT_MOST))
    found = Found(times)
    hub = Ours(culling=f"idle_after = '{IDLE_SECONDS}s'").up()
    is_over = threading.Event()
    user = threading.Thread(target=use, args=(hub, names("used", USED), is_over))
    try:
        before = launches(hub, names("used", USED))
        user.start()
        for number in range(times):
            unused = launches(hub, names("unused", UNUSED))
            be_down(hub, kill=number % 2 == 1)
            seconds_until(lambda unused=unused: not running(hub, unused), limit=CULLED_SECONDS, every=0.5)
            found.add(before, running(hub, before), running(hub, unused))
            before = launches(hub, names("used", USED))
            progress(f"downtime {number + 1} of {times}: {found.shown()}")
    finally:
        is_over.set()
        user.join()
        hub.close()
    name = f"servers ended by a downtime of twice `idle_after` while in use ({times} times {USED})"
    # At JupyterHub a service culls, whoever installs it.
    return [Row(name, "0", found.is_met(), found.shown(), NO_NOTION)]


class Found:
    """What became of the servers in so many downtimes."""

    def __init__(self, times):
        self.times, self.seen = times, 0
        self.ended = self.culled = self.kept = 0

    def add(self, used, used_running, unused_running):
        """Count one downtime: launches in use before it, and which of them and of the others run after it."""
        self.seen += 1
        self.ended += len(used.keys() - used_running)
        self.culled += UNUSED - len(unused_running)
        self.kept += len(unused_running)

    def is_met(self):
        """Say whether the bound is met: a hub that ends nobody at all says nothing."""
        return self.seen == self.times > 0 and self.ended == self.kept == 0 < self.culled

    def shown(self):
        kept = f", and {self.kept} were not" if self.kept else ""
        return f"{self.ended}; {self.culled} that nobody used were ended after it{kept}"


def names(prefix, count):
    return [f"{prefix}{number}" for number in range(count)]


def launches(hub, owners):
    """Start the servers that do not run, and return the launch of each."""
    return {name: hub.start(name) for name in owners}


def use(hub, owners, is_over):
    """Change something at each server every second, as a person does; while the hub is down nobody answers."""
    while not is_over.wait(1):
        for name in owners:
            hub.ask("POST", f"/user/{name}/work")


def be_down(hub, *, kill):
    """Let the hub be down for twice the limit: ended, or killed, and then HAProxy serves on."""
    if kill:
        for process in [p for role in ("api", "worker", "edge") for p in hub.of_role(role)]:
            process.kill()
        hub.process.kill()
        hub.process.wait()
        hub.process.stdout.close()
    else:
        hub.end()
    time.sleep(2 * IDLE_SECONDS)
    hub.up()


def running(hub, wanted):
    """Return whose server of *wanted*, launches by owner, runs on in that launch."""
    models = {name: hub.until(hub.server, name) for name in wanted}
    return {name for name, one in models.items() if one["ready"] and one["state"]["launch_id"] == wanted[name]}
