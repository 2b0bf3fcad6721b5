"""What a hub on one machine leaves on the disk: 10,000 launches and 100,000 reports of activity by 500 users.

Servers are folders with a log, as servers write one, and no processes; the clock is the benchmark's. The services, the
database and the sweeps are real. Of ten starts one is stopped before its task is noted, as by a crash. Prints what is
there after each part, and after the launches have expired.
"""

import logging
import os
import sys
import tempfile
from datetime import timedelta
from pathlib import Path

TOP = Path(__file__).parents[1]
sys.path.insert(0, str(TOP))

from embedded import data_folder, database_file  # noqa: E402 of this checkout
from hubless.adapters.processes.launcher import ProcessLauncher  # noqa: E402
from hubless.bootstrap import machine  # noqa: E402
from hubless.domain.audit import Act, Doer, DoerKind  # noqa: E402
from hubless.domain.lifecycle import State  # noqa: E402
from hubless.ports.launcher import TaskRunning, TaskStopped  # noqa: E402
from hubless.settings import load  # noqa: E402
from tests.support.builders import NOW, a_user  # noqa: E402
from tests.support.fakes import InstantEdge, ScriptedReadiness, StoppedClock  # noqa: E402

LAUNCHES = int(os.environ.get("LAUNCHES", "10000"))
POSTS = int(os.environ.get("POSTS", "100000"))
USERS = 500
STOPPED_AT_ONCE = 10  # of so many starts one
LOG_BYTES = 20_000  # of JupyterLab's start
LOUD_BYTES, LOUD = 200_000_000, 1_000  # of so many servers one prints so much
LAUNCH_SECONDS = 3  # of the benchmark's clock between two launches
ENDED = "4194304 1"  # the process of each launch: none has this id


class Folders(ProcessLauncher):
    """A launcher whose servers are folders."""

    def __init__(self, hub):
        super().__init__(hub.settings.launches, lambda: None, hub.resource_limits, environment={})
        self.running, self.count = set(), 0

    def _child(self, launch, folder, _lock):
        self.count += 1
        folder.pid_file.write_text(ENDED)
        with folder.log.open("ab") as log:
            log.truncate(LOUD_BYTES if self.count % LOUD == 0 else 0)  # it takes no room, and counts as large
            log.write(b"x" * LOG_BYTES)
        self.running.add(launch.launch_id)

    def describe(self, task):
        return TaskRunning("127.0.0.1:9") if task in self.running else TaskStopped("ended")

    def stop(self, task, **_):
        self.running.discard(task)

    def remove(self, task):
        if task not in self.running:
            super().remove(task)

    def left(self):
        return [one for one in super().left() if one not in self.running]


