"""What ECS's news say; the samples have the shapes of AWS's documents."""

from copy import deepcopy

import pytest

from hubless.adapters.ecs.events import read
from hubless.ports.launcher import TaskEvent, TaskPending, TaskRunning, TaskStopped
from tests.support.ecs import ecs_config

ARN = "arn:aws:ecs:eu-central-1:123456789012:task/hub/0123456789abcdef0123456789abcdef"
EVENT = {
    "version": "0",
    "id": "3317b2af-7005-947d-b652-f55e762e571a",
    "detail-type": "ECS Task State Change",
    "source": "aws.ecs",
    "account": "123456789012",
    "time": "2026-11-25T09:00:30Z",
    "region": "eu-central-1",
    "resources": [ARN],
    "detail": {
        "attachments": [
            {
                "id": "1789bcae-ddfb-4d10-8ebe-8ac87ddba5b8",
                "type": "eni",
                "status": "ATTACHED",
                "details": [
                    {"name": "subnetId", "value": "subnet-a"},
                    {"name": "networkInterfaceId", "value": "eni-0d"},
                    {"name": "macAddress", "value": "0a:98:eb:a7:29:ba"},
                    {"name": "privateIPv4Address", "value": "10.0.0.139"},
                ],
            }
        ],
        "availabilityZone": "eu-central-1a",
        "clusterArn": "arn:aws:ecs:eu-central-1:123456789012:cluster/hub",
        "containers": [
            {
                "containerArn": "…",
                "lastStatus": "RUNNING",
                "name": "server",
                "taskArn": ARN,
                "cpu": "0",
                "networkInterfaces": [{"attachmentId": "1789", "privateIpv4Address": "10.0.0.139"}],
            }
        ],
        "createdAt": "2026-11-25T09:00:01.000Z",
        "launchType": "FARGATE",
        "cpu": "512",
        "memory": "2048",
        "desiredStatus": "RUNNING",
        "lastStatus": "RUNNING",
        "group": "family:school-1",
        "startedBy": "hubless/school",
        "overrides": {
            "containerOverrides": [
                {
                    "name": "server",
                    "environment": [
                        {"name": "HUBLESS_LAUNCH_ID", "value": "l1"},
                        {"name": "HUBLESS_SERVER_ID", "value": "s1"},
                    ],
                }
            ]
        },
        "updatedAt": "2026-11-25T09:00:30.000Z",
        "taskArn": ARN,
        "version": 4,
        "platformVersion": "1.4.0",
    },
}


def news(**detail):
    event = deepcopy(EVENT)
    event["detail"] |= detail
    return read(event, ecs_config())


def ended(code=None, reason=None, **detail):
    container = {"name": "server", "lastStatus": "STOPPED"} | ({} if code is None else {"exitCode": code})
    container |= {"reason": reason} if reason else {}
    return news(
        **{"desiredStatus": "STOPPED", "lastStatus": "DEPROVISIONING", "containers": [container]} | detail
    ).status


def test_a_running_task_has_its_address_and_names_launch_and_server():
    assert news() == TaskEvent(f"l1/{ARN}", "s1", "l1", TaskRunning("10.0.0.139:8888"))


@pytest.mark.parametrize("status", ["PROVISIONING", "PENDING", "ACTIVATING"])
def test_a_task_that_comes_up_is_coming_though_it_may_have_an_address(status):
    assert news(lastStatus=status).status == TaskPending()
    assert news(lastStatus=status, attachments=[]).status == TaskPending()


@pytest.mark.parametrize("status", ["DEACTIVATING", "STOPPING"])
def test_a_task_that_is_asked_to_end_runs_until_its_container_has(status):
    assert news(lastStatus=status, desiredStatus="STOPPED").status == TaskRunning("10.0.0.139:8888")
    assert isinstance(ended(0, lastStatus=status), TaskStopped)


@pytest.mark.parametrize(
    ("facts_", "why"),
    [
        (
            {"code": 3, "stopCode": "EssentialContainerExited", "stoppedReason": "Essential container in task exited"},
            "exited with code 3",
        ),
        (
            {
                "code": 137,
                "reason": "OutOfMemoryError: Container killed due to memory usage",
                "stopCode": "EssentialContainerExited",
                "stoppedReason": "OutOfMemoryError: Container killed due to memory usage",
            },
            "exited with code 137 (OutOfMemoryError: Container killed due to memory usage)",
        ),
        (
            {
                "stopCode": "TaskFailedToStart",
                "stoppedReason": "CannotPullContainerError: pull access denied for nosuch",
            },
            "could not be started: CannotPullContainerError: pull access denied for nosuch",
        ),
        ({"stopCode": "TaskFailedToStart"}, "could not be started: ECS gave no reason"),
        (
            {"code": 0, "stopCode": "UserInitiated", "stoppedReason": "requested by hubless/school"},
            "was stopped (requested by hubless/school)",
        ),
        (
            {"code": 137, "stopCode": "SpotInterruption", "stoppedReason": "Your Spot Task was interrupted."},
            "was stopped because AWS reclaimed its Spot capacity (Your Spot Task was interrupted.)",
        ),
    ],
)
def test_an_end_is_reported_with_ecs_own_reason(facts_, why):
    assert ended(**facts_) == TaskStopped(why)
    assert ended(**facts_, lastStatus="STOPPED") == TaskStopped(why)


@pytest.mark.parametrize(
    "changed",
    [
        {"startedBy": "hubless/other"},
        {"startedBy": "hubless/school2"},
        {"startedBy": "ecs-svc/1234"},
        {"overrides": {"containerOverrides": [{"name": "server"}]}},
        {
            "overrides": {
                "containerOverrides": [{"name": "other", "environment": [{"name": "HUBLESS_LAUNCH_ID", "value": "l1"}]}]
            }
        },
        {"overrides": {}},
        {"taskArn": ""},
    ],
)
def test_tasks_of_others_are_not_ours(changed):
    assert news(**changed) is None


def test_other_events_say_nothing():
    assert read(EVENT | {"detail-type": "ECS Deployment State Change"}, ecs_config()) is None
    assert read(EVENT | {"source": "my.own"}, ecs_config()) is None
    assert read(EVENT | {"detail": "none"}, ecs_config()) is None
    assert read({}, ecs_config()) is None


def test_fields_that_are_new_or_missing_do_no_harm():
    event = deepcopy(EVENT)
    event["detail"] |= {"brandNew": [{"a": None}], "containers": [{"name": "sidecar"}, *EVENT["detail"]["containers"]]}
    for name in ("attachments", "version", "availabilityZone", "group"):
        del event["detail"][name]

    assert read(event, ecs_config()).status == TaskRunning("10.0.0.139:8888")


def test_reading_news_loads_nothing_of_botocore():
    import subprocess
    import sys

    code = "import sys, hubless.adapters.ecs.events; print('botocore' in sys.modules)"

    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
        == "False"
    )
