"""Children that a real preloader forks for the supervisor, with stand-ins for what they run."""

import contextlib
import errno
import json
import os
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from embedded import data_folder
from embedded.ipc import ChildConfig
from embedded.supervisor import ChildError, Supervisor
from hubless.settings import Settings
from tests.integration.test_supervisor import lives, terminate

CHILD = """
import json, os, signal, sys, threading
from embedded import ipc

def run(channel, config, settings):
    facts = {"pid": os.getpid(), "parent": os.getppid(), "group": os.getpgid(0), "first": config.first}
    facts["descriptors"] = sorted(map(int, os.listdir("/proc/self/fd")))[:-1]  # the last one lists them
    if config.listener >= 0 and "%(role)s" == "api":
        facts["listens"] = os.readlink(f"/proc/self/fd/{config.listener}")
    with open(config.data + "/diary", "a") as diary:
        diary.write(json.dumps({"role": "%(role)s"} | facts) + "\\n")
    leaving = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: leaving.set())
    ipc.listen(channel, lambda event: leaving.set() if event is None else None)
    channel.send_event(ipc.READY, facts={"%(role)s": facts})
    if "%(role)s" == "worker" and config.stop_on_exit:
        print("I feel faint", file=sys.stderr, flush=True)
        sys.exit(3)
    while not leaving.wait(0.05):
        pass

if __name__ == "__main__":
    ipc.main(run)
"""
# A preloader whose imports wait for a file.
LATE = """
import os, time
while not os.path.exists({file!r}):
    time.sleep(0.02)
from embedded import preloader
preloader.main()
"""
pytestmark = pytest.mark.timeout(60)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    for role in ("worker", "api", "edge"):
        (tmp_path / f"{role}_child.py").write_text(CHILD % {"role": role})
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr("embedded.supervisor.LOOK_SECONDS", 0.05)
    yield tmp_path
    shutil.rmtree(data_folder.run_folder_path(tmp_path), ignore_errors=True)


class Hub:
    """A supervisor with a preloader; what happens once it is ready happens in a thread beside it."""

    def __init__(
        self, folder: Path, *, is_ill: bool = False, preloader: tuple[str, ...] = ("-P", "-m", "embedded.preloader")
    ) -> None:
        self.folder, self.facts = folder, dict[str, Any]()
        self._preloader = preloader
        self.failed: list[BaseException] = []
        self._is_ill = is_ill

    def run(self, meanwhile: Callable[[], None] | None) -> None:
        """Run until *meanwhile* has returned; until the hub ends by itself, if it is None."""
        lock = data_folder.lock(self.folder)
        programs = {"preloader": self._preloader}
        programs |= {role: ("-P", "-m", f"{role}_child") for role in ("worker", "api", "edge")}
        config = ChildConfig(
            data=str(self.folder),
            settings_text="",
            settings_source="",
            host="127.0.0.1",
            port=1,
            workers=1,
            stop_on_exit=self._is_ill,
            run_folder=str(data_folder.make_run_folder(self.folder)),
            first=True,
        )

        def beside() -> None:
            try:
                assert meanwhile is not None
                meanwhile()
            except BaseException as error:
                self.failed.append(error)
            terminate(None)

        def ready(facts: dict[str, Any]) -> None:
            self.facts = facts
            if meanwhile is not None:
                threading.Thread(target=beside).start()

        with (self.folder / "said").open("w") as out:
            try:
                with Supervisor(config, Settings(self.folder), lock, out=out, programs=programs) as hub:
                    hub.preload()
                    hub.run("none", "", ready)
            finally:
                lock.release()
        assert not self.failed, self.failed

    def preloader(self) -> int:
        """Return the process id of the preloader that has forked the API."""
        parent: int = self.facts["api"]["parent"]
        assert parent != os.getpid()
        return parent

    def said(self) -> str:
        log = self.folder / "logs" / "hub.log"
        return log.read_text() if log.exists() else ""

    def has_said(self, text: str) -> None:
        until(lambda: text in self.said())

    def starts(self, role: str) -> int:
        return (self.folder / "diary").read_text().count(f'"role": "{role}"')


def until(what: Callable[[], Any]) -> None:
    give_up_at = time.monotonic() + 30
    while not what():
        assert time.monotonic() < give_up_at
        time.sleep(0.02)


def test_the_preloader_forks_children_that_share_no_descriptors(folder: Path) -> None:
    hub = Hub(folder)
    preloader: list[str] = []

    hub.run(lambda: preloader.append(" ".join(psutil.Process(hub.facts["api"]["parent"]).cmdline())))

    facts = {role: hub.facts[role] for role in ("worker", "api", "edge")}
    assert len({one["parent"] for one in facts.values()}) == 1
    assert "embedded.preloader" in preloader[0]
    assert all(one["group"] == one["pid"] for one in facts.values())
    assert not any(lives(pid) for one in facts.values() for pid in (one["pid"], one["parent"]))
    own = {role: len(one["descriptors"]) for role, one in facts.items()}
    assert own == {"worker": 5, "api": 6, "edge": 5}  # streams, its channel, the folder's lock; the API's socket
    assert facts["api"]["listens"].startswith("socket:")


