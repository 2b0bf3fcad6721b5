"""A role for each owner: made before the definition, given with the launch, and gone with the user."""

from dataclasses import replace
from datetime import timedelta

import pytest

from hubless.adapters.ecs import task_roles, unowned_resources
from hubless.domain.errors import CapacityUnavailableError, LaunchFailedError
from hubless.domain.profiles import Profile
from hubless.ports.launcher import Launch, Preparation, TaskPending, TaskRunning, TaskStopped
from tests.doubles.ecs.account import BOUNDARY
from tests.doubles.ecs.errors import AwsError
from tests.support.builders import NOW
from tests.support.ecs import HOMES, Cloud
from tests.support.fakes import StoppedClock

OWN_ROLES = replace(HOMES, role_boundary=BOUNDARY)
SMALL = Profile("small")
LAUNCH = Launch("l1", "s1", "u1", "alice", "", "/user/alice/", SMALL, {}, {"JUPYTERHUB_API_TOKEN": "5ec2e7"})
PATH = "arn:aws:iam::123456789012:role/hubless/school/eu-central-1/"


@pytest.fixture
def cloud():
    made = Cloud(StoppedClock(NOW), homes=OWN_ROLES)
    made.account.mounts_need_tags = True
    return made


def roles(cloud):
    """Return the roles by their owner's id."""
    return {name.rpartition("-")[0]: role for name, role in cloud.account.users_roles.items()}


def started(cloud, launch=LAUNCH):
    """Launch as the queue does: again after the pause that the launcher asks for."""
    for _ in range(10):
        try:
            return cloud.launcher().launch(launch)
        except CapacityUnavailableError as later:
            cloud.clock.advance(later.after or timedelta(seconds=1))
    raise AssertionError("no launch")


def after_a_while(cloud, task):
    cloud.clock.advance(timedelta(minutes=2))
    return cloud.launcher().describe(task)


def everybody(owner_ids):
    return owner_ids


def nobody(_owner_ids):
    return ()


# --- making ---


def test_a_role_has_no_policy_a_boundary_and_its_owners_access_point(cloud):
    cloud.launcher().prepare(Preparation("u1", SMALL))

    (asked,) = cloud.account.asked("CreateRole")
    (point,) = cloud.account.access_points
    arn = f"arn:aws:elasticfilesystem:eu-central-1:123456789012:access-point/{point}"
    assert roles(cloud)["u1"]["Arn"].startswith(f"{PATH}u1-")
    assert roles(cloud)["u1"]["tags"] == {"hubless-access-point": arn}
    assert asked["PermissionsBoundary"] == BOUNDARY
    (trust,) = roles(cloud)["u1"]["trust"]["Statement"]
    assert trust["Principal"] == {"Service": "ecs-tasks.amazonaws.com"}
    assert trust["Condition"] == {"StringEquals": {"aws:SourceAccount": "123456789012"}}


def test_a_server_runs_with_its_owners_role_and_mounts_its_files(cloud):
    task = started(cloud)

    (running,) = cloud.account.running()
    assert running["overrides"]["taskRoleArn"] == roles(cloud)["u1"]["Arn"]
    assert isinstance(after_a_while(cloud, task), TaskRunning)


def test_a_server_with_the_shared_role_mounts_nothing(cloud):
    started(cloud)
    task = cloud.launcher(homes=HOMES).launch(replace(LAUNCH, launch_id="l2"))

    assert "access denied by server" in after_a_while(cloud, task).why


def test_the_definition_is_registered_after_the_role_is_made(cloud):
    cloud.account.refuse("CreateRole")
    with pytest.raises(CapacityUnavailableError):
        cloud.launcher().prepare(Preparation("u1", SMALL))
    assert not cloud.launcher().is_prepared(Preparation("u1", SMALL))

    cloud.launcher().prepare(Preparation("u1", SMALL))

    assert cloud.launcher().is_prepared(Preparation("u1", SMALL))
    assert set(roles(cloud)) == {"u1"}


