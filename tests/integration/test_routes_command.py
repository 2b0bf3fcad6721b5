"""`hubless routes` beside a real HAProxy and its agent, with differences made by hand."""

import contextlib
import json
import os
import shutil
import signal
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from edge_proxy import runtime_api
from edge_proxy.agent import Agent
from edge_proxy.haproxy_config import map_key
from edge_proxy.route_comparison import compare_running
from embedded import data_folder
from embedded.cli import main
from embedded.edge import edge_configuration
from hubless.bootstrap import machine
from hubless.domain.routes import Route, ServerKey
from hubless.settings import parse
from tests.support.concurrency import eventually
from tests.support.free_port import free_port

pytestmark = pytest.mark.real
ALICE = Route("/user/alice/", "10.0.0.1:8888", "launch-a", ServerKey("s1", "u1"))
BOB = Route("/user/bob/", "10.0.0.2:8888", "launch-b", ServerKey("s2", "u2"))
STALE = ("/user/carol/", "10.0.0.3:8888:u3:s3")


class RunningEdge:
    """The edge of a hub on one machine, whose routes the test writes."""

    def __init__(self, data: Path) -> None:
        self.settings = parse(f"hub.port = {free_port()}", data)
        data_folder.prepare(self.settings)
        self._lock = data_folder.lock(data)
        self.run_folder = data_folder.make_run_folder(data)
        self.edge = edge_configuration(self.settings, self.run_folder)
        self.store, changed = machine.open_routes(self.settings)
        self.agent = Agent(
            self.edge, self.store, edge_id="local", clock=lambda: datetime.now(UTC), changed=changed, poll_seconds=0.01
        )
        self.agent.start()
        self.runtime = self.agent._haproxy.runtime

    def put(self, *routes: Route) -> None:
        for route in routes:
            self.store.put(route)
        self.agent.run_once()

    def differ(self) -> None:
        """Take Bob out of HAProxy, and leave in it a route that the store does not have."""
        self.runtime.remove(self.edge.map_file, map_key(BOB.prefix))
        self.runtime.set(self.edge.map_file, map_key(STALE[0]), STALE[1])
        self.runtime.command(f"add map {self.edge.map_file} {map_key(STALE[0])} {STALE[1]}")

    def routes(self, *words: str) -> Result:
        return CliRunner().invoke(main, ["routes", *words, "--data", str(self.settings.data)])

    def status(self) -> Result:
        return CliRunner().invoke(main, ["status", "--data", str(self.settings.data)])

    def close(self) -> None:
        self.agent.close()
        self._lock.release()
        shutil.rmtree(self.run_folder, ignore_errors=True)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RunningEdge]:
    monkeypatch.chdir(tmp_path)
    with contextlib.closing(RunningEdge(tmp_path / "hub-data")) as running:
        yield running


def test_equal_tables_exit_with_0(hub: RunningEdge) -> None:
    hub.put(ALICE, BOB)

    answer = hub.routes()

    assert answer.exit_code == 0, answer.output
    assert "  /user/alice/  10.0.0.1:8888  10.0.0.1:8888  launch-a\n" in answer.stdout
    assert answer.stdout.endswith("2 in the store, 2 in HAProxy: they agree.\n")


def test_a_difference_is_marked_and_exits_with_1(hub: RunningEdge) -> None:
    hub.put(ALICE, BOB)
    hub.differ()

    answer = hub.routes()

    assert answer.exit_code == 1, answer.output
    assert [line.split() for line in answer.stdout.splitlines() if line.startswith("!")] == [
        ["!", "/user/bob/", "10.0.0.2:8888", "-", "launch-b", "only", "in", "the", "store"],
        ["!", "/user/carol/", "-", "10.0.0.3:8888", "-", "only", "in", "HAProxy"],
    ]


def test_a_text_chooses_routes_and_decides_the_exit_code(hub: RunningEdge) -> None:
    hub.put(ALICE, BOB)
    hub.differ()

    assert hub.routes("alice").exit_code == 0
    assert "1 in the store, 0 in HAProxy: 1 differ" in hub.routes("bob").stdout


