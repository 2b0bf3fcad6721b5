"""Calculate the bill of a month, in exact decimals."""

from collections.abc import Iterator
from dataclasses import replace
from decimal import ROUND_CEILING, Decimal
from enum import StrEnum

from hubless.domain.values import value
from operations.cost.amounts import HOURS, SECONDS, Amounts, Demand
from operations.cost.balancers import ALB, NLB, NLB_TLS, Load, Unit
from operations.cost.prices import Prices

IDLE_GOAL = Decimal(6)
GOALS = {200: Decimal(20), 2_000: Decimal(110)}  # control plane with JupyterLab's own requests, by users
LAB = "CloudFront to servers"  # JupyterLab's requests
FREE_CLOUDFRONT_GB, FREE_CLOUDFRONT_REQUESTS = Decimal(1000), Decimal(10_000_000)


class Group(StrEnum):
    """The group of a line: the hub itself, the traffic, or the users' servers."""

    CONTROL = "control plane"
    TRAFFIC = "traffic"
    SERVERS = "servers"


@value
class Line:
    """A line of the bill. *what* is the billed quantity, as text."""

    group: Group
    part: str
    usd: Decimal
    what: str


@value
class Bill:
    """The costs of a month."""

    lines: tuple[Line, ...]

    def total(self, *groups: Group) -> Decimal:
        """Return the sum of *groups*, or of all groups."""
        return sum((line.usd for line in self.lines if line.group in (groups or tuple(Group))), Decimal(0))

    def usd(self, part: str) -> Decimal:
        """Return the costs of one *part*."""
        return sum((line.usd for line in self.lines if line.part == part), Decimal(0))


@value
class Goal:
    """An upper bound for costs, and the actual costs."""

    what: str
    usd: Decimal
    at_most: Decimal

    @property
    def is_met(self) -> bool:
        return self.usd <= self.at_most


def bill(demand: Demand, prices: Prices, amounts: Amounts) -> Bill:
    """Return the bill of a month. Lines without costs are left out."""
    month = _Month(demand, prices, amounts)
    return Bill(tuple(line for line in month.lines() if line.usd))


def idle(demand: Demand, prices: Prices, amounts: Amounts) -> Bill:
    """Return the bill of the same hub for a month without users."""
    return bill(replace(demand, users=0), prices, amounts)


def goals(demand: Demand, prices: Prices, amounts: Amounts) -> tuple[Goal, ...]:
    """Return the cost goals for a hub of this set-up, without spares: they cost what their number and hours say.

    A load balancer's rules serve fewer users than most goals are for.
    """
    demand = replace(demand, spare_hours=Decimal(0), spare_vcpu_hours=Decimal(0), spare_gb_hours=Decimal(0))
    users = [] if demand.edge == "alb" else list(GOALS)
    return (
        Goal("a month without users", idle(demand, prices, amounts).total(), IDLE_GOAL),
        *(
            Goal(
                f"control plane and JupyterLab's requests of {each:,} users",
                of_the_goals(replace(demand, users=each), prices, amounts),
                GOALS[each],
            )
            for each in users
        ),
    )


def of_the_goals(demand: Demand, prices: Prices, amounts: Amounts) -> Decimal:
    """Return what the goals bound: the control plane, and JupyterLab's own requests."""
    full = bill(demand, prices, amounts)
    return full.total(Group.CONTROL) + full.usd(LAB)


