"""Spares on ECS: what their tasks are started with, what that becomes, and crashes at every call to AWS."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from hubless.adapters.ecs import naming
from hubless.adapters.ecs.config import Capacity
from hubless.adapters.ecs.definition_usage import UNUSED_AFTER
from hubless.domain.errors import NotFoundError
from hubless.domain.lifecycle import ACTIVE, State
from hubless.domain.profile_options import (
    Changes,
    Choice,
    ChoiceOption,
    NumberOption,
    PerValue,
    SwitchOption,
    TextOption,
)
from hubless.domain.profiles import Profile, by_default, choose
from hubless.domain.spares import Warmth
from hubless.ports.launcher import Launch, TaskStopped
from hubless.ports.spares import SpareOrder
from tests.doubles.ecs.errors import client
from tests.integration.test_crashes import crashed_everywhere
from tests.support.builders import NOW
from tests.support.cloud_hub import CloudHub
from tests.support.dynamodb import Contents
from tests.support.ecs import Cloud
from tests.support.fakes import StoppedClock

SECRET, OWN = "5ec2e75ec2e75ec2e75ec2e75ec2e75e", "0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a"
WARM = Profile("warm", args=("--debug",), environment={"SHARED": "by all"}, warmth=Warmth(1))
ORDER = SpareOrder("w1", WARM, "https://hub/hub/api/spares/w1/launch", OWN)
LAUNCH = Launch(
    "l1",
    "s1",
    "u1",
    "alice",
    "",
    "/user/alice/",
    WARM,
    {"JUPYTERHUB_USER": "alice", "SHARED": "by all"},
    {"JUPYTERHUB_API_TOKEN": SECRET, "JPY_API_TOKEN": SECRET},
    {"CHOSEN": "a b", "FILED": "main"},
)
UP = timedelta(seconds=100)


@pytest.fixture
def cloud():
    return Cloud(StoppedClock(NOW))


def test_a_spare_becomes_what_a_task_of_the_launch_would_be(cloud):
    launcher, account = cloud.launcher(), cloud.account
    launcher.launch(LAUNCH)
    launcher.start_spare(ORDER)
    usual, spare = map(account.environment_of, account.tasks.values())

    became = spare | launcher.environment(LAUNCH)

    assert {name: became.pop(name) for name in list(became) if "SPARE" in name} == {
        "HUBLESS_SPARE_ID": "w1",
        "HUBLESS_SPARE_URL": ORDER.url,
        "HUBLESS_SPARE_TOKEN": OWN,
    }
    assert became == usual


def test_nothing_that_describes_a_spare_shows_its_secret(cloud):
    launcher, account = cloud.launcher(), cloud.account
    task = launcher.start_spare(ORDER)
    assert launcher.start_spare(ORDER) == task

    (described,) = account.tasks.values()
    container = described["definition"]["containerDefinitions"][0]
    shown = json.dumps([account._shown(described, tags=True), described["definition"], account.news], default=str)
    assert OWN not in shown + repr(ORDER)
    assert OWN in account.secrets()["launches/school/w1.env"]
    assert container["command"][-2:] == ["jupyterhub-singleuser", "--debug"]
    assert "healthCheck" not in container
    assert launcher.tasks()[0].launch_id == "w1"


def test_what_a_definition_says_is_in_the_kind(cloud):
    launcher = cloud.launcher()
    kinds = [
        launcher.kind_of_spare(replace(WARM, **changed))
        for changed in (
            {},
            {"image": "r:2"},
            {"cpus": 2.0},
            {"memory_bytes": 2**33},
            {"args": ()},
            {"environment": {}},
            {"storage_bytes": 2**35},
        )
    ]
    assert len(set(kinds)) == len(kinds)
    assert launcher.kind_of_spare(replace(WARM, default_url="/tree")) == kinds[0]
    elsewhere = {"security_groups": ("sg-new",)}, {"subnets": ("subnet-c",)}, {"capacity": Capacity.SPOT}
    for changed in (
        {"image": "jupyter/minimal:2"},
        {"public_addresses": not cloud.config.public_addresses},
        *elsewhere,
    ):
        assert cloud.launcher(**changed).kind_of_spare(WARM) != kinds[0]


@pytest.mark.parametrize(
    ("given", "fits"),
    [
        ({}, True),
        ({"course": "topic"}, True),
        ({"flag": True}, True),
        ({"shared": "mine"}, False),  # without the profile's own variable of that name
        ({"image": "r"}, False),
        ({"gb": 3}, False),
        ({"gb": 5}, False),  # a smaller size of Fargate would do for both
        ({"debug": True}, False),
    ],
)
def test_whoever_gets_a_spare_gets_what_they_chose(cloud, given, fits):
    options = (
        ChoiceOption("image", (Choice("python"), Choice("r", changes=Changes(image="r:1")))),
        NumberOption("gb", 1, 8, 4, changes=Changes(memory_bytes=PerValue(2**30))),
        TextOption("course", changes=Changes(environment={"COURSE": "{value}"})),
        TextOption("shared", changes=Changes(environment={"SHARED": "{value}"})),
        SwitchOption("flag", changes=Changes(environment={"FLAG": "1"}, default_url="/tree")),
        SwitchOption("debug", changes=Changes(args=("--debug",))),
    )
    profile, launcher, account = replace(WARM, args=(), options=options), cloud.launcher(), cloud.account
    chosen = choose({"warm": profile}, {"profile": "warm", **given}, None)
    assert (launcher.kind_of_spare(chosen.profile) == launcher.kind_of_spare(by_default(profile))) is fits

    launch = replace(
        LAUNCH, profile=chosen.profile, chosen=chosen.variables, environment=dict(chosen.profile.environment)
    )
    launcher.launch(launch)
    launcher.start_spare(replace(ORDER, profile=by_default(profile)))
    usual, spare = account.tasks.values()
    as_it_becomes = account.environment_of(spare) | launcher.environment(launch)
    is_same = account.environment_of(usual) == {n: v for n, v in as_it_becomes.items() if "SPARE" not in n}
    assert (is_same and _offers(usual) == _offers(spare)) is fits


def _offers(task):
    """Return what a task has beside its variables: all but that a spare waits first, and the check of its health."""
    definition = task["definition"]
    (container,) = definition["containerDefinitions"]
    command = [word for word in container["command"] if "\n" not in word]
    return (
        [definition.get(name) for name in ("cpu", "memory", "taskRoleArn")],
        container["image"],
        command[-1:],
        [pair for pair in container["environment"] if pair["name"] != "COURSE"],
    )


def test_definitions_of_spares_stay_as_long_as_the_profile_wants_some(cloud):
    launcher, clock = cloud.launcher(), cloud.clock
    task = launcher.start_spare(ORDER)
    launcher.stop(task)
    clock.advance(UNUSED_AFTER * 2)
    assert cloud.launcher().garbage_collect([WARM]) == 0
    assert cloud.launcher().garbage_collect([replace(WARM, warmth=Warmth())]) == 1


def test_a_definition_that_is_gone_is_registered_again(cloud):
    launcher, account = cloud.launcher(), cloud.account
    launcher.start_spare(ORDER)
    account.refuse("RunTask", client("TaskDefinition is inactive"))
    assert launcher.start_spare(replace(ORDER, spare_id="w2")).startswith("w2/arn:")


def test_a_spare_runs_on_demand_where_spot_has_no_room():
    cloud = Cloud(StoppedClock(NOW), capacity=Capacity.SPOT_OR_FARGATE)
    cloud.account.full["FARGATE_SPOT"] = "failure"
    cloud.launcher().start_spare(ORDER)
    (task,) = cloud.account.tasks.values()
    assert task["capacityProviderName"] == "FARGATE"


# --- an older hubless ---


def ids_as_older_ones_read_them(task):
    """Return launch and server of a task as every hubless did before there were spares."""
    given = {pair["name"]: pair["value"] for pair in task["overrides"]["containerOverrides"][0]["environment"]}
    return given.get("HUBLESS_LAUNCH_ID", ""), given.get("HUBLESS_SERVER_ID", "")


def test_an_older_hubless_ends_no_server_that_was_a_spare(hub, monkeypatch):
    a_spare_waits(hub, once)
    it_is_claimed(hub, once)
    spares, reaping, stopping, launching = hub.spares, hub.reaping, hub.stopping, hub.launching
    monkeypatch.setattr(naming, "ids_of", ids_as_older_ones_read_them)
    hub.spares = None
    hub.stopping = replace(stopping, spares=None)
    hub.launching = replace(launching, spares=None, stopping=hub.stopping)
    hub.reaping = replace(reaping, spares=None, stopping=hub.stopping, launching=hub.launching)
    orphans = {task.launch_id for task in hub.launcher.tasks() if not isinstance(task.status, TaskStopped)}
    assert orphans <= {hub.server().launch_id}
    for _ in range(3):
        hub.sweep_once()
        hub.work(120)
    server = hub.server()
    assert (server.state, len(hub.account.running())) == (State.READY, 1)
    hub.servers.write(server, replace(server, spare_id="", revision=server.revision + 1))  # it does not know the field

    monkeypatch.undo()
    hub.spares, hub.reaping, hub.stopping, hub.launching = spares, reaping, stopping, launching
    hub.sweep_once()
    assert hub.server().state is State.READY
    hub.stopping.request(hub.server())
    hub.settle()
    assert hub.server().state is State.STOPPED
    assert [name for name in hub.names_running() if name in server.task] == []


# --- crashes ---


class Warm(CloudHub):
    """A hub in the cloud whose spares ask for their launches, as `waiting_task.py` does."""

    def __init__(self, *places):
        super().__init__(*places, profiles=(WARM,), capacity=Capacity.SPOT_OR_FARGATE)
        self.became = {}  # launch of each spare that has one, as its task knows it
        self.account.full["FARGATE_SPOT"] = "failure"

    def speak(self):
        for task in self.account.running():
            name, _ = naming.ids_of(task)
            if task["lastStatus"] == "RUNNING" and name.startswith("w") and name not in self.became:
                self.ask(name)
            if self.became.get(name, name) not in self.reported and task["lastStatus"] == "RUNNING":
                self.report(self.became.get(name, name))

    def ask(self, spare_id):
        try:
            environment = self.spare_questions.answer(spare_id)
        except NotFoundError:
            return
        if environment is not None:
            self.became[spare_id] = environment["HUBLESS_LAUNCH_ID"]

    def settle(self, sweeps=2):
        """Nothing helps but sweeps, the queue, and what tasks ask and report."""
        self.account.full.clear()
        self.account.take_news()
        for _ in range(sweeps):
            self.work(120)
            self.sweep_once()
        self.work(120)

    def names_running(self):
        return sorted(self.cloud.launches_running())

    def assert_all_well(self):
        """Check that each server has one task, that as many spares wait as are wanted, and that nothing is left."""
        active = self.servers.in_states(ACTIVE)
        spares = self.stores.spares.all()
        assert all(server.state is State.READY for server in active)
        assert self.names_running() == sorted(
            [server.task.partition("/")[0] for server in active] + [one.id for one in spares if one.can_be_claimed]
        )
        assert sum(spare.can_be_claimed for spare in spares) == WARM.warmth.count
        assert len(spares) == WARM.warmth.count, "no record of a claimed or ended one is left"
        claims = {key for key in Contents().read() if key[0].startswith("SPARE#")}
        assert claims == {(f"SPARE#{server.spare_id}", "CLAIM") for server in active if server.spare_id}
        files = {key.removeprefix("launches/school/").partition(".")[0] for key in self.account.secrets()}
        assert files == set(self.names_running())
        assert len(self.account.running()) <= len(active) + WARM.warmth.count


@pytest.fixture
def hub(places):
    return Warm(*places)


def ends_well(hub):
    hub.settle()
    hub.assert_all_well()
    assert {server.state for server in hub.servers.of_owners([hub.alice.id])} <= {State.READY, State.STOPPED}


def a_spare_waits(hub, act):
    act(hub.sweep_once)
    hub.clock.advance(UP)
    for event in hub.account.take_news():
        hub.tell(event)
    act(hub.speak)  # it asks for the first time


def it_is_claimed(hub, act):
    act(lambda: hub.spawning.start(hub.alice, "", user_options={"profile": "warm"}))
    act(hub.handle_next)
    act(hub.speak)  # it asks, becomes the server, and reports
    for _ in range(2):  # test_crashes.py has crashes from here on
        hub.edge.look()
        hub.sqs.show()
        hub.handle_next()


def once(step):
    return step()


def test_a_start_of_a_spare_that_dies_at_any_call_ends_well(hub):
    crash_points = crashed_everywhere(hub, a_spare_waits, ends_well)

    assert crash_points.lived > 8
    ends_well(hub)


def test_a_claim_that_dies_at_any_call_ends_well(hub):
    a_spare_waits(hub, once)
    (spare,) = hub.names_running()

    crash_points = crashed_everywhere(hub, it_is_claimed, ends_well)

    assert (hub.server().state, hub.became) == (State.READY, {spare: hub.server().launch_id})
    assert crash_points.lived > 8
    ends_well(hub)
