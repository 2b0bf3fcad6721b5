"""`hubless empty` stops the hub's servers, and touches nothing of another hub."""

import copy
import itertools
import subprocess
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import boto3
import pytest
from click.testing import CliRunner

from embedded.cli import main
from hubless.domain.profiles import Profile
from hubless.ports.launcher import Launch, Preparation
from hubless.settings.stage import Stage, StageSettings
from operations import deployed_stage, stage_cleanup
from operations.aws import Aws, AwsCallError
from operations.errors import OperationsError
from operations.stage_cleanup import TIMEOUT_SECONDS, StageCleanup, StageServers
from tests.doubles.ecs.account import BOUNDARY, REGION
from tests.doubles.ecs.errors import AwsError
from tests.support.builders import NOW
from tests.support.ecs import HOMES, Cloud
from tests.support.fakes import StoppedClock

HUB = "hubless-prod"
TOP = Path(__file__).parents[2]
STAGES = f'[stages.prod]\nregion = "{REGION}"\n'
DENIED = AwsError("AccessDeniedException", "User: ada is not authorized to perform: ecs:StopTask on resource: x")


class Stacks:
    """The answers of CloudFormation and STS that these tests need."""

    def __init__(self, session):
        self.resources, self.protected = None, {f"{HUB}-state"}
        session.events.register("before-call", self._answer)

    def _answer(self, model, params, **_):
        if model.name == "GetCallerIdentity":
            return SimpleNamespace(status_code=200), {
                "Account": "123456789012",
                "Arn": "arn:aws:iam::123456789012:user/ada",
            }
        if model.name == "UpdateTerminationProtection":
            return self._unprotect(params["body"]["StackName"], params["body"]["EnableTerminationProtection"])
        if model.name != "ListStackResources":
            return None
        if self.resources is None:
            return SimpleNamespace(status_code=400), {
                "Error": {"Code": "ValidationError", "Message": "Stack does not exist"}
            }
        names = ("ResourceType", "LogicalResourceId", "PhysicalResourceId", "ResourceStatus")
        return SimpleNamespace(status_code=200), {
            "StackResourceSummaries": [dict(zip(names, one, strict=True)) for one in self.resources]
        }

    def _unprotect(self, name, enable):
        assert enable == "false"
        if self.protected is None:
            return SimpleNamespace(status_code=400), {
                "Error": {"Code": "ValidationError", "Message": f"Stack [{name}] does not exist"}
            }
        self.protected.discard(name)
        return SimpleNamespace(status_code=200), {"StackId": name}


class DeployedStage:
    """A stage's cluster with its servers. Sleeping advances the clock."""

    def __init__(self, stacks, **others):
        self.cloud, self.said = Cloud(StoppedClock(NOW), **others), []
        self.stacks, self.clock = stacks, self.cloud.clock
        stacks.resources = [("AWS::ECS::Cluster", "Cluster1", "hub", "CREATE_COMPLETE")]
        stacks.protected = {f"{HUB}-state", f"{HUB}-2-state"}
        self.aws = Aws(REGION, self.cloud.wire.session)
        self.begun, self.numbers = self.clock.now(), itertools.count()

    def sleep(self, seconds):
        self.clock.advance(timedelta(seconds=seconds))

    @property
    def cleanup(self):
        return self.of(HUB)

    def of(self, hub):
        return StageCleanup(
            hub, "hub", self.aws, self.said.append, lambda: (self.clock.now() - self.begun).total_seconds(), self.sleep
        )

    def run(self, count, hub=HUB, **others):
        launcher = self.cloud.launcher(hub=hub, **others)
        for number in itertools.islice(self.numbers, count):
            launcher.launch(
                Launch(
                    f"{hub}-{number}",
                    f"s{number}",
                    f"u{number}",
                    "alice",
                    "",
                    "/user/alice/",
                    Profile("small"),
                    {},
                    {"JUPYTERHUB_API_TOKEN": "5ec2e7"},
                )
            )

    def running(self):
        return sorted(task["startedBy"] for task in self.cloud.account.running())


@pytest.fixture(scope="module")
def stacks():
    return Stacks(Cloud(StoppedClock(NOW)).wire.session)


@pytest.fixture
def stage(stacks):
    return DeployedStage(stacks)


def test_all_servers_are_stopped_before_it_returns(stage):
    stage.run(3)
    stage.clock.advance(timedelta(minutes=2))

    assert stage.cleanup.stop_servers() == StageServers()

    assert [task["lastStatus"] for task in stage.cloud.account.tasks.values()] == ["STOPPED"] * 3
    assert {task["stoppedReason"] for task in stage.cloud.account.tasks.values()} == {"The hub is being removed"}
    assert stage.said == [
        "3 servers are running, 0 are stopping",
        "0 servers are running, 3 are stopping",
        "0 servers are running, 0 are stopping",
    ]


