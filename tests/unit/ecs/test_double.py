"""The double itself, asked through boto3: it must refuse what AWS refuses, or tests over it prove nothing."""

from datetime import timedelta

import pytest
from botocore.exceptions import ClientError, ParamValidationError

from tests.doubles.ecs.account import BOUNDARY, EXECUTION_ROLE, REGION, TASK_ROLE, Account
from tests.doubles.ecs.wire import Wire
from tests.support.builders import NOW
from tests.support.fakes import StoppedClock

WIRE = Wire()
ECS, S3, EFS, IAM = (WIRE.session.client(name, region_name=REGION) for name in ("ecs", "s3", "efs", "iam"))
CONTAINER = {
    "name": "server",
    "image": "jupyter:1",
    "logConfiguration": {"logDriver": "awslogs", "options": {"awslogs-group": "/hub/servers"}},
}
DEFINITION = {
    "family": "f",
    "networkMode": "awsvpc",
    "cpu": "512",
    "memory": "1024",
    "executionRoleArn": EXECUTION_ROLE,
    "taskRoleArn": TASK_ROLE,
    "containerDefinitions": [CONTAINER],
}
VPC = {"awsvpcConfiguration": {"subnets": ["subnet-a"], "securityGroups": ["sg-servers"]}}
RUN = {
    "cluster": "hub",
    "taskDefinition": "f",
    "networkConfiguration": VPC,
    "startedBy": "me",
    "clientToken": "t",
    "capacityProviderStrategy": [{"capacityProvider": "FARGATE"}],
}


@pytest.fixture
def account():
    WIRE.account = Account(StoppedClock(NOW))
    return WIRE.account


@pytest.fixture
def ready(account):
    ECS.register_task_definition(**DEFINITION)
    return account


def run(**others):
    return ECS.run_task(**RUN | others)["tasks"][0]


def described(arn):
    return ECS.describe_tasks(cluster="hub", tasks=[arn])["tasks"][0]


def refused(function, **given):
    with pytest.raises(ClientError) as error:
        function(**given)
    received = error.value.response["Error"]
    return f"{received['Code']}: {received['Message']}"


def test_a_task_goes_through_all_its_states_with_an_event_for_each(ready):
    task = run()
    assert (task["lastStatus"], task["desiredStatus"]) == ("PROVISIONING", "RUNNING")
    ready.clock.advance(timedelta(seconds=90))
    assert described(task["taskArn"])["lastStatus"] == "RUNNING"
    ECS.stop_task(cluster="hub", task=task["taskArn"], reason="enough")
    ready.clock.advance(timedelta(seconds=90))

    ended = described(task["taskArn"])
    assert (ended["lastStatus"], ended["stopCode"], ended["stoppedReason"]) == ("STOPPED", "UserInitiated", "enough")
    assert ended["containers"][0]["exitCode"] == 0
    received = [event["detail"] for event in ready.take_news()]
    assert [one["lastStatus"] for one in received] == [
        "PROVISIONING",
        "PENDING",
        "ACTIVATING",
        "RUNNING",
        "DEACTIVATING",
        "DEPROVISIONING",
        "STOPPED",
    ]
    assert [one["version"] for one in received] == [1, 2, 3, 4, 5, 6, 7]
    assert [len(one["attachments"][0]["details"]) for one in received] == [1, 4, 4, 4, 4, 4, 4]
    assert [one["updatedAt"] for one in received] == sorted(one["updatedAt"] for one in received)
    assert all("tags" not in one for one in received)


@pytest.mark.parametrize("seed", range(5))
def test_starts_take_from_20_to_90_seconds(seed):
    WIRE.account = Account(StoppedClock(NOW), seed)
    ECS.register_task_definition(**DEFINITION)
    arn = run()["taskArn"]

    WIRE.account.clock.advance(timedelta(seconds=20))
    assert described(arn)["lastStatus"] != "RUNNING"
    WIRE.account.clock.advance(timedelta(seconds=70))
    assert described(arn)["lastStatus"] == "RUNNING"


