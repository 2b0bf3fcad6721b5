"""Histograms and counters as JupyterHub 6.1.1 has them (its `jupyterhub/metrics.py`), for dashboards that read both.

A histogram counts durations by bucket. Each count here is of one bucket alone; Prometheus' text adds them up.
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from datetime import timedelta
from types import MappingProxyType

from hubless.domain.values import value

_INFINITY = float("inf")
# Upper bounds in seconds: the default of Prometheus' clients, and JupyterHub's own for what takes longer.
_SHORT = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, _INFINITY)
_SPAWN = (0.5, 1.0, 2.5, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 180.0, 300.0, 600.0, _INFINITY)
_ZERO = timedelta(0)


@value
class Histogram:
    """One histogram, or with `bounds` of one bucket a counter."""

    name: str
    text: str  # what it counts, in JupyterHub's words
    labels: tuple[str, ...] = ()  # their names; the values are few and known, and never of a request's choice
    bounds: tuple[float, ...] = _SHORT  # seconds, ascending; the last one is infinite
    always: tuple[tuple[str, ...], ...] = ()  # label values that are shown before anything was counted

    @property
    def is_counter(self) -> bool:
        """Say whether it counts events without a duration."""
        return len(self.bounds) == 1

    def counted(self, took: timedelta, *labels: str) -> "BucketCount":
        """Return one duration as a count of its bucket. A clock that was set back makes none negative."""
        if len(labels) != len(self.labels):
            raise ValueError(f"{self.name} has the labels {self.labels}, not {labels}")
        took = max(took, _ZERO)
        return BucketCount(self.name, labels, bisect_left(self.bounds, took.total_seconds()), 1, took)


@value
class BucketCount:
    """How many durations fell into one bucket, and their sum."""

    histogram: str  # its name
    labels: tuple[str, ...]  # their values, in the histogram's order
    bucket: int  # its position in `bounds`
    count: int
    total: timedelta


def added_up(counts: Iterable[BucketCount]) -> list[BucketCount]:
    """Return *counts* with one for each bucket."""
    sums: dict[tuple[str, tuple[str, ...], int], tuple[int, timedelta]] = {}
    for one in counts:
        key = one.histogram, one.labels, one.bucket
        count, total = sums.get(key, (0, _ZERO))
        sums[key] = count + one.count, total + one.total
    return [BucketCount(*key, *sums[key]) for key in sums]


REQUEST_DURATION = Histogram(
    "jupyterhub_request_duration_seconds", "Request duration for all HTTP requests", ("method", "handler", "code")
)
SUCCESS, FAILURE, ERROR = "success", "failure", "error"
NO_REASON, THROTTLED, TOO_MANY_USERS, ALREADY_PENDING = "", "throttled", "too-many-users", "already-pending"
TIMEOUT, EXITED = "timeout", "exited"
SPAWN_DURATION = Histogram(
    "jupyterhub_server_spawn_duration_seconds",
    "Time taken for server spawning operation",
    ("status", "reason"),
    _SPAWN,
    (
        (SUCCESS, NO_REASON),
        (FAILURE, NO_REASON),
        (ERROR, NO_REASON),
        (FAILURE, THROTTLED),
        (FAILURE, TOO_MANY_USERS),
        (FAILURE, ALREADY_PENDING),
    ),
)
STOP_DURATION = Histogram(
    "jupyterhub_server_stop_seconds",
    "Time taken for server stopping operation",
    ("status",),
    always=((SUCCESS,), (FAILURE,)),
)
# JupyterHub writes these two as Python shows its enumerations.
RUNNING, STOPPED = "ServerPollStatus.running", "ServerPollStatus.stopped"
POLL_DURATION = Histogram(
    "jupyterhub_server_poll_duration_seconds",
    "Time taken to poll if server is running",
    ("status",),
    always=((RUNNING,), (STOPPED,)),
)
LOGGED_IN, LOGIN_FAILED = "LoginStatus.success", "LoginStatus.failure"
LOGIN_DURATION = Histogram("jupyterhub_login_duration_seconds", "duration for all authentication attempts", ("status",))
LOGOUT_DURATION = Histogram("jupyterhub_logout_duration_seconds", "duration for all logout requests", always=((),))
PROXY_ADD_DURATION = Histogram(
    "jupyterhub_proxy_add_duration_seconds",
    "Duration for adding user routes to proxy",
    ("status",),
    always=((SUCCESS,), (FAILURE,)),
)
PROXY_DELETE_DURATION = Histogram(
    "jupyterhub_proxy_delete_duration_seconds",
    "Duration for deleting user routes from proxy",
    ("status",),
    always=((SUCCESS,), (FAILURE,)),
)
CSP_REPORTS = Histogram(
    "jupyterhub_csp_reports_total", "content security policy violation reports", bounds=(_INFINITY,), always=((),)
)
ALL: Mapping[str, Histogram] = MappingProxyType(
    {
        one.name: one
        for one in (
            REQUEST_DURATION,
            SPAWN_DURATION,
            LOGIN_DURATION,
            LOGOUT_DURATION,
            CSP_REPORTS,
            PROXY_ADD_DURATION,
            POLL_DURATION,
            STOP_DURATION,
            PROXY_DELETE_DURATION,
        )
    }
)
# Too frequent to store each one at DynamoDB's price: there CloudWatch counts requests, and ECS reports what ends.
FREQUENT = frozenset({REQUEST_DURATION.name, POLL_DURATION.name})
