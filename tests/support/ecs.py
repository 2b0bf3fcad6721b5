"""A hub's place in the cloud: an account with all that the hub needs made in it, and launchers over it."""

from datetime import timedelta

from hubless.adapters.aws import Clients
from hubless.adapters.ecs.config import EcsConfig, HomeFileSystem
from hubless.adapters.ecs.launcher import EcsLauncher
from hubless.adapters.ecs.naming import ids_of
from tests.doubles.ecs.account import EXECUTION_ROLE, REGION, TASK_ROLE, Account
from tests.doubles.ecs.wire import Wire

HOMES = HomeFileSystem("fs-0123456789abcdef0")
# Making boto3's clients takes a quarter of a second: all tests share them, each with an account of its own behind.
_wire = Wire()
_clients = Clients(REGION, _wire.session, attempts=1)


def ecs_config(**others):
    standard = {
        "hub": "school",
        "region": REGION,
        "cluster": "hub",
        "image": "jupyter/minimal:1",
        "bucket": "hub-launches",
        "execution_role": EXECUTION_ROLE,
        "task_role": TASK_ROLE,
        "subnets": ("subnet-a", "subnet-b"),
        "security_groups": ("sg-servers",),
        "log_group": "/hub/servers",
    }
    return EcsConfig(**standard | others)


class TrueClock:
    """The time of a clock however far off those are who look at it: AWS's own."""

    def __init__(self, clock):
        self._clock = clock

    def now(self):
        return self._clock.now() - getattr(self._clock, "skew", timedelta())


class Cloud:
    """One account and one hub in it."""

    def __init__(self, clock, seed=0, *, lag=0.0, describe_lag=0.0, **others):
        self.clock, self.config = clock, ecs_config(**others)
        self.account, self.wire = Account(TrueClock(clock), seed, lag=lag, describe_lag=describe_lag), _wire
        self.wire.account, self.wire.before, self.wire.after = self.account, None, None

    def launcher(self, **others):
        """Return a launcher that knows nothing of what others did, with some of the hub's facts changed."""
        return EcsLauncher(ecs_config(**others) if others else self.config, _clients, self.clock)

    def clients(self):
        """Return the clients through which launchers call."""
        return [_clients.ecs, _clients.s3, _clients.efs]

    def launches_running(self):
        """Return the launch of each task that is to run; the id of its spare where it was started as one."""
        return [ids_of(task)[0] for task in self.account.running()]