class Machine:
    """A hub in this process."""

    def __init__(self, folder):
        (folder / "hubless.toml").touch()
        settings = load(folder / "hubless.toml", folder / "data", {"PATH": "/usr/bin"})
        data_folder.prepare(settings)
        database_file.begin_run(settings, print)
        self.data, self.hub, self.clock = settings.data, machine.build(settings), StoppedClock(NOW)
        self.database = machine.open_database(settings)
        readiness = ScriptedReadiness()
        self.hub.__dict__.update(clock=self.clock, readiness=readiness)
        self.hub.__dict__.update(launcher=Folders(self.hub))
        self.edge = InstantEdge(self.hub.routes, self.clock)
        self.hub.users.create([a_user(f"user{n:03}") for n in range(USERS)])
        self.users = self.hub.users.page(offset=0, limit=USERS)[0]

    def turn(self):
        """Handle the queue's messages."""
        for _ in range(3):
            for received in self.hub.queue.receive(10, timedelta(seconds=30), self.clock.now()):
                self.hub.launching.on_message(received.message)
                self.hub.queue.delete(received.receipt)
            self.edge.look()
            self.hub.launching.reconcile_pending()
            self.edge.look()

    def launch(self, number):
        user = self.users[number % USERS]
        server = self.hub.spawning.start(user, "")
        if number % STOPPED_AT_ONCE == 0:
            self.crash_after_launch()
        else:
            self.turn()
            assert self.hub.servers.get(server.id).state is State.READY
        self.hub.logins.open_session(user, "a browser", address="192.0.2.7")
        self.hub.auditing.record(Doer(DoerKind.USER, user.name, "192.0.2.7"), Act.LOGIN, user.name)
        self.post(user, POSTS // LAUNCHES)
        self.hub.stopping.request_until_done(self.hub.servers.get(server.id))
        self.turn()
        assert self.hub.servers.get(server.id).state is State.STOPPED
        self.clock.advance(timedelta(seconds=LAUNCH_SECONDS))

    def crash_after_launch(self):
        """Start the task of the next message, and let the worker die before it says so in the record."""
        (received,) = self.hub.queue.receive(1, timedelta(seconds=30), self.clock.now())
        server = self.hub.servers.get(received.message.server_id)
        owner = self.hub.users.get(server.owner_id)
        launch = self.hub.credentials.issue(server, owner, _chosen(self.hub, server))
        self.hub.launcher.launch(launch)
        self.hub.launcher.stop(launch.launch_id)
        self.hub.queue.delete(received.receipt)

    def post(self, user, count):
        for _ in range(count):
            self.clock.advance(timedelta(milliseconds=1))
            self.hub.activity.report(user, self.clock.now(), {"": self.clock.now()})

    def sweep(self, times=1):
        for _ in range(times):
            self.hub.resource_limits.watch()
            self.hub.reaping.sweep()
            self.hub.give_room_back()
            self.hub.leftovers.remove()

    def sizes(self):
        """Return bytes by kind."""
        wal = self.data / "hub.sqlite-wal"
        return {
            "database": (self.data / "hub.sqlite").stat().st_size,
            "recent writes (WAL)": wal.stat().st_size if wal.exists() else 0,
            "launch folders": _used(self.data / "servers", without="ended"),
            "logs of ended launches": _used(self.data / "servers" / "ended"),
        }

    def rows(self):
        tables = [name for (name,) in self.database.read("SELECT name FROM sqlite_master WHERE type = 'table'")]
        counts = {name: self.database.read_one(f'SELECT count(*) FROM "{name}"')[0] for name in tables}
        return {name: count for name, count in sorted(counts.items(), key=lambda one: -one[1]) if count}


def _chosen(hub, server):
    from hubless.domain.profiles import PROFILE, choose

    return choose(hub.launching.profiles, {**server.user_options, PROFILE: server.profile}, None)


def _used(folder, without=""):
    """Return the bytes that the disk holds for a folder."""
    total = 0
    for place, folders, files in os.walk(folder):
        if without in folders:
            folders.remove(without)
        total += sum((Path(place) / name).lstat().st_blocks * 512 for name in files)
    return total


def main():
    logging.disable(logging.WARNING)
    with tempfile.TemporaryDirectory(prefix="hubless-bench-") as name:
        one = Machine(Path(name))
        parts = [("begin", one.sizes())]
        for number in range(LAUNCHES):
            one.launch(number)
            if number % 10 == 9:
                one.sweep()
            if number in (LAUNCHES // 2 - 1, LAUNCHES - 1):
                parts.append((f"{number + 1:,} launches", one.sizes()))
                print(one.rows(), file=sys.stderr)
        one.clock.advance(timedelta(days=401))  # a downtime, after which the clock is believed for an hour later
        for _ in range(70 + LAUNCHES // 500):
            one.sweep()
            one.clock.advance(timedelta(minutes=1))
        one.database.write("PRAGMA wal_checkpoint(TRUNCATE)")
        parts.append(("all has expired", one.sizes()))
        print(one.rows(), file=sys.stderr)
    print("| bytes | " + " | ".join(title for title, _ in parts) + " |")
    print("| --- |" + " --- |" * len(parts))
    for kind in parts[0][1]:
        print(f"| {kind} | " + " | ".join(f"{sizes[kind]:,}" for _, sizes in parts) + " |")


if __name__ == "__main__":
    main()
