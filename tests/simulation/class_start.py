"""A class presses start: the hub's services, the spawn function and the ECS launcher, in an account with AWS's limits.

What the hub does is its own code, over SQLite in memory. What AWS does is played: the ECS double refuses what is over
the limits (RunTask 20 a second, Fargate a hundred and then 20 a second) and takes 20 to 90 s to start a task; events
come late, out of order, twice or not at all; messages come at least once. Every call takes the time that it takes,
and so does a cold start. Spares ask for their launches as `waiting_task.py` does.
"""

import json
import random
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from functools import partial
from types import SimpleNamespace

from functions.spawn.dispatch import handle
from hubless.adapters.activity_readiness import ActivityReadiness
from hubless.adapters.ecs import limits
from hubless.adapters.ecs.events import read
from hubless.adapters.ecs.naming import arn_of, ids_of
from hubless.adapters.ecs.waiting_task import PAUSE
from hubless.bootstrap.cloud import CloudHub
from hubless.domain.errors import CapacityUnavailableError, NotFoundError
from hubless.domain.launch_rate import LaunchRate, NoFreeSlot
from hubless.domain.lifecycle import Deadlines, State
from hubless.domain.profiles import Profile
from hubless.domain.routes import EdgeReport
from hubless.domain.schedules import Schedule
from hubless.domain.spares import Warmth
from hubless.ports.launcher import Preparation
from hubless.services.preparing import PreparingAhead
from tests.doubles.ecs.errors import AwsError
from tests.simulation.loop import Loop
from tests.simulation.outcome import Outcome
from tests.simulation.queue import Lane, Mapping, SimulatedQueue
from tests.support import ecs
from tests.support.builders import NOW
from tests.support.ecs import Cloud
from tests.support.fakes import RecordingQueue, ScriptedLauncher, SparesInMemory
from tests.support.world import World

STORE, ROUTE = (0.004, 0.015), 0.02  # seconds of a call to DynamoDB; of a change of routes, one after the other
AWS = {"RunTask": (0.15, 0.5), "PutObject": (0.02, 0.08)}  # of a call to others; what is not here: as S3's
BOOT = (1.0, 3.0)  # seconds from RUNNING to a server's first word
ASKS = (0.05, 0.3)  # seconds of a question of a spare
NEWS = (0.3, 3.0)  # seconds that an event is on its way
LOST, DOUBLED = 0.01, 0.03  # shares of events
POLL, HEARTBEAT, EDGES = 1.0, 2.0, 3
SWEEP = 60.0
DEADLINES = Deadlines(
    requested=timedelta(minutes=10),
    launching=timedelta(minutes=5),
    starting=timedelta(minutes=2),
    stopping=timedelta(minutes=1),
)


class SharedRateLimiter:
    """The pace as the store keeps it: one number for each *kind*, read and moved on at once."""

    def __init__(self, school, kind="launches", limiter=None):
        plan = school.plan
        launches = LaunchRate(plan.rate, plan.burst, timedelta(seconds=plan.longest_wait))
        self.school, self.kind, self.limiter = school, kind, limiter or launches
        self.interval = self.limiter.interval

    def acquire(self):
        school = self.school
        school.loop.sleep(school.random.uniform(*STORE))
        got = self.limiter.next_slot(school.next_slots.get(self.kind), school.clock.now())
        if isinstance(got, NoFreeSlot):
            raise CapacityUnavailableError(
                "not yet", after=got.after + school.random.random() * self.limiter.longest_wait
            )
        school.next_slots[self.kind] = got.next_free
        school.loop.sleep(max(0.0, (self.limiter.due(got.at) - school.clock.now()).total_seconds()))


class Slow:
    """A port whose every call takes a while."""

    def __init__(self, port, loop, random):
        self._port, self._loop, self._random = port, loop, random

    def __getattr__(self, name):
        found = getattr(self._port, name)
        if not callable(found):
            return found

        def call(*arguments, **named):
            self._loop.sleep(self._random.uniform(*STORE))
            return found(*arguments, **named)

        return call


