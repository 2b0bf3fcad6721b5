"""What stands in for the world in unit tests; stores come from the SQLite adapters, in memory."""

from datetime import timedelta

from hubless.domain.errors import RetryLaterError, StoreUnavailableError
from hubless.domain.histograms import added_up
from hubless.domain.idleness import ServerWork
from hubless.domain.routes import EdgeReport
from hubless.ports.launcher import Task, TaskRunning, TaskStopped
from hubless.ports.readiness import Answer
from tests.support.builders import NOW


class StoppedClock:
    """Tells the time that the test sets."""

    def __init__(self, now):
        self._now, self._elapsed = now, timedelta()
        self.skew = timedelta()  # the error of the reader's clock

    def now(self):
        return self._now + self.skew

    def elapsed(self):
        return self._elapsed

    def advance(self, by: timedelta):
        self._now += by
        self._elapsed += by

    def jump(self, by: timedelta):
        """Set the clock, as NTP or a laptop's sleep does."""
        self._now += by


class RecordingQueue:
    """Keeps the messages; a test hands them out."""

    def __init__(self):
        self.sent, self.released = [], []

    def send(self, message):
        self.sent.append(message)

    def release(self, receipt, after, now):
        self.released.append((receipt, after))

    def depth(self):
        return len(self.sent)


class RecordingMetrics:
    """Keeps what was measured: (metric, outcome) → the values; (histogram's name, labels…) → the durations."""

    def __init__(self):
        self.measured, self.observed = {}, {}

    def count(self, metric, value=1, *, outcome=""):
        self.measured.setdefault((str(metric), outcome), []).append(value)

    def duration(self, metric, took):
        self.measured.setdefault((str(metric), ""), []).append(took.total_seconds())

    def observe(self, histogram, took, *labels):
        assert histogram.counted(took, *labels).count == 1
        self.observed.setdefault((histogram.name.removeprefix("jupyterhub_"), *labels), []).append(took)


class HistogramsInMemory:
    """Keeps each write of counts; a test may have it away."""

    def __init__(self):
        self.writes, self.is_away = [], False

    def add(self, counts):
        if self.is_away:
            raise StoreUnavailableError("away")
        self.writes.append(list(counts))

    def all(self):
        return added_up(count for write in self.writes for count in write)


class ScriptedLauncher:
    """Runs tasks that a test moves on: each is Running until a test ends it."""

    name = "scripted"

    def __init__(self):
        self.started = []  # every launch that really began something
        self.status = {}
        self.refusal = None
        self.begins_as = None  # how a task is at first, where it is not Running at once
        self.obeys_stop = True
        self.forgotten = []
        self.missing = set()  # preparations that are still to be made
        self.prepared = []  # as asked for
        self.owners = set()  # for whom something was made
        self.spares = {}  # the order of each that was started, by its id

    def is_prepared(self, wanted):
        return wanted not in self.missing

    def unprepared(self, wanted):
        return [one for one in dict.fromkeys(wanted) if one in self.missing]

    def prepare(self, wanted):
        if self.refusal is not None:
            raise self.refusal
        self.prepared.append(wanted)
        self.missing.discard(wanted)

    def launch(self, launch):
        if self.refusal is not None:
            raise self.refusal
        if launch.launch_id not in self.status:
            self.started.append(launch)
            self.status[launch.launch_id] = self.begins_as or TaskRunning(f"127.0.0.1:{9000 + len(self.started)}")
        return launch.launch_id

    def kind_of_spare(self, profile):
        return f"{profile.image} {profile.command} {profile.memory_bytes}"

    def start_spare(self, order):
        if self.refusal is not None:
            raise self.refusal
        task = f"{order.spare_id}/task"
        if task not in self.status:
            self.spares[order.spare_id] = order
            self.status[task] = self.begins_as or TaskRunning(f"127.0.1.1:{9000 + len(self.spares)}")
        return task

    def environment(self, launch):
        return {**launch.environment, **launch.secrets, "LAUNCH": launch.launch_id}

    def describe(self, task):
        return self.status.get(task, TaskStopped("was never started"))

    def describe_many(self, tasks):
        return {task: self.describe(task) for task in tasks}

    def stop(self, task, *, force=False):
        if (self.obeys_stop or force) and not isinstance(self.describe(task), TaskStopped):
            self.status[task] = TaskStopped("ended")

    def tasks(self):
        return [
            Task(name, name.partition("/")[0], status)
            for name, status in self.status.items()
            if not isinstance(status, TaskStopped)
        ]

    def forget(self, task):
        self.forgotten.append(task)

    def garbage_collect(self, offered):
        return 0

    def remove_owners(self, existing):
        gone = self.owners - set(existing(self.owners))
        self.owners -= gone
        return len(gone)

    def dies(self, task, why="exited with code 1", log_tail=("boom",)):
        self.status[task] = TaskStopped(why, log_tail)