def test_servers_of_another_hub_keep_running(stage):
    stage.run(1)
    stage.run(1, hub=f"{HUB}-2")
    stage.clock.advance(timedelta(minutes=2))
    other = stage.of(f"{HUB}-2")

    stage.cleanup.stop_servers()

    assert stage.running() == [f"hubless/{HUB}-2"]
    assert other.servers().count == 1


def test_servers_on_all_pages_are_stopped(stage):
    stage.run(1)
    tasks = stage.cloud.account.tasks
    ((arn, task),) = tasks.items()
    tasks |= {f"{arn}{number}": {**copy.deepcopy(task), "taskArn": f"{arn}{number}"} for number in range(119)}
    stage.cloud.account.limits = {}

    assert stage.cleanup.servers().count == 120
    assert not stage.cleanup.stop_servers().count
    assert not stage.running()


def test_a_server_that_starts_meanwhile_is_stopped_too(stage):
    stage.run(1)
    coming = iter((0, 0, 1))

    def sleep(seconds):
        stage.run(next(coming, 0), hub=HUB, cpus=1.0)
        stage.sleep(seconds)

    found = StageCleanup(HUB, "hub", stage.aws, stage.said.append, lambda: 0.0, sleep)

    assert not found.stop_servers().count
    assert stage.cloud.account.count()["StopTask"] >= 2
    assert not stage.running()


def test_a_refused_stop_is_repeated(stage):
    stage.run(2)
    stage.cloud.account.refuse("StopTask", AwsError("InvalidParameterException", "The referenced task was not found."))

    assert not stage.cleanup.stop_servers().count


def test_after_five_minutes_the_servers_left_are_returned(stage):
    stage.run(1)
    stage.cloud.account.refuse("StopTask", AwsError("ClientException", "Not now"), times=1000)

    left = stage.cleanup.stop_servers()

    assert (len(left.running), left.stopping) == (1, 0)
    assert timedelta(0) <= stage.clock.now() - stage.begun - timedelta(seconds=TIMEOUT_SECONDS) < timedelta(seconds=10)


def test_a_missing_permission_ends_it(stage):
    stage.run(1)
    stage.cloud.account.refuse("StopTask", DENIED)

    with pytest.raises(AwsCallError, match="the permission ecs:StopTask is missing"):
        stage.cleanup.stop_servers()


def test_a_deleted_cluster_has_no_servers(stage):
    stage.cloud.account.clusters.clear()

    assert stage.cleanup.servers() == StageServers()


def test_started_by_is_what_the_launcher_sets(stage):
    assert stage_cleanup.started_by("school") == stage.cloud.config.started_by


def test_only_the_hubs_task_definitions_are_deregistered(stage):
    stage.run(2, homes=HOMES)
    stage.run(1, hub=f"{HUB}-2")

    assert stage.cleanup.deregister_definitions() == 2

    left = [
        family for family, revisions in stage.cloud.account.definitions.items() if revisions[0]["status"] == "ACTIVE"
    ]
    assert [family.rpartition("-")[0].rpartition("-")[0] for family in left] == [f"{HUB}-2"]


# --- the command ---


@pytest.fixture
def shell(stage, monkeypatch, tmp_path):
    monkeypatch.setattr(boto3, "Session", lambda: stage.cloud.wire.session)
    monkeypatch.setattr(
        stage_cleanup,
        "StageCleanup",
        lambda hub, cluster, aws, say: StageCleanup(hub, cluster, aws, say, sleep=stage.sleep),
    )
    (tmp_path / "hubless.toml").write_text(STAGES)

    def run(*words, typed=None):
        return CliRunner().invoke(main, ["empty", *words, "--settings", str(tmp_path / "hubless.toml")], input=typed)

    return run


def test_the_command_asks_for_the_stages_name_and_stops_all(shell, stage):
    stage.run(2)

    answer = shell("--stage", "prod", "--definitions", typed="prod\n")

    assert answer.exit_code == 0, answer.output
    assert "2 servers are running, 0 are stopping. This stops all of them; unsaved work is lost" in answer.output
    assert f"No server of {HUB} is running" in answer.output
    assert not stage.running()


def test_roles_of_users_are_deleted_with_the_boundary_that_they_need(shell, stage, tmp_path):
    own_roles = replace(HOMES, role_boundary=BOUNDARY)
    for hub in (HUB, f"{HUB}-2"):
        launcher = stage.cloud.launcher(hub=hub, homes=own_roles)
        for owner in ("u1", "u2"):
            launcher.prepare(Preparation(owner, Profile("small")))
            stage.sleep(2)

    assert shell("--yes").exit_code == 0
    assert stage.cloud.account.count()["DeleteRole"] == 0  # the stage has no `task_roles`

    (tmp_path / "hubless.toml").write_text(f"{STAGES}task_roles = true\n")
    assert "2 roles of users deleted" in shell("--yes").output
    assert {role["Path"] for role in stage.cloud.account.users_roles.values()} == {f"/hubless/{HUB}-2/{REGION}/"}


