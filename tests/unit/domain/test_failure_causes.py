"""Causes of failures, found in real outputs: `tests/data/failures` has the last lines of `jupyterhub-singleuser`."""

import json
from pathlib import Path

import pytest

from hubless.domain import failure_causes
from hubless.domain.failure_causes import CAUSES, MAX_LINE, MAX_LINES, cause_of

FAILURES = Path(__file__).parents[2] / "data" / "failures"
NOT_IN_TIME = "The server did not answer within 60 seconds"


def cause_of_output(name):
    output = json.loads((FAILURES / f"{name}.json").read_text())
    code = output["exit_code"]
    return cause_of(NOT_IN_TIME if code is None else f"The server exited with code {code}", output["lines"])


@pytest.mark.parametrize(
    ("output", "code"),
    [
        ("config-trait", "settings-file"),
        ("config-option", "settings-file"),
        ("config-syntax", "settings-file"),
        ("shadowed-package", "package"),
        ("old-package", "package"),
        ("missing-module", "package"),
        ("missing-lab", "package"),
        ("cwd-shadow", "package"),
        ("python-syntax", "python-version"),
        ("port-in-use", "port-in-use"),
        ("disk-full", "disk-full"),
        ("disk-full-db", "disk-full"),
        ("memory", "out-of-memory"),
        ("files", "too-many-processes"),
        ("home-read-only", "not-writable"),
        ("home-foreign", "not-writable"),
        ("read-only-fs", "not-writable"),
        ("not-found-127", "no-command"),
        ("not-executable-126", "no-command"),
        ("bash-127", "no-command"),
        ("env-127", "no-command"),
        ("bad-interpreter", "no-command"),
        ("token-refused", "key-refused"),
        ("hub-away", "hub-unreached"),
        ("as-root", "as-root"),
    ],
)
def test_a_real_output_has_its_cause(output, code):
    assert cause_of_output(output).code == code


@pytest.mark.parametrize(
    ("reason", "code"),
    [
        ("The server exited with code 137 (OutOfMemoryError: Container killed due to memory usage)", "out-of-memory"),
        ("The server was killed by SIGKILL after it had reached its memory limit of 1 GiB", "out-of-memory"),
        (
            "The server ended after it had reached its limit of 512 processes and threads",
            "too-many-processes",
        ),
        ("The server was killed by SIGKILL (perhaps out of memory)", "killed"),
        ("The server exited with code 137", "killed"),
        ("The server could not be started: CannotPullContainerError: pull access denied for nosuch", "image"),
        (
            "ResourceInitializationError: failed to invoke EFS utils commands to set up EFS volumes: stderr: …",
            "home-mount",
        ),
        ("The server could not be started: ResourceInitializationError: failed to download env files", "cloud-setup"),
        (
            "The server was stopped because AWS reclaimed its Spot capacity (Your Spot Task was interrupted.)",
            "reclaimed",
        ),
        (
            "AWS refused a request: ClientException: No Fargate configuration exists for given values: 256 CPU",
            "size",
        ),
        ("AWS refused a request (launching): AccessPointLimitExceeded: 10000 access points", "quota"),
        (
            "ECS has no capacity for the server now: Capacity is unavailable at this time. Please try again later",
            "capacity",
        ),
        ("The hub had no free slot in time. Try again later.", "no-turn"),
        ("The hub could not set up the server in time. Try again later.", "no-turn"),
        ("The profile large is no longer offered", "option"),
        ("The profile GPU needs 2 GPUs. This machine has none. Choose another profile.", "no-gpu"),
        (
            "The program rstudio of profile r is not installed on this machine. Install it, or name another command",
            "no-command",
        ),
        (
            "The hub cannot start jupyterhub-singleuser: No space left on device (/srv/hub/l1/server.log).",
            "disk-full",
        ),
        ("The server did not answer within 60 seconds", "too-slow"),
        ("The server did not get an address within 60 seconds", "too-slow"),
        ("The server did not reach every edge within 60 seconds", "edge"),
    ],
)
def test_what_launchers_say_has_its_cause(reason, code):
    assert cause_of(reason).code == code


@pytest.mark.parametrize(
    ("reason", "lines"),
    [
        ("", ()),
        ("The server exited with code 3", ()),
        ("The server exited with code 1370", ("all is well",)),
        ("The server was killed by SIGSEGV", ()),
        ("The server was stopped (requested by hubless/school)", ()),
        # An extension that cannot be loaded ends no server: Jupyter logs it, indented, and goes on.
        ("The server exited with code 1", ("[W ServerApp] x | error", "    ModuleNotFoundError: No module named 'x'")),
        ("The server exited with code 1", ("SyntaxError: invalid syntax",)),
        # What an earlier command printed, long before the end.
        ("The server exited with code 1", ("MemoryError", *("step",) * 10)),
    ],
)
def test_nothing_is_guessed(reason, lines):
    assert cause_of(reason, lines) is None


def test_a_cause_that_cannot_be_known_stays_unknown():
    assert cause_of_output("memory-less") is None


def test_a_server_that_ran_and_was_ended_has_no_cause_of_its_log():
    assert cause_of("The server was stopped (enough)", json.loads((FAILURES / "ok.json").read_text())["lines"]) is None


def test_the_log_says_more_than_a_time_out():
    lines = ["[C ServerApp] ERROR: the Jupyter server could not be started because port 1 is not available."]
    assert cause_of(NOT_IN_TIME, lines).code == "port-in-use"


def test_what_the_launcher_knows_says_more_than_the_log():
    assert cause_of("The server exited with code 137 (OutOfMemoryError)", ["Killed", "MemoryError: x"]).code == (
        "out-of-memory"
    )
    assert cause_of("The server reached its memory limit of 1 GiB", ["ImportError: x"]).code == "out-of-memory"


def test_only_the_last_lines_and_their_beginnings_are_looked_at():
    fault = "OSError: [Errno 28] No space left on device"
    assert cause_of("", [fault]).code == "disk-full"
    assert cause_of("", [fault, *("    step",) * MAX_LINES]) is None
    assert cause_of("", ["x" * MAX_LINE + fault]) is None
    assert cause_of("x" * MAX_LINE + " OutOfMemoryError") is None


def test_each_cause_can_be_found_and_has_a_code_of_its_own():
    found = [
        cause
        for rules in (
            failure_causes._SAID,
            failure_causes._GAVE_UP,
            failure_causes._ENDED,
            failure_causes._LOGGED,
            failure_causes._SUGGESTED,
        )
        for cause, _ in rules
    ]
    assert {cause.code for cause in CAUSES} == {cause.code for cause in found}
    assert len({cause.code for cause in CAUSES}) == len(CAUSES)


def test_rules_look_for_small_letters():
    for rules in (failure_causes._SAID, failure_causes._GAVE_UP, failure_causes._ENDED, failure_causes._LOGGED):
        assert all(words == words.lower() for _, phrases in rules for words in phrases)


@pytest.mark.parametrize("cause", CAUSES, ids=lambda cause: cause.code)
def test_people_get_short_sentences_without_jargon(cause):
    for sentence in (cause.what, cause.todo):
        assert all(len(part.split()) <= 20 for part in sentence.split(". "))
        assert not any(word in sentence.lower() for word in ("spawn", "container", "errno", "profile", "task"))