class SparesInMemory:
    """A store of spares beside *servers*, for one thread."""

    def __init__(self, servers):
        self.servers, self.found, self.claims = servers, {}, {}

    def all(self):
        return sorted(self.found.values(), key=lambda spare: spare.id)

    def find(self, spare_id):
        return self.found.get(spare_id)

    def claim_of(self, spare_id):
        return self.claims.get(spare_id)

    def add(self, spare):
        if spare.id in self.found:
            return False
        self.found[spare.id] = spare
        return True

    def replace(self, before, after):
        if self.found.get(before.id) != before:
            return False
        self.found[before.id] = after
        return True

    def remove(self, spare):
        return self.found.get(spare.id) == spare and self.found.pop(spare.id) is not None

    def claim(self, spare, claim, *, server, launched):
        if self.found.get(spare.id) != spare:
            return False
        self.servers.write(server, launched)
        self.claims[spare.id] = claim
        return self.remove(spare)

    def remove_claim(self, spare_id):
        self.claims.pop(spare_id, None)


class ScriptedInspector:
    """Answers for each server as the test says; by default no kernel was ever started.

    *said* has an answer by the name of a server.
    """

    def __init__(self):
        self.said, self.asked = {}, []

    def inspect(self, server, prefix, token):
        self.asked.append((server.name, prefix, token))
        return self.said.get(server.name, ServerWork(NOW))


class ScriptedReadiness:
    """Answers as the test says."""

    def __init__(self):
        self.is_answering, self.version = True, ""

    def answers(self, server, prefix):
        return Answer(self.version) if self.is_answering else None


class InstantEdge:
    """An edge that has applied whatever the table holds when it is asked to look."""

    def __init__(self, routes, clock, edge_id="edge"):
        self.routes, self.clock, self.edge_id = routes, clock, edge_id

    def look(self):
        self.routes.report(EdgeReport(self.edge_id, self.routes.sequence(), self.clock.now()))


class PlainHasher:
    """Hashes without taking time."""

    def hash(self, password):
        return f"plain:{password}"

    def verify(self, password_hash, password):
        return password_hash == f"plain:{password}"

    def is_outdated(self, password_hash, password):
        return False


class SleepyMachine:
    """The edge's machine as EC2 has it: on its way up it cannot be stopped, and on its way down not be started.

    On it runs an edge, which reports while it is up and signs off when it goes down.
    """

    can_stop = True
    COMES_UP, GOES_DOWN = timedelta(seconds=25), timedelta(seconds=40)

    def __init__(self, routes, clock):
        self.edge, self.clock = InstantEdge(routes, clock), clock
        self.state, self.until = "running", clock.now()
        self.refuses = None
        self.calls = []

    def look(self):
        self._move_on()
        if self.state == "running":
            self.edge.look()

    def start(self):
        return self._turn("start", to="pending", while_="stopped", refused="stopping", takes=self.COMES_UP)

    def stop(self):
        was_on = self._turn("stop", to="stopping", while_="running", refused="pending", takes=self.GOES_DOWN)
        if was_on:
            self.edge.routes.forget_edge(self.edge.edge_id)
        return was_on

    def is_up(self):
        self._move_on()
        return self.state == "running"

    def _turn(self, call, *, to, while_, refused, takes):
        self._move_on()
        self.calls.append(call)
        if self.refuses:
            raise self.refuses
        if self.state == refused:
            raise RetryLaterError(f"it is {self.state}")
        if self.state != while_:
            return False
        self.state, self.until = to, self.clock.now() + takes
        return True

    def _move_on(self):
        if self.clock.now() >= self.until:
            self.state = {"pending": "running", "stopping": "stopped"}.get(self.state, self.state)
