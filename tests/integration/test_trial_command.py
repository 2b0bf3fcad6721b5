"""`hubless trial` as a command: what it asks, what it refuses, and what ends it."""

import json
import os
import signal
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
from click.testing import CliRunner

import operations.aws
import operations.network
from embedded.cli import main
from operations import deployed_stage
from operations.check_results import ok
from operations.errors import OperationsError
from operations.trial import cdk, command, stage_steps
from operations.trial.cdk import Cdk, CdkError
from operations.trial.records import StateFile
from tests.support.concurrency import eventually
from tests.support.processes import is_alive
from tests.support.trial import ACCOUNT, Wire, World

EPOCH = 1_800_000_000.0


@pytest.fixture
def world(tmp_path, monkeypatch):
    made = World(tmp_path)
    made.wall = lambda: EPOCH + made.time.now
    clock = SimpleNamespace(monotonic=made.time, sleep=made.time.sleep, time=made.wall)
    monkeypatch.setattr(command, "time", clock)
    monkeypatch.setattr(operations.aws, "Aws", lambda region: made.account)
    monkeypatch.setattr(operations.network, "Network", lambda: Wire(made.hub))
    monkeypatch.setattr(deployed_stage, "open_hub", lambda *_: SimpleNamespace(accounts=made.hub, users=made.hub))
    monkeypatch.setattr(
        stage_steps,
        "Preflight",
        lambda *_, **__: SimpleNamespace(results=lambda: [ok("account", "there")], failures=list),
    )

    class FakeCdk:
        require = staticmethod(lambda: None)

        def __new__(cls, stage, log):
            return made.cdk

    monkeypatch.setattr(cdk, "Cdk", FakeCdk)
    return made


@pytest.fixture
def shell(world, tmp_path):
    def run(*words, typed=None):
        words = ["trial", *words, "--settings", str(tmp_path / "hubless.toml"), "--folder", str(tmp_path / "trials")]
        return CliRunner().invoke(main, words, input=typed)

    run.folder = tmp_path / "trials" / "trial"
    return run


def test_it_asks_for_the_account_runs_all_and_writes_the_report(shell, world):
    answer = shell("--starts", "4", typed=f"{ACCOUNT}\n")

    assert answer.exit_code == 0, answer.output
    assert f"deploys the stage trial into eu-central-1 of the account {ACCOUNT}" in answer.output
    assert "All steps passed. Nothing is left." in answer.output
    assert world.account.is_empty()
    report = json.loads((shell.folder / "report.json").read_text())
    assert report["passed"]
    assert ACCOUNT not in (shell.folder / "report.md").read_text()


@pytest.mark.parametrize("typed", ["y\n", "210987654321\n", ""])
def test_without_the_accounts_number_nothing_is_deployed(shell, world, typed):
    answer = shell(typed=typed)

    assert answer.exit_code == 1
    assert world.account.is_empty()
    assert not (shell.folder / "state.json").exists()


def test_the_account_can_be_given_beforehand_and_json_is_all_it_prints(shell, world):
    answer = shell("--account", ACCOUNT, "--json")

    assert answer.exit_code == 0, answer.output
    assert json.loads(answer.stdout)["clean"]


@pytest.mark.parametrize("words", [["--account", "210987654321"], ["--limit", "0"], ["--resume", "--clean-up"]])
def test_wrong_options_deploy_nothing(shell, world, words):
    assert shell(*words).exit_code != 0
    assert world.account.is_empty()


def test_a_stage_that_exists_is_left_alone(shell, world):
    world.account.stacks["state"] = "CREATE_COMPLETE"

    answer = shell("--account", ACCOUNT)

    assert answer.exit_code == 1
    assert "The stage trial exists already" in answer.output
    assert world.account.stacks == {"state": "CREATE_COMPLETE"}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_cleans_up_and_writes_the_report(shell, world, number):
    world.time.events.append((200.0, lambda: os.kill(os.getpid(), number)))

    answer = shell("--account", ACCOUNT)

    assert answer.exit_code == 1
    assert "Nothing is left." in answer.output
    assert world.account.is_empty()
    assert "interrupted" in {one["outcome"] for one in json.loads((shell.folder / "report.json").read_text())["steps"]}