def test_a_client_token_is_good_for_one_request_and_a_day(ready):
    first = run()

    assert run()["taskArn"] == first["taskArn"]
    with pytest.raises(ClientError) as conflict:
        run(startedBy="somebody")
    assert conflict.value.response["Error"]["Code"] == "ConflictException"
    assert conflict.value.response["resourceIds"] == [first["taskArn"]]
    ready.clock.advance(timedelta(hours=24))
    assert run()["taskArn"] != first["taskArn"]


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"cluster": "none"}, "ClusterNotFoundException: Cluster not found."),
        ({"taskDefinition": "none"}, "ClientException: TaskDefinition not found."),
        ({"taskDefinition": "f:2"}, "ClientException: TaskDefinition not found."),
        ({"clientToken": "x" * 65}, "InvalidParameterException: clientToken"),
        ({"startedBy": "x" * 129}, "InvalidParameterException: startedBy"),
        ({"startedBy": "a b"}, "InvalidParameterException: startedBy"),
        (
            {"tags": [{"key": str(n), "value": ""} for n in range(51)]},
            "InvalidParameterException: The maximum number of tags",
        ),
        ({"tags": [{"key": "aws:x", "value": ""}]}, "InvalidParameterException: Tag keys that start with 'aws:'"),
        ({"tags": [{"key": "a", "value": "{}"}]}, "InvalidParameterException: Some tags contain invalid characters"),
        ({"networkConfiguration": {}}, "InvalidParameterException: Network Configuration must be provided"),
        (
            {
                "networkConfiguration": {
                    "awsvpcConfiguration": VPC["awsvpcConfiguration"] | {"securityGroups": ["sg-servers"] * 6}
                }
            },
            "InvalidParameterException: securityGroups can have at most 5 items.",
        ),
        (
            {"networkConfiguration": {"awsvpcConfiguration": {"subnets": ["subnet-z"]}}},
            "InvalidParameterException: Error retrieving subnet",
        ),
        (
            {"capacityProviderStrategy": [{"capacityProvider": "X"}]},
            "InvalidParameterException: The specified capacity provider 'X'",
        ),
        ({"launchType": "FARGATE"}, "InvalidParameterException: Specifying both a launch type and capacity provider"),
        ({"platformVersion": "7"}, "PlatformUnknownException"),
        (
            {"overrides": {"containerOverrides": [{"name": "other"}]}},
            "InvalidParameterException: Override for container named other",
        ),
        (
            {
                "overrides": {
                    "containerOverrides": [
                        {"name": "server", "environmentFiles": [{"type": "s3", "value": "arn:aws:s3:::bucket/a"}]}
                    ]
                }
            },
            "ClientException: Environment file must have the .env extension.",
        ),
        (
            {
                "overrides": {
                    "containerOverrides": [{"name": "server", "environment": [{"name": "A", "value": "x" * 8192}]}]
                }
            },
            "InvalidParameterException: Container Overrides length must be at most 8192",
        ),
    ],
)
def test_tasks_that_cannot_be_are_refused(ready, changed, words):
    assert refused(ECS.run_task, **RUN | changed).startswith(words)
    assert ready.tasks == {}


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"cpu": "300"}, "ClientException: No Fargate configuration exists for given values: 300 CPU, 1024 memory."),
        ({"memory": "1025"}, "ClientException: No Fargate configuration exists"),
        ({"networkMode": "bridge"}, "ClientException: Fargate only supports network mode"),
        ({"family": "a/b"}, "ClientException: Family contains invalid characters."),
        (
            {"executionRoleArn": ""},
            (
                "ClientException: Fargate requires task definition to have execution role ARN "
                "to support log driver awslogs."
            ),
        ),
        (
            {"containerDefinitions": [CONTAINER | {"stopTimeout": 121}]},
            "ClientException: Fargate only supports a stop timeout",
        ),
        (
            {"containerDefinitions": [CONTAINER | {"mountPoints": [{"sourceVolume": "x"}]}]},
            "ClientException: Unknown volume 'x'.",
        ),
        ({"containerDefinitions": []}, "ClientException: Container list cannot be empty."),
        (
            {"containerDefinitions": [CONTAINER | {"command": ["x" * 65_536]}]},
            "ClientException: Task definition is larger than 64 KiB.",
        ),
    ],
)
def test_definitions_that_cannot_be_are_refused(account, changed, words):
    assert refused(ECS.register_task_definition, **DEFINITION | changed).startswith(words)