def test_a_launch_that_is_prepared_asks_iam_for_nothing(cloud):
    cloud.launcher().prepare(Preparation("u1", SMALL))
    cloud.clock.advance(timedelta(minutes=1))

    cloud.launcher().launch(LAUNCH)

    assert cloud.account.count()["CreateRole"] == 1
    assert cloud.account.count()["GetRole"] == 0


def test_launches_of_the_shared_role_are_no_preparation_for_own_roles(cloud):
    wanted = Preparation("u1", SMALL)
    cloud.launcher(homes=HOMES).prepare(wanted)

    assert cloud.launcher().unprepared([wanted]) == [wanted]


def test_a_role_that_exists_is_used_by_all_functions(cloud):
    for profile in (SMALL, Profile("large", image="jupyter/r:1")):
        cloud.launcher().prepare(Preparation("u1", profile))

    assert len(cloud.account.users_roles) == 1


# --- new and missing roles ---


def test_a_role_that_is_too_new_for_ecs_is_waited_for(cloud):
    with pytest.raises(CapacityUnavailableError, match="does not know the new role") as later:
        cloud.launcher().launch(LAUNCH)  # IAM denies PassRole
    assert later.value.after == task_roles.RETRY_AFTER

    cloud.clock.advance(timedelta(seconds=4))
    with pytest.raises(CapacityUnavailableError, match="does not know the new role"):
        cloud.launcher().launch(LAUNCH)  # ECS cannot assume it

    cloud.clock.advance(timedelta(seconds=4))
    task = cloud.launcher().launch(LAUNCH)
    assert cloud.launcher().describe(task) == TaskPending()
    assert cloud.launches_running() == ["l1"]


def test_a_role_that_somebody_removed_is_made_again(cloud):
    cloud.launcher().prepare(Preparation("u1", SMALL))
    cloud.account.users_roles.clear()

    task = started(cloud)

    assert isinstance(after_a_while(cloud, task), TaskRunning)


def test_a_role_that_ecs_refuses_for_long_ends_the_launch_in_awss_words(cloud):
    cloud.launcher().prepare(Preparation("u1", SMALL))
    cloud.clock.advance(task_roles.NEW_FOR)
    roles(cloud)["u1"]["trust"]["Statement"][0]["Principal"] = {"Service": "ec2.amazonaws.com"}

    with pytest.raises(LaunchFailedError, match="ECS was unable to assume the role"):
        cloud.launcher().launch(LAUNCH)


def test_the_shared_role_is_not_waited_for(cloud):
    cloud.account.roles.clear()

    with pytest.raises(LaunchFailedError, match="ECS was unable to assume the role"):
        cloud.launcher(homes=HOMES).launch(LAUNCH)
    assert cloud.account.count()["CreateRole"] == 0


def test_a_role_that_iam_does_not_show_yet_is_tried_later(cloud):
    cloud.launcher().prepare(Preparation("u1", SMALL))
    cloud.account.shown_after = timedelta(seconds=3)
    other = Preparation("u1", Profile("large", image="jupyter/r:1"))

    with pytest.raises(CapacityUnavailableError, match="IAM does not show the new role"):
        cloud.launcher().prepare(other)

    cloud.clock.advance(timedelta(seconds=3))
    cloud.launcher().prepare(other)
    assert cloud.launcher().is_prepared(other)


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("tags", {"hubless-access-point": "arn:aws:elasticfilesystem:eu-central-1:123456789012:access-point/fsap-1"}),
        ("tags", {}),
        ("boundary", None),
        ("Arn", "arn:aws:iam::123456789012:role/u1"),
    ],
)
def test_a_role_that_may_do_something_else_is_refused(cloud, part, value):
    cloud.launcher().prepare(Preparation("u1", SMALL))
    roles(cloud)["u1"][part] = value

    with pytest.raises(LaunchFailedError, match="delete it, and the hub makes it again"):
        cloud.launcher().prepare(Preparation("u1", Profile("large", image="jupyter/r:1")))


def test_the_limit_of_roles_is_said_in_awss_words(cloud):
    cloud.account.role_quota = len(cloud.account.roles)

    with pytest.raises(LaunchFailedError, match="RolesPerAccount"):
        cloud.launcher().prepare(Preparation("u1", SMALL))


