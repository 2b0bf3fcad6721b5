"""All steps of a trial in an account that refuses what AWS refuses; and what is left after any end."""

import json

import pytest

from operations.aws import AwsCallError
from operations.deployed_stage import STACKS
from operations.trial import leftovers, report
from operations.trial.records import Outcome, StateFile
from operations.trial.runner import LEFTOVERS, Runner
from operations.trial.steps import STEPS
from tests.support.trial import ACCOUNT, URL, VPC, World

NAMES = [step.name for step in STEPS if step.name != "preflight"]


class Killed(BaseException):
    """What SIGKILL is to a process: nothing of it runs any more."""


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


@pytest.fixture
def store(tmp_path):
    return StateFile(tmp_path / "state.json")


def run(world, store, state=None, **more):
    """Run a trial. Return whether it passed, and the runner."""
    state = state or world.state()
    runner = Runner(world.trial(state, **more), lambda: store.save(state))
    return runner.run(), runner


def outcomes(store):
    return {one.step: one.outcome for one in store.load().records}


def messages(store):
    return {one.step: one.message for one in store.load().records}


def failing(monkeypatch, name, error):
    """Let the step *name* raise *error*, after it has done its work."""
    (step,) = [one for one in STEPS if one.name == name]

    def broken(trial):
        step.run(trial)
        raise error

    changed = tuple(type(step)(**_fields(one) | {"run": broken}) if one is step else one for one in STEPS)
    monkeypatch.setattr("operations.trial.runner.STEPS", changed)
    return changed


def _fields(step):
    return {name: getattr(step, name) for name in type(step).__dataclass_fields__}


def test_all_steps_pass_and_nothing_is_left(world, store):
    passed, _ = run(world, store)

    assert passed, world.lines
    assert world.account.is_empty()
    assert set(outcomes(store)) == {"preflight", *NAMES, "undo starts", "destroy", LEFTOVERS}
    assert store.load().is_clean
    assert store.load().record_of("deploy").facts["reserved concurrency"] == "reaper 2, spawn 50"


def test_the_stage_is_removed_though_aws_blocks_it(world, store):
    world.account.objects["hubless-trial-state-logs1"] = ["late.log"]

    run(world, store)

    undone = store.load().record_of("destroy").facts
    assert world.account.is_empty()
    assert "deleted 1 objects of hubless-trial-state-logs1" in undone["failed attempts"]
    assert "deleted CloudFront-VPCOrigins-Service-SG" in undone["failed attempts"]


@pytest.mark.parametrize("name", NAMES)
def test_a_failed_step_skips_what_needs_it_and_is_cleaned_up(world, store, monkeypatch, name):
    state = world.state()
    steps = failing(monkeypatch, name, AwsCallError("ec2 answered InsufficientInstanceCapacity: none"))

    passed = Runner(world.trial(state), lambda: store.save(state), steps=steps).run()

    assert not passed
    assert outcomes(store)[name] is Outcome.FAILED
    assert "InsufficientInstanceCapacity" in messages(store)[name]
    needing = [step.name for step in STEPS if name in step.needs]
    assert {outcomes(store)[one] for one in needing} <= {Outcome.SKIPPED}
    assert world.account.is_empty()


@pytest.mark.parametrize("name", NAMES)
def test_ctrl_c_in_a_step_cleans_up(world, store, monkeypatch, name):
    state = world.state()
    steps = failing(monkeypatch, name, KeyboardInterrupt())

    with pytest.raises(KeyboardInterrupt):
        Runner(world.trial(state), lambda: store.save(state), steps=steps).run()

    assert outcomes(store)[name] is Outcome.INTERRUPTED
    assert world.account.is_empty()
    assert store.load().is_clean


def test_an_unexpected_error_of_a_step_does_not_prevent_the_clean_up(world, store, monkeypatch):
    state = world.state()
    steps = failing(monkeypatch, "spawn", KeyError("Reservations"))

    assert not Runner(world.trial(state), lambda: store.save(state), steps=steps).run()

    assert "KeyError: 'Reservations'" in messages(store)["spawn"]
    assert world.account.is_empty()


def saves_of_a_trial(world, store):
    """Return how often a whole trial writes its state."""
    count, state = [], world.state()
    Runner(world.trial(state), lambda: (store.save(state), count.append(1))).run()
    return len(count)


def killed_after(world, store, number):
    """Run a trial that is killed after its state was written *number* times."""
    left, state = [number], world.state()

    def save():
        store.save(state)
        left[0] -= 1
        if not left[0]:
            raise Killed

    with pytest.raises(Killed):
        Runner(world.trial(state), save).run()


SAVES = 2 * (len(NAMES) + 3) + 2  # two for each that runs, one for the skipped preflight, one at the end


def test_a_whole_trial_writes_its_state_as_often_as_killed_below(world, store):
    assert saves_of_a_trial(world, store) == SAVES