@value
class _Month:
    demand: Demand
    prices: Prices
    amounts: Amounts

    def lines(self) -> Iterator[Line]:
        yield from self._functions()
        yield from self._web()
        yield from self._table()
        yield from self._events()
        yield from self._watching()
        yield from self._standing()
        yield from self._edge()
        yield from self._traffic()
        yield from self._servers()

    @property
    def requests(self) -> Decimal:
        """Return the number of requests to the hub."""
        amounts = self.amounts
        posts = amounts.activity_posts if self._has_haproxy else amounts.counted_activity_posts
        checks = amounts.token_checks * (amounts.used_share + amounts.untouched_share)
        return self.demand.server_hours * (posts + checks + amounts.other_requests)

    @property
    def spare_requests(self) -> Decimal:
        """Return how often spares ask for their launches."""
        return self.demand.spare_hours * 3600 / self.amounts.spare_pause

    @property
    def follows(self) -> Decimal:
        """Return the number of requests for the progress of starts."""
        return self.demand.launches * self.amounts.follows

    @property
    def server_requests(self) -> Decimal:
        """Return the number of requests to servers: of JupyterLab's tabs by themselves, and of people's work."""
        amounts = self.amounts
        used, untouched, hidden = (
            (amounts.used_tab, amounts.untouched_tab, amounts.hidden_tab)
            if self.demand.polls_less
            else (amounts.used_tab_as_it_is, amounts.untouched_tab_as_it_is, amounts.hidden_tab_as_it_is)
        )
        hidden_share = 1 - amounts.used_share - amounts.untouched_share
        a_minute = amounts.used_share * used + amounts.untouched_share * untouched + hidden_share * hidden
        return self.demand.server_hours * (60 * a_minute + amounts.work_requests)

    def _functions(self) -> Iterator[Line]:
        amounts, launches = self.amounts, self.demand.launches
        of_launches = launches * amounts.launch_invocations
        runs = self.requests + self.spare_requests + self.follows + of_launches + amounts.sweeps
        seconds = of_launches * amounts.spawn_seconds + amounts.sweeps * amounts.sweep_seconds
        gb_seconds = (
            self.requests * amounts.api_seconds * amounts.api_memory_gb
            + self.spare_requests * amounts.spare_seconds * amounts.api_memory_gb
            + self.follows * amounts.follow_seconds * amounts.follow_memory_gb
            + seconds * amounts.memory_gb
        )
        usd = self.prices.of_million("lambda.million_requests", runs) + self.prices.usd("lambda.gb_second") * gb_seconds
        yield Line(
            Group.CONTROL, "Lambda", usd, f"{_format_amount(runs)} runs, {_format_amount(gb_seconds)} GB-seconds"
        )
        if self.demand.snap_start:
            cached = self.prices.usd("lambda.snapshot_gb_second") * SECONDS * amounts.api_memory_gb
            restored = self.prices.usd("lambda.snapshot_gb_restored") * amounts.api_memory_gb * self._cold_starts
            yield Line(Group.CONTROL, "Lambda snapshots", cached + restored, "of one function")

    @property
    def _cold_starts(self) -> Decimal:
        return self.requests * self.amounts.cold_starts

    def _web(self) -> Iterator[Line]:
        requests = self.requests + self.spare_requests
        http = self.prices.of_million("api_gateway.million_http", requests)
        rest = self.prices.of_million("api_gateway.million_rest", self.follows)
        asked = requests + self.follows
        yield Line(
            Group.CONTROL,
            "API Gateway",
            http + rest,
            f"{_format_amount(requests)} requests, {_format_amount(self.follows)} of starts",
        )
        yield Line(Group.CONTROL, "CloudFront to the hub", self._cloudfront(asked), f"{_format_amount(asked)} requests")
        if self.demand.waf:
            rules = self.prices.usd("waf.web_acl") + self.prices.usd("waf.rule") * self.amounts.waf_rules
            seen = asked + self.cloudfront_requests
            usd = rules + self.prices.of_million("waf.million_requests", seen)
            counted = _counted(self.amounts.waf_rules, "rule")
            yield Line(Group.CONTROL, "WAF", usd, f"{counted}, {_format_amount(seen)} requests")

    @property
    def cloudfront_requests(self) -> Decimal:
        """Return how many requests to servers pass CloudFront."""
        return Decimal(0) if self.demand.direct else self.server_requests

    def _cloudfront(self, requests: Decimal) -> Decimal:
        """Return CloudFront's price of *requests*. The viewer-request function runs at each."""
        asked = self.prices.of_million("cloudfront.million_requests", requests)
        return asked + self.prices.of_million("cloudfront.million_function_runs", requests)

    def _table(self) -> Iterator[Line]:
        demand, amounts = self.demand, self.amounts
        seconds = self._edge_hours * 3600
        running = demand.server_hours * 60  # server minutes: each sweep reads each running server
        reads = (
            self.requests * amounts.request_read_units
            + self.spare_requests * amounts.spare_read_units
            + demand.launches * amounts.launch_read_units
            + self.follows * amounts.follow_read_units
            + amounts.sweeps * amounts.sweep_reads
            + running * amounts.sweep_reads_a_server
            + seconds / amounts.edge_poll_seconds
        )
        of_edges = demand.server_hours * 3600 / amounts.edge_activity_seconds if self._has_haproxy else Decimal(0)
        of_servers = Decimal(0) if self._has_haproxy else demand.server_hours * amounts.counted_activity_posts
        writes = (
            of_servers * amounts.activity_write_units
            + demand.launches * amounts.launch_write_units
            + amounts.sweeps * amounts.sweep_writes
            + seconds / amounts.edge_heartbeat_seconds
            + of_edges * amounts.edge_activity_write_units
        )
        asked = self.prices.of_million("dynamodb.million_reads", reads) + self.prices.of_million(
            "dynamodb.million_writes", writes
        )
        yield Line(
            Group.CONTROL, "DynamoDB", asked, f"{_format_amount(reads)} read and {_format_amount(writes)} write units"
        )
        kept = (self.prices.usd("dynamodb.gb") + self.prices.usd("dynamodb.backed_up_gb")) * amounts.table_gb
        yield Line(Group.CONTROL, "DynamoDB storage", kept, f"{amounts.table_gb} GB, backed up")

    def _events(self) -> Iterator[Line]:
        amounts = self.amounts
        asked = amounts.queues * amounts.polls_a_queue + amounts.sweeps + self.demand.launches * amounts.launch_messages
        yield Line(
            Group.CONTROL,
            "SQS",
            self.prices.of_million("sqs.million_requests", asked),
            f"{_format_amount(asked)} requests, mostly Lambda's polls",
        )
        yield Line(
            Group.CONTROL,
            "EventBridge",
            self.prices.of_million("eventbridge.million_events", amounts.sweeps),
            f"{_format_amount(amounts.sweeps)} sweeps, which a rule starts",
        )
        lists = amounts.sweeps * amounts.sweep_lists
        put = self.prices.of_million("s3.million_writes", lists + self.demand.launches)
        got = self.prices.of_million("s3.million_reads", self.demand.launches)
        yield Line(
            Group.CONTROL,
            "S3",
            put + got,
            f"{_format_amount(lists)} list requests of sweeps, "
            f"{_format_amount(self.demand.launches)} secrets of launches",
        )
        stored = amounts.bundles_gb + self._flow_logs
        yield Line(
            Group.CONTROL, "S3 storage", self.prices.usd("s3.gb") * stored, f"{stored:.2f} GB of bundles and logs"
        )

    @property
    def _flow_logs(self) -> Decimal:
        return self.demand.server_hours * self.amounts.flow_log_gb if self.demand.logs_flows else Decimal(0)

    def _watching(self) -> Iterator[Line]:
        amounts, price = self.amounts, self.prices.usd
        logged = (
            (self.requests + self.spare_requests) * amounts.request_log_gb
            + self.demand.launches * amounts.launch_log_gb
            + amounts.sweeps * amounts.sweep_log_gb
        )
        usd = logged * (price("cloudwatch.gb_logged") + price("cloudwatch.gb_kept"))
        yield Line(Group.CONTROL, "CloudWatch logs", usd, f"{logged:.2f} GB")
        metrics = amounts.standing_metrics + amounts.other_metrics * self.demand.awake_hours / HOURS
        yield Line(
            Group.CONTROL,
            "CloudWatch metrics",
            price("cloudwatch.metric") * metrics,
            f"{metrics:.1f} metrics, billed by the hour",
        )
        yield Line(
            Group.CONTROL,
            "CloudWatch alarms",
            price("cloudwatch.alarm_metric") * self._alarm_metrics,
            f"{self._alarm_metrics} metrics, by which alarms are billed",
        )
        yield Line(
            Group.CONTROL,
            "CloudWatch dashboard",
            price("cloudwatch.dashboard") * amounts.dashboards,
            "the first three of an account are free",
        )
        flows = self._flow_logs
        yield Line(Group.CONTROL, "VPC flow logs", price("cloudwatch.gb_delivered") * flows, f"{flows:.2f} GB")

    @property
    def _alarm_metrics(self) -> Decimal:
        amounts, edge = self.amounts, self.demand.edge
        of_the_edge = {"economy": amounts.economy_alarm_metrics, "fleet": amounts.fleet_alarm_metrics}
        of_logs = amounts.server_log_alarm_metrics if self.demand.watches_server_logs else 0
        return amounts.alarm_metrics + of_the_edge.get(edge, 0) + of_logs

    def _standing(self) -> Iterator[Line]:
        amounts, price = self.amounts, self.prices.usd
        read = self._cold_starts * amounts.secret_reads
        yield Line(
            Group.CONTROL,
            "Secrets Manager",
            price("secrets_manager.secret") * amounts.secrets
            + self.prices.of_million("secrets_manager.million_calls", read),
            f"{amounts.secrets} secrets, {_format_amount(read)} reads",
        )
        calls = read + self.demand.launches  # a launch mounts its encrypted home
        keys = f"{_counted(self.demand.keys, 'key')}, " if self.demand.keys else ""
        yield Line(
            Group.CONTROL,
            "KMS",
            price("kms.key") * self.demand.keys + self.prices.of_million("kms.million_calls", calls),
            f"{keys}{_format_amount(calls)} calls",
        )
        yield Line(
            Group.CONTROL,
            "Parameters",
            self.prices.of_million("ssm.million_calls", self._cold_starts),
            f"{_format_amount(self._cold_starts)} reads at higher throughput",
        )
        if self.demand.has_zone:
            yield Line(Group.CONTROL, "Route 53", price("route53.zone"), "1 zone")
        yield Line(Group.CONTROL, "ECR", price("ecr.gb") * amounts.images_gb, f"{amounts.images_gb} GB of images")

    # --- the edge ---

    @property
    def _has_haproxy(self) -> bool:
        return self.demand.edge != "alb"

    @property
    def _edge_hours(self) -> Decimal:
        """Return the hours in which edges poll the table, summed over the edges."""
        if self.demand.edge == "economy":
            return self.demand.awake_hours
        return HOURS * self.demand.fleet if self.demand.edge == "fleet" else Decimal(0)

    def _edge(self) -> Iterator[Line]:
        if self.demand.edge == "economy":
            yield from self._instance()
        elif self.demand.edge == "fleet":
            yield from self._fleet()
        else:
            yield self._balancer("alb", "Load balancer (ALB)", ALB)
        yield from self._balancer_addresses()

    def _instance(self) -> Iterator[Line]:
        kind = self.demand.instance_type
        usd = self.prices.usd(f"ec2_hour.{kind}") * self.demand.awake_hours
        yield Line(
            Group.CONTROL,
            "Edge instance",
            usd,
            f"{kind}, {_format_amount(self.demand.awake_hours)} of 730 hours running",
        )
        disk = self.prices.usd("ec2.disk_gb") * self.amounts.edge_disk_gb
        yield Line(Group.CONTROL, "Edge disk", disk, f"{self.amounts.edge_disk_gb} GB, running or stopped")

    def _fleet(self) -> Iterator[Line]:
        amounts = self.amounts
        memory_gb = amounts.direct_edge_memory_gb if self.demand.direct else amounts.edge_memory_gb
        each = self._fargate_hour(amounts.edge_vcpus, memory_gb, is_arm=True)
        yield Line(
            Group.CONTROL,
            "Edge fleet",
            each * HOURS * self.demand.fleet,
            f"{self.demand.fleet} tasks of {amounts.edge_vcpus} vCPU and {memory_gb} GB, 730 hours",
        )
        if self.demand.egress == "public":
            hours = HOURS * self.demand.fleet
            usd = self.prices.usd("ec2.ipv4_hour") * hours
            yield Line(Group.CONTROL, "Edge addresses", usd, f"{_format_amount(hours)} hours of IPv4")
        yield self._balancer("nlb", "Load balancer (NLB)", NLB_TLS if self.demand.direct else NLB)

    def _balancer_addresses(self) -> Iterator[Line]:
        """Yield the public addresses of a balancer that browsers reach."""
        if self.demand.direct:
            hours = HOURS * self.amounts.balancer_zones
            usd = self.prices.usd("ec2.ipv4_hour") * hours
            yield Line(Group.CONTROL, "Balancer addresses", usd, f"{_format_amount(hours)} hours of IPv4")

    def _balancer(self, kind: str, name: str, unit: Unit) -> Line:
        units = unit.hours(self._load, self.demand.awake_hours)
        usd = self.prices.usd(f"balancer.{kind}_hour") * HOURS + self.prices.usd(f"balancer.{kind}_unit_hour") * units
        return Line(Group.CONTROL, name, usd, f"730 hours, {_format_amount(units)} unit-hours")

    @property
    def _load(self) -> Load:
        """Return the load of a balancer in an average hour in which servers run."""
        demand, amounts, hours = self.demand, self.amounts, self.demand.awake_hours
        if not hours:
            return Load()
        each = amounts.direct_connections_a_server if demand.direct else amounts.connections_a_server
        servers, requests = demand.server_hours / hours, self.server_requests / hours / 3600
        return Load(
            new_connections=requests / amounts.requests_a_connection,
            open_connections=servers * each,
            gb=servers * amounts.server_gb,
            requests=requests,
            rules=servers / 2,  # a request looks at half of the servers' rules until its own
        )

    # --- traffic and servers ---

    def _traffic(self) -> Iterator[Line]:
        gb = self.demand.server_hours * self.amounts.server_gb
        if self.demand.direct:
            yield Line(Group.TRAFFIC, "Data out", self.prices.usd("ec2.gb_out") * gb, f"{_format_amount(gb)} GB")
        else:
            yield Line(
                Group.TRAFFIC, "CloudFront data", self.prices.usd("cloudfront.gb") * gb, f"{_format_amount(gb)} GB"
            )
            yield Line(
                Group.TRAFFIC,
                LAB,
                self._cloudfront(self.server_requests),
                f"{_format_amount(self.server_requests)} requests",
            )
        ways = 2 if self.demand.edge == "fleet" else 1  # from the balancer to an edge, and from there to a server
        crossed = gb * self.amounts.zones_crossed * ways
        yield Line(
            Group.TRAFFIC,
            "Between zones",
            self.prices.usd("ec2.gb_between_zones") * crossed,
            f"{_format_amount(crossed)} GB",
        )

    def _servers(self) -> Iterator[Line]:
        demand, amounts, price = self.demand, self.amounts, self.prices.usd
        hour = self._fargate_hour(demand.vcpus, demand.memory_gb, is_arm=demand.is_arm)
        on_spot = demand.server_hours * demand.spot
        machine = f"{demand.vcpus} vCPU, {demand.memory_gb} GB, {'arm' if demand.is_arm else 'x86'}"
        usd = hour * (demand.server_hours - on_spot)
        yield Line(Group.SERVERS, "Fargate", usd, f"{_format_amount(demand.server_hours - on_spot)} hours of {machine}")
        yield Line(
            Group.SERVERS,
            "Fargate Spot",
            hour * price("fargate.spot_share") * on_spot,
            f"{_format_amount(on_spot)} hours of {machine}",
        )
        yield from self._spares()
        yield from self._ways_out()
        homes = demand.home_gb * demand.users
        moved = demand.home_gb * demand.launches
        used = price("efs.gb_read") * moved * amounts.home_reads + price("efs.gb_written") * moved * amounts.home_writes
        yield Line(Group.SERVERS, "Home folders (EFS)", price("efs.gb") * homes + used, f"{_format_amount(homes)} GB")
        if demand.backs_up_homes:
            kept = homes * amounts.backups_of_a_home
            yield Line(Group.SERVERS, "Backups of homes", price("backup.gb") * kept, f"{_format_amount(kept)} GB")
        logged = demand.launches * amounts.server_log_gb
        usd = logged * (price("cloudwatch.gb_logged") + price("cloudwatch.gb_kept"))
        yield Line(Group.SERVERS, "Server logs", usd, f"{logged:.2f} GB")

    def _spares(self) -> Iterator[Line]:
        """Yield what tasks cost that wait for launches, whether anybody comes or not."""
        demand = self.demand
        usd = self._fargate_hour(demand.spare_vcpu_hours, demand.spare_gb_hours, is_arm=demand.is_arm)
        share = 1 - demand.spot * (1 - self.prices.usd("fargate.spot_share"))
        what = f"{_format_amount(demand.spare_hours)} hours of tasks that wait, without users too"
        yield Line(Group.SERVERS, "Spares (warm)", usd * share, what)

    def _ways_out(self) -> Iterator[Line]:
        """Yield how servers reach the internet. A way out that the account has already is not the hub's."""
        demand, price = self.demand, self.prices.usd
        if demand.egress == "public":
            hours = demand.server_hours + demand.spare_hours
            usd = price("ec2.ipv4_hour") * hours
            yield Line(Group.SERVERS, "Addresses", usd, f"{_format_amount(hours)} hours of IPv4")
        elif demand.egress == "nat":
            users = nat_break_even(demand, self.prices, self.amounts)
            usd = (price("nat.hour") + price("ec2.ipv4_hour")) * HOURS
            yield Line(Group.SERVERS, "NAT gateway", usd, f"730 hours; pays from {users:,.0f} users on")
            gb = demand.server_hours * self.amounts.nat_gb
            yield Line(Group.SERVERS, "NAT data", price("nat.gb") * gb, f"{_format_amount(gb)} GB; no layers of images")

    def _fargate_hour(self, vcpus: Decimal, memory_gb: Decimal, *, is_arm: bool) -> Decimal:
        kind = "arm" if is_arm else "x86"
        return (
            self.prices.usd(f"fargate.{kind}_vcpu_hour") * vcpus
            + self.prices.usd(f"fargate.{kind}_gb_hour") * memory_gb
        )