def test_without_pidfd_children_load_their_code_themselves(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_pid: int) -> int:
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr("embedded.forking.os.pidfd_open", missing)
    hub = Hub(folder)

    hub.run(lambda: None)

    assert {hub.facts[role]["parent"] for role in ("worker", "api", "edge")} == {os.getpid()}


def test_a_child_that_crashed_is_forked_again_and_its_end_is_told_truly(folder: Path) -> None:
    hub = Hub(folder)

    def kill() -> None:
        os.kill(hub.facts["api"]["pid"], signal.SIGKILL)
        until(lambda: hub.starts("api") == 2)

    hub.run(kill)

    assert "The api was ended by signal 9; restarting it.\n" in hub.said()
    assert (folder / "diary").read_text().count(f'"parent": {hub.facts["api"]["parent"]},') == 4


def test_a_forked_child_that_keeps_failing_ends_the_hub_with_its_output(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("embedded.supervisor.RESTART_DELAYS", (0.0,) * 5)
    hub = Hub(folder, is_ill=True)

    with pytest.raises(ChildError, match=r"worker ended with exit code 3, for the 5th time(.|\n)*I feel faint$"):
        hub.run(None)


def test_children_outlive_the_preloader_and_another_one_takes_its_place(folder: Path) -> None:
    hub = Hub(folder)

    def kill() -> None:
        os.kill(hub.preloader(), signal.SIGKILL)
        hub.has_said("The preloader was ended by signal 9; restarting it.")
        os.kill(hub.facts["api"]["pid"], signal.SIGKILL)  # nobody can say how it ended
        until(lambda: hub.starts("api") == 2)

    hub.run(kill)

    assert "The api ended; restarting it.\n" in hub.said()
    assert [hub.starts(role) for role in ("worker", "edge")] == [1, 1]


def test_the_hub_goes_on_without_a_preloader_that_keeps_dying(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("embedded.supervisor.MAX_CRASHES", 2)
    hub = Hub(folder)

    def kill_preloader() -> bool:
        for process in psutil.Process().children():
            with contextlib.suppress(psutil.NoSuchProcess):
                if "embedded.preloader" in process.cmdline():
                    process.kill()
        return "for the 2th time within a minute; the hub goes on without it" in hub.said()

    def kill() -> None:
        until(kill_preloader)
        os.kill(hub.facts["edge"]["pid"], signal.SIGKILL)
        until(lambda: hub.starts("edge") == 2)

    hub.run(kill)

    assert [hub.starts(role) for role in ("worker", "api")] == [1, 1]


def test_the_hub_starts_without_a_preloader_that_dies_before_it_is_ready(folder: Path) -> None:
    hub = Hub(folder, preloader=("-c", "pass"))

    hub.run(lambda: None)

    assert {hub.facts[role]["parent"] for role in ("worker", "api", "edge")} == {os.getpid()}
    assert "The preloader ended with exit code 0; restarting it.\n" in hub.said()


def test_a_start_does_without_a_preloader_that_hangs_and_uses_it_later(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("embedded.supervisor.PRELOAD_SECONDS", 0.0)
    hub = Hub(folder, preloader=("-P", "-c", LATE.format(file=str(folder / "loaded"))))

    def load() -> None:
        assert {hub.facts[role]["parent"] for role in ("worker", "api", "edge")} == {os.getpid()}
        assert "The preloader has not loaded the hub's code within 0 seconds, so children load it" in hub.said()
        (folder / "loaded").touch()
        hub.has_said("The preloader is ready: children that start from now on are forked from it.")
        os.kill(hub.facts["edge"]["pid"], signal.SIGKILL)
        until(lambda: hub.starts("edge") == 2)

    hub.run(load)

    assert [hub.starts(role) for role in ("worker", "api")] == [1, 1]
    parents = [json.loads(line)["parent"] for line in (folder / "diary").read_text().splitlines()]
    assert parents[:3] == [os.getpid()] * 3
    assert parents[3] != os.getpid()


def test_a_preloader_that_hangs_is_killed_and_children_do_without_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = Hub(folder)

    def stop() -> None:
        monkeypatch.setattr("embedded.forking.ANSWER_SECONDS", 0.1)  # not before: the first forks may take longer
        os.kill(hub.preloader(), signal.SIGSTOP)
        os.kill(hub.facts["edge"]["pid"], signal.SIGKILL)
        hub.has_said("The preloader was ended by signal 9; restarting it.")
        until(lambda: hub.starts("edge") == 2)

    hub.run(stop)

    assert "The preloader does not fork the edge, which loads its code itself: no answer in 0.1 s." in hub.said()
