"""What is simulated, what came of it, and what AWS's limits allow at best."""

from collections import Counter
from dataclasses import dataclass, field

from hubless.adapters.ecs import limits


@dataclass(frozen=True)
class Plan:
    """What is simulated."""

    students: int = 250
    begins: float = 0.0  # the second in which the first may press; before it there are only sweeps
    within: float = 60.0  # seconds in which all press
    seed: int = 1
    rate: float = limits.RATE
    burst: int = limits.BURST
    longest_wait: float = limits.LONGEST_WAIT.total_seconds()
    functions: int = 20  # that launch at once
    batch: int = 1  # launches that a function is given at once
    lanes: bool = True  # whether launches have a queue of their own
    homes: bool = False  # whether each has a home, and so a task definition of their own
    newcomers: int = 0  # of the students, who are added only as they press: nothing is prepared for them
    skew: float = 0.05  # seconds by which clocks of functions are wrong at most
    warm: int = 0  # spares that the hub keeps in the first `warm_minutes`
    warm_minutes: int = 60
    deaths: tuple = ()  # the seconds in which a spare that waits dies
    until: float = 0.0  # seconds after the beginning that pass at least
    limit: float = 900.0  # seconds after the beginning


@dataclass
class Outcome:
    """What came of it; all times in seconds since the first second of the class."""

    plan: Plan
    pressed: list = field(default_factory=list)  # per student, in the order of pressing
    launched: list = field(default_factory=list)  # per task, in the order of starting
    running: list = field(default_factory=list)  # per task
    ready: list = field(default_factory=list)  # per student that got ready
    waited: list = field(default_factory=list)  # per student without a spare, from running to ready
    took: list = field(default_factory=list)  # per student without a spare, from pressing to ready
    took_with_spare: list = field(default_factory=list)  # per student with one
    calls: list = field(default_factory=list)  # of RunTask
    throttled: Counter = field(default_factory=Counter)  # calls that the account refused, by operation
    ready_newcomers: list = field(default_factory=list)  # those of `ready` that were added as they pressed
    passed: set = field(default_factory=set)  # states in which a server was seen
    positions: list = field(default_factory=list)  # of the last one in the queue of preparations, each second
    starts: Counter = field(default_factory=Counter)  # tasks per launch, and per spare
    states: Counter = field(default_factory=Counter)
    failures: list = field(default_factory=list)
    most_tries: int = 0
    delays: dict = field(default_factory=dict)  # of messages from sending to reading, by lane
    invocations: dict = field(default_factory=dict)
    busy_seconds: dict = field(default_factory=dict)

    @property
    def possible(self):
        """Return when each task could have run, had each been requested at the first moment that the limits allow."""
        latencies = [up - began for began, up in zip(self.launched, self.running, strict=True)]
        return [at + latency for at, latency in zip(earliest(self.pressed), latencies, strict=True)]

    @property
    def bound(self):
        return max(self.possible)

    @property
    def ratio(self):
        """Return how much longer than that it took until the last was ready."""
        return max(self.ready) / self.bound


def earliest(pressed):
    """Return when tasks for those who *pressed* may be started at the earliest: what RunTask and Fargate take."""
    found, full_at = [], {(20, 20): 0.0, (100, 20): 0.0}  # (burst, rate) → when it is full again
    for at in sorted(pressed):
        start = max([at, *(full - (burst - 1) / rate for (burst, rate), full in full_at.items())])
        full_at = {(burst, rate): max(full, start) + 1 / rate for (burst, rate), full in full_at.items()}
        found.append(start)
    return found
