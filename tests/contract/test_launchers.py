"""The promises of every launcher: local processes, and tasks of an emulated AWS account."""

import contextlib
import json
import os
import sys
from dataclasses import replace
from datetime import timedelta

import pytest

from hubless.adapters.processes.readiness import HttpReadiness
from hubless.domain.errors import LaunchFailedError
from hubless.domain.profiles import Profile
from hubless.ports.launcher import Launch, Preparation, Task, TaskRunning, TaskStopped
from tests.support.builders import NOW, a_server
from tests.support.concurrency import MANY, concurrently, eventually
from tests.support.ecs import HOMES, Cloud
from tests.support.fakes import StoppedClock
from tests.support.processes import ProcessLaunchers

SECRET = "s3cr3t-0f-th3-l4unch"
PREFIX = "/user/alice/"
SERVER = """
import json, os, sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from urllib.parse import urlsplit

launch = os.environ["LAUNCH"]
with open("starts", "a") as starts:
    starts.write(launch + "\\n")
Path(launch + ".json").write_text(json.dumps(dict(os.environ)))
if "fail" in sys.argv:
    sys.exit(3)

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
    def log_message(self, *_):
        pass

url = urlsplit(os.environ["JUPYTERHUB_SERVICE_URL"])
HTTPServer((url.hostname, url.port), Handler).serve_forever()
"""


class Machine:
    """Launchers of processes, and real processes."""

    def __init__(self, folder):
        self.servers, self.homes, self.script = folder / "servers", folder / "homes", folder / "server.py"
        self.script.write_text(SERVER)
        self.launchers = ProcessLaunchers(self.servers, self.homes, {"PATH": os.environ["PATH"]})

    def launcher(self):
        return self.launchers.make()

    def profile(self, *what):
        return Profile("small", command=(sys.executable, str(self.script)), args=what, environment={"SHARED": "by all"})

    def until(self, function):
        return eventually(function)

    def answers(self, address):
        return HttpReadiness().answers(a_server(address=address), PREFIX)

    def starts(self):
        return (self.homes / "u-alice" / "starts").read_text().split()

    def environment(self, launch_id):
        return json.loads((self.homes / "u-alice" / f"{launch_id}.json").read_text())

    def close(self):
        ender = self.launcher()

        def is_ended():
            for task in ender.tasks():  # repeatedly, because a task that is just starting cannot be stopped yet
                ender.stop(task.task, force=True)
            return not ender.tasks()

        eventually(is_ended)
        self.launchers.wait()


class Ecs:
    """Launchers of tasks, and an account whose time passes as it is looked at."""

    def __init__(self, folder):
        self.clock = StoppedClock(NOW)
        self.cloud = Cloud(self.clock, lag=3, describe_lag=2, homes=HOMES)

    def launcher(self):
        return self.cloud.launcher()

    def profile(self, *what):
        return Profile("small", args=what, environment={"SHARED": "by all"})

    def until(self, function):
        for _ in range(200):
            self._let_die_what_fails()
            if value := function():
                return value
            self.clock.advance(timedelta(seconds=2))
        raise AssertionError(f"{function} never came true")

    def _let_die_what_fails(self):
        for task in self.cloud.account.running():
            if task["lastStatus"] == "RUNNING" and "fail" in task["definition"]["containerDefinitions"][0]["command"]:
                self.cloud.account.die(task["taskArn"], 3)

    def answers(self, address):
        return True

    def starts(self):
        account = self.cloud.account
        return [account.environment_of(task)["HUBLESS_LAUNCH_ID"] for task in account.tasks.values()]

    def environment(self, launch_id):
        account = self.cloud.account
        found = [account.environment_of(task) for task in account.tasks.values()]
        return next(environment for environment in found if environment["HUBLESS_LAUNCH_ID"] == launch_id)

    def close(self):
        pass


ADAPTERS = {"processes": Machine, "ecs": Ecs}


@pytest.fixture(params=ADAPTERS)
def place(request, tmp_path):
    made = ADAPTERS[request.param](tmp_path)
    yield made
    made.close()


@pytest.fixture
def launcher(place):
    return place.launcher()