def test_definitions_are_counted_listed_taken_away_and_deleted(ready):
    arn = ECS.register_task_definition(**DEFINITION)["taskDefinition"]["taskDefinitionArn"]
    assert ECS.list_task_definitions(familyPrefix="f", sort="DESC")["taskDefinitionArns"] == [arn, arn[:-1] + "1"]
    assert ECS.delete_task_definitions(taskDefinitions=[arn])["failures"][0]["reason"] == "INVALID_STATE"

    ECS.deregister_task_definition(taskDefinition=arn)

    assert refused(ECS.run_task, **RUN | {"taskDefinition": arn}) == "ClientException: TaskDefinition is inactive"
    assert run()["taskDefinitionArn"] == arn[:-1] + "1"
    assert ECS.delete_task_definitions(taskDefinitions=[arn])["taskDefinitions"][0]["status"] == "DELETE_IN_PROGRESS"
    assert ECS.list_task_definitions(familyPrefix="none")["taskDefinitionArns"] == []


def test_botocore_itself_refuses_what_is_no_request(ready):
    with pytest.raises(ParamValidationError):
        ECS.run_task(cluster="hub")


def test_what_the_double_does_not_know_fails_the_test(ready):
    with pytest.raises(AssertionError, match="does not know"):
        run(placementStrategy=[{"type": "random"}])
    with pytest.raises(AssertionError, match="does not know"):
        ECS.list_clusters()


def test_requests_are_limited_and_the_limit_recovers():
    account = WIRE.account = Account(StoppedClock(NOW))
    single = WIRE.session.client("ecs", region_name=REGION, config=once())
    for number in range(20):
        single.register_task_definition(**DEFINITION | {"family": f"f{number}"})
    assert refused(single.register_task_definition, **DEFINITION) == "ThrottlingException: Rate exceeded"

    account.clock.advance(timedelta(seconds=1))

    single.register_task_definition(**DEFINITION)
    assert refused(single.register_task_definition, **DEFINITION) == "ThrottlingException: Rate exceeded"


def test_kinds_of_requests_have_limits_in_common():
    account = WIRE.account = Account(StoppedClock(NOW))
    single = WIRE.session.client("ecs", region_name=REGION, config=once())
    single.register_task_definition(**DEFINITION)
    arn = single.describe_task_definition(taskDefinition=DEFINITION["family"])["taskDefinition"]["taskDefinitionArn"]
    for _ in range(5):
        single.delete_task_definitions(taskDefinitions=[arn])
    assert refused(single.delete_task_definitions, taskDefinitions=[arn]).startswith("ThrottlingException")

    for _ in range(100):
        single.list_tasks(cluster="hub")
    assert refused(single.describe_tasks, cluster="hub", tasks=["t"]).startswith("ThrottlingException")

    account.clock.advance(timedelta(seconds=1))
    single.delete_task_definitions(taskDefinitions=[arn])
    single.describe_tasks(cluster="hub", tasks=["t"])


def once():
    from botocore.config import Config

    return Config(retries={"mode": "standard", "total_max_attempts": 1})


def test_fargate_takes_100_tasks_at_once_and_20_a_second(ready):
    ready.limits.clear()
    answers = [ECS.run_task(**RUN | {"clientToken": str(n)}) for n in range(110)]

    assert sum(len(answer["tasks"]) for answer in answers) == 100
    assert answers[-1]["failures"][0]["reason"] == "RESOURCE:ENI"
    ready.clock.advance(timedelta(seconds=0.5))
    assert sum(len(ECS.run_task(**RUN | {"clientToken": f"later-{n}"})["tasks"]) for n in range(20)) == 10