def interrupted_twice(shell, world, second):
    """Interrupt a trial, and *second* seconds after that its clean-up."""
    interrupt = lambda: os.kill(os.getpid(), signal.SIGINT)  # noqa: E731
    world.time.events.append((200.0, interrupt))
    world.time.events.append((200.0 + second, interrupt))
    return shell("--account", ACCOUNT)


def test_a_second_ctrl_c_says_how_to_clean_up_and_clean_up_does(shell, world):
    answer = interrupted_twice(shell, world, 30.0)

    assert answer.exit_code == 1
    assert "SOMETHING IS LEFT: run `hubless trial --clean-up`." in answer.output
    assert not world.account.is_empty()
    assert shell("--account", ACCOUNT).exit_code == 1  # it is unfinished

    answer = shell("--clean-up")

    assert answer.exit_code == 0, answer.output
    assert world.account.is_empty()
    assert shell("--clean-up").exit_code == 1
    assert shell("--resume").exit_code == 1


def test_a_resumed_trial_counts_what_ran_meanwhile(shell, world):
    interrupted_twice(shell, world, 5.0)  # its servers are stopped, and its stacks stand
    before = float(StateFile(shell.folder / "state.json").load().spent_usd)
    world.time.now += 24 * 3600

    answer = shell("--resume")

    assert answer.exit_code == 0, answer.output
    after = float(StateFile(shell.folder / "state.json").load().spent_usd)
    assert after - before > 24 * 0.01


def test_two_trials_of_a_stage_do_not_run_at_once(tmp_path):
    store = StateFile(tmp_path / "state.json")

    with store.alone(), pytest.raises(OperationsError, match="Another `hubless trial` works"), store.alone():
        pass


# --- the CDK as a process ---


@pytest.fixture
def program(tmp_path, monkeypatch):
    """Return a function that makes a program of a text the CDK's."""

    def write(text):
        file = tmp_path / "cdk"
        file.write_text(f"#!{sys.executable}\nimport sys, time\n{text}\n")
        file.chmod(0o755)
        monkeypatch.setattr(cdk, "PROGRAM", file)
        monkeypatch.setattr(cdk, "POLL_SECONDS", 0.05)
        return Cdk("trial", tmp_path / "cdk.log")

    return write


def test_the_cdk_is_called_with_the_stage_and_waited_for(program, tmp_path):
    waits = []

    program("print(sys.argv[1:]); time.sleep(0.3)").deploy(tmp_path / "first.toml", _waiting(waits))

    assert "'deploy', '--all', '-c', 'example=no', '-c', 'stage=trial'" in (tmp_path / "cdk.log").read_text()
    assert waits
    assert not (tmp_path / "cdk.pid").exists()


def _waiting(waits):
    def wait(seconds):
        waits.append(seconds)
        time.sleep(seconds)

    return wait


def test_a_failed_cdk_is_an_error_with_the_end_of_its_output(program, tmp_path):
    made = program("print('\\n'.join(map(str, range(100)))); sys.exit(3)")

    with pytest.raises(CdkError) as failed:
        made.destroy(tmp_path / "first.toml", time.sleep)

    assert str(failed.value).startswith("cdk destroy exited with 3:\n60\n")
    assert str(failed.value).endswith("\n99")


def test_an_interrupt_ends_the_cdk(program, tmp_path):
    before, seen = set(psutil.Process().children()), []  # other tests' emulators run on

    def wait(_seconds):
        seen.extend(set(psutil.Process().children()) - before)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        program("time.sleep(60)").deploy(tmp_path / "first.toml", wait)

    assert seen
    assert not any(child.is_running() for child in seen)


def test_a_cdk_that_outlived_its_trial_is_ended_before_the_next(program, tmp_path):
    made = program("print('running', flush=True); time.sleep(60)")
    reader, writer = os.pipe()
    if not (child := os.fork()):
        try:
            made.deploy(tmp_path / "first.toml", lambda _: os.write(writer, b"1") and time.sleep(60))
        finally:
            os._exit(1)
    os.read(reader, 1)
    os.close(reader)
    os.close(writer)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    pid = int((tmp_path / "cdk.pid").read_text().split()[0])
    eventually(lambda: "running" in (tmp_path / "cdk.log").read_text())

    program("").destroy(Path("first.toml"), time.sleep)

    eventually(lambda: not is_alive(pid))
    assert not (tmp_path / "cdk.pid").exists()
