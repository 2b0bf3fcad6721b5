"""In which order tests run, and which of them in one process, where several processes run them (`make test`)."""

import gc
import os
from contextlib import suppress
from importlib import import_module
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
# Whole hubs come first, one after the other in one process: they wait much, and not for each other. Then what takes
# long, so that nobody waits for it in the end.
WHOLE_HUBS = ("e2e", "conformance")
FIRST = (
    *WHOLE_HUBS,
    "deployment",
    "integration/test_histories.py",
    "integration/test_crashes.py",
    "integration/test_dynamodb_faults.py",
    "integration/test_cloud_histories.py",
    "integration",
    "contract",
    "architecture",
    "api",
)

# Where branch coverage is measured (`make coverage`): suites that call the code in this process. In the others it would
# show little and cost much: they start programs, or live through thousands of histories.
MEASURED = (
    "unit",
    "api",
    "contract",
    "integration/test_bad_hub_databases.py",
    "integration/test_cli.py",
    "integration/test_moving_commands.py",
    "integration/test_imported_secrets_command.py",
    "integration/test_import_into_a_table.py",
    "integration/test_import_of_jupyterhub.py",
    "integration/test_operator_commands.py",
    "integration/test_worker.py",
    "integration/test_ecs_garbage_collection.py",
    "integration/test_ecs_launcher.py",
    "integration/test_ecs_task_roles.py",
    "integration/test_embedded_preflight.py",
    "integration/test_launching_on_ecs.py",
    "integration/test_direct_edge.py",
    "integration/test_edge.py",
    "integration/test_hub_databases_at_servers.py",
    "integration/test_import_settings_command.py",
    "integration/test_native_people.py",
    "integration/test_password_files.py",
    "integration/test_peers_passwords.py",
    "integration/test_people_commands.py",
    "integration/test_plugin_peers.py",
    "integration/test_preflight_collect.py",
    "integration/test_provider_requests.py",
    "integration/test_real_hub_databases.py",
    "integration/test_workload_login.py",
    "integration/test_run_config.py",
    "integration/test_settings_of_other_hubs.py",
    "integration/test_stage_cleanup.py",
    "integration/test_supervisor.py",
    "integration/test_trial_command.py",
    "integration/test_trial_runs.py",
    "integration/test_virtual_environment.py",
)

gc.disable()  # modules and tests are no garbage: looking for it takes a fifth of collecting them


def pytest_collection_finish():
    """Look for garbage among what tests leave, not among the tests and modules themselves."""
    gc.freeze()
    gc.enable()


def pytest_collection(session):
    """Import this process's share of the tests first.

    Each process collects all tests. In a clean clone nothing is compiled yet: processes that import in the same order
    all compile the same module at the same time.
    """
    share = getattr(session.config, "workerinput", None)
    if not share or list(session.config.args) != session.config.getini("testpaths"):
        return
    start, step = int(share["workerid"].removeprefix("gw")), share["workercount"]
    for file in sorted(TESTS.rglob("test_*.py"))[start::step]:
        with suppress(Exception, pytest.skip.Exception):  # collecting comes to it again, and says it
            import_module(".".join(file.relative_to(TESTS.parent).with_suffix("").parts))


def pytest_collection_modifyitems(items):
    files = {path: str(path.relative_to(TESTS)) for path in {item.path for item in items}}
    turns = {path: _turn(file) for path, file in files.items()}
    unmeasured = {path for path, file in files.items() if not _is_in(file, MEASURED)}
    items.sort(key=lambda item: turns[item.path])  # the rest keeps its order
    for item in items:
        if item.path in unmeasured:
            item.add_marker(pytest.mark.no_cover)


def _turn(file):
    return next((turn for turn, first in enumerate(FIRST) if _is_in(file, (first,))), len(FIRST))


def _is_in(file, suites):
    return f"{file}/".startswith(tuple(f"{suite}/" for suite in suites))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config):
    """Return one process more than there are cores: the one with whole hubs waits for most of its time."""
    return len(os.sched_getaffinity(0)) + 1


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Have the tests of a file run in one process, in order: what they share is made once."""
    from xdist.scheduler import LoadFileScheduling

    class Together(LoadFileScheduling):
        def _split_scope(self, nodeid):
            file = nodeid.split("::")[0].removeprefix("tests/")
            return "whole hubs" if file.startswith(WHOLE_HUBS) else file

    config.option.loadscopereorder = False
    return Together(config, log)


def pytest_terminal_summary(terminalreporter):
    for report in terminalreporter.getreports("passed"):
        for name, received in report.user_properties:
            if name == "summary":
                terminalreporter.write_line(received)
