"""How much of everything a hub needs: what people do, and what each of that asks of AWS.

What is counted in this repository names where; the rest is estimated and says so.
"""

from dataclasses import field
from decimal import Decimal

from hubless.domain.values import value

HOURS = Decimal(730)  # of a month
SECONDS, MINUTES = HOURS * 3600, HOURS * 60


@value(kw_only=True)
class Demand:
    """What people do in a month, and how the hub is set up for it."""

    users: int
    hours: Decimal = field(default=Decimal(8))  # a day, each
    days: Decimal = field(default=Decimal(20))
    edge: str = "economy"
    instance_type: str = "t4g.nano"
    fleet: int = 2  # edges of a fleet, all the time
    vcpus: Decimal = field(default=Decimal(1))
    memory_gb: Decimal = field(default=Decimal(4))
    is_arm: bool = True
    spot: Decimal = field(default=Decimal(0))  # the share of hours on Spot
    home_gb: Decimal = field(default=Decimal(1))  # of files a user
    waf: bool = False
    snap_start: bool = False

    @property
    def server_hours(self) -> Decimal:
        return self.users * self.hours * self.days

    @property
    def launches(self) -> Decimal:
        """One a user and day."""
        return self.users * self.days

    @property
    def awake_hours(self) -> Decimal:
        """Return in how many hours of a month any server runs: not all come and go at once."""
        if not self.users:
            return Decimal(0)
        return min(HOURS, self.days * min(Decimal(24), self.hours + 4))


@value(kw_only=True)
class Amounts:
    """What each thing that happens asks of AWS."""

    # A user's hour, in requests to the hub: a server reports its activity each five minutes and asks as often about the tokens
    # that it is shown (both by JupyterHub's defaults); the rest are pages (estimated).
    activity_posts: Decimal = field(default=Decimal(12))
    token_checks: Decimal = field(default=Decimal(12))
    other_requests: Decimal = field(default=Decimal("13.5"))
    # … and in requests to its server: JupyterLab asks for kernels, sessions, terminals, files and workspaces each ten seconds while
    # its tab is in front: 2,320 an hour were counted, and half the time it is (estimated).
    server_requests: Decimal = field(default=Decimal(1160))
    server_gb: Decimal = field(default=Decimal("0.01"))
    flow_log_gb: Decimal = field(default=Decimal("0.00002"))  # of the network, estimated
    zones_crossed: Decimal = field(
        default=Decimal("0.5")
    )  # the share of it between an edge and a server of another zone

    # A request: a token or a session with whatever has to be read along, strongly consistent (docs/dynamodb.md).
    request_read_units: Decimal = field(default=Decimal(6))
    activity_write_units: Decimal = field(default=Decimal(2))  # and the index
    api_memory_gb: Decimal = field(default=Decimal(1))
    api_seconds: Decimal = field(default=Decimal("0.035"))  # estimated
    memory_gb: Decimal = field(default=Decimal("0.5"))  # of all other functions
    request_log_gb: Decimal = field(default=Decimal("0.0000015"))  # ours, Lambda's and API Gateway's: 1.5 KB, estimated

    # A launch from being asked for to being gone: transactions count twice (docs/dynamodb.md).
    launch_read_units: Decimal = field(default=Decimal(40))
    launch_write_units: Decimal = field(default=Decimal(100))
    launch_invocations: Decimal = field(default=Decimal(14))  # messages, and eight events of its task
    spawn_seconds: Decimal = field(default=Decimal("0.3"))  # each, estimated
    launch_messages: Decimal = field(default=Decimal(12))  # requests to SQS
    launch_log_gb: Decimal = field(default=Decimal("0.00005"))
    follows: Decimal = field(default=Decimal(20))  # a browser asks how it is each three seconds, for a minute
    follow_read_units: Decimal = field(default=Decimal(8))  # a request's, and a look at the server
    follow_seconds: Decimal = field(default=Decimal("0.05"))  # estimated
    follow_memory_gb: Decimal = field(default=Decimal("0.25"))
    server_log_gb: Decimal = field(default=Decimal("0.0002"))

    # A sweep where nothing is to be done (docs/dynamodb.md, "What a sweep costs").
    sweeps: Decimal = field(default=MINUTES)
    sweep_reads: Decimal = field(default=Decimal(15))
    sweep_writes: Decimal = field(default=Decimal(1))
    sweep_reads_a_server: Decimal = field(
        default=Decimal(4)
    )  # the server, its activity, its owner: counted, of 120 that run
    sweep_seconds: Decimal = field(default=Decimal("0.5"))  # estimated
    sweep_lists: Decimal = field(default=Decimal(1))  # of the bucket
    sweep_log_gb: Decimal = field(default=Decimal("0.000003"))

    # An edge at rest (docs/dynamodb.md, "What an edge costs").
    edge_poll_seconds: Decimal = field(default=Decimal(1))
    edge_heartbeat_seconds: Decimal = field(default=Decimal(5))
    edge_activity_seconds: Decimal = field(default=Decimal(300))  # as deployed (infra/constructs/edge.py)
    edge_activity_write_units: Decimal = field(default=Decimal(2))  # and the index
    edge_vcpus: Decimal = field(default=Decimal("0.25"))  # of a fleet's task
    edge_memory_gb: Decimal = field(default=Decimal("0.5"))
    edge_disk_gb: Decimal = field(default=Decimal(8))

    # What Lambda does to learn of messages: five long polls a queue, each of twenty seconds (estimated).
    queues: Decimal = field(default=Decimal(2))
    polls_a_queue: Decimal = field(default=5 * SECONDS / 20)

    # What stands there.
    standing_metrics: Decimal = field(default=Decimal(2))  # each sweep writes them (docs/cloud.md)
    other_metrics: Decimal = field(
        default=Decimal(9)
    )  # Spawns by outcome, SpawnDuration, ServerCrashes, Throttles, what sweeps did
    alarms: Decimal = field(default=Decimal(5))
    dashboards: Decimal = field(
        default=Decimal(0)
    )  # beyond an account's first three, which cost nothing, and not for a year alone
    secrets: Decimal = field(default=Decimal(2))
    keys: Decimal = field(default=Decimal(0))
    images_gb: Decimal = field(default=Decimal(2))
    table_gb: Decimal = field(default=Decimal("0.1"))
    waf_rules: Decimal = field(default=Decimal(2))
    cold_starts: Decimal = field(default=Decimal("0.01"))  # of requests, estimated
    home_reads: Decimal = field(default=Decimal("0.2"))  # of a home's size, a launch (estimated)
    home_writes: Decimal = field(default=Decimal("0.05"))
