"""`hubless trial` in MiniStack: the steps that meet AWS in a scratch account, in the same order."""

import json
import time

import pytest

from operations.trial import report
from operations.trial.records import Outcome, State, StateFile
from operations.trial.runner import LEFTOVERS, Runner
from operations.trial.steps import STEPS
from tests.deployment.conftest import emulated_account
from tests.deployment.stage import ACCOUNT, CREDENTIALS, NAME, REGION
from tests.deployment.trial_stage import UNSUPPORTED, trial_of

STARTS = 3  # servers at once, each a process of this machine
pytestmark = [pytest.mark.real, pytest.mark.timeout(600)]  # two deployments and a removal


def test_a_trial_passes_and_leaves_nothing(tmp_path, monkeypatch):
    state = State(NAME, REGION, ACCOUNT, "a1b2c3", "2026-11-27T12:00:00+00:00")
    store = StateFile(tmp_path / "state.json")
    with emulated_account() as emulated:
        for name, text in {"AWS_ENDPOINT_URL": emulated.stage.emulator, **emulated.beside, **CREDENTIALS}.items():
            monkeypatch.setenv(name, text)
        trial, lines = trial_of(
            emulated, state, tmp_path, time.monotonic, lambda s: time.sleep(min(s, 1)), starts=STARTS
        )
        runner = Runner(trial, lambda: store.save(state))
        try:
            passed = runner.run()
        finally:
            trial.deployer.close()
            print("\n".join(lines))

    told = report.data(trial, has_passed=runner.has_passed)
    print(report.markdown(told))
    assert passed, "\n".join(lines)
    outcomes = {one.step: one.outcome for one in state.records}
    assert [step.name for step in STEPS if step.name not in outcomes] == []
    skipped = {name for name, outcome in outcomes.items() if outcome is Outcome.SKIPPED}
    unsearched = set(state.record_of(LEFTOVERS).facts["not searched"])
    assert skipped | unsearched == set(UNSUPPORTED)
    text = json.dumps(told)
    assert ACCOUNT not in text
    assert trial.url not in text