def a_launch(place, *what, launch_id="l1"):
    environment = {"GIVEN": 'a="b", c', "EMPTY": "", "LAUNCH": launch_id, "SHARED": "by all"}
    secrets = {"JUPYTERHUB_API_TOKEN": SECRET, "JPY_API_TOKEN": SECRET}
    chosen = {"CHOSEN": 'c="d"', "FILED": "main"}
    return Launch(launch_id, "s1", "u-alice", "alice", "", PREFIX, place.profile(*what), environment, secrets, chosen)


def running(place, launcher, task):
    """Wait until the task answers, and return its status."""

    def answering():
        status = launcher.describe(task)
        assert not isinstance(status, TaskStopped), status
        return status if isinstance(status, TaskRunning) and place.answers(status.address) else None

    return place.until(answering)


def gone(place, launcher, task):
    return place.until(lambda: status if isinstance(status := launcher.describe(task), TaskStopped) else None)


def listed(place, launcher, count):
    return place.until(lambda: found if len(found := launcher.tasks()) == count else None)


def test_each_launch_runs_at_an_address_of_its_own_and_is_listed(place, launcher):
    tasks = [launcher.launch(a_launch(place, launch_id=launch_id)) for launch_id in ("l1", "l2")]

    addresses = {running(place, launcher, task).address for task in tasks}

    assert len(addresses) == 2
    assert sorted(launcher.tasks(), key=lambda t: t.launch_id) == [
        Task(task, launch_id, launcher.describe(task)) for task, launch_id in zip(tasks, ("l1", "l2"), strict=True)
    ]


def test_describe_many_agrees_with_describe(place, launcher):
    ending, staying = (launcher.launch(a_launch(place, launch_id=launch_id)) for launch_id in ("l1", "l2"))
    described = launcher.describe_many([ending, staying])
    assert not [status for status in described.values() if isinstance(status, TaskStopped)]  # listed or not
    for task in (ending, staying):
        running(place, launcher, task)
    launcher.stop(ending, force=True)
    gone(place, launcher, ending)

    expected = {task: launcher.describe(task) for task in (ending, staying)}
    assert launcher.describe_many(iter([ending, staying])) == expected
    assert launcher.describe_many([]) == {}


def test_nothing_of_an_offered_profile_is_garbage_collected(place, launcher):
    launcher.launch(a_launch(place))
    assert launcher.garbage_collect([place.profile()]) == 0


def test_what_was_prepared_is_prepared_for_every_launcher(place, launcher):
    mine, theirs = (Preparation(owner, place.profile()) for owner in ("u-alice", "u-bob"))
    launcher.prepare(mine)
    launcher.prepare(mine)

    other = place.launcher()
    assert other.is_prepared(mine)
    assert mine not in other.unprepared([mine, theirs])


def test_a_launch_needs_no_preparation_by_others(place, launcher):
    launch = a_launch(place)
    task = launcher.launch(launch)

    running(place, launcher, task)
    assert launcher.is_prepared(Preparation(launch.owner_id, launch.profile))
    assert launcher.unprepared([Preparation(launch.owner_id, launch.profile)]) == []


def test_eight_launches_at_once_have_eight_addresses(place, launcher):
    tasks = concurrently(lambda n: launcher.launch(a_launch(place, launch_id=f"l{n}")))

    assert len({running(place, launcher, task).address for task in tasks}) == MANY


def test_the_same_launch_from_eight_threads_starts_one(place, launcher):
    launch = a_launch(place)

    tasks = concurrently(lambda _: launcher.launch(launch))

    running(place, launcher, tasks[0])
    assert set(tasks) == {tasks[0]}
    assert launcher.launch(launch) == tasks[0]
    assert place.starts() == ["l1"]


def test_the_same_launch_from_eight_launchers_starts_one(place):
    launchers = [place.launcher() for _ in range(MANY)]

    tasks = concurrently(lambda n: launchers[n].launch(a_launch(place)))

    running(place, launchers[0], tasks[0])
    assert set(tasks) == {tasks[0]}
    assert place.starts() == ["l1"]


def test_a_task_that_has_just_started_is_not_stopped(place, launcher):
    task = launcher.launch(a_launch(place))

    assert not isinstance(launcher.describe(task), TaskStopped)
    assert not isinstance(place.launcher().describe(task), TaskStopped)