@pytest.mark.parametrize("number", range(1, SAVES + 1))
def test_clean_up_after_a_kill_leaves_nothing(world, store, number):
    killed_after(world, store, number)

    state = store.load()
    assert Runner(world.trial(state), lambda: store.save(state)).clean_up()

    assert world.account.is_empty()


@pytest.mark.parametrize("number", range(2, SAVES - 6, 2))
def test_a_killed_trial_is_resumed_where_it_was(world, store, number):
    killed_after(world, store, number)
    before = [one.step for one in store.load().records if one.outcome is Outcome.PASSED]

    passed, _ = run(world, store, store.load())

    assert passed, world.lines
    assert world.account.is_empty()
    ran = [one.step for one in store.load().records]
    assert {step: ran.count(step) for step in before} == dict.fromkeys(before, 1)


def test_an_undo_that_fails_is_reported_and_can_be_repeated(world, store):
    world.cdk.fails["destroy"] = "AccessDenied"

    passed, _ = run(world, store)

    assert not passed
    assert outcomes(store)["destroy"] is Outcome.FAILED
    assert "stacks: hubless-trial-state: DELETE_FAILED" in messages(store)[LEFTOVERS]
    assert "distributions: Eaccount, distributions: Eweb" in messages(store)[LEFTOVERS]
    assert "VPC origins: vo_0123456789, VPC origins: vo_1123456789" in messages(store)[LEFTOVERS]
    assert "addresses: eipalloc-0123456789 (203.0.113.7)" in messages(store)[LEFTOVERS]
    world.cdk.fails.clear()
    state = store.load()
    assert Runner(world.trial(state), lambda: store.save(state)).clean_up()
    assert world.account.is_empty()


def test_a_failed_deployment_reports_cloudformations_reasons(world, store):
    world.cdk.fails["deploy"] = "the stack web failed"

    run(world, store)

    assert "hubless-trial-web is ROLLBACK_FAILED because of One (AWS::X::Y): it is in use" in messages(store)["deploy"]
    assert "cancelled" not in messages(store)["deploy"]
    assert world.account.is_empty()


def test_a_name_that_is_new_to_dns_is_waited_for(world, store):
    world.hub.resolves_at = 200.0

    passed, _ = run(world, store)

    assert passed, world.lines
    assert store.load().record_of("deploy").facts["seconds until the hub answered"] == pytest.approx(
        200 - 10 * len(STACKS[1:]), abs=2
    )


def test_a_hub_that_never_answers_fails_its_deployment(world, store):
    world.hub.resolves_at = 10_000.0

    run(world, store)

    assert messages(store)["deploy"].endswith("d111111abcdef8.cloudfront.net: Name or service not known")
    assert outcomes(store)["admin-link"] is Outcome.SKIPPED
    assert world.account.is_empty()


def test_keep_leaves_the_stage_only_if_a_step_did_not_pass(world, store, monkeypatch):
    state = world.state()
    steps = failing(monkeypatch, "kernel", AwsCallError("no"))

    Runner(world.trial(state), lambda: store.save(state), keep=True, steps=steps).run()

    assert not world.account.is_empty()
    assert not store.load().is_clean
    again = store.load()
    assert Runner(world.trial(again), lambda: store.save(again), keep=True).run()
    assert world.account.is_empty()


def test_the_spend_limit_skips_steps_and_cleans_up(world, store):
    passed, runner = run(world, store, limit="0.12")

    assert not passed
    assert outcomes(store)["deploy"] is Outcome.PASSED
    assert outcomes(store)["starts"] is Outcome.SKIPPED
    assert "the limit is $0.12" in messages(store)["starts"]
    assert world.account.is_empty()
    assert runner.trial.spend.spent < runner.trial.spend.limit


def test_steps_of_the_economy_edge_are_left_out_with_another_edge(tmp_path, store):
    world = World(tmp_path)
    (tmp_path / "hubless.toml").write_text((tmp_path / "hubless.toml").read_text() + 'edge = "fleet"\n')
    world.account.instance = "running"
    state = world.state()

    assert Runner(world.trial(state), lambda: store.save(state)).run(), world.lines

    assert messages(store)["stop-under-get"] == "only for edge = economy, and the stage has fleet"


def test_servers_that_get_lost_fail_the_step(world, store):
    world.hub.lost = {"trial-a1b2c3-2"}

    passed, _ = run(world, store)

    assert not passed
    record = store.load().record_of("starts")
    assert (record.message, record.facts["lost"]) == ("1 of 5 servers did not get ready", 1)
    assert record.seconds < 120
    assert world.account.is_empty()


def test_starts_that_are_refused_are_counted_by_their_answer(world, store):
    world.hub.throttled = {"trial-a1b2c3-2", "trial-a1b2c3-3"}

    run(world, store)

    facts = store.load().record_of("starts").facts
    assert facts["asked"] == {"202": 3, "cannot start the server of a user: 429 too many": 2}
    assert facts["lost"] == 2


def test_a_stack_under_review_is_removed_too(world, store):
    killed_after(world, store, 4)
    world.account.stacks["watch"] = "REVIEW_IN_PROGRESS"

    state = store.load()
    assert Runner(world.trial(state), lambda: store.save(state)).clean_up()

    assert world.account.is_empty()
    assert world.time.now < 3600


