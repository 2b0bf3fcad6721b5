"""The process tree, with stand-ins for the children."""

import io
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, TextIO

import pytest

from embedded import data_folder
from embedded.ipc import ChildConfig
from embedded.supervisor import ChildError, Supervisor
from hubless.settings import Settings

FAKE_CHILD = Path(__file__).with_name("fake_child.py")
pytestmark = pytest.mark.timeout(60)


class Tree:
    """A supervisor over stand-ins, what it said, and the diary that they share."""

    def __init__(self, folder: Path, **behaviour: str) -> None:
        self.diary = folder / "diary"
        self.said: TextIO = io.StringIO()
        self.settings = Settings(folder)
        self.facts: dict[str, Any] = {}
        self._behaviour = behaviour
        self._lock = data_folder.lock(folder)
        self.config = ChildConfig(
            data=str(folder),
            settings_text="",
            settings_source="",
            host="127.0.0.1",
            port=1,
            workers=1,
            stop_on_exit=False,
            run_folder=str(data_folder.make_run_folder(folder)),
            first=True,
        )

    def run(self, ready: Callable[[dict[str, Any]], None] | None = None, out: TextIO | None = None) -> None:
        def is_ready(facts: dict[str, Any]) -> None:
            self.facts = facts
            (ready or terminate)(facts)

        programs = {
            name: (str(FAKE_CHILD), name, str(self.diary), self._behaviour.get(name, "works").replace("_", " "))
            for name in ("worker", "api", "edge", "preloader")
        }
        with Supervisor(self.config, self.settings, self._lock, out=out or self.said, programs=programs) as hub:
            hub.run("none", "", is_ready)

    def written(self, *words: str) -> list[str]:
        return [entry for entry in self.diary.read_text().splitlines() if not words or entry.split()[1] in words]

    def close(self) -> None:
        self._lock.release()
        shutil.rmtree(self.config.run_folder)


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[Callable[..., Tree]]:
    made: list[Tree] = []

    def make(**behaviour: str) -> Tree:
        made.append(Tree(tmp_path, **behaviour))
        return made[-1]

    yield make
    for one in made:
        one.close()


def terminate(_facts: object) -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_is_ready_once_every_child_is(tree: Callable[..., Tree]) -> None:
    hub = tree()

    hub.run()

    assert set(hub.facts) == {"worker_pid", "api_pid", "edge_pid"}
    assert sorted(hub.written("first")) == ["api first", "edge first", "worker first"]


def test_ends_the_api_then_the_worker_then_the_edge(tree: Callable[..., Tree]) -> None:
    hub = tree()

    hub.run()

    assert hub.written("ended") == ["api ended", "worker ended", "edge ended"]


def test_leaves_no_process_and_no_socket(tree: Callable[..., Tree], tmp_path: Path) -> None:
    hub = tree()

    hub.run()

    assert not any(lives(pid) for pid in hub.facts.values())
    assert not (data_folder.make_run_folder(tmp_path) / "api.sock").exists()


def test_restarts_a_child_that_crashed(tree: Callable[..., Tree]) -> None:
    hub = tree(api="dies_once")

    hub.run(lambda _facts: None)

    assert hub.written("first", "again").count("api again") == 1
    assert "The api was ended by signal 9; restarting it." in hub.said.getvalue()


def test_restarts_a_child_that_was_killed_while_it_started_a_server(tree: Callable[..., Tree]) -> None:
    hub = tree(worker="dies_while_it_starts_a_server")

    hub.run(lambda _facts: None)

    assert hub.written("first", "again").count("worker again") == 1


