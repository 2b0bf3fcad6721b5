"""A downtime of twice `idle_after` while servers are in use: none is ended."""

import threading
import time

from faults.hubs import Ours, seconds_until
from faults.rows import NO_NOTION, Row, progress

IDLE_SECONDS = 10
SERVERS = 5
SWEEPS_SECONDS = 6  # several sweeps after the start
ROUNDS_AT_MOST = 10


def measure(rounds):
    """Return the row."""
    times, ended = max(2, min(rounds // 5, ROUNDS_AT_MOST)), 0
    hub = Ours(culling=f"idle_after = '{IDLE_SECONDS}s'").up()
    names, is_over = [f"busy{number}" for number in range(SERVERS)], threading.Event()

    def use():
        while not is_over.wait(1):
            for name in names:
                hub.ask("GET", f"/user/{name}/api")

    user = threading.Thread(target=use)
    try:
        launches = {name: hub.start(name) for name in names}
        user.start()
        for number in range(times):
            if number % 2:  # the hub is killed, and HAProxy serves on
                for process in [p for role in ("api", "worker", "edge") for p in hub.of_role(role)]:
                    process.kill()
                hub.process.kill()
                hub.process.wait()
                hub.process.stdout.close()
            else:
                hub.end()
            time.sleep(2 * IDLE_SECONDS)
            hub.up()
            time.sleep(SWEEPS_SECONDS)
            ended += sum(not is_same(hub, name, launch) for name, launch in launches.items())
            launches = {name: hub.start(name) for name in names}
            progress(f"downtime {number + 1} of {times}: {ended} servers ended")
    finally:
        is_over.set()
        user.join()
        hub.close()
    return [
        Row(
            f"servers ended by a downtime of twice `idle_after` while in use ({times} times {SERVERS})",
            "0",
            ended == 0,
            str(ended),
            NO_NOTION,  # a service culls there, whoever installs it
        )
    ]


def is_same(hub, name, launch):
    """Say whether the server's launch runs on."""
    seconds_until(lambda: hub.server(name))
    server = hub.server(name)
    return bool(server["ready"]) and server["state"]["launch_id"] == launch
