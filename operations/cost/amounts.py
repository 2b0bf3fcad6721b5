"""What users do in a month, and what each action consumes in AWS.

A comment names the document of a measured number. All others are marked as estimated.
"""

from dataclasses import field
from decimal import Decimal

from hubless.domain.values import value

HOURS = Decimal(730)  # of a month
SECONDS, MINUTES = HOURS * 3600, HOURS * 60


@value(kw_only=True)
class Demand:
    """The users' demand in a month, and the set-up of the hub."""

    users: int
    hours: Decimal = field(default=Decimal(8))  # a day, of each user
    days: Decimal = field(default=Decimal(20))
    edge: str = "economy"
    instance_type: str = "t4g.nano"
    fleet: int = 2  # number of edges of a fleet
    vcpus: Decimal = field(default=Decimal(1))
    memory_gb: Decimal = field(default=Decimal(4))
    is_arm: bool = True
    spot: Decimal = field(default=Decimal(0))  # the share of hours on Spot
    home_gb: Decimal = field(default=Decimal(1))  # of each user's files
    direct: bool = False  # whether browsers reach users' hosts without CloudFront
    waf: bool = False
    snap_start: bool = False
    egress: str = "public"  # how servers reach the internet
    keys: int = 0  # of KMS, which the account owns
    backs_up_homes: bool = True
    polls_less: bool = True  # servers' images have hubless's extension of JupyterLab (docs/images.md)
    has_zone: bool = True  # of Route 53
    logs_flows: bool = True  # of a network that the deployment makes
    watches_server_logs: bool = False  # by an alarm, where images are not hubless's own
    spare_hours: Decimal = field(default=Decimal(0))  # in which tasks wait for launches, a month
    spare_vcpu_hours: Decimal = field(default=Decimal(0))
    spare_gb_hours: Decimal = field(default=Decimal(0))

    @property
    def server_hours(self) -> Decimal:
        return self.users * self.hours * self.days

    @property
    def launches(self) -> Decimal:
        """Return the launches of a month: one for each user and day."""
        return self.users * self.days

    @property
    def awake_hours(self) -> Decimal:
        """Return the hours of a month in which any server runs. Users come and go within four hours."""
        if not self.users:
            return Decimal(0)
        return min(HOURS, self.days * min(Decimal(24), self.hours + 4))


