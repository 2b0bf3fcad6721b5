"""Garbage collection of task definitions that nothing needs, without harm to launches."""

from dataclasses import replace
from datetime import timedelta

import pytest

from hubless.adapters.ecs.definition_usage import UNUSED_AFTER
from hubless.adapters.ecs.garbage_collection import COLLECT_EVERY, DEFINITIONS_PER_CALL, FAMILIES_PER_CALL
from hubless.domain.errors import CapacityUnavailableError
from hubless.domain.profiles import Profile
from hubless.ports.launcher import Launch, TaskPending
from tests.doubles.ecs.errors import client
from tests.support.builders import NOW
from tests.support.ecs import HOMES, Cloud
from tests.support.fakes import StoppedClock

OLD, NEW = Profile("small", image="jupyter/r:1"), Profile("small", image="jupyter/r:2")
HUGE = Profile("huge", cpus=500)
LONG = UNUSED_AFTER + COLLECT_EVERY


def a_launch(launch_id="l1", profile=OLD, owner="u1"):
    return Launch(launch_id, "s1", owner, "alice", "", "/user/alice/", profile, {}, {"JUPYTERHUB_API_TOKEN": "5ec2e7"})


def a_cloud(**others):
    return Cloud(StoppedClock(NOW), **others)


def run_and_end(cloud, *launches):
    for launch in launches:
        cloud.launcher().launch(launch)
    for task in cloud.account.running():
        cloud.account.die(task["taskArn"])


def statuses(cloud):
    """Return the image and the status of each definition."""
    every = (one for revisions in cloud.account.definitions.values() for one in revisions)
    return [(one["containerDefinitions"][0]["image"], one["status"]) for one in every]


@pytest.mark.parametrize("homes", [None, HOMES])
def test_what_no_profile_on_offer_needs_goes_and_the_rest_stays(homes):
    cloud = a_cloud(homes=homes)
    run_and_end(cloud, a_launch(), a_launch("l2", NEW))
    cloud.clock.advance(LONG)

    assert cloud.launcher().garbage_collect([NEW, HUGE]) == 1

    assert statuses(cloud) == [("jupyter/r:1", "DELETE_IN_PROGRESS"), ("jupyter/r:2", "ACTIVE")]
    assert cloud.launcher().garbage_collect([NEW, HUGE]) == 0
    assert len(cloud.account.secrets("definitions/")) == 1


def test_what_somebody_began_to_launch_by_less_than_a_day_ago_stays():
    cloud = a_cloud()
    run_and_end(cloud, a_launch())
    cloud.clock.advance(LONG)
    run_and_end(cloud, a_launch("l2"))  # by settings of before: a deployment is not everywhere at once
    cloud.clock.advance(UNUSED_AFTER - timedelta(seconds=1))

    assert cloud.launcher().garbage_collect([NEW]) == 0
    assert statuses(cloud) == [("jupyter/r:1", "ACTIVE")]

    cloud.clock.advance(timedelta(seconds=1))
    assert cloud.launcher().garbage_collect([NEW]) == 1


def test_who_launches_for_days_on_end_keeps_it_in_use():
    cloud = a_cloud()
    launcher = cloud.launcher()
    for number in range(9):
        launcher.launch(a_launch(f"l{number}"))
        cloud.clock.advance(UNUSED_AFTER / 2)
        for task in cloud.account.running():
            cloud.account.die(task["taskArn"])
        assert cloud.launcher().garbage_collect([NEW]) == 0

    assert cloud.account.count()["RegisterTaskDefinition"] == 1


def test_what_a_task_runs_by_stays_until_it_ends():
    cloud = a_cloud()
    cloud.launcher().launch(a_launch())
    cloud.clock.advance(LONG)
    assert cloud.launcher().garbage_collect([NEW]) == 0
    assert statuses(cloud) == [("jupyter/r:1", "ACTIVE")]

    (task,) = cloud.account.running()
    cloud.account.die(task["taskArn"])

    assert cloud.launcher().garbage_collect([NEW]) == 1