def test_a_role_that_the_hub_deletes_meanwhile_is_no_error(stage):
    stage.cloud.launcher(homes=replace(HOMES, role_boundary=BOUNDARY)).prepare(Preparation("u1", Profile("small")))
    stage.cloud.account.refuse("DeleteRole", AwsError("NoSuchEntity", "It is gone", 404))
    assert stage.cleanup.remove_roles("/hubless/") == 1

    stage.cloud.account.refuse("DeleteRole", AwsError("AccessDenied", "no", 403))
    with pytest.raises(AwsCallError):
        stage.cleanup.remove_roles("/hubless/")


@pytest.mark.parametrize("typed", ["y\n", "staging\n", ""])
def test_typing_another_name_stops_nothing(shell, stage, typed):
    stage.run(1)

    answer = shell(typed=typed)

    assert answer.exit_code == 1
    assert len(stage.running()) == 1


def test_servers_that_are_left_fail_the_command(shell, stage, monkeypatch):
    stage.run(1)
    monkeypatch.setattr(stage_cleanup, "TIMEOUT_SECONDS", 0.0)

    answer = shell("--yes")

    assert answer.exit_code == 1
    assert "1 servers are running, 0 are stopping" in answer.output
    assert "Run `hubless empty` again" in answer.output


def test_ctrl_c_says_that_servers_may_still_run(shell, stage, monkeypatch):
    stage.run(1)

    def interrupted(seconds):
        raise KeyboardInterrupt

    monkeypatch.setattr(stage, "sleep", interrupted)

    answer = shell("--yes")

    assert answer.exit_code == 1
    assert "Servers may still be running, and cost money" in answer.output


def test_the_state_stays_protected_unless_the_operator_says_otherwise(shell, stage):
    assert shell("--yes").exit_code == 0

    assert f"{HUB}-state" in stage.stacks.protected


def test_unprotect_lets_only_the_stages_own_state_be_deleted(shell, stage):
    stage.run(1)

    answer = shell("--stage", "prod", "--unprotect", typed="prod\ny\n")

    assert answer.exit_code == 0, answer.output
    assert f"CloudFormation may delete the stack {HUB}-state now" in answer.output
    assert stage.stacks.protected == {f"{HUB}-2-state"}
    assert not stage.running()


@pytest.mark.parametrize("typed", ["prod\nn\n", "prod\n\n", "prod\n"])
def test_the_state_stays_protected_unless_its_removal_is_confirmed(shell, stage, typed):
    stage.run(1)

    answer = shell("--unprotect", typed=typed)

    assert answer.exit_code == 1
    assert "Shall CloudFormation be able to delete all stacks" in answer.output
    assert f"{HUB}-state" in stage.stacks.protected
    assert not stage.running()


def test_the_cdk_is_not_run_unless_the_removal_is_confirmed(tmp_path):
    """`make destroy` asks before protection goes, so the CDK asks nothing."""
    shown = subprocess.run(
        ["make", "--dry-run", "destroy", "STAGE=prod"], cwd=TOP, capture_output=True, text=True, check=True
    ).stdout
    steps = [line for line in shown.splitlines() if " empty --unprotect" in line or " destroy --all" in line]
    emptied, removed = steps

    assert "--yes" not in emptied
    assert " --force" in removed


def test_the_state_stays_protected_while_servers_are_left(shell, stage, monkeypatch):
    stage.run(1)
    monkeypatch.setattr(stage_cleanup, "TIMEOUT_SECONDS", 0.0)

    assert shell("--yes", "--unprotect").exit_code == 1
    assert f"{HUB}-state" in stage.stacks.protected


@pytest.mark.parametrize(("typed", "left"), [("y\n", False), ("n\n", True), ("\n", True)])
def test_unprotect_asks_also_where_no_cluster_is_left(shell, stage, typed, left):
    stage.stacks.resources = None

    answer = shell("--unprotect", typed=typed)

    assert answer.exit_code == int(left)
    assert (f"{HUB}-state" in stage.stacks.protected) == left


def test_unprotect_is_content_if_there_is_no_state(shell, stage):
    stage.stacks.resources = stage.stacks.protected = None

    assert shell("--yes", "--unprotect").exit_code == 0


@pytest.mark.parametrize("resources", [None, [("AWS::ECS::Cluster", "Cluster1", "hub", "DELETE_COMPLETE")]])
def test_a_stage_without_a_cluster_is_empty(shell, stacks, resources):
    stacks.resources = resources

    answer = shell()

    assert (answer.exit_code, answer.output) == (
        0,
        f"The stage prod has no cluster in {REGION} of this account: there is nothing to stop\n",
    )


def test_another_account_than_the_stages_is_refused(stage):
    chosen = Stage("prod", StageSettings(region=REGION, account="222222222222"))

    with pytest.raises(
        OperationsError, match="they belong to account 123456789012, but the stage prod needs 222222222222"
    ):
        stage_cleanup.of_stage(chosen, stage.aws, stage.said.append)
    assert deployed_stage.cluster_of(chosen, stage.aws) == "hub"