def nat_break_even(demand: Demand, prices: Prices, amounts: Amounts) -> Decimal:
    """Return the number of users from which one NAT gateway costs less than a public address for each server."""
    hours = demand.hours * demand.days
    saved = prices.usd("ec2.ipv4_hour") * hours - prices.usd("nat.gb") * amounts.nat_gb * hours
    fixed = (prices.usd("nat.hour") + prices.usd("ec2.ipv4_hour")) * HOURS
    return (fixed / saved).to_integral_value(ROUND_CEILING)


def free_of_cloudfront(demand: Demand, prices: Prices, amounts: Amounts) -> Decimal:
    """Return the value of CloudFront's monthly free tier: 1 TB and ten million requests."""
    month = _Month(demand, prices, amounts)
    gb = Decimal(0) if demand.direct else min(demand.server_hours * amounts.server_gb, FREE_CLOUDFRONT_GB)
    requests = min(month.requests + month.cloudfront_requests, FREE_CLOUDFRONT_REQUESTS)
    return prices.usd("cloudfront.gb") * gb + prices.of_million("cloudfront.million_requests", requests)


def _counted(number: Decimal | int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _format_amount(amount: Decimal) -> str:
    """Format *amount* for people: 1.2 M, 38,400 or 0.5."""
    if amount >= 1_000_000:  # noqa: PLR2004 a million
        return f"{amount / 1_000_000:.2f} M"
    return f"{amount:,.0f}" if amount == amount.to_integral_value() or amount >= 100 else f"{amount:.1f}"  # noqa: PLR2004 three digits