def test_json_names_each_state(hub: RunningEdge) -> None:
    hub.put(ALICE, BOB)
    hub.differ()

    answer = hub.routes("--json")

    assert answer.exit_code == 1
    document = json.loads(answer.stdout)
    assert not document["same"]
    assert {route["prefix"]: route["state"] for route in document["routes"]} == {
        "/user/alice/": "same",
        "/user/bob/": "only in the store",
        "/user/carol/": "only in HAProxy",
    }


def test_a_change_that_is_on_its_way_is_no_difference(hub: RunningEdge) -> None:
    hub.put(ALICE)
    hub.store.put(BOB)

    rows = compare_running(hub.store, hub.edge, pause=lambda _seconds: hub.agent.run_once())

    assert [(row.prefix, row.state) for row in rows] == [("/user/alice/", "same"), ("/user/bob/", "same")]


def test_what_starts_to_differ_while_it_compares_is_changing(hub: RunningEdge) -> None:
    hub.put(ALICE)
    hub.store.put(BOB)

    def apply_bob_and_remove_alice(_seconds: float) -> None:
        hub.agent.run_once()
        hub.store.remove(ALICE.prefix, ALICE.launch_id)

    rows = compare_running(hub.store, hub.edge, pause=apply_bob_and_remove_alice)

    assert [(row.prefix, row.state) for row in rows] == [("/user/alice/", "changing"), ("/user/bob/", "same")]
    assert not any(row.differs for row in rows)


def test_ten_thousand_routes_are_compared_and_cut_short(hub: RunningEdge) -> None:
    with hub.store._database.transaction():  # type: ignore[attr-defined]  # one commit, or it takes long
        for n in range(10_000):
            hub.store.put(Route(f"/user/user-{n:05}/", f"10.0.{n // 250}.{n % 250}:8888", f"launch-{n}"))
    hub.agent.run_once()

    answer = hub.routes()

    assert answer.exit_code == 0, answer.output[-500:]
    assert answer.stdout.endswith("10000 in the store, 10000 in HAProxy: they agree.\n")
    assert len(answer.stdout.splitlines()) < 300


def test_a_haproxy_that_is_gone_exits_with_3(hub: RunningEdge) -> None:
    hub.agent.close()

    answer = hub.routes()

    assert answer.exit_code == 3
    assert "Nobody listens at" in answer.stderr
    assert "HAProxy's Runtime API" in answer.stderr


def test_without_a_running_hub_it_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    answer = CliRunner().invoke(main, ["routes", "--data", str(tmp_path / "nothing")])

    assert answer.exit_code == 3
    assert "No hub runs in" in answer.stderr
    assert "hubless up" in answer.stderr
    assert not (tmp_path / "nothing").exists()


def test_the_status_says_whether_haproxy_has_the_stores_routes(hub: RunningEdge) -> None:
    hub.put(ALICE, BOB)
    assert "haproxy   answers, and has the store's routes\n" in hub.status().output

    hub.differ()
    assert "edge      local: up to date\n" in hub.status().output
    assert "haproxy   2 routes differ from the store's; `hubless routes` shows them\n" in hub.status().output


def test_a_haproxy_that_hangs_is_not_up_to_date(hub: RunningEdge, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.put(ALICE)
    before = hub.store.reports()
    monkeypatch.setattr(runtime_api, "TIMEOUT_SECONDS", 0.2)
    hub.agent._heartbeat_seconds = 0
    os.kill(hub.agent.haproxy_pid or 0, signal.SIGSTOP)
    try:
        assert "does not answer" in hub.status().output
        hub.agent.run_once()
        assert hub.store.reports() == before
    finally:
        os.kill(hub.agent.haproxy_pid or 0, signal.SIGCONT)
    hub.agent._repair_at = 0
    eventually(lambda: hub.agent.run_once() or hub.store.reports() != before)
    assert "has the store's routes" in hub.status().output