def test_another_hubs_definitions_stay():
    cloud = a_cloud()
    cloud.launcher(hub="school-2").launch(a_launch())
    for task in cloud.account.running():
        cloud.account.die(task["taskArn"])
    cloud.clock.advance(LONG)

    assert cloud.launcher().garbage_collect([NEW]) == 0
    assert cloud.launcher(hub="school-2").garbage_collect([NEW]) == 1


def collect(cloud, launcher, offered=(NEW,)):
    """Collect as a sweep each minute does: ECS counts deregistrations and deletions, and allows one a second."""
    cloud.clock.advance(timedelta(minutes=1))
    return launcher.garbage_collect(offered)


def test_a_few_go_at_once_and_in_the_end_all():
    cloud = a_cloud(homes=HOMES)
    for number in range(2 * DEFINITIONS_PER_CALL + 3):
        run_and_end(cloud, a_launch(f"l{number}", owner=f"u{number}"))
        cloud.clock.advance(timedelta(seconds=1))
    cloud.clock.advance(LONG)
    launcher = cloud.launcher()

    assert [collect(cloud, launcher) for _ in range(4)] == [DEFINITIONS_PER_CALL, DEFINITIONS_PER_CALL, 3, 0]

    assert {status for _, status in statuses(cloud)} == {"DELETE_IN_PROGRESS"}
    assert cloud.account.secrets("definitions/") == {}


def many_that_run(cloud, running):
    """Have that many owners' tasks run by definitions of their own, and the definitions be old."""
    for number in range(running):
        cloud.launcher().launch(a_launch(f"r{number}", owner=f"r{number}"))
        cloud.clock.advance(timedelta(seconds=1))


def test_a_sweep_checks_a_few_definitions_and_the_next_goes_on_from_there():
    cloud = a_cloud(homes=HOMES)
    for number in range(3):
        run_and_end(cloud, a_launch(f"l{number}", owner=f"u{number}"))
    many_that_run(cloud, 2 * FAMILIES_PER_CALL)
    cloud.clock.advance(LONG)
    launcher, asked = cloud.launcher(), []

    for _ in range(4):
        cloud.account.calls.clear()
        launcher.garbage_collect([NEW])
        asked.append(cloud.account.count().get("ListTasks", 0))

    assert asked == [
        FAMILIES_PER_CALL,
        FAMILIES_PER_CALL,
        3,
        FAMILIES_PER_CALL,
    ]  # the fourth starts again: something was removed
    assert sum(status == "DELETE_IN_PROGRESS" for _, status in statuses(cloud)) == 3
    assert sum(status == "ACTIVE" for _, status in statuses(cloud)) == 2 * FAMILIES_PER_CALL


def test_definitions_that_are_all_in_use_are_checked_once_and_then_left():
    cloud = a_cloud(homes=HOMES)
    many_that_run(cloud, FAMILIES_PER_CALL + 5)
    cloud.clock.advance(LONG)
    launcher = cloud.launcher()
    cloud.account.calls.clear()

    assert [launcher.garbage_collect([NEW]) for _ in range(5)] == [0] * 5

    assert cloud.account.count()["ListTasks"] == FAMILIES_PER_CALL + 5
    assert len(cloud.account.secrets("definitions/")) == 1


def test_what_is_on_offer_again_in_the_midst_of_a_look_stays():
    cloud = a_cloud(homes=HOMES)
    for number in range(DEFINITIONS_PER_CALL + 5):
        run_and_end(cloud, a_launch(f"l{number}", owner=f"u{number}"))
        cloud.clock.advance(timedelta(seconds=1))
    cloud.clock.advance(LONG)
    launcher = cloud.launcher()

    assert [collect(cloud, launcher, offered) for offered in ([NEW], [OLD], [NEW], [NEW])] == [
        DEFINITIONS_PER_CALL,
        0,
        5,
        0,
    ]


def test_what_was_looked_at_just_now_costs_nothing_to_look_at_again():
    cloud = a_cloud()
    launcher = cloud.launcher()
    launcher.garbage_collect([NEW])
    asked = len(cloud.account.calls)
    cloud.clock.advance(COLLECT_EVERY - timedelta(seconds=1))
    launcher.garbage_collect([NEW])
    assert len(cloud.account.calls) == asked

    cloud.clock.advance(timedelta(seconds=1))
    launcher.garbage_collect([NEW])
    assert len(cloud.account.calls) > asked