@value(kw_only=True)
class Amounts:
    """What each action consumes in AWS."""

    # Requests to the hub in one server hour. A server reports its activity every 30 minutes, or every five where the
    # edge sees no requests and so reports count (hubless/services/credentials.py). By JupyterHub's default it checks
    # the token of a tab that asks every five; a hidden tab asks nothing. The others are pages (estimated).
    activity_posts: Decimal = field(default=Decimal(2))
    counted_activity_posts: Decimal = field(default=Decimal(12))
    token_checks: Decimal = field(default=Decimal(12))  # while a tab is visible
    other_requests: Decimal = field(default=Decimal("13.5"))
    # Requests of one JupyterLab tab by itself in a minute, measured (benchmarks/RESULTS.md): with hubless's extension,
    # and without it.
    used_tab: Decimal = field(default=Decimal("4.8"))
    untouched_tab: Decimal = field(default=Decimal("2.3"))
    hidden_tab: Decimal = field(default=Decimal("1.2"))
    used_tab_as_it_is: Decimal = field(default=Decimal("38.5"))
    untouched_tab_as_it_is: Decimal = field(default=Decimal("38.6"))
    hidden_tab_as_it_is: Decimal = field(default=Decimal("1.2"))
    used_share: Decimal = field(default=Decimal("0.25"))  # of the hours of a server, estimated
    untouched_share: Decimal = field(default=Decimal("0.25"))  # visible, but nobody touches it; estimated
    work_requests: Decimal = field(
        default=Decimal(30)
    )  # of a person in an hour: files that are opened and saved, estimated
    nat_gb: Decimal = field(default=Decimal("0.02"))  # through a NAT in a server hour: packages and data (estimated)
    server_gb: Decimal = field(default=Decimal("0.01"))
    flow_log_gb: Decimal = field(default=Decimal("0.00002"))  # VPC flow logs of refused connections, estimated
    requests_a_connection: Decimal = field(default=Decimal(10))  # CloudFront keeps those to an edge; estimated
    connections_a_server: Decimal = field(
        default=Decimal(3)
    )  # open at a time: two of kernels, one of the rest; estimated
    # Without CloudFront a browser's own connections count: two of kernels, and some of HTTP/1.1; estimated.
    direct_connections_a_server: Decimal = field(default=Decimal(6))
    balancer_zones: Decimal = field(default=Decimal(2))  # in each, a balancer for browsers has a public address
    zones_crossed: Decimal = field(
        default=Decimal("0.5")
    )  # the share of traffic that goes to an edge, or from it to a server, in another zone

    # One request reads a token or a session and what belongs to it, strongly consistent (docs/dynamodb.md).
    request_read_units: Decimal = field(default=Decimal(6))
    activity_write_units: Decimal = field(default=Decimal(2))  # with the index, of a report that counts
    api_memory_gb: Decimal = field(default=Decimal(1))
    api_seconds: Decimal = field(default=Decimal("0.035"))  # estimated
    memory_gb: Decimal = field(default=Decimal("0.5"))  # of the other functions
    request_log_gb: Decimal = field(default=Decimal("0.0000015"))  # 1.5 KB with Lambda's lines, estimated

    # One launch from request to removal. Transactions count twice (docs/dynamodb.md).
    launch_read_units: Decimal = field(default=Decimal(40))
    launch_write_units: Decimal = field(default=Decimal(104))  # four of them for `/hub/metrics`
    launch_invocations: Decimal = field(default=Decimal(14))  # messages, and eight task events
    spawn_seconds: Decimal = field(default=Decimal("0.3"))  # each, estimated
    launch_messages: Decimal = field(default=Decimal(12))  # requests to SQS
    launch_log_gb: Decimal = field(default=Decimal("0.00005"))
    follows: Decimal = field(default=Decimal(20))  # a browser polls the progress every three seconds for a minute
    follow_read_units: Decimal = field(default=Decimal(8))  # a request's, and the server's
    follow_seconds: Decimal = field(default=Decimal("0.05"))  # estimated
    follow_memory_gb: Decimal = field(default=Decimal("0.25"))
    server_log_gb: Decimal = field(default=Decimal("0.0002"))

    # A spare asks for its launch every three seconds (hubless/adapters/ecs/waiting_task.py; a test compares).
    spare_pause: Decimal = field(default=Decimal(3))
    spare_read_units: Decimal = field(default=Decimal(1))  # its record
    spare_seconds: Decimal = field(default=Decimal("0.01"))  # of the API, estimated

    # One sweep that changes nothing (docs/dynamodb.md, "What a sweep costs").
    sweeps: Decimal = field(default=MINUTES)
    sweep_reads: Decimal = field(default=Decimal(22))
    sweep_writes: Decimal = field(default=Decimal(2))
    sweep_reads_a_server: Decimal = field(default=Decimal(4))  # server, activity and owner; measured with 120 servers
    sweep_seconds: Decimal = field(default=Decimal("0.5"))  # estimated
    sweep_lists: Decimal = field(default=Decimal(1))  # of the bucket
    sweep_log_gb: Decimal = field(default=Decimal("0.000003"))

    # One idle edge (docs/dynamodb.md, "What an edge costs").
    edge_poll_seconds: Decimal = field(default=Decimal(1))
    edge_heartbeat_seconds: Decimal = field(default=Decimal(5))
    edge_activity_seconds: Decimal = field(default=Decimal(300))  # infra/constructs/edge.py
    edge_activity_write_units: Decimal = field(default=Decimal(2))  # with the index
    edge_vcpus: Decimal = field(default=Decimal("0.25"))  # of a fleet's task
    edge_memory_gb: Decimal = field(default=Decimal("0.5"))
    direct_edge_memory_gb: Decimal = field(default=Decimal(1))
    edge_disk_gb: Decimal = field(default=Decimal(8))

    # Lambda's event source: five long polls of twenty seconds for each queue (estimated).
    queues: Decimal = field(default=Decimal(2))
    polls_a_queue: Decimal = field(default=5 * SECONDS / 20)

    # Standing costs.
    standing_metrics: Decimal = field(default=Decimal(2))  # written by each sweep (docs/cloud.md)
    other_metrics: Decimal = field(
        default=Decimal(9)
    )  # Spawns by outcome, SpawnDuration, ServerCrashes, Throttles, what sweeps did
    # Metrics that alarms watch, by which AWS bills alarms (infra/stacks/monitoring.py; a test compares them).
    alarm_metrics: Decimal = field(default=Decimal(6))
    economy_alarm_metrics: Decimal = field(default=Decimal(1))  # further ones of that edge
    fleet_alarm_metrics: Decimal = field(default=Decimal(2))  # by which the fleet grows and shrinks
    server_log_alarm_metrics: Decimal = field(default=Decimal(1))  # where images may write without a limit
    dashboards: Decimal = field(default=Decimal(0))  # beyond the first three of an account, which are free
    secrets: Decimal = field(default=Decimal(2))
    secret_reads: Decimal = field(default=Decimal(2))  # of a cold start; each is also a call to KMS
    images_gb: Decimal = field(default=Decimal(2))
    bundles_gb: Decimal = field(default=Decimal("0.2"))  # of functions and edges, in the CDK's bucket
    table_gb: Decimal = field(default=Decimal("0.1"))
    waf_rules: Decimal = field(default=Decimal(2))  # infra/stacks/certificates.py
    cold_starts: Decimal = field(default=Decimal("0.01"))  # of requests, estimated
    home_reads: Decimal = field(default=Decimal("0.2"))  # share of a home that one launch reads (estimated)
    home_writes: Decimal = field(default=Decimal("0.05"))
    # Backups of a home in relation to its size: AWS Backup keeps one copy and the changes of 35 days (estimated).
    backups_of_a_home: Decimal = field(default=Decimal(2))