def test_lists_and_descriptions_may_lag_and_ended_tasks_are_forgotten():
    account = WIRE.account = Account(StoppedClock(NOW), lag=5, describe_lag=3)
    ECS.register_task_definition(**DEFINITION)
    arn = run()["taskArn"]
    assert ECS.describe_tasks(cluster="hub", tasks=[arn])["failures"] == [{"arn": arn, "reason": "MISSING"}]
    assert ECS.list_tasks(cluster="hub", startedBy="me")["taskArns"] == []
    assert (
        refused(ECS.stop_task, cluster="hub", task=arn)
        == "InvalidParameterException: The referenced task was not found."
    )

    account.clock.advance(timedelta(seconds=5))
    assert ECS.list_tasks(cluster="hub", startedBy="me")["taskArns"] == [arn]
    assert ECS.list_tasks(cluster="hub", startedBy="you")["taskArns"] == []
    account.die(arn, 1)
    assert ECS.list_tasks(cluster="hub", startedBy="me")["taskArns"] == []
    account.clock.advance(timedelta(minutes=59))
    assert described(arn)["lastStatus"] == "STOPPED"
    assert ECS.list_tasks(cluster="hub", desiredStatus="STOPPED")["taskArns"] == [arn]

    account.clock.advance(timedelta(minutes=2))
    assert ECS.describe_tasks(cluster="hub", tasks=[arn])["tasks"] == []


def test_questions_have_their_bounds(ready):
    assert "between 1 and 100" in refused(ECS.describe_tasks, cluster="hub", tasks=[str(n) for n in range(101)])
    assert "must be the only filter" in refused(ECS.list_tasks, cluster="hub", startedBy="me", desiredStatus="RUNNING")


def test_tags_are_shown_to_those_who_ask(ready):
    arn = run(tags=[{"key": "a", "value": "b"}])["taskArn"]

    assert "tags" not in described(arn)
    shown = ECS.describe_tasks(cluster="hub", tasks=[arn], include=["TAGS"])["tasks"][0]
    assert shown["tags"] == [{"key": "a", "value": "b"}]


def test_a_file_of_variables_is_read_as_ecs_reads_it(ready):
    S3.put_object(Bucket="hub-launches", Key="a.env", Body=b"A=1\n#B=2\nC=x=y\nD=\nF=from the file\n")
    override = {
        "name": "server",
        "environment": [{"name": "E", "value": "a=b"}, {"name": "F", "value": "said"}],
        "environmentFiles": [{"type": "s3", "value": "arn:aws:s3:::hub-launches/a.env"}],
    }
    arn = run(overrides={"containerOverrides": [override]})["taskArn"]

    assert ready.environment_of(ready.tasks[arn]) == {"A": "1", "C": "x", "E": "a=b", "F": "said"}


def test_objects_are_put_listed_in_pages_and_removed(account):
    for number in range(5):
        S3.put_object(Bucket="hub-launches", Key=f"p/{number} & <ä>.env", Body=b"x")
    S3.put_object(Bucket="hub-launches", Key="q/1", Body=b"y")

    pages = S3.get_paginator("list_objects_v2").paginate(
        Bucket="hub-launches", Prefix="p/", PaginationConfig={"PageSize": 2}
    )
    assert [item["Key"] for page in pages for item in page["Contents"]] == [f"p/{n} & <ä>.env" for n in range(5)]
    assert S3.list_objects_v2(Bucket="hub-launches", Prefix="q")["Contents"][0]["LastModified"] == NOW
    S3.delete_object(Bucket="hub-launches", Key="q/1")
    S3.delete_object(Bucket="hub-launches", Key="q/1")
    assert "Contents" not in S3.list_objects_v2(Bucket="hub-launches", Prefix="q")
    assert refused(S3.put_object, Bucket="nobodys", Key="k").startswith("NoSuchBucket")


def test_an_access_point_is_made_once(account):
    given = {"ClientToken": "t", "FileSystemId": "fs-0123456789abcdef0", "RootDirectory": {"Path": "/homes/u1"}}
    made = EFS.create_access_point(**given)

    with pytest.raises(ClientError) as again:
        EFS.create_access_point(**given)

    assert again.value.response["Error"]["Code"] == "AccessPointAlreadyExists"
    assert again.value.response["AccessPointId"] == made["AccessPointId"]
    assert refused(EFS.create_access_point, **given | {"FileSystemId": "fs-none"}).startswith("FileSystemNotFound")


