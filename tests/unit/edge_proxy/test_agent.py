"""When the agent asks the table, and when it lets it be; HAProxy and the table are stood in for."""

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from edge_proxy.agent import Agent
from edge_proxy.errors import EdgeError
from edge_proxy.haproxy_config import EdgeConfiguration, UnixSocket
from edge_proxy.host_resolver import HostResolver
from hubless.adapters.sqlite.routes import SqliteRouteStore
from hubless.domain.errors import StoreUnavailableError
from hubless.domain.routes import Route
from tests.support.builders import NOW
from tests.support.concurrency import eventually
from tests.support.sqlite import InMemory

A = Route("/user/alice/", "10.0.0.1:8888", "l1")


class Table:
    """A table that counts what it is asked, and can be away."""

    def __init__(self) -> None:
        self.real, self.asked, self.is_away, self.is_read_only = SqliteRouteStore(InMemory()), 0, False, False
        self.reports_asked = 0

    def __getattr__(self, name: str) -> Any:
        self.asked += 1
        self.reports_asked += name == "report"
        if self.is_away or (self.is_read_only and name == "report"):
            raise StoreUnavailableError("the table is away")
        return getattr(self.real, name)


class Proxy:
    """HAProxy, as far as the agent speaks to it."""

    def __init__(self) -> None:
        self.runtime, self.map, self.is_up = self, dict[str, str](), True
        self.is_healthy, self.takes_maps = False, True
        self.starts = 0

    @property
    def ends(self) -> list[int]:
        return [7]

    def is_alive(self) -> bool:
        return self.is_up

    def start(self) -> bool:
        self.starts += 1
        if not self.is_up:
            raise EdgeError("HAProxy did not start")
        return False

    def pid(self) -> int:
        return 1

    def set(self, _file: Path, key: str, value: str) -> None:
        self.map[key] = value

    def remove(self, _file: Path, key: str) -> None:
        self.map.pop(key, None)

    def set_server_state(self, _backend: str, _server: str, *, is_up: bool) -> None:
        self.is_healthy = is_up

    def replace(self, _file: Path, entries: Any) -> int:
        if not self.takes_maps:
            raise EdgeError("HAProxy refuses")
        self.map = dict(entries)
        return len(self.map)


@pytest.fixture
def table() -> Table:
    return Table()


def started(table: Table, folder: Path, **facts: Any) -> tuple[Agent, Proxy]:
    edge = EdgeConfiguration(host="", port=1, api=UnixSocket(folder / "a"), run_folder=folder, health_path="/health")
    agent = Agent(edge, table, edge_id="e1", clock=lambda: NOW, **{"heartbeat_seconds": 3600.0} | facts)  # type: ignore[arg-type]
    proxy = Proxy()
    agent._haproxy = proxy  # type: ignore[assignment]
    agent.start()
    return agent, proxy


def test_an_agent_that_is_told_of_changes_sleeps_until_then(table: Table, tmp_path: Path) -> None:
    stop, slept = threading.Event(), list[Sequence[int]]()

    def sleep(ends: Sequence[int]) -> None:
        slept.append(ends)
        if len(slept) == 3:
            stop.set()

    agent, _ = started(table, tmp_path, poll_seconds=3600.0, sleep=sleep)
    asked = table.asked
    agent.run(stop)
    assert slept == [[7]] * 3
    assert table.asked == asked + 2  # not once more when it was told to stop


def test_the_agent_backs_off_while_the_table_is_away(table: Table, tmp_path: Path) -> None:
    agent, _ = started(table, tmp_path, poll_seconds=3600.0, max_backoff_seconds=3600.0)
    table.is_away = True
    agent.run_once()
    asked = table.asked
    for _ in range(5):
        agent.run_once()
    assert table.asked == asked


def test_haproxy_is_restarted_while_the_table_is_away(table: Table, tmp_path: Path) -> None:
    agent, proxy = started(table, tmp_path, poll_seconds=3600.0, max_backoff_seconds=3600.0)
    table.is_away = True
    agent.run_once()
    proxy.is_alive = lambda: False  # type: ignore[method-assign]
    agent.run_once()
    assert proxy.starts == 2


def test_the_agent_backs_off_while_haproxy_does_not_start(table: Table, tmp_path: Path) -> None:
    agent, proxy = started(table, tmp_path, poll_seconds=3600.0, max_backoff_seconds=3600.0)
    proxy.is_up = False
    for _ in range(5):
        agent.run_once()
    assert proxy.starts == 2


def test_an_edge_without_the_table_is_unhealthy_and_keeps_its_routes(table: Table, tmp_path: Path) -> None:
    table.real.put(A)
    agent, proxy = started(table, tmp_path, max_backoff_seconds=0.0, unhealthy_after_seconds=0.0)
    table.is_away = True
    agent.run_once()  # from now on it is away
    assert proxy.is_healthy
    agent.run_once()
    assert not proxy.is_healthy
    assert proxy.map
    table.real.remove(A.prefix, A.launch_id)
    table.is_away = False
    agent.run_once()
    assert proxy.is_healthy
    assert not proxy.map


