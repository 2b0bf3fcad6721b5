"""In which order tests run, and which of them in one process, where several processes run them (`make test`)."""

from pathlib import Path

import pytest

TESTS = Path(__file__).parent
# Whole hubs come first, one after the other in one process: they wait much, and not for each other. Then what takes long,
# so that nobody waits for it in the end.
WHOLE_HUBS = ("e2e", "conformance")
FIRST = (
    *WHOLE_HUBS, "deployment", "unit/services/test_histories.py", "integration/test_crashes.py", "integration/test_dynamodb_faults.py",
    "integration/test_cloud_histories.py", "integration", "contract", "api",
)  # fmt: skip


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    places = {item: _place(item.path.relative_to(TESTS)) for item in items}
    items.sort(key=lambda item: places[item][0])  # the rest keeps its order
    for item in items:
        item.add_marker(pytest.mark.xdist_group(places[item][1]))


def _place(path):
    """Return when the tests of a file run, and with which others in one process: what they share is made once."""
    here = [str(path), *map(str, path.parents)]
    turn = next((turn for turn, first in enumerate(FIRST) if first in here), len(FIRST))
    return turn, "whole hubs" if turn < len(WHOLE_HUBS) else str(path)


def pytest_terminal_summary(terminalreporter):
    for report in terminalreporter.getreports("passed"):
        for name, told in report.user_properties:
            if name == "told":
                terminalreporter.write_line(told)