def test_a_clean_up_waits_until_cloudformation_has_settled(world, store):
    killed_after(world, store, 4)
    world.account.stacks["watch"] = "UPDATE_ROLLBACK_IN_PROGRESS"
    settles_at = world.time.now + 900
    world.time.events.append((settles_at, lambda: world.account.stacks.update(watch="UPDATE_ROLLBACK_COMPLETE")))

    state = store.load()
    assert Runner(world.trial(state), lambda: store.save(state)).clean_up()

    assert world.cdk.destroyed_at >= settles_at
    assert world.account.is_empty()


def test_a_refusal_that_cloudfront_caches_fails_the_step(world, store):
    world.hub.caches_errors = True

    run(world, store)

    assert messages(store)["open"] == "the browser got 200 for the page and 403 for the API"


def test_a_stream_that_ends_early_fails_the_step(world, store):
    world.hub.stream_seconds = 30.0

    run(world, store)

    record = store.load().record_of("progress")
    assert (record.message, record.facts["seconds held"]) == ("the stream ended after 32 seconds", 32.0)


def test_a_post_that_wakes_no_edge_is_reported(world, store):
    world.hub.post_wakes = False

    run(world, store)

    facts = store.load().record_of("stop-under-post").facts
    assert facts["a GET had to wake the edge"].endswith(": 503 (retry-after: 10)")


def test_the_times_of_a_stopped_edge_are_measured(world, store):
    run(world, store)

    facts = store.load().record_of("stop-under-get").facts
    first, second, third = facts["answers"]
    assert first == "0.0 s: 200, 1 times"
    assert second.startswith("1.0 s: 503 (retry-after: 10)")
    assert third.endswith(": 200, 3 times")


def test_the_report_names_nothing_of_the_account(world, store):
    _, runner = run(world, store)

    told = report.data(runner.trial, has_passed=runner.has_passed)

    text = json.dumps(told) + report.markdown(told)
    for secret in (ACCOUNT, VPC, URL, "d111111abcdef8", "a-token", "i-0123456789abcdef0"):
        assert secret not in text
    assert told["passed"]
    assert told["clean"]
    assert [one["step"] for one in told["steps"]][:3] == ["preflight", "deploy", "admin-link"]


def test_a_report_is_written_as_json_and_markdown(world, store, tmp_path):
    _, runner = run(world, store)

    as_json, as_markdown = report.write(report.data(runner.trial, has_passed=True), tmp_path)

    assert json.loads(as_json.read_text())["estimate"]["limit_usd"] == "5.00"
    assert "| redeploy | passed |" in as_markdown.read_text()
    assert "An estimate" in as_markdown.read_text()


def test_a_search_that_aws_refuses_is_reported_and_the_others_run(world, store):
    world.account.refused["list_roles"] = AwsCallError("the permission iam:ListRoles is missing")

    passed, _ = run(world, store)

    found = store.load().record_of(LEFTOVERS).facts
    assert passed
    assert found["not searched"] == {"roles": "the permission iam:ListRoles is missing"}


def test_cached_images_are_removed_and_other_repositories_stay(tmp_path, store):
    world = World(tmp_path)
    (tmp_path / "hubless.toml").write_text((tmp_path / "hubless.toml").read_text() + 'egress = "nat"\n')
    world.account.repositories |= {"trial-quay/jupyter/minimal-notebook", "trial-quay-2/base"}

    run(world, store)

    assert world.account.repositories == {"trial/base", "trial-quay-2/base"}
    assert (
        "repository trial-quay/jupyter/minimal-notebook" in store.load().record_of("destroy").facts["removed besides"]
    )


def test_roles_of_users_are_removed_with_the_stage(tmp_path, store):
    world = World(tmp_path)
    (tmp_path / "hubless.toml").write_text((tmp_path / "hubless.toml").read_text() + "task_roles = true\n")

    passed, _ = run(world, store)

    assert passed, world.lines
    assert "delete_role" in world.account.calls
    assert world.account.is_empty()


def test_roles_of_users_that_stay_are_named_and_others_are_not(world, store):
    world.account.users_roles.add("u-ada")
    world.cdk.blocks = False

    found = leftovers.search(world.trial(world.state())).left

    assert [one.name for one in found if one.kind == "roles"] == ["u-ada"]


def test_what_is_left_is_named(world, store):
    world.account.interfaces = {"eni-0123456789abcdef0"}

    passed, _ = run(world, store)

    assert not passed
    assert messages(store)[LEFTOVERS] == "these are left: network interfaces: eni-0123456789abcdef0 ()"


def test_a_log_group_of_a_stage_with_a_longer_name_stays(world, store):
    world.account.log_groups.add("/aws/lambda/hubless-trial-2-control-Api1")

    run(world, store)

    assert world.account.log_groups == {"/aws/lambda/hubless-trial-2-control-Api1"}