def test_another_launcher_adopts_what_runs(place, launcher):
    task = launcher.launch(a_launch(place))
    address = running(place, launcher, task).address
    other = place.launcher()

    assert other.tasks() == [Task(task, "l1", TaskRunning(address))]
    assert other.describe(task) == TaskRunning(address)
    assert other.launch(a_launch(place)) == task

    other.stop(task)
    gone(place, other, task)
    gone(place, launcher, task)
    assert place.starts() == ["l1"]


def test_an_early_exit_is_reported_with_its_code(place, launcher):
    task = launcher.launch(a_launch(place, "fail"))

    assert gone(place, launcher, task).why == "exited with code 3"


def test_a_task_that_never_existed_is_stopped(launcher):
    for task in (
        "never",
        "",
        ".",
        "..",
        "../x",
        "ended",
        "/etc",
        "never/arn:aws:ecs:eu-central-1:123456789012:task/hub/0",
    ):
        assert isinstance(launcher.describe(task), TaskStopped)
        launcher.stop(task)
        launcher.stop(task, force=True)
        launcher.forget(task)
    assert launcher.tasks() == []


def test_a_stop_is_idempotent(place, launcher):
    task = launcher.launch(a_launch(place))
    running(place, launcher, task)

    launcher.stop(task)
    launcher.stop(task)
    gone(place, launcher, task)
    launcher.stop(task)
    launcher.stop(task, force=True)

    assert isinstance(launcher.describe(task), TaskStopped)


def test_a_stop_before_the_server_is_up_ends_it(place, launcher):
    task = launcher.launch(a_launch(place))
    listed(place, launcher, 1)

    place.until(lambda: launcher.stop(task, force=True) or isinstance(launcher.describe(task), TaskStopped))

    launcher.forget(task)
    assert launcher.tasks() == []


def test_a_finished_launch_is_not_started_again(place, launcher):
    task = launcher.launch(a_launch(place, "fail"))
    gone(place, launcher, task)

    for other in (launcher, place.launcher()):
        with contextlib.suppress(LaunchFailedError):
            other.launch(a_launch(place, "fail"))
        assert isinstance(other.describe(task), TaskStopped)
    assert place.starts() == ["l1"]


def test_a_forgotten_task_is_not_listed(place, launcher):
    task = launcher.launch(a_launch(place, "fail"))
    gone(place, launcher, task)

    launcher.forget(task)
    launcher.forget(task)

    assert isinstance(launcher.describe(task), TaskStopped)
    assert launcher.tasks() == []


def test_a_running_task_is_not_forgotten(place, launcher):
    task = launcher.launch(a_launch(place))
    launcher.forget(task)
    running(place, launcher, task)

    launcher.forget(task)
    place.launcher().forget(task)

    assert launcher.tasks() == [Task(task, "l1", launcher.describe(task))]
    running(place, launcher, task)


def test_the_server_gets_what_the_launch_gives_it(place, launcher):
    task = launcher.launch(a_launch(place))
    running(place, launcher, task)

    seen = place.environment("l1")

    assert (seen["JUPYTERHUB_API_TOKEN"], seen["JPY_API_TOKEN"]) == (SECRET, SECRET)
    assert (seen["GIVEN"], seen["EMPTY"], seen["SHARED"]) == ('a="b", c', "", "by all")
    assert (seen["CHOSEN"], seen["FILED"]) == ('c="d"', "main")
    assert seen["JUPYTERHUB_SERVICE_URL"].startswith("http://")
    assert seen["JUPYTERHUB_SERVICE_URL"].endswith(PREFIX)


def test_a_profile_that_needs_more_gpus_than_there_are_is_refused(place, launcher):
    launch = a_launch(place)

    with pytest.raises(LaunchFailedError, match="The profile small needs"):
        launcher.launch(replace(launch, profile=replace(launch.profile, gpus=64)))

    assert launcher.tasks() == []


def test_the_launcher_never_shows_secrets(place, launcher):
    launch = a_launch(place)
    task = launcher.launch(launch)
    status = running(place, launcher, task)

    assert SECRET not in repr(launch) + task + repr(status) + repr(launcher.tasks())
