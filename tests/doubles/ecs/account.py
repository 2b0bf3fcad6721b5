"""The account: what there is, how much of it may be asked for, and the time."""

import heapq
import itertools
import random
from collections import Counter
from datetime import timedelta

from tests.doubles.ecs.definitions import DefinitionCalls
from tests.doubles.ecs.errors import AwsError, throttled
from tests.doubles.ecs.roles import IamCalls
from tests.doubles.ecs.storage import EfsCalls, S3Calls
from tests.doubles.ecs.tasks import LATENCY, TaskCalls

NUMBER, REGION = "123456789012", "eu-central-1"
EXECUTION_ROLE, TASK_ROLE = f"arn:aws:iam::{NUMBER}:role/hub-execution", f"arn:aws:iam::{NUMBER}:role/hub-task"

BOUNDARY = f"arn:aws:iam::{NUMBER}:policy/boundary"


class Bucket:
    """A bucket of tokens, as AWS limits requests: *burst* at once, *rate* a second."""

    def __init__(self, burst, rate):
        self.burst, self.rate = burst, rate
        self.tokens, self.at = float(burst), None

    def take(self, now):
        if self.at is not None:
            self.tokens = min(self.burst, self.tokens + (now - self.at).total_seconds() * self.rate)
        self.at = now
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


class Account(TaskCalls, DefinitionCalls, S3Calls, EfsCalls, IamCalls):
    """Everything of one account in one region. Public attributes are for tests to set and look at."""

    def __init__(self, clock, seed=0, *, lag=0.0, describe_lag=0.0):
        self.clock, self.random = clock, random.Random(seed)
        self.lag, self.describe_lag = timedelta(seconds=lag), timedelta(seconds=describe_lag)
        self.clusters = {"hub": {"FARGATE", "FARGATE_SPOT"}}
        self.subnets, self.security_groups = {"subnet-a", "subnet-b"}, {"sg-servers"}
        self.roles, self.log_groups = {EXECUTION_ROLE, TASK_ROLE}, {"/hub/servers"}
        self.policies, self.users_roles = {BOUNDARY}, {}  # of IAM: ARNs; role names → roles
        self.role_lag, self.role_quota = timedelta(seconds=6), 1000  # until ECS knows a new role; of an account
        self.shown_after = timedelta()  # until IAM shows a new role to others
        self.mounts_need_tags = False  # the file system's policy of a stage with `task_roles`
        self.broken_images = {}  # image → what pulling it says
        self.definitions, self.tasks, self.client_tokens = {}, {}, {}
        self.buckets, self.file_systems, self.access_points = {"hub-launches": {}}, {"fs-0123456789abcdef0"}, {}
        self.latency = LATENCY
        self.full = {}  # capacity provider → "failure" or "exception"
        self.quota = None  # of tasks at once
        self.runtime = None  # what makes RUNNING tasks real
        self.calls = []  # (operation, parameters), as they came
        self.news = []  # events, oldest first, that EventBridge has to deliver
        self.refusals = {}  # operation → errors to be raised, one a call
        # ECS counts kinds of actions together.
        definition_changes, definition_reads, task_reads = Bucket(20, 1), Bucket(50, 20), Bucket(100, 20)
        self.limits = {
            "RunTask": Bucket(20, 20),  # Fargate's; ECS counts it with StopTask, but Fargate's is lower
            "RegisterTaskDefinition": definition_changes,
            "DeregisterTaskDefinition": definition_changes,
            "DeleteTaskDefinitions": Bucket(5, 1),
            "ListTaskDefinitions": definition_reads,
            "ListTaskDefinitionFamilies": definition_reads,
            "DescribeTaskDefinition": definition_reads,
            "DescribeTasks": task_reads,
            "ListTasks": task_reads,
            "StopTask": Bucket(100, 40),
        }
        self.places = Bucket(100, 20)  # tasks that Fargate takes
        self.addresses = (f"10.0.{high}.{low}" for high in range(256) for low in range(4, 255))
        self._steps, self._numbers = [], itertools.count(1)

    # --- asked by the wire ---

    def ask(self, operation, parameters):
        """Answer one request or raise an `AwsError`."""
        self.settle()
        self.calls.append((operation, parameters))
        if self.refusals.get(operation):
            raise self.refusals[operation].pop(0)
        if operation in self.limits and not self.limits[operation].take(self.now()):
            raise throttled()
        answer = getattr(self, _method(operation), None)
        assert answer is not None, f"the double does not know {operation}"
        given = answer(parameters)
        self.settle()
        return given

    # --- for tests ---

    def refuse(self, operation, error=None, times=1):
        """Have the next *times* calls of *operation* refused, by throttling where no *error* is given."""
        self.refusals.setdefault(operation, []).extend([error or throttled()] * times)

    def count(self):
        """Return how often each operation was asked for."""
        return Counter(operation for operation, _ in self.calls)

    def asked(self, operation):
        return [parameters for name, parameters in self.calls if name == operation]

    def take_news(self):
        """Return the events that wait, and deliver them no more."""
        self.settle()
        taken, self.news = self.news, []
        return taken

    # --- time ---

    def now(self):
        return self.clock.now()

    def later(self, seconds, step):
        """Take *step* in so many seconds, unless nobody looks any more by then."""
        at = self._at + timedelta(seconds=seconds)
        heapq.heappush(self._steps, (at, next(self._numbers), step))

    @property
    def _at(self):
        return self._present or self.now()

    _present = None

    def settle(self):
        """Let happen what was to happen until now, each thing at its time."""
        while self._steps and self._steps[0][0] <= self.now():
            self._present, _, step = heapq.heappop(self._steps)
            try:
                step()
            finally:
                self._present = None
        if self.runtime:
            for task, code in self.runtime.ended():
                if task["desiredStatus"] == "STOPPED":
                    self._exit(task, code, None)
                else:
                    self._die(task, code)

    def hex(self, digits):
        return f"{self.random.getrandbits(digits * 4):0{digits}x}"


def _method(operation):
    return "".join("_" + c.lower() if c.isupper() else c for c in operation).lstrip("_")


__all__ = ["Account", "AwsError"]
