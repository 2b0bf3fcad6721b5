"""The pure parts of `hubless trial`: spend, redaction, timelines, state and settings."""

import re
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from hubless.settings import SettingsError, parse
from hubless.settings.stage import Stage, StageSettings, load_stage
from operations.deployed_stage import STACKS
from operations.errors import OperationsError
from operations.trial import stage_files
from operations.trial.cdk import Cdk
from operations.trial.command import new_state, state_to_continue
from operations.trial.edge_steps import Timeline
from operations.trial.leftovers import SEARCHES
from operations.trial.records import Outcome, Record, State, StateFile
from operations.trial.redaction import Redaction
from operations.trial.spend import CLEAN_UP, Rates, Spend, SpendLimitError, rates_of
from operations.trial.steps import STEPS
from tests.support.trial import ACCOUNT, OPERATOR, REGION, World

TOP = Path(__file__).parents[3]
RATES = Rates(stage=Decimal("0.02"), server=Decimal("0.10"))


class Time:
    now = 0.0

    def __call__(self):
        return self.now


def a_state(**more):
    return State("trial", REGION, ACCOUNT, "a1b2c3", "2026-11-27T12:00:00+00:00", **more)


# --- spend ---


def test_what_runs_is_counted_by_time():
    time = Time()
    spend = Spend(RATES, Decimal(5), time, Decimal("0.5"))

    time.now = 3600.0
    spend.count()
    spend.servers = 20
    time.now = 5400.0

    assert spend.count() == Decimal("0.5") + Decimal("0.02") + Decimal("0.01") + Decimal("1.00")


def test_a_step_that_might_exceed_the_limit_does_not_begin():
    spend = Spend(RATES, Decimal(1), Time(), Decimal(0))
    room = Decimal(1) / RATES.of(3) * 3600 - int(CLEAN_UP.total_seconds())  # seconds

    spend.require_room(timedelta(seconds=int(room)), 3)

    with pytest.raises(SpendLimitError, match=r"the limit is \$1\.00"):
        spend.require_room(timedelta(seconds=int(room) + 1), 3)


def test_waiting_stops_while_the_clean_up_still_fits():
    time = Time()
    spend = Spend(RATES, Decimal("0.10"), time, Decimal(0))

    def wait_for_hours():
        for time.now in range(0, 36_000, 60):
            spend.check()

    with pytest.raises(SpendLimitError):
        wait_for_hours()

    assert spend.spent + RATES.stage * Decimal(CLEAN_UP.total_seconds()) / 3600 < Decimal("0.101")


@pytest.mark.parametrize("edge", ["economy", "fleet", "alb"])
def test_a_whole_trial_fits_into_the_default_limit(edge):
    rates = rates_of(StageSettings(region=REGION, edge=edge))
    at_most = sum(
        (rates.of(20 if step.name == "starts" else 1) * Decimal(step.longest.total_seconds()) / 3600 for step in STEPS),
        Decimal(0),
    )

    assert Decimal("0.05") < at_most + rates.of(20) * Decimal(CLEAN_UP.total_seconds()) / 3600 < 5


# --- redaction ---


@pytest.mark.parametrize(
    ("given", "redacted"),
    [
        (f"arn:aws:ecs:{REGION}:{ACCOUNT}:task/hub/ab12 failed", "<arn-1> failed"),
        (f"account {ACCOUNT}.", "account <account-1>."),
        ("no response from d111111abcdef8.cloudfront.net: refused", "no response from <host-1>: refused"),
        ("abc123.execute-api.eu-central-1.amazonaws.com", "<host-1>"),
        ("see https://hub.example.org/hub/set-password?key=abc, please", "see <link-1>, please"),
        ("10.64.0.10 and 10.64.0.10, then 10.64.0.11", "<ip-1> and <ip-1>, then <ip-2>"),
        ("[2001:db8::17] and fe80:0:0:0:1:2:3:4", "[<ip-1>] and <ip-2>"),
        ("instance i-0123456789abcdef0 in subnet-0a1b2c3d", "instance <id-1> in <id-2>"),
        ("AKIAIOSFODNN7EXAMPLE", "<key-1>"),
        ("to ada.lovelace@example.org", "to <email-1>"),
        ("id 1b4e28ba-2fa1-11d2-883f-0016d3cca427", "id <uuid-1>"),
        ("token Zm9vYmFyYmF6cXV4MTIzNDU2Nzg5MGFiY2Rl", "token <secret-1>"),
        ("at 2026-11-27T12:00:00+00:00 for 12:34:56", "at 2026-11-27T12:00:00+00:00 for 12:34:56"),
        ("cdk 2.1148.1 exited with 1 after 90.5 s", "cdk 2.1148.1 exited with 1 after 90.5 s"),
    ],
)
def test_what_identifies_somebody_is_replaced(given, redacted):
    assert Redaction({}).text(given) == redacted