def test_a_hub_whose_profiles_are_all_on_offer_costs_one_listing_a_look():
    cloud = a_cloud(homes=HOMES)
    for number in range(5):
        run_and_end(cloud, a_launch(f"l{number}", owner=f"u{number}"))
    cloud.clock.advance(LONG)
    cloud.account.calls.clear()

    assert cloud.launcher().garbage_collect([OLD]) == 0

    assert cloud.account.count() == {"ListObjectsV2": 1}


def test_a_later_run_deletes_definitions_that_a_failed_one_left():
    cloud = a_cloud()
    run_and_end(cloud, a_launch())
    cloud.clock.advance(LONG)
    cloud.account.refuse("DeleteTaskDefinitions")
    with pytest.raises(CapacityUnavailableError):
        cloud.launcher().garbage_collect([NEW])
    assert statuses(cloud) == [("jupyter/r:1", "INACTIVE")]

    assert cloud.launcher().garbage_collect([NEW]) == 1

    assert statuses(cloud) == [("jupyter/r:1", "DELETE_IN_PROGRESS")]
    cloud.launcher().garbage_collect([NEW])
    assert cloud.account.secrets("definitions/") == {}


@pytest.mark.parametrize(
    "operation",
    [
        "ListTaskDefinitionFamilies",
        "ListTasks",
        "ListTaskDefinitions",
        "DeregisterTaskDefinition",
        "DeleteTaskDefinitions",
        "ListObjectsV2",
        "DeleteObject",
    ],
)
def test_throttles_while_putting_away_delay_and_lose_nothing(operation):
    cloud = a_cloud()
    run_and_end(cloud, a_launch())
    cloud.clock.advance(LONG)
    cloud.account.refuse(operation)
    launcher, refused = cloud.launcher(), 0

    for _ in range(4):
        try:
            launcher.garbage_collect([NEW])
        except CapacityUnavailableError:
            refused += 1

    assert refused == 1
    assert statuses(cloud) == [("jupyter/r:1", "DELETE_IN_PROGRESS")]
    assert cloud.account.secrets("definitions/") == {}


# --- a launch at that very moment ---


@pytest.mark.parametrize("words", [None, "TaskDefinition is inactive", "TaskDefinition not found."])
@pytest.mark.parametrize("when", ["known", "listed", "registered"])
def test_a_launch_by_a_definition_that_is_put_away_at_that_moment_succeeds(when, words):
    cloud = a_cloud()
    launcher = cloud.launcher()
    if when != "registered":
        run_and_end(cloud, a_launch("l0"))
        cloud.clock.advance(LONG)
    if when == "known":
        launcher.launch(a_launch("l1"))
        for task in cloud.account.running():
            cloud.account.die(task["taskArn"])
    left = ["RunTask"]

    def put_away(operation):
        if operation in left:
            left.clear()
            for revisions in cloud.account.definitions.values():
                for one in revisions:
                    one["status"] = "DELETE_IN_PROGRESS"
            if words:
                cloud.account.refuse("RunTask", client(words))

    cloud.wire.before = put_away
    task = launcher.launch(a_launch("l2"))

    assert launcher.describe(task) == TaskPending()
    assert cloud.launches_running() == ["l2"]
    assert cloud.launcher().launch(a_launch("l2")) == task


def test_a_definition_deregistered_repeatedly_only_delays_a_launch():
    cloud = a_cloud()
    cloud.account.refuse("RunTask", client("TaskDefinition is inactive"), times=2)
    launcher = cloud.launcher()

    with pytest.raises(CapacityUnavailableError, match="inactive"):
        launcher.launch(a_launch())

    launcher.launch(a_launch())
    assert cloud.launches_running() == ["l1"]


def test_a_profiles_variables_that_are_the_launchs_own_make_no_other_kind():
    cloud = a_cloud()
    profile = replace(OLD, environment={"JUPYTERHUB_API_TOKEN": "guess", "THEME": "dark"})
    run_and_end(cloud, a_launch(profile=profile))
    cloud.clock.advance(LONG)

    assert cloud.launcher().garbage_collect([profile]) == 0
    assert cloud.launcher().garbage_collect([NEW]) == 1
