"""The exact requests: what AWS is asked, and that secrets are in one of them only."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import boto3
import pytest
from botocore.stub import Stubber

from hubless.adapters.aws import Clients
from hubless.adapters.ecs import limited_output
from hubless.adapters.ecs.launcher import EcsLauncher, _Run
from hubless.adapters.ecs.task_definitions import _digest
from hubless.domain.errors import LaunchFailedError
from hubless.domain.profiles import Profile
from hubless.ports.launcher import Launch, Task, TaskRunning
from tests.support.builders import NOW
from tests.support.ecs import HOMES, ecs_config
from tests.support.fakes import StoppedClock

SECRET = "5ec2e75ec2e75ec2e75ec2e75ec2e75e"
ARN = "arn:aws:ecs:eu-central-1:123456789012:task/hub/0123456789abcdef0123456789abcdef"
POINT = "fsap-0123456789abcdef0"
KEY = "launches/school/l1.env"
LAUNCH = Launch(
    "l1",
    "s1",
    "u1",
    "alice",
    "",
    "/user/alice/",
    Profile(
        "big",
        args=("--debug",),
        environment={"SHARED": "by all"},
        image="jupyter/r:1",
        cpus=2,
        memory_bytes=5 * 1024**3,
    ),
    {"JUPYTERHUB_USER": "alice", "SHARED": "by all"},
    {"JUPYTERHUB_API_TOKEN": SECRET, "JPY_API_TOKEN": SECRET},
)
LIMITER = Path(limited_output.__file__).read_text()
HEALTH = (
    "import os, urllib.request; "
    'urllib.request.urlopen("http://127.0.0.1:8888" + os.environ["JUPYTERHUB_SERVICE_PREFIX"]'
    ' + "api", timeout=5)'
)

DEFINITION = {
    "networkMode": "awsvpc",
    "requiresCompatibilities": ["FARGATE"],
    "cpu": "2048",
    "memory": "5120",
    "executionRoleArn": "arn:aws:iam::123456789012:role/hub-execution",
    "taskRoleArn": "arn:aws:iam::123456789012:role/hub-task",
    "runtimePlatform": {"operatingSystemFamily": "LINUX", "cpuArchitecture": "X86_64"},
    "containerDefinitions": [
        {
            "name": "server",
            "image": "jupyter/r:1",
            "essential": True,
            "command": ["python3", "-I", "-c", LIMITER, "262144", "jupyterhub-singleuser", "--debug"],
            "environment": [{"name": "SHARED", "value": "by all"}],
            "portMappings": [{"containerPort": 8888, "protocol": "tcp"}],
            "mountPoints": [{"sourceVolume": "home", "containerPath": "/home/jovyan", "readOnly": False}],
            "stopTimeout": 30,
            "readonlyRootFilesystem": False,
            "linuxParameters": {"initProcessEnabled": True, "capabilities": {"drop": ["NET_RAW"]}},
            "healthCheck": {
                "command": ["CMD", "python3", "-c", HEALTH],
                "interval": 60,
                "timeout": 10,
                "retries": 3,
                "startPeriod": 120,
            },
            "logConfiguration": {
                "logDriver": "awslogs",
                "options": {
                    "awslogs-group": "/hub/servers",
                    "awslogs-region": "eu-central-1",
                    "awslogs-stream-prefix": "school",
                    "mode": "non-blocking",
                },
            },
        }
    ],
    "volumes": [
        {
            "name": "home",
            "efsVolumeConfiguration": {
                "fileSystemId": "fs-0123456789abcdef0",
                "transitEncryption": "ENABLED",
                "authorizationConfig": {"accessPointId": POINT, "iam": "ENABLED"},
            },
        }
    ],
}

KIND = _digest(json.loads(json.dumps(DEFINITION).replace(POINT, "")))  # the same for each owner
FAMILY = f"school-{KIND}-{_digest(DEFINITION)}"

RUN = {
    "cluster": "hub",
    "taskDefinition": FAMILY,
    "count": 1,
    "clientToken": "26e3ab57bff7c3ede48f5547fe2e480f",
    "startedBy": "hubless/school",
    "capacityProviderStrategy": [{"capacityProvider": "FARGATE", "weight": 1}],
    "platformVersion": "1.4.0",
    "enableExecuteCommand": False,
    "enableECSManagedTags": True,
    "networkConfiguration": {
        "awsvpcConfiguration": {
            "subnets": ["subnet-a", "subnet-b"],
            "securityGroups": ["sg-servers"],
            "assignPublicIp": "DISABLED",
        }
    },
    "tags": [
        {"key": "hubless:hub", "value": "school"},
        {"key": "hubless:launch", "value": "l1"},
        {"key": "hubless:server", "value": "s1"},
        {"key": "hubless:owner", "value": "u1"},
    ],
    "overrides": {
        "containerOverrides": [
            {
                "name": "server",
                "environment": [
                    {"name": "JUPYTERHUB_USER", "value": "alice"},
                    {"name": "JUPYTERHUB_SERVICE_URL", "value": "http://0.0.0.0:8888/user/alice/"},
                    {"name": "HUBLESS_LAUNCH_ID", "value": "l1"},
                    {"name": "HUBLESS_SERVER_ID", "value": "s1"},
                ],
                "environmentFiles": [{"type": "s3", "value": f"arn:aws:s3:::hub-launches/{KEY}"}],
            }
        ]
    },
}
ACCESS_POINT = {
    "ClientToken": "0316a55d425a72ac2d4db16a63972aba",
    "FileSystemId": "fs-0123456789abcdef0",
    "PosixUser": {"Uid": 1000, "Gid": 100},
    "RootDirectory": {"Path": "/homes/u1", "CreationInfo": {"OwnerUid": 1000, "OwnerGid": 100, "Permissions": "0700"}},
    "Tags": [{"Key": "hubless:hub", "Value": "school"}, {"Key": "hubless:owner", "Value": "u1"}],
}


class Scripted:
    """A launcher whose clients answer what is written down for exactly the requests that are written down."""

    session = boto3.Session("AKIDEXAMPLE", "an example")
    clients = Clients("eu-central-1", session)  # made once: that takes longer than all that is done with them
    sent: ClassVar[list] = []  # (operation, its parameters as text)
    session.events.register(
        "provide-client-params", lambda params, model, **_: Scripted.sent.append((model.name, repr(params)))
    )

    def __init__(self, **others):
        self.launcher = EcsLauncher(ecs_config(**others), self.clients, StoppedClock(NOW))
        self.stubbers = self.ecs, self.s3, self.efs = [
            Stubber(c) for c in (self.clients.ecs, self.clients.s3, self.clients.efs)
        ]
        for stubber in self.stubbers:
            stubber.activate()
        self.sent.clear()

    def close(self):
        for stubber in self.stubbers:
            stubber.deactivate()

    def assert_all_asked(self):
        for stubber in self.stubbers:
            stubber.assert_no_pending_responses()


@pytest.fixture
def scripted():
    made = []

    def make(**others):
        made.append(Scripted(**others))
        return made[-1]

    yield make
    for script in made:
        script.close()


def test_a_first_launch_makes_the_home_registers_stores_secrets_and_runs(scripted):
    script = scripted(homes=HOMES, key="arn:aws:kms:eu-central-1:123456789012:key/k")
    script.efs.add_response("create_access_point", {"AccessPointId": POINT}, ACCESS_POINT)
    script.s3.add_response(
        "put_object", {}, {"Bucket": "hub-launches", "Key": f"definitions/school/{KIND}", "Body": b""}
    )
    script.ecs.add_response(
        "list_task_definitions",
        {"taskDefinitionArns": []},
        {"familyPrefix": FAMILY, "status": "ACTIVE", "maxResults": 1},
    )
    script.ecs.add_response(
        "register_task_definition",
        {"taskDefinition": {}},
        {"family": FAMILY, "tags": [{"key": "hubless:hub", "value": "school"}]} | DEFINITION,
    )
    script.s3.add_response(
        "put_object",
        {},
        {
            "Bucket": "hub-launches",
            "Key": KEY,
            "ContentType": "text/plain",
            "ServerSideEncryption": "aws:kms",
            "SSEKMSKeyId": "arn:aws:kms:eu-central-1:123456789012:key/k",
            "Body": f"JPY_API_TOKEN={SECRET}\nJUPYTERHUB_API_TOKEN={SECRET}\n".encode(),
        },
    )
    script.ecs.add_response("run_task", {"tasks": [{"taskArn": ARN}], "failures": []}, RUN)

    assert script.launcher.launch(LAUNCH) == f"l1/{ARN}"

    script.assert_all_asked()


def test_a_second_launch_of_the_same_kind_asks_for_two_things(scripted):
    script = scripted()
    script.s3.add_response("put_object", {})  # the mark of the kind
    script.ecs.add_response(
        "list_task_definitions", {"taskDefinitionArns": ["arn:aws:ecs:…:task-definition/school-1:1"]}
    )
    for _ in range(2):
        script.s3.add_response("put_object", {})
        script.ecs.add_response("run_task", {"tasks": [{"taskArn": ARN}]})

    for _ in range(2):
        script.launcher.launch(LAUNCH)

    script.assert_all_asked()


def test_a_secret_is_in_the_file_and_in_no_other_request(scripted):
    script = scripted(homes=HOMES)
    script.efs.add_response("create_access_point", {"AccessPointId": POINT})
    script.s3.add_response("put_object", {})
    script.ecs.add_response("list_task_definitions", {"taskDefinitionArns": []})
    script.ecs.add_response("register_task_definition", {"taskDefinition": {}})
    script.s3.add_response("put_object", {})
    script.ecs.add_response("run_task", {"tasks": [{"taskArn": ARN}]})
    found = {
        "taskArn": ARN,
        "lastStatus": "RUNNING",
        "desiredStatus": "RUNNING",
        "overrides": RUN["overrides"],
        "attachments": [
            {"type": "ElasticNetworkInterface", "details": [{"name": "privateIPv4Address", "value": "10.0.0.9"}]}
        ],
    }
    asked = {"cluster": "hub", "tasks": [ARN]}
    script.ecs.add_response("describe_tasks", {"tasks": [found]}, asked)
    script.ecs.add_response("stop_task", {}, {"cluster": "hub", "task": ARN, "reason": "requested by hubless/school"})
    script.ecs.add_response("list_tasks", {"taskArns": [ARN]}, {"cluster": "hub", "startedBy": "hubless/school"})
    script.ecs.add_response("describe_tasks", {"tasks": [found]}, asked)
    script.s3.add_response("list_objects_v2", {}, {"Bucket": "hub-launches", "Prefix": "launches/school/"})
    script.ecs.add_response("describe_tasks", {"tasks": [found | {"desiredStatus": "STOPPED"}]}, asked)
    script.s3.add_response("delete_object", {}, {"Bucket": "hub-launches", "Key": KEY})
    script.s3.add_response("delete_object", {}, {"Bucket": "hub-launches", "Key": "launches/school/l1.on-demand"})

    task = script.launcher.launch(LAUNCH)
    assert script.launcher.describe(task) == TaskRunning("10.0.0.9:8888")
    script.launcher.stop(task)
    assert script.launcher.tasks() == [Task(task, "l1", TaskRunning("10.0.0.9:8888"))]
    script.launcher.forget(task)

    script.assert_all_asked()
    assert [operation for operation, received in script.sent if SECRET in received] == ["PutObject"]
    assert len(script.sent) == 14


def test_servers_get_public_addresses_only_where_the_facts_say_so(scripted):
    script = scripted(public_addresses=True)

    order = script.launcher._order("FARGATE", _Run("l1", "school-1", {}, {}))

    assert order["networkConfiguration"]["awsvpcConfiguration"]["assignPublicIp"] == "ENABLED"


@pytest.mark.parametrize("changed", [{"image": "jupyter/r:2"}, {"cpus": 1.0}, {"args": ()}, {"environment": {}}])
def test_whatever_a_definition_says_is_in_its_familys_name(changed, scripted):
    script = scripted()
    families = []
    for profile in (LAUNCH.profile, replace(LAUNCH.profile, **changed)):
        script.s3.add_response("put_object", {})
        script.ecs.add_response("list_task_definitions", {"taskDefinitionArns": ["one"]})
        families.append(script.launcher._definitions.family_for(profile, None))

    assert families[0] != families[1]


def container_of(scripted, profile, **others):
    definitions = scripted(**others).launcher._definitions
    (container,) = definitions._content(profile, (), None)["containerDefinitions"]
    return container


def test_in_the_hubs_own_image_the_limit_is_the_first_process(scripted):
    container = container_of(scripted, Profile("default", args=("--debug",)), has_own_image=True)

    assert container["linuxParameters"]["initProcessEnabled"] is False
    # Nothing that a user can replace comes before it: the user's home is on the PATH.
    assert container["command"][:5] == ["/usr/local/bin/python3", "-I", "-c", LIMITER, "262144"]
    assert container["command"][5:] == ["jupyterhub-singleuser", "--debug"]


@pytest.mark.parametrize(("profile", "own"), [(Profile("r", image="jupyter/r:1"), True), (Profile("default"), False)])
def test_an_image_with_an_entrypoint_keeps_its_init_process(scripted, profile, own):
    container = container_of(scripted, profile, has_own_image=own)

    assert container["linuxParameters"]["initProcessEnabled"] is True
    assert container["command"][:4] == ["python3", "-I", "-c", LIMITER]


def test_without_a_log_group_nothing_is_kept_and_nothing_limited(scripted):
    container = container_of(scripted, Profile("default"), log_group="", has_own_image=True)

    assert "logConfiguration" not in container
    assert container["command"] == ["jupyterhub-singleuser"]
    assert container["linuxParameters"]["initProcessEnabled"] is True


def test_no_fact_of_a_launch_or_its_owner_is_in_a_definition_without_homes(scripted):
    other = replace(
        LAUNCH,
        launch_id="l2",
        server_id="s2",
        owner_id="u2",
        owner_name="bob",
        prefix="/user/bob/",
        environment={"JUPYTERHUB_USER": "bob"},
        secrets={"JUPYTERHUB_API_TOKEN": "x", "JPY_API_TOKEN": "x"},
    )
    families = []
    for launch in (LAUNCH, other):
        script = scripted()
        script.s3.add_response("put_object", {})
        script.ecs.add_response("list_task_definitions", {"taskDefinitionArns": []})
        script.ecs.add_response("register_task_definition", {})
        script.s3.add_response("put_object", {})
        script.ecs.add_client_error("run_task", "AccessDeniedException")
        with pytest.raises(LaunchFailedError):
            script.launcher.launch(launch)
        families.append(next(received for operation, received in script.sent if operation == "RegisterTaskDefinition"))
        script.close()  # the next one's clients are the same

    assert families[0] == families[1]


@pytest.mark.parametrize("value", ["", "a=b", "a\nPATH=/evil", "a\rb", "ä", "a b"])
def test_a_secret_that_no_environment_file_can_hold_is_refused_beforehand(value, scripted):
    script = scripted()
    script.s3.add_response("put_object", {})
    script.ecs.add_response("list_task_definitions", {"taskDefinitionArns": ["one"]})

    with pytest.raises(LaunchFailedError, match="JUPYTERHUB_API_TOKEN") as refused:
        script.launcher.launch(replace(LAUNCH, secrets={"JUPYTERHUB_API_TOKEN": value}))

    assert not value or value not in str(refused.value)


@pytest.mark.parametrize(
    ("image", "pulled"),
    [
        ("quay.io/jupyter/r:1", "123456789012.dkr.ecr.eu-central-1.amazonaws.com/prod-quay/jupyter/r:1"),
        (
            "quay.io/jupyter/r@sha256:ab",
            "123456789012.dkr.ecr.eu-central-1.amazonaws.com/prod-quay/jupyter/r@sha256:ab",
        ),
        ("docker.io/jupyter/r:1", "docker.io/jupyter/r:1"),
        ("quay.io.example.org/r:1", "quay.io.example.org/r:1"),
        ("jupyter/r:1", "jupyter/r:1"),
    ],
)
def test_an_image_is_pulled_from_the_cache_of_its_registry(image, pulled):
    cache = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/prod-quay"

    assert replace(ecs_config(), image_caches={"quay.io": cache}).pulled_image(image) == pulled


def test_a_definition_names_the_cached_image(scripted):
    script = scripted(image_caches={"jupyter": "cache/prod"})
    script.s3.add_response("put_object", {})
    script.ecs.add_response("list_task_definitions", {"taskDefinitionArns": []})
    script.ecs.add_response("register_task_definition", {"taskDefinition": {}})
    script.s3.add_response("put_object", {})
    script.ecs.add_response("run_task", {"tasks": [{"taskArn": ARN}]})

    script.launcher.launch(LAUNCH)

    (registered,) = [received for operation, received in script.sent if operation == "RegisterTaskDefinition"]
    assert "'image': 'cache/prod/r:1'" in registered


@pytest.mark.parametrize(("gib", "given"), [(20, None), (20.5, 21), (200, 200)])
def test_a_profile_may_have_more_disk(scripted, gib, given):
    script = scripted()
    script.s3.add_response("put_object", {})
    script.ecs.add_response("list_task_definitions", {"taskDefinitionArns": []})
    script.ecs.add_response("register_task_definition", {"taskDefinition": {}})
    script.s3.add_response("put_object", {})
    script.ecs.add_response("run_task", {"tasks": [{"taskArn": ARN}]})

    script.launcher.launch(replace(LAUNCH, profile=replace(LAUNCH.profile, storage_bytes=int(gib * 1024**3))))

    (registered,) = (text for name, text in script.sent if name == "RegisterTaskDefinition")
    sizes = re.findall(r"'ephemeralStorage': {'sizeInGiB': (\d+)}", registered)
    assert sizes == ([] if given is None else [str(given)])
    assert ("ephemeralStorage" in registered) is (given is not None)


def test_more_disk_than_fargate_has_is_refused(scripted):
    launch = replace(LAUNCH, profile=replace(LAUNCH.profile, storage_bytes=201 * 1024**3))

    with pytest.raises(LaunchFailedError, match="asks for 201 GiB of disk"):
        scripted().launcher.launch(launch)


def test_what_the_owner_chose_is_in_the_file_as_far_as_it_can_hold_it(scripted):
    script = scripted()
    script.s3.add_response("put_object", {})
    script.ecs.add_response(
        "list_task_definitions", {"taskDefinitionArns": ["arn:aws:ecs:…:task-definition/school-1:1"]}
    )
    script.s3.add_response("put_object", {})
    script.ecs.add_response("run_task", {"tasks": [{"taskArn": ARN}]})

    script.launcher.launch(replace(LAUNCH, chosen={"BRANCH": "my-topic", "TITLE": "my title"}))

    assert [name for name, text in script.sent if "my-topic" in text] == ["PutObject"]
    assert [name for name, text in script.sent if "my title" in text] == ["RunTask"]  # a file cannot hold blanks