def test_known_texts_are_replaced_wherever_they_occur():
    redaction = Redaction({"host": ["hub.example.org", ""], "secret": ["correct horse"]})

    told = redaction.data({"hub.example.org said": ["correct horse", 7, None, {"a": "hub.example.org"}]})

    assert told == {"<host-1> said": ["<secret-1>", 7, None, {"a": "<host-1>"}]}


# --- timelines ---


def test_equal_answers_in_a_row_are_one_entry():
    time = Time()
    timeline = Timeline(time)
    for time.now, answer in ((5.0, "200"), (6.0, "504"), (7.5, "504"), (9.0, "200")):
        timeline.add(answer)

    assert timeline.lines() == ["0.0 s: 200, 1 times", "1.0 s: 504, 2 times", "4.0 s: 200, 1 times"]


# --- state ---


def test_a_state_is_read_as_it_was_written(tmp_path):
    file, state = StateFile(tmp_path / "a" / "state.json"), a_state(records=[Record("spawn", Outcome.PASSED, 1.5)])

    assert file.load() is None
    file.save(state)

    assert file.load() == state
    assert "password" not in file.path.read_text()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"version": 1}', '{"version": 2, "records": []}'])
def test_a_damaged_state_or_one_of_another_version_is_an_error(tmp_path, text):
    (tmp_path / "state.json").write_text(text)

    with pytest.raises(OperationsError):
        StateFile(tmp_path / "state.json").load()


def test_a_stage_that_exists_is_refused(tmp_path):
    world = World(tmp_path)
    world.account.stacks["state"] = "ROLLBACK_COMPLETE"

    with pytest.raises(OperationsError, match=r"The stage trial exists already \(state\)"):
        new_state(StateFile(tmp_path / "state.json"), world.operator, world.account, ACCOUNT)


def test_a_second_trial_waits_for_the_first_to_be_clean(tmp_path):
    world, file = World(tmp_path), StateFile(tmp_path / "state.json")
    file.save(a_state())

    with pytest.raises(OperationsError, match="--resume to continue it, --clean-up to remove it"):
        new_state(file, world.operator, world.account, ACCOUNT)

    file.save(a_state(is_clean=True))
    assert not new_state(file, world.operator, world.account, ACCOUNT).records


def test_a_trial_continues_only_in_its_own_account(tmp_path):
    world, file = World(tmp_path), StateFile(tmp_path / "state.json")
    file.save(a_state())

    assert state_to_continue(file, world.operator, ACCOUNT, resume=True) == a_state()
    with pytest.raises(OperationsError, match=f"of account {ACCOUNT}"):
        state_to_continue(file, world.operator, "210987654321", resume=True)


def test_a_clean_trial_is_not_continued(tmp_path):
    world, file = World(tmp_path), StateFile(tmp_path / "state.json")
    file.save(a_state(is_clean=True))

    with pytest.raises(OperationsError, match="No trial of the stage trial is unfinished"):
        state_to_continue(file, world.operator, ACCOUNT, resume=False)


def test_a_trial_whose_removal_has_begun_is_cleaned_up_and_not_resumed(tmp_path):
    world, file = World(tmp_path), StateFile(tmp_path / "state.json")
    file.save(a_state(records=[Record("destroy", Outcome.INTERRUPTED)]))

    with pytest.raises(OperationsError, match="end it with --clean-up"):
        state_to_continue(file, world.operator, ACCOUNT, resume=True)

    assert state_to_continue(file, world.operator, ACCOUNT, resume=False).has_begun("destroy")