class SlowRoutes(Slow):
    """The route log: changes are numbered, so they come one after the other."""

    _free_at = 0.0

    def __getattr__(self, name):
        if name not in {"put", "remove"}:
            return super().__getattr__(name)

        def change(*arguments):
            self._free_at = max(self._free_at, self._loop.seconds) + ROUTE
            self._loop.sleep(self._free_at - self._loop.seconds)
            return getattr(self._port, name)(*arguments)

        return change


class School(World):
    """A hub in the cloud with a class of students."""

    def __init__(self, plan, rate_limiter=None):
        """*pace* makes one for each function's environment, given the school."""
        self.plan, self.random = plan, random.Random(plan.seed)
        self.outcome, self.lane_of = Outcome(plan), {}
        super().__init__(
            around=self._around,
            launcher=self._launcher,
            readiness=ActivityReadiness(),
            deadlines=DEADLINES,
            profiles=(Profile("default", warmth=self._warmth()),),
            spare_store=SparesInMemory if plan.warm else None,
        )
        self.read_event = lambda event: read(event, self.cloud.config)
        self._make_rate_limiter = rate_limiter or SharedRateLimiter
        self.next_slots = {}  # as `SharedRateLimiter` keeps them
        self._count_calls()
        self._mappings = self._mapped()
        self.reaping = replace(
            self.reaping,
            message_is_lost_after=CloudHub.message_is_lost_after,
            preparing_ahead=PreparingAhead(
                self.users,
                self.servers,
                self.cloud.launcher(),
                self._preparation_rate_limiter(limits.RESERVE),
                self.clock,
                profiles=self.launching.profiles,
                seen_within=timedelta(days=120),
            ),
            spares=self.spare_keeping and replace(self.spare_keeping, rate_limiter=self._spare_rate_limiter()),
        )
        known = plan.students - plan.newcomers
        self.students = [*self.accounts.add_many([f"student-{number:04}" for number in range(known)])]
        self.newcomers = []
        self._edges = [SimpleNamespace(id=f"edge-{n}", sequence=0, at=-HEARTBEAT) for n in range(EDGES)]
        self._is_watched = True

    # --- putting it together ---

    def _around(self, port):
        if isinstance(port, RecordingQueue):
            self.loop = Loop(self.clock)
            launches = Lane(self.loop, self.random)
            self.lane_of = {
                "launches": launches,
                "others": Lane(self.loop, self.random) if self.plan.lanes else launches,
            }
            return Slow(SimulatedQueue(**self.lane_of), self.loop, self.random)
        return _Late(self, port)

    def _launcher(self, clock):
        homes = {"homes": ecs.HOMES} if self.plan.homes else {}
        self.cloud = Cloud(self.loop.right, self.plan.seed, **homes)
        self.account = self.cloud.account
        return self.cloud.launcher()

    def _mapped(self):
        def mapping(name, batch, at_once):
            return Mapping(self.loop, self.random, name, self.lane_of[name], self._environment, batch, at_once)

        mappings = [mapping("launches", self.plan.batch, self.plan.functions)]
        return mappings + ([mapping("others", 10, 50)] if self.plan.lanes else [])

    def _environment(self):
        """Return a function's environment: its clock is a little wrong, and what it knows is its own."""
        launcher = self.cloud.launcher()
        hub = SimpleNamespace(
            launching=replace(
                self.launching,
                launch_rate_limiter=self._make_rate_limiter(self),
                launcher=launcher,
                preparing=replace(self.preparing, launcher=launcher, rate_limiter=self._preparation_rate_limiter()),
            ),
            queue=self.queue,
            clock=self.clock,
            read_event=self.read_event,
        )
        return SimpleNamespace(
            skew=self.random.uniform(-1, 1) * self.plan.skew, handle=lambda event: handle(hub, event)
        )

    def _preparation_rate_limiter(self, reserve=0):
        rate = LaunchRate(limits.PREPARATION_RATE, limits.PREPARATION_BURST, limits.LONGEST_WAIT, reserve)
        return SharedRateLimiter(self, "preparations", rate)

    def _spare_rate_limiter(self):
        plan = self.plan
        rate = LaunchRate(plan.rate, plan.burst, timedelta(seconds=plan.longest_wait), limits.SPARES_RESERVE)
        return SharedRateLimiter(self, limiter=rate)

    def _warmth(self):
        ends = NOW + timedelta(minutes=self.plan.warm_minutes)
        hours = Schedule("warm", frozenset({NOW.weekday()}), NOW.time(), ends.time(), NOW.tzinfo, ())
        return Warmth(self.plan.warm, hours)

    def _count_calls(self):
        ask = self.account.ask

        def counted(operation, parameters):
            if operation == "RunTask":
                self.outcome.calls.append(self._seconds)
            try:
                return ask(operation, parameters)
            except AwsError as error:
                self.outcome.throttled[operation] += error.code == "ThrottlingException"
                raise

        self.account.ask = counted

    # --- what happens ---

    def run(self):
        """Let the class start and return what came of it."""
        clients = [ecs._clients.ecs, ecs._clients.s3]
        for client in clients:
            client.meta.events.register("before-call", self._call_takes_a_while)
            client.meta.events.register("after-call", self._call_takes_a_while)
        try:
            self.loop.after(SWEEP / 2, lambda: self.loop.every(SWEEP, lambda: self.loop.start(self.reaping.sweep)))
            for press in [partial(self.spawning.start, student, "") for student in self.students] + [
                partial(self._come, number) for number in range(self.plan.newcomers)
            ]:
                at = self.random.uniform(0, self.plan.within)
                self.outcome.pressed.append(at)
                self.loop.at(self.plan.begins + at, partial(self.loop.start, press))
            for mapping in self._mappings:
                self.loop.every(0.1, lambda mapping=mapping: mapping.poll(0.1))
            for edge in self._edges:
                self.loop.after(
                    self.random.random(), lambda edge=edge: self.loop.every(POLL, lambda: self._apply(edge))
                )
            for at in self.plan.deaths:
                self.loop.at(at, self._kill_a_spare)
            self.loop.every(0.25, self._tell)
            self.loop.every(1.0, self._look)
            self.loop.run(lambda: not self._is_watched, self.plan.begins + self.plan.limit)
            return self._told()
        finally:
            for client in clients:
                client.meta.events.unregister("before-call", self._call_takes_a_while)
                client.meta.events.unregister("after-call", self._call_takes_a_while)
            self.loop.close()

    def prepare_all(self):
        """Leave what the sweeps of a day before the class leave: the launches of all students are prepared."""
        limits, self.account.limits = self.account.limits, {}
        for student in self.students:
            for profile in self.launching.profiles.values():
                self.launching.launcher.prepare(Preparation(student.id, profile))
        self.account.limits = limits

    def _come(self, number):
        self.newcomers.append(newcomer := self.accounts.add(f"newcomer-{number:04}"))
        self.spawning.start(newcomer, "")

    def _call_takes_a_while(self, model, **_):
        fast, slow = AWS.get(model.name, AWS["PutObject"])
        self.loop.sleep(self.random.uniform(fast, slow) / 2)

    def _apply(self, edge):
        sequence = self.routes._port.sequence()
        if sequence != edge.sequence or self.loop.seconds - edge.at >= HEARTBEAT:
            edge.sequence, edge.at = sequence, self.loop.seconds
            self.routes._port.report(EdgeReport(edge.id, sequence, self.loop.right.now()))

    def _tell(self):
        """Send the account's news on their way, and have servers that run speak."""
        for event in self.account.take_news():
            if event["detail"]["lastStatus"] == "RUNNING" and event["detail"]["desiredStatus"] == "RUNNING":
                name, server_id = ids_of(event["detail"])
                if server_id:
                    self._boot(server_id)
                else:
                    self.loop.start(partial(self._wait, name, event["detail"]["taskArn"]))
            for _ in range(1 + (self.random.random() < DOUBLED)):
                if self.random.random() >= LOST:
                    body = json.dumps(event)
                    self.loop.after(self.random.uniform(*NEWS), lambda body=body: self.lane_of["others"].put(body))

    def _boot(self, server_id):
        self.loop.after(self.random.uniform(*BOOT), partial(self.loop.start, partial(self._speak, server_id)))

    def _wait(self, spare_id, arn):
        """Do what a spare's task does: ask until there is a launch, and become its server; or end."""
        while self.account.tasks[arn]["desiredStatus"] == "RUNNING":
            self.loop.sleep(self.random.uniform(*ASKS))
            try:
                environment = self.spare_questions.answer(spare_id)
            except NotFoundError:
                self.account.die(arn, 0)
                return
            if environment is not None:
                self._boot(environment["HUBLESS_SERVER_ID"])
                return
            self.loop.sleep(PAUSE * self.random.uniform(0.8, 1.2))

    def _kill_a_spare(self):
        waiting = [arn_of(spare.task) for spare in self.spares.store._port.all() if spare.can_be_claimed]
        self.account.die(next(arn for arn in waiting if self.account.tasks[arn]["desiredStatus"] == "RUNNING"))

    def _speak(self, server_id):
        server = self.servers.get(server_id)
        now = self.clock.now()
        self.activity.report(self.users.get(server.owner_id), now, {server.name: now}, by_server=server.id)

    def _look(self):
        states = Counter(dict(self.stores.database.read("SELECT state, count(*) FROM servers GROUP BY state")))
        self.outcome.passed |= states.keys()
        if waiting := self.servers._port.in_states([State.PREPARING]):
            self.outcome.positions.append(self.servers._port.queue_position(waiting[-1], self.clock.now()))
        done = states[State.READY] + states[State.FAILED]
        is_busy = done < self.plan.students or any(lane.waiting for lane in self.lane_of.values())
        self._is_watched = is_busy or self._seconds < self.plan.until

    # --- what came of it ---

    def _told(self):
        out = self.outcome
        out.pressed.sort()
        tasks = sorted(self.account.tasks.values(), key=lambda task: task["createdAt"])
        out.starts = Counter(ids_of(task)[0] for task in tasks)
        tasks = [task for task in tasks if ids_of(task)[1]]  # those of spares are no launches
        out.launched = [self._since(task["createdAt"]) for task in tasks]
        out.running = [self._since(task["startedAt"]) for task in tasks if "startedAt" in task]
        servers = self.servers.of_owners([student.id for student in self.students + self.newcomers])
        out.states = Counter(server.state for server in servers)
        out.failures = [server.failure for server in servers if server.failure]
        ready = [server for server in servers if server.state is State.READY]
        out.ready = sorted(self._since(server.started_at) for server in ready)
        new = {student.id for student in self.newcomers}
        out.ready_newcomers = sorted(self._since(server.started_at) for server in ready if server.owner_id in new)
        up = {ids_of(task)[0]: task["startedAt"] for task in tasks if "startedAt" in task}
        own, given = ([server for server in ready if bool(server.spare_id) is has_one] for has_one in (False, True))
        out.waited = sorted((server.started_at - up[server.launch_id]).total_seconds() for server in own)
        out.took, out.took_with_spare = (
            sorted((server.started_at - server.requested_at).total_seconds() for server in some)
            for some in (own, given)
        )
        out.most_tries = max(lane.most_tries for lane in self.lane_of.values())
        out.delays = {name: sorted(lane.delays) for name, lane in self.lane_of.items()}
        out.invocations = {one.name: one.invocations for one in self._mappings}
        out.busy_seconds = {one.name: one.busy_seconds for one in self._mappings}
        return out

    @property
    def _seconds(self):
        return self.loop.seconds - self.plan.begins

    def _since(self, at):
        """Return the seconds since the first could press."""
        return (at - self.loop._start).total_seconds() - self.plan.begins


def _Late(school, port):
    """Return what makes *port* slow as soon as there is a loop: stores are made before it."""
    if isinstance(port, ScriptedLauncher) or type(port).__name__ == "EcsLauncher":
        return port
    kind = SlowRoutes if type(port).__name__ == "SqliteRouteStore" else Slow
    return kind(port, _LateLoop(school), school.random)


class _LateLoop:
    def __init__(self, school):
        self._school = school

    seconds = property(lambda self: self._school.loop.seconds)

    def sleep(self, seconds):
        self._school.loop.sleep(seconds)
