"""What an edge saw is reported once, in batches, and not lost where the table takes none."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from edge_proxy.activity import BATCH, ActivityReporter
from edge_proxy.haproxy_config import EdgeConfiguration, UnixSocket
from hubless.domain.errors import StoreUnavailableError
from hubless.domain.routes import ServerKey
from tests.support.builders import NOW

ALICE, BOB = ServerKey("s1", "u1"), ServerKey("s2", "u2")


class Edge:
    """What HAProxy says, and what is reported; only the test moves the clock."""

    def __init__(self) -> None:
        self.now = NOW
        self.last: dict[str, datetime] = {}
        self.received: list[dict[ServerKey, datetime]] = []
        self.is_away = False
        self.asked = 0
        self.open: list[str] = []
        configuration = EdgeConfiguration(host="", port=1, api=UnixSocket(Path("a")), run_folder=Path("r"))
        self.reports = ActivityReporter(configuration, self, self.take, clock=lambda: self.now, interval_seconds=0)  # type: ignore[arg-type]

    def idle_seconds(self, table: str, expire_seconds: int) -> dict[str, float]:
        self.asked += 1
        return {key: (self.now - at).total_seconds() for key, at in self.last.items()}

    def connected(self, table: str) -> list[str]:
        return self.open

    def take(self, seen: Mapping[ServerKey, datetime]) -> None:
        if self.is_away:
            raise StoreUnavailableError("the table is away")
        self.received.append(dict(seen))

    def sees(self, server: ServerKey, **later: Any) -> datetime:
        at = self.now + timedelta(**later)
        self.last[f"{server.owner_id}:{server.server_id}"] = at
        return at


def test_reported_activity_is_not_reported_again() -> None:
    edge = Edge()
    first = edge.sees(ALICE)
    edge.reports.run_once()
    edge.now += timedelta(minutes=1)
    edge.reports.run_once()
    second = edge.sees(BOB)
    edge.reports.run_once()
    assert edge.received == [{ALICE: first}, {BOB: second}]


def test_new_activity_of_a_server_is_reported_again() -> None:
    edge = Edge()
    edge.sees(ALICE)
    edge.reports.run_once()
    edge.now += timedelta(minutes=1)
    again = edge.sees(ALICE)
    edge.reports.run_once()
    assert edge.received[1:] == [{ALICE: again}]


def test_the_same_request_dated_a_little_later_is_not_new() -> None:
    edge = Edge()
    edge.sees(ALICE)
    edge.reports.run_once()
    edge.sees(ALICE, milliseconds=900)
    edge.reports.run_once()
    assert len(edge.received) == 1


def test_many_servers_are_reported_in_batches() -> None:
    edge = Edge()
    servers = [ServerKey(f"s{n}", "u") for n in range(2 * BATCH + 1)]
    for server in servers:
        edge.sees(server)
    for turn in range(3):
        assert edge.reports.has_pending == (turn > 0)
        edge.reports.run_once()
    assert not edge.reports.has_pending
    assert [len(batch) for batch in edge.received] == [BATCH, BATCH, 1]
    assert {server for batch in edge.received for server in batch} == set(servers)
    assert edge.asked == 1


def test_a_report_that_the_store_refused_is_retried() -> None:
    edge = Edge()
    at = edge.sees(ALICE)
    edge.is_away = True
    edge.reports.run_once()
    edge.is_away = False
    edge.reports.run_once()
    assert edge.received == [{ALICE: at}]


def test_the_reporter_forgets_servers_that_haproxy_forgot() -> None:
    edge = Edge()
    edge.sees(ALICE)
    edge.reports.run_once()
    edge.last.clear()
    edge.reports.run_once()
    assert edge.reports._reported == {}


def test_an_open_websocket_that_nothing_else_judges_is_use_at_each_report() -> None:
    edge = Edge()
    edge.open = ["u1:s1"]
    edge.sees(BOB, seconds=-50)
    edge.reports.run_once()
    edge.now += timedelta(minutes=1)
    edge.reports.run_once()
    edge.open = []
    edge.now += timedelta(minutes=1)
    edge.reports.run_once()
    assert edge.received == [
        {ALICE: NOW, BOB: NOW - timedelta(seconds=50)},
        {ALICE: NOW + timedelta(minutes=1)},
    ]