@pytest.mark.parametrize("code", ["ConcurrentModification", "Throttling", "ServiceFailure"])
def test_what_may_pass_in_iam_is_tried_again_later(cloud, code):
    cloud.account.refuse("CreateRole", AwsError(code, "later", 500 if code == "ServiceFailure" else 409))

    with pytest.raises(CapacityUnavailableError):
        cloud.launcher().prepare(Preparation("u1", SMALL))


# --- removing ---


def prepared(cloud, *owner_ids):
    for owner_id in owner_ids:
        cloud.clock.advance(timedelta(seconds=2))  # ECS's rate of registrations
        cloud.launcher().prepare(Preparation(owner_id, SMALL))


def roles_removed(cloud, launcher, existing):
    """Remove what belongs to owners who are gone, and return how many roles of it."""
    before = len(roles(cloud))
    launcher.remove_owners(existing)
    return before - len(roles(cloud))


def test_roles_of_users_who_are_gone_are_removed(cloud):
    prepared(cloud, "u1", "u2")
    cloud.clock.advance(unowned_resources.LOOK_EVERY)

    assert roles_removed(cloud, cloud.launcher(), lambda owner_ids: set(owner_ids) & {"u2"}) == 1

    assert set(roles(cloud)) == {"u2"}


def test_new_roles_and_those_of_other_hubs_stay(cloud):
    prepared(cloud, "u1")
    cloud.clock.advance(unowned_resources.LOOK_EVERY)
    prepared(cloud, "u2")

    assert roles_removed(cloud, cloud.launcher(hub="school-2", homes=OWN_ROLES), nobody) == 0
    assert roles_removed(cloud, cloud.launcher(region="eu-west-1", homes=OWN_ROLES), nobody) == 0
    assert roles_removed(cloud, cloud.launcher(), nobody) == 1
    assert set(roles(cloud)) == {"u2"}


def test_a_call_removes_a_few_and_the_next_continues(cloud, monkeypatch):
    monkeypatch.setattr(unowned_resources, "OWNERS_PER_CALL", 3)
    monkeypatch.setattr(unowned_resources, "REMOVED_PER_CALL", 2)
    monkeypatch.setattr(task_roles, "PER_PAGE", 2)
    prepared(cloud, *(f"u{number}" for number in range(7)))
    cloud.clock.advance(unowned_resources.LOOK_EVERY)
    launcher, asked = cloud.launcher(), []

    def existing(owner_ids):
        asked.append(len(owner_ids))
        return {"u6"}

    assert [roles_removed(cloud, launcher, existing) for _ in range(5)] == [2, 2, 2, 0, 0]
    assert max(asked) == 3
    assert set(roles(cloud)) == {"u6"}
    assert cloud.account.count()["ListRoles"] == 4  # the four pages of one look


def test_a_look_is_repeated_after_an_hour(cloud):
    prepared(cloud, "u1")
    cloud.clock.advance(unowned_resources.LOOK_EVERY)
    launcher = cloud.launcher()
    assert roles_removed(cloud, launcher, everybody) == 0
    assert roles_removed(cloud, launcher, nobody) == 0

    cloud.clock.advance(unowned_resources.LOOK_EVERY)

    assert roles_removed(cloud, launcher, nobody) == 1


def test_a_role_that_another_sweep_removed_is_no_error(cloud):
    prepared(cloud, "u1")
    cloud.clock.advance(unowned_resources.LOOK_EVERY)

    def existing(_owner_ids):
        cloud.account.users_roles.clear()
        return ()

    assert cloud.launcher()._roles.remove_unowned(existing) == 1


def test_without_own_roles_iam_is_not_asked(cloud):
    launcher = cloud.launcher(homes=HOMES)
    task = launcher.launch(LAUNCH)
    assert roles_removed(cloud, launcher, nobody) == 0

    assert cloud.account.count().keys().isdisjoint({"CreateRole", "GetRole", "ListRoles"})
    assert "taskRoleArn" not in cloud.account.asked("RunTask")[0]["overrides"]
    assert not isinstance(launcher.describe(task), TaskStopped)