ROLE = {
    "Path": "/hubless/school/",
    "RoleName": "u1",
    "AssumeRolePolicyDocument": '{"Statement": [{"Principal": {"Service": "ecs-tasks.amazonaws.com"}}]}',
    "PermissionsBoundary": BOUNDARY,
    "Tags": [{"Key": "hubless-access-point", "Value": "arn:aws:x/y"}],
}


def test_a_role_is_shown_whole_alone_and_in_part_in_lists(account):
    for name in ("u1", "u2", "u3"):
        IAM.create_role(**ROLE | {"RoleName": name})
    IAM.create_role(**ROLE | {"RoleName": "v1", "Path": "/"})

    whole = IAM.get_role(RoleName="u1")["Role"]
    assert whole["Arn"] == "arn:aws:iam::123456789012:role/hubless/school/u1"
    assert (whole["CreateDate"], whole["Tags"]) == (NOW, ROLE["Tags"])
    assert whole["PermissionsBoundary"]["PermissionsBoundaryArn"] == BOUNDARY
    assert whole["AssumeRolePolicyDocument"]["Statement"][0]["Principal"] == {"Service": "ecs-tasks.amazonaws.com"}
    pages = IAM.get_paginator("list_roles").paginate(PathPrefix="/hubless/", PaginationConfig={"PageSize": 2})
    listed = [role for page in pages for role in page["Roles"]]
    assert [role["RoleName"] for role in listed] == ["u1", "u2", "u3"]
    assert not {"Tags", "PermissionsBoundary"} & listed[0].keys()


def test_iam_refuses_what_aws_refuses(account):
    IAM.create_role(**ROLE)

    assert refused(IAM.create_role, **ROLE | {"Path": "/"}).startswith("EntityAlreadyExists")  # whatever the path
    assert refused(IAM.create_role, **ROLE | {"RoleName": "u2", "PermissionsBoundary": f"{BOUNDARY}s"}).startswith(
        "NoSuchEntity: Scope ARN"
    )
    assert refused(IAM.create_role, **ROLE | {"RoleName": "u" * 64 + "1"}).startswith("ValidationError")
    bad = [{"Key": "hubless*", "Value": "x"}]
    assert refused(IAM.create_role, **ROLE | {"RoleName": "u2", "Tags": bad}).startswith("ValidationError")
    assert refused(IAM.create_role, **ROLE | {"RoleName": "u2", "AssumeRolePolicyDocument": "{"}).startswith(
        "MalformedPolicyDocument"
    )
    account.role_quota = len(account.roles) + 1
    assert refused(IAM.create_role, **ROLE | {"RoleName": "u2"}).startswith("LimitExceeded")
    IAM.delete_role(RoleName="u1")
    assert refused(IAM.delete_role, RoleName="u1").startswith("NoSuchEntity")
    assert refused(IAM.get_role, RoleName="u1").startswith("NoSuchEntity")


def test_ecs_learns_of_a_role_in_two_steps(ready):
    arn = IAM.create_role(**ROLE)["Role"]["Arn"]
    order = RUN | {"overrides": {"taskRoleArn": arn}}

    assert refused(ECS.run_task, **order).startswith("AccessDeniedException")
    ready.clock.advance(timedelta(seconds=4))
    assert "unable to assume the role" in refused(ECS.run_task, **order)
    ready.clock.advance(timedelta(seconds=4))
    assert ECS.run_task(**order)["tasks"][0]["overrides"]["taskRoleArn"] == arn


def test_what_a_task_needs_and_lacks_is_found_when_it_starts(ready):
    ready.broken_images["jupyter:1"] = "pull access denied"
    arn = run()["taskArn"]
    ready.clock.advance(timedelta(seconds=90))

    ended = described(arn)
    assert (ended["stopCode"], ended["stoppedReason"]) == (
        "TaskFailedToStart",
        "CannotPullContainerError: pull access denied",
    )
    assert "exitCode" not in ended["containers"][0]
