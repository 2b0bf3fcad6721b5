"""What is ECS's own about launching: refusals, Spot, homes, late lists, and what is forgotten."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest

from hubless.adapters.ecs import access_points
from hubless.adapters.ecs import launcher as launcher_module
from hubless.adapters.ecs.config import Capacity
from hubless.domain.errors import CapacityUnavailableError, InvalidRequestError, LaunchFailedError
from hubless.domain.profiles import Profile
from hubless.ports.launcher import Launch, Preparation, Task, TaskPending, TaskRunning, TaskStopped
from tests.doubles.ecs.errors import AwsError, client
from tests.support.builders import NOW
from tests.support.ecs import HOMES, Cloud, ecs_config
from tests.support.fakes import StoppedClock

SECRET = "5ec2e75ec2e75ec2e75ec2e75ec2e75e"
LAUNCH = Launch("l1", "s1", "u1", "alice", "", "/user/alice/", Profile("small"), {}, {"JUPYTERHUB_API_TOKEN": SECRET})


def a_launch(launch_id="l1", **others):
    return replace(LAUNCH, launch_id=launch_id, **others)


def a_cloud(**others):
    return Cloud(StoppedClock(NOW), **others)


def until_up(cloud, launcher, task):
    for _ in range(100):
        if isinstance(status := launcher.describe(task), TaskRunning):
            return status
        cloud.clock.advance(timedelta(seconds=2))
    raise AssertionError(status)


def until_gone(cloud, launcher, task):
    for _ in range(100):
        if isinstance(status := launcher.describe(task), TaskStopped):
            return status
        cloud.clock.advance(timedelta(seconds=2))
    raise AssertionError(status)


# --- refusals ---


@pytest.mark.parametrize(
    "error",
    [
        AwsError("ThrottlingException", "Rate exceeded"),
        AwsError("ServerException", "Service Unavailable. Please try again later.", 500),
        AwsError("SomethingNew", "try again", 503),
        client("Capacity is unavailable at this time. Please try again later or in a different availability zone"),
        client("You've reached the limit on the number of vCPUs you can run concurrently"),
        client("You've reached the limit on the number of tasks you can run concurrently"),
    ],
    ids=str,
)
def test_what_may_pass_is_tried_again_later(error):
    cloud = a_cloud()
    cloud.account.refuse("RunTask", error)

    with pytest.raises(CapacityUnavailableError, match=error.message[:20]):
        cloud.launcher().launch(LAUNCH)

    task = cloud.launcher().launch(LAUNCH)
    assert cloud.launches_running() == ["l1"]
    assert cloud.launcher().describe(task) == TaskPending()


@pytest.mark.parametrize("reason", ["RESOURCE:ENI", "RESOURCE:MEMORY", "AGENT", "failure"])
def test_a_failure_in_an_answer_of_200_is_a_lack_of_room(reason):
    cloud = a_cloud()
    cloud.account.full["FARGATE"] = reason

    with pytest.raises(CapacityUnavailableError, match="Capacity is unavailable" if reason == "failure" else reason):
        cloud.launcher().launch(LAUNCH)

    assert cloud.launches_running() == []


@pytest.mark.parametrize("reason", ["ATTRIBUTE", "MISSING"])
def test_a_failure_that_stays_ends_the_launch(reason):
    cloud = a_cloud()
    cloud.account.full["FARGATE"] = reason

    with pytest.raises(LaunchFailedError, match=reason):
        cloud.launcher().launch(LAUNCH)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"cluster": "nowhere"}, "ClusterNotFoundException: Cluster not found"),
        ({"subnets": ("subnet-z",)}, "The subnet ID 'subnet-z' does not exist"),
        ({"security_groups": ("sg-z",)}, "The security group ID 'sg-z' does not exist"),
        ({"execution_role": "arn:aws:iam::123456789012:role/none"}, "unable to assume the role"),
        ({"platform_version": "9.9.9"}, "platform does not exist"),
        ({"bucket": "somebody-elses"}, "NoSuchBucket"),
    ],
)
def test_what_is_wrong_with_the_facts_is_said_in_awss_words(wrong, words):
    cloud = a_cloud()

    with pytest.raises(LaunchFailedError, match=words):
        cloud.launcher(**wrong).launch(LAUNCH)


def test_a_denied_request_ends_the_launch():
    cloud = a_cloud()
    cloud.account.refuse(
        "RunTask", AwsError("AccessDeniedException", "User: arn:… is not authorized to perform: ecs:RunTask")
    )

    with pytest.raises(LaunchFailedError, match="not authorized to perform: ecs:RunTask"):
        cloud.launcher().launch(LAUNCH)


def test_an_aws_that_cannot_be_reached_is_tried_again_later():
    from botocore.exceptions import ConnectTimeoutError, EndpointConnectionError, ReadTimeoutError

    for error in (EndpointConnectionError, ConnectTimeoutError, ReadTimeoutError):
        cloud = a_cloud()

        def fail(operation, error=error):
            raise error(endpoint_url="https://ecs", error="no route")

        cloud.wire.before = fail
        with pytest.raises(CapacityUnavailableError, match="Cannot reach AWS"):
            cloud.launcher().launch(LAUNCH)
        with pytest.raises(CapacityUnavailableError, match="Cannot reach AWS"):
            cloud.launcher().tasks()


@pytest.mark.parametrize(
    "operation", ["ListTaskDefinitions", "RegisterTaskDefinition", "PutObject", "CreateAccessPoint"]
)
def test_a_throttle_at_any_step_of_a_launch_is_tried_again_later(operation):
    cloud = a_cloud(homes=HOMES)
    cloud.account.refuse(operation)

    with pytest.raises(CapacityUnavailableError, match="Rate exceeded"):
        cloud.launcher().launch(LAUNCH)

    cloud.launcher().launch(LAUNCH)
    assert cloud.launches_running() == ["l1"]


def test_names_too_long_for_overrides_are_said_in_ecs_words():
    with pytest.raises(LaunchFailedError, match="Container Overrides length must be at most 8192"):
        a_cloud().launcher().launch(a_launch(environment={"JUPYTERHUB_USER": "x" * 8192}))


def test_the_number_of_tasks_that_ecs_takes_is_waited_out():
    """A class of 150 at once: what is refused is tried again, and in the end each has one task and no more."""
    cloud = a_cloud()
    launcher, waiting, seconds = cloud.launcher(), [f"l{n}" for n in range(150)], 0
    while waiting:
        for launch_id in list(waiting):
            try:
                launcher.launch(a_launch(launch_id))
            except CapacityUnavailableError:
                continue
            waiting.remove(launch_id)
        cloud.clock.advance(timedelta(seconds=1))
        seconds += 1

    assert Counter(cloud.launches_running()) == Counter(f"l{n}" for n in range(150))
    assert 6 <= seconds <= 9  # 20 a second
    assert cloud.account.count()["RegisterTaskDefinition"] == 1


# --- starting once ---


def test_a_launch_whose_settings_changed_in_between_stays_one_task():
    cloud = a_cloud()
    task = cloud.launcher().launch(LAUNCH)

    assert cloud.launcher(image="jupyter/minimal:2").launch(LAUNCH) == task
    assert cloud.launches_running() == ["l1"]


def test_launches_whose_ids_join_to_the_same_text_are_two():
    cloud = a_cloud()
    one = cloud.launcher().launch(a_launch("l1", server_id="s"))

    assert cloud.launcher(hub="schooll").launch(a_launch("1", server_id="s")) != one


def test_two_hubs_in_one_cluster_do_not_see_each_other():
    cloud = a_cloud()
    mine = cloud.launcher().launch(LAUNCH)
    other = cloud.launcher(hub="school-2").launch(a_launch("l2"))

    assert cloud.launcher().tasks() == [Task(mine, "l1", TaskPending())]
    assert cloud.launcher(hub="school-2").tasks() == [Task(other, "l2", TaskPending())]


def test_a_definition_is_registered_where_its_content_is_new():
    cloud = a_cloud()
    for number, profile in enumerate(
        [Profile("a"), Profile("b"), Profile("c", image="r:1"), Profile("d", image="r:1")]
    ):
        cloud.launcher().launch(a_launch(f"l{number}", profile=profile))

    images = [revisions[0]["containerDefinitions"][0]["image"] for revisions in cloud.account.definitions.values()]
    assert sorted(images) == ["jupyter/minimal:1", "r:1"]
    assert {len(revisions) for revisions in cloud.account.definitions.values()} == {1}


def test_a_server_sees_its_own_variables_over_its_profiles():
    cloud = a_cloud()
    shared = {"THEME": "dark", "JUPYTERHUB_SERVICE_URL": "http://evil/", "JUPYTERHUB_API_TOKEN": "guess"}
    launch = a_launch(
        profile=Profile("p", environment=shared), environment={"JUPYTERHUB_SERVER_NAME": "", "A": "b=c"} | shared
    )
    cloud.launcher().launch(launch)

    (task,) = cloud.account.running()
    seen = cloud.account.environment_of(task)
    assert seen == {
        "THEME": "dark",
        "JUPYTERHUB_SERVER_NAME": "",
        "A": "b=c",
        "JUPYTERHUB_API_TOKEN": SECRET,
        "JUPYTERHUB_SERVICE_URL": "http://0.0.0.0:8888/user/alice/",
        "HUBLESS_LAUNCH_ID": "l1",
        "HUBLESS_SERVER_ID": "s1",
    }


def test_nothing_that_aws_shows_or_tells_holds_a_secret():
    cloud = a_cloud(homes=HOMES)
    launcher = cloud.launcher()
    task = launcher.launch(LAUNCH)
    until_up(cloud, launcher, task)
    launcher.stop(task)
    until_gone(cloud, launcher, task)

    arn = task.partition("/")[2]
    family = cloud.account.tasks[arn]["taskDefinitionArn"]
    shown = [
        cloud.account.describe_tasks({"cluster": "hub", "tasks": [arn], "include": ["TAGS"]}),
        cloud.account.describe_task_definition({"taskDefinition": family}),
        cloud.account.take_news(),
        launcher.tasks(),
        launcher.describe(task),
    ]
    assert "launches/school/l1.env" in str(shown)
    assert SECRET not in str(shown)
    assert [name for name, given in cloud.account.calls if SECRET in str(given)] == ["PutObject"]


# --- Spot ---


@pytest.mark.parametrize(
    ("capacity", "provider"),
    [(Capacity.FARGATE, "FARGATE"), (Capacity.SPOT, "FARGATE_SPOT"), (Capacity.SPOT_OR_FARGATE, "FARGATE_SPOT")],
)
def test_servers_run_where_the_facts_say(capacity, provider):
    cloud = a_cloud(capacity=capacity)
    cloud.launcher().launch(LAUNCH)

    assert [task["capacityProviderName"] for task in cloud.account.running()] == [provider]


@pytest.mark.parametrize("how", ["failure", "exception"])
def test_where_spot_is_full_retries_launch_exactly_one_on_demand_task(how):
    cloud = a_cloud(capacity=Capacity.SPOT_OR_FARGATE)
    cloud.account.full["FARGATE_SPOT"] = how
    task = cloud.launcher().launch(LAUNCH)
    cloud.account.full.clear()

    assert cloud.launcher().launch(LAUNCH) == task
    assert [one["capacityProviderName"] for one in cloud.account.running()] == ["FARGATE"]


def test_a_throttle_is_no_lack_of_spot():
    cloud = a_cloud(capacity=Capacity.SPOT_OR_FARGATE)
    cloud.account.refuse("RunTask")

    with pytest.raises(CapacityUnavailableError):
        cloud.launcher().launch(LAUNCH)

    assert cloud.account.count()["RunTask"] == 1


def test_spot_alone_waits_for_spot():
    cloud = a_cloud(capacity=Capacity.SPOT)
    cloud.account.full["FARGATE_SPOT"] = "failure"

    with pytest.raises(CapacityUnavailableError):
        cloud.launcher().launch(LAUNCH)

    assert cloud.launches_running() == []


def test_a_spot_interruption_is_reported_and_the_task_runs_until_then():
    cloud = a_cloud(capacity=Capacity.SPOT)
    launcher = cloud.launcher()
    task = launcher.launch(LAUNCH)
    until_up(cloud, launcher, task)

    cloud.account.interrupt(task.partition("/")[2])

    assert isinstance(launcher.describe(task), TaskRunning)
    assert "AWS reclaimed its Spot capacity" in until_gone(cloud, launcher, task).why


def test_forgetting_takes_the_note_on_spot_away_too():
    cloud = a_cloud(capacity=Capacity.SPOT_OR_FARGATE)
    cloud.account.full["FARGATE_SPOT"] = "failure"
    launcher = cloud.launcher()
    task = launcher.launch(LAUNCH)
    assert len(cloud.account.secrets()) == 2

    launcher.stop(task)
    launcher.forget(task)

    assert cloud.account.secrets() == {}


# --- homes ---


def test_an_owner_has_one_access_point_to_a_folder_of_their_id():
    cloud = a_cloud(homes=HOMES)
    for number, owner in enumerate(["u1", "u1", "u2"]):
        cloud.launcher().launch(a_launch(f"l{number}", owner_id=owner))

    points = cloud.account.access_points
    assert sorted(point["RootDirectory"]["Path"] for point in points.values()) == ["/homes/u1", "/homes/u2"]
    mounted = [task["definition"]["volumes"][0]["efsVolumeConfiguration"] for task in cloud.account.running()]
    assert [points[one["authorizationConfig"]["accessPointId"]]["RootDirectory"]["Path"] for one in mounted] == [
        "/homes/u1",
        "/homes/u1",
        "/homes/u2",
    ]
    assert {one["transitEncryption"] for one in mounted} == {"ENABLED"}


def test_owners_whose_ids_begin_alike_do_not_share_a_home():
    cloud = a_cloud(homes=HOMES)
    for number, owner in enumerate(["u1", "u11", "1u1"]):
        cloud.launcher().launch(a_launch(f"l{number}", owner_id=owner))

    assert len(cloud.account.access_points) == 3


def test_the_limit_of_access_points_is_said_in_words():
    cloud = a_cloud(homes=HOMES)
    cloud.account.refuse(
        "CreateAccessPoint", AwsError("AccessPointLimitExceeded", "the maximum number of access points", 403)
    )

    with pytest.raises(LaunchFailedError, match="maximum number of access points"):
        cloud.launcher().launch(LAUNCH)


def test_access_points_of_users_who_are_gone_are_removed():
    cloud = a_cloud(homes=HOMES)
    for number, owner in enumerate(["u1", "u2"]):
        cloud.launcher().launch(a_launch(f"l{number}", owner_id=owner))
    cloud.launcher(hub="school-2", homes=HOMES).launch(a_launch("l9", owner_id="u9"))

    assert cloud.launcher().remove_owners(lambda owner_ids: set(owner_ids) & {"u2"}) == 1

    assert {point["RootDirectory"]["Path"] for point in cloud.account.access_points.values()} == {
        "/homes/u2",
        "/homes/u9",  # of another hub
    }


def test_an_access_point_that_another_sweep_removed_is_no_error():
    cloud = a_cloud(homes=HOMES)
    cloud.launcher().launch(a_launch("l1", owner_id="u1"))

    def existing(_owner_ids):
        cloud.account.access_points.clear()
        return ()

    assert cloud.launcher().remove_owners(existing) == 1


def test_a_removal_that_is_throttled_goes_on_in_the_next_call():
    cloud = a_cloud(homes=HOMES)
    for number, owner in enumerate(["u1", "u2", "u3"]):
        cloud.launcher().launch(a_launch(f"l{number}", owner_id=owner))
    launcher = cloud.launcher()

    def throttle_the_next(operation):
        if operation == "DeleteAccessPoint":
            cloud.wire.after = None
            cloud.account.refuse(operation)

    cloud.wire.after = throttle_the_next
    with pytest.raises(CapacityUnavailableError):
        launcher.remove_owners(lambda _owner_ids: ())
    assert len(cloud.account.access_points) == 2

    launcher.remove_owners(lambda _owner_ids: ())

    assert not cloud.account.access_points


def test_homes_of_removed_users_leave_their_place_to_others(monkeypatch):
    monkeypatch.setattr(launcher_module, "HOMES_AHEAD", 1)
    cloud = a_cloud(homes=HOMES)
    launcher = cloud.launcher()
    launcher.launch(a_launch("l1", owner_id="u1"))
    assert launcher.unprepared(wanted("u2")) == []

    launcher.remove_owners(lambda _owner_ids: ())

    assert launcher.unprepared(wanted("u2")) == wanted("u2")


# --- preparing ---


def wanted(*owners, profile=LAUNCH.profile):
    return [Preparation(owner, profile) for owner in owners]


def test_what_is_prepared_is_told_by_aws_in_pages(monkeypatch):
    monkeypatch.setattr(access_points, "PER_PAGE", 50)
    cloud = a_cloud(homes=HOMES)
    cloud.account.limits.clear()
    owners = [f"u{number:03}" for number in range(130)]
    for one in wanted(*owners[:120]):
        cloud.launcher().prepare(one)
    cloud.account.calls.clear()

    assert [one.owner_id for one in cloud.launcher().unprepared(wanted(*owners))] == owners[120:]

    assert cloud.account.count() == {"DescribeAccessPoints": 3, "ListTaskDefinitionFamilies": 2}


def test_another_image_is_another_preparation():
    cloud = a_cloud(homes=HOMES)
    launcher = cloud.launcher()
    launcher.prepare(*wanted("u1"))

    assert launcher.unprepared(wanted("u1")) == []
    changed = wanted("u1", profile=replace(LAUNCH.profile, image="jupyter/r:2"))
    assert launcher.unprepared(changed) == changed
    assert not launcher.is_prepared(*changed)


def test_without_homes_one_preparation_is_for_all():
    launcher = a_cloud().launcher()

    assert launcher.unprepared(wanted("u1", "u2", "u3")) == wanted("u1")
    launcher.prepare(*wanted("u1"))
    assert launcher.unprepared(wanted("u1", "u2", "u3")) == []
    assert launcher.is_prepared(*wanted("u9"))


def test_a_home_of_another_hub_is_no_preparation():
    cloud = a_cloud(homes=HOMES)
    cloud.launcher(hub="school-2").prepare(*wanted("u1"))

    assert cloud.launcher().unprepared(wanted("u1")) == wanted("u1")


def test_a_profile_beyond_every_size_is_not_prepared_ahead_and_fails():
    launcher = a_cloud(homes=HOMES).launcher()
    huge = wanted("u1", profile=replace(LAUNCH.profile, cpus=99.0))

    assert launcher.unprepared(huge + wanted("u2")) == wanted("u2")
    for attempt in (launcher.is_prepared, launcher.prepare):
        with pytest.raises(LaunchFailedError, match="asks for 99 processors"):
            attempt(*huge)


def test_a_throttled_registration_may_succeed_later():
    cloud = a_cloud(homes=HOMES)
    cloud.account.refuse("RegisterTaskDefinition")

    with pytest.raises(CapacityUnavailableError):
        cloud.launcher().prepare(*wanted("u1"))
    cloud.launcher().prepare(*wanted("u1"))

    assert len(cloud.account.access_points) == 1
    assert cloud.launcher().is_prepared(*wanted("u1"))


def test_throttled_looks_are_repeated_at_different_moments():
    cloud = a_cloud(homes=HOMES)
    cloud.account.refuse("ListTaskDefinitions", times=20)
    launcher, pauses = cloud.launcher(), []
    for owner in range(20):
        with pytest.raises(CapacityUnavailableError) as busy:
            launcher.is_prepared(*wanted(f"u{owner}"))
        pauses.append(busy.value.after)

    assert all(timedelta(seconds=1) <= pause <= timedelta(seconds=5) for pause in pauses)
    assert len(set(pauses)) > 10


def test_homes_made_ahead_leave_room_for_those_who_start(monkeypatch):
    monkeypatch.setattr(launcher_module, "HOMES_AHEAD", 3)
    cloud = a_cloud(homes=HOMES)
    launcher = cloud.launcher()
    launcher.prepare(*wanted("u1"))
    other = wanted("u1", profile=Profile("large", cpus=2.0))

    assert launcher.unprepared(wanted("u2", "u3", "u4") + other) == wanted("u2", "u3") + other
    assert launcher.unprepared(wanted("u5")) == []  # those named before will have homes
    launcher.launch(a_launch(owner_id="u9"))
    assert len(cloud.account.access_points) == 2


# --- asking ---


@pytest.mark.parametrize("how", ["image", "home", "file", "log"])
def test_a_start_that_fails_is_reported_at_once_with_ecs_reason(how):
    cloud = a_cloud(homes=HOMES)
    launcher = cloud.launcher()
    task = launcher.launch(LAUNCH)
    match how:
        case "image":
            cloud.account.broken_images["jupyter/minimal:1"] = "manifest unknown"
        case "home":
            cloud.account.access_points.clear()
        case "file":
            cloud.account.buckets["hub-launches"].clear()
        case "log":
            cloud.account.log_groups.clear()

    why = until_gone(cloud, launcher, task).why

    assert why.startswith("could not be started: ")
    assert {"image": "manifest unknown", "home": "EFS", "file": "env files", "log": "log group"}[how] in why
    assert cloud.account.tasks[task.partition("/")[2]]["lastStatus"] == "DEPROVISIONING"


def test_a_task_not_yet_listed_is_coming_and_one_no_longer_listed_is_gone():
    cloud = a_cloud(describe_lag=299)
    launcher = cloud.launcher()
    task = launcher.launch(LAUNCH)
    assert launcher.describe(task) == TaskPending()

    cloud.account.describe_lag = timedelta()
    until_up(cloud, launcher, task)
    cloud.account.die(task.partition("/")[2], 1)
    cloud.clock.advance(timedelta(hours=2))

    assert launcher.describe(task) == TaskStopped("ended; ECS no longer knows why")
    launcher.forget(task)
    assert cloud.account.secrets() == {}


def test_a_task_that_ecs_does_not_know_is_not_awaited_for_ever():
    cloud = a_cloud()
    launcher = cloud.launcher()
    task = launcher.launch(LAUNCH)
    cloud.account.tasks.clear()

    assert launcher.describe(task) == TaskPending()
    cloud.clock.advance(timedelta(minutes=5))
    assert isinstance(launcher.describe(task), TaskStopped)


def test_a_task_that_is_not_known_yet_is_not_forgotten():
    cloud = a_cloud(describe_lag=60)
    launcher = cloud.launcher()
    task = launcher.launch(LAUNCH)

    launcher.stop(task)
    launcher.forget(task)

    cloud.clock.advance(timedelta(seconds=60))
    assert isinstance(until_up(cloud, launcher, task), TaskRunning)


def test_a_task_that_lists_do_not_show_yet_is_known_by_its_file():
    cloud = a_cloud(lag=30)
    launcher = cloud.launcher()
    task = launcher.launch(LAUNCH)

    assert launcher.tasks() == [Task("l1/", "l1", TaskStopped("was never started"))]
    cloud.clock.advance(timedelta(seconds=30))
    assert launcher.tasks() == [Task(task, "l1", launcher.describe(task))]


def test_what_a_crash_before_the_task_left_is_listed_and_can_be_forgotten():
    cloud = a_cloud()
    launcher = cloud.launcher()
    cloud.account.refuse("RunTask")
    with pytest.raises(CapacityUnavailableError):
        launcher.launch(LAUNCH)

    (left,) = launcher.tasks()
    assert left.launch_id == "l1"
    launcher.stop(left.task, force=True)
    launcher.forget(left.task)

    assert launcher.tasks() == []
    assert cloud.account.secrets() == {}


def test_more_tasks_than_fit_in_one_answer_are_all_listed():
    cloud = a_cloud()
    launcher = cloud.launcher()
    for number in range(230):
        cloud.clock.advance(timedelta(seconds=0.1))
        launcher.launch(a_launch(f"l{number:04}"))

    assert sorted(task.launch_id for task in launcher.tasks()) == [f"l{n:04}" for n in range(230)]
    assert [len(given["tasks"]) for given in cloud.account.asked("DescribeTasks")] == [100, 100, 30]


def test_a_listing_of_files_in_pages_is_read_whole():
    cloud = a_cloud()
    launcher = cloud.launcher()
    for number in range(1100):
        launcher._files.put(f"l{number:04}", {"TOKEN": "t"})

    assert len(launcher.tasks()) == 1100


def test_a_throttled_question_is_no_answer():
    cloud = a_cloud()
    launcher = cloud.launcher()
    task = launcher.launch(LAUNCH)

    for operation, ask in (
        ("DescribeTasks", lambda: launcher.describe(task)),
        ("ListTasks", launcher.tasks),
        ("StopTask", lambda: launcher.stop(task)),
        ("DescribeTasks", lambda: launcher.forget(task)),
    ):
        cloud.account.refuse(operation)
        with pytest.raises(CapacityUnavailableError):
            ask()

    assert cloud.launches_running() == ["l1"]


# --- facts ---


@pytest.mark.parametrize(
    "wrong",
    [
        {"hub": "School"},
        {"hub": ""},
        {"hub": "a--b"},
        {"hub": "a" * 33},
        {"hub": "a/b"},
        {"subnets": ()},
        {"stop_seconds": 121},
    ],
)
def test_facts_that_cannot_be_are_refused(wrong):
    with pytest.raises(InvalidRequestError):
        ecs_config(**wrong)


def test_botocore_tries_again_by_itself_and_clients_are_made_once():
    from hubless.adapters.aws import Clients

    cloud = a_cloud()
    clients = Clients("eu-central-1", cloud.wire.session)
    cloud.account.refuse("ListTasks")

    assert clients.ecs.list_tasks(cluster="hub")["taskArns"] == []
    assert cloud.account.count()["ListTasks"] == 2
    assert clients.ecs is clients.ecs