def test_an_edge_stays_healthy_while_the_table_is_away_briefly(table: Table, tmp_path: Path) -> None:
    agent, proxy = started(table, tmp_path, max_backoff_seconds=0.0, unhealthy_after_seconds=3600.0)
    table.is_away = True
    for _ in range(5):
        agent.run_once()
    assert proxy.is_healthy


def test_an_edge_that_cannot_load_its_map_is_unhealthy_until_it_can(table: Table, tmp_path: Path) -> None:
    agent, proxy = started(table, tmp_path, max_backoff_seconds=0.0, unhealthy_after_seconds=0.0)
    table.real.put(A)
    proxy.takes_maps, proxy.is_up = False, False
    proxy.is_alive = lambda: False  # type: ignore[method-assign]
    agent.run_once()
    proxy.is_alive, proxy.is_up = lambda: True, True  # type: ignore[method-assign]
    for _ in range(2):
        agent.run_once()
    assert not proxy.is_healthy
    proxy.takes_maps = True
    agent.run_once()
    assert proxy.is_healthy
    assert proxy.map


def test_a_leaving_edge_stays_unhealthy_after_a_load(table: Table, tmp_path: Path) -> None:
    agent, proxy = started(table, tmp_path, max_backoff_seconds=0.0, unhealthy_after_seconds=0.0)
    agent.drain(0, threading.Event())
    for table.is_away in (True, True, False):
        agent.run_once()
    assert not proxy.is_healthy


def test_the_agent_follows_a_table_that_refuses_reports(table: Table, tmp_path: Path) -> None:
    agent, proxy = started(table, tmp_path, poll_seconds=3600.0, max_backoff_seconds=3600.0)
    table.is_read_only = True
    table.real.put(A)
    agent.run_once()
    assert proxy.map
    table.real.remove(A.prefix, A.launch_id)
    agent.run_once()
    assert not proxy.map
    assert proxy.is_healthy


def test_the_agent_backs_off_from_reports_and_makes_up_for_them(table: Table, tmp_path: Path) -> None:
    agent, _ = started(table, tmp_path, poll_seconds=3600.0, max_backoff_seconds=3600.0)
    table.is_read_only = True
    table.real.put(A)
    asked = table.reports_asked
    for _ in range(5):
        agent.run_once()
    assert table.reports_asked == asked + 1
    table.is_read_only = False
    agent._report_at = 0.0  # later
    agent.run_once()
    assert table.real.reports()[0].sequence == table.real.sequence()


def test_without_a_change_test_each_poll_reads_the_table(table: Table, tmp_path: Path) -> None:
    agent, proxy = started(table, tmp_path)
    table.real.put(A)
    agent.run_once()
    assert proxy.map
    asked = table.asked
    for _ in range(3):
        agent.run_once()
    assert table.asked == asked + 3


def test_a_change_test_that_says_no_saves_the_read(table: Table, tmp_path: Path) -> None:
    agent, _ = started(table, tmp_path, changed=lambda: False)
    asked = table.asked
    agent.run_once()
    assert table.asked == asked


def test_changes_during_an_outage_are_read_whatever_the_change_test_says(table: Table, tmp_path: Path) -> None:
    looks = iter([True, False, False])
    agent, proxy = started(table, tmp_path, changed=lambda: next(looks), max_backoff_seconds=0.0)
    table.real.put(A)
    table.is_away = True
    agent.run_once()
    table.is_away = False
    agent.run_once()
    assert proxy.map


def test_an_invalid_host_name_harms_neither_agent_nor_other_routes(table: Table, tmp_path: Path) -> None:
    table.real.put(Route("/services/bad/", "a..b:80", "service:/services/bad/"))
    agent, proxy = started(table, tmp_path)
    table.real.put(Route("/services/worse/", f"{'x' * 64}.org:80", "service:/services/worse/"))
    table.real.put(A)
    agent.run_once()
    assert list(proxy.map.values()) == [A.address]


def test_a_host_that_moves_is_followed_while_the_table_is_away(table: Table, tmp_path: Path) -> None:
    hosts = {"grader": "10.0.0.1"}
    table.real.put(Route("/services/grader/", "grader:80", "service:/services/grader/"))
    agent, proxy = started(table, tmp_path, resolver=HostResolver(hosts.__getitem__, interval_seconds=0.0))
    table.is_away = True
    hosts["grader"] = "10.0.0.2"

    def has_moved() -> bool:
        agent.run_once()
        return list(proxy.map.values()) == ["10.0.0.2:80"]

    eventually(has_moved)


def test_an_agent_stops_at_once_while_the_table_is_away(table: Table, tmp_path: Path) -> None:
    agent, _ = started(table, tmp_path, poll_seconds=3600.0)
    stop = threading.Event()
    running = threading.Thread(target=agent.run, args=(stop,))
    running.start()
    stop.set()
    running.join(20)
    assert not running.is_alive()