# --- settings, stacks, the CDK ---


def test_a_trial_deploys_the_operators_stage_and_keeps_nothing(tmp_path):
    operator = tmp_path / "hubless.toml"
    operator.write_text(f'{OPERATOR}domain = "hub.example.org"\nzone_id = "Z0123456789"\nkeep_data = true\n')

    first, second = stage_files.write(load_stage(operator), operator, ACCOUNT, tmp_path)

    deployed = load_stage(first).settings
    assert (deployed.domain, deployed.keep_data, deployed.account) == ("hub.example.org", False, ACCOUNT)
    assert load_stage(second).settings == deployed
    assert stage_files.SECOND not in first.read_text()
    hub = parse(second.read_text(), tmp_path)
    assert hub.hub.name == stage_files.SECOND
    assert [one.name for one in hub.profiles] == [stage_files.PROFILE, stage_files.SLEEPER]


def test_a_stage_of_several_lists_is_written_as_toml(tmp_path):
    operator = tmp_path / "hubless.toml"
    text = 'vpc_id = "vpc-0123abcd"\nzones = ["eu-central-1a", "eu-central-1b"]\n'
    text += 'public_subnets = ["subnet-0123abcd", "subnet-1123abcd"]\n'
    text += 'private_subnets = ["subnet-2123abcd", "subnet-3123abcd"]\ncpus = 0.5\n'
    operator.write_text(OPERATOR + text)

    first, _ = stage_files.write(load_stage(operator), operator, ACCOUNT, tmp_path)

    assert load_stage(first).settings.zones == ("eu-central-1a", "eu-central-1b")


def test_a_stage_with_a_wrong_key_is_refused(tmp_path):
    operator = tmp_path / "hubless.toml"
    operator.write_text(f"{OPERATOR}colour = 1\n")

    with pytest.raises(SettingsError, match="colour"):
        stage_files.write(Stage("trial", StageSettings(region=REGION)), operator, ACCOUNT, tmp_path)


def test_the_stacks_are_those_of_the_deployment():
    made = [re.search(r'super\(\).__init__\(\s*scope,\s*"(\w+)"', file.read_text()) for file in STACK_FILES]

    assert {found[1] for found in made if found} == set(STACKS)


STACK_FILES = sorted((TOP / "infra/stacks").glob("*.py"))


def test_the_cdk_gets_the_trials_settings_and_asks_nothing(tmp_path):
    command = Cdk("trial", tmp_path / "log").command("destroy", tmp_path / "first.toml", "--force")

    assert command[1:3] == ["destroy", "--all"]
    assert "stage=trial" in command
    assert f"settings={tmp_path / 'first.toml'}" in command
    assert command[-1] == "--force"


# --- the order of steps, and the page about them ---


def test_a_step_needs_only_steps_before_it():
    names = [step.name for step in STEPS]

    assert [step.name for step in STEPS if not set(step.needs) <= set(names[: names.index(step.name)])] == []


def test_docs_trial_md_describes_each_step():
    text = (TOP / "docs/trial.md").read_text()
    table = text.partition("## What happens")[2].partition("\n## ")[0]
    described = re.findall(r"^\| `([a-z-]+)` \|", table, re.MULTILINE)
    answers = [line.rsplit("|", 2)[1] for line in text.partition("## Open questions")[2].splitlines() if "|" in line]
    answering = {name for answer in answers if "none" not in answer for name in re.findall(r"`([a-z-]+)`", answer)}

    assert described == [*(step.name for step in STEPS), "destroy", "leftovers"]
    assert answering == set(described)
    assert sorted(SEARCHES) == sorted(re.findall(r"^- ([A-Za-z ]+):", text, re.MULTILINE))


def test_what_was_not_tried_on_aws_leads_to_the_trial():
    pages = [TOP / "docs/deploy.md", *sorted((TOP / "docs/adr").glob("0*.md"))]
    untried = [page for page in pages if UNTRIED.search(" ".join(page.read_text().split()))]

    assert len(untried) > 3
    assert [page.name for page in untried if "trial.md" not in page.read_text()] == []


UNTRIED = re.compile(r"tried on AWS|measured on AWS|must still confirm|not run on a live hub")