def test_gives_up_on_a_child_that_keeps_crashing(tree: Callable[..., Tree], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("embedded.supervisor.RESTART_DELAYS", (0.0,) * 5)
    hub = tree(worker="dies")

    with pytest.raises(ChildError, match="worker was ended by signal 9, for the 5th time within a minute") as ended:
        hub.run(lambda _facts: None)

    assert str(ended.value).endswith("I feel faint")
    assert not any(lives(int(entry.split()[2])) for entry in hub.written("pid"))


def test_a_child_that_fails_before_ready_ends_the_start_with_its_output(
    tree: Callable[..., Tree],
) -> None:
    with pytest.raises(
        ChildError, match=r"The worker ended with exit code 1 before it was ready(.|\n)*some last words"
    ):
        tree(worker="breaks").run()


def test_a_childs_output_is_forwarded_in_whole_lines(tree: Callable[..., Tree]) -> None:
    hub = tree(worker="stammers")

    with pytest.raises(ChildError) as ended:
        hub.run()

    assert str(ended.value).endswith("Its last output:\n    a whole line\n    and a last one")
    assert hub.said.getvalue() == "a whole line\nand a last one\n"


def test_a_childs_own_reason_for_its_failure_is_quoted(tree: Callable[..., Tree]) -> None:
    with pytest.raises(ChildError, match=r"^The cellar is flooded\.$"):
        tree(edge="fails").run()


def test_the_worker_stops_the_servers_if_they_end_with_the_hub(tree: Callable[..., Tree]) -> None:
    hub = tree()
    hub.settings = replace(hub.settings, servers=replace(hub.settings.servers, stop_on_exit=True))

    hub.run()

    assert hub.written("stop-servers", "ended") == ["api ended", "worker stop-servers", "worker ended", "edge ended"]


def test_a_second_signal_ends_a_stubborn_child_at_once(
    tree: Callable[..., Tree], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("embedded.supervisor.END_SECONDS", 3600.0)
    hub = tree(api="stubborn", worker="stubborn")

    def twice(facts: dict[str, Any]) -> None:
        terminate(facts)
        terminate(facts)

    hub.run(twice)

    assert not any(lives(pid) for pid in hub.facts.values())


def test_a_stubborn_child_is_killed_when_its_time_is_up(
    tree: Callable[..., Tree], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("embedded.supervisor.END_SECONDS", 0.1)
    hub = tree(worker="stubborn")

    hub.run()

    assert hub.written("ended") == ["api ended", "edge ended"]
    assert not any(lives(pid) for pid in hub.facts.values())


def test_restores_the_signal_handlers(tree: Callable[..., Tree]) -> None:
    before = signal.getsignal(signal.SIGTERM)

    tree().run()

    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize("remove", [Path.unlink, lambda file: shutil.rmtree(file.parent)], ids=["alone", "with folder"])
def test_the_apis_socket_is_made_anew_if_somebody_removes_it(
    tree: Callable[..., Tree], monkeypatch: pytest.MonkeyPatch, remove: Callable[[Path], None]
) -> None:
    monkeypatch.setattr("embedded.supervisor.LOOK_SECONDS", 0.05)
    hub = tree(api="ends_after_restart")

    hub.run(lambda _facts: remove(hub.config.api_socket))

    assert "api.sock; the hub makes it anew" in hub.said.getvalue()
    assert hub.written("first", "again", "reached").count("api reached") == 1


def test_the_hub_ends_if_somebody_removes_its_database(
    tree: Callable[..., Tree], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("embedded.supervisor.LOOK_SECONDS", 0.05)
    database = Settings(tmp_path).database
    database.touch()
    hub = tree()

    with pytest.raises(ChildError, match=r"removed or replaced the database .*hubless restore"):
        hub.run(lambda _facts: database.unlink())

    assert hub.written("ended") == ["api ended", "worker ended", "edge ended"]


def test_the_hub_ends_if_a_child_says_that_it_must(tree: Callable[..., Tree], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("embedded.supervisor.LOOK_SECONDS", 0.05)

    with pytest.raises(ChildError, match=r"^The cellar is flooded\. The hub has stopped"):
        tree(worker="warns").run(lambda _facts: None)


def test_children_notice_that_the_supervisor_was_killed(tmp_path: Path) -> None:
    script = (
        f"import os, sys; sys.path[:0] = {[str(Path(__file__).parent), *sys.path]!r}\n"
        "from pathlib import Path; from test_supervisor import Tree\n"
        f"Tree(Path({str(tmp_path)!r})).run(lambda _facts: os.kill(os.getpid(), 9))"
    )

    subprocess.run([sys.executable, "-c", script], check=False)

    data_folder.lock(tmp_path).release()  # is had once the last of them has ended
    alone = [entry for entry in (tmp_path / "diary").read_text().splitlines() if entry.endswith("alone")]
    shutil.rmtree(data_folder.run_folder_path(tmp_path))
    assert sorted(alone) == ["api alone", "edge alone", "worker alone"]


def test_a_hub_whose_output_nobody_reads_goes_on_and_ends(tree: Callable[..., Tree], tmp_path: Path) -> None:
    hub = tree(api="floods")
    reading, writing = os.pipe()

    with os.fdopen(reading), os.fdopen(writing, "w") as out:
        hub.run(lambda _facts: None, out)

    assert hub.written("flooded") == ["api flooded"]
    log = (tmp_path / "logs" / "hub.log").read_text()
    dropped = [int(line.split()[0]) for line in log.splitlines() if "of the log were dropped" in line]
    assert log.count("nothing in particular") + log.count("the last word") + sum(dropped) == 20_001
    assert (tmp_path / "logs" / "hub.log").stat().st_mode & 0o777 == 0o600
