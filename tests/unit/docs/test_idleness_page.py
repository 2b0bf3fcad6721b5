"""docs/idleness.md lists what the edge does not count, and nothing else."""

from pathlib import Path

from hubless.domain.housekeeping import HOUSEKEEPING, KNOWN_SOCKETS, PUBLIC_PATHS

PAGE = (Path(__file__).parents[3] / "docs/idleness.md").read_text()


def rows_below(sentence):
    """Return the cells of the rows of the first table after *sentence*."""
    table = PAGE.partition(sentence)[2].lstrip().split("\n\n")[0]
    rows = [line.replace("\\|", "¦").strip("| ").split(" | ") for line in table.splitlines()[2:]]
    return [[cell.replace("¦", "|") for cell in row] for row in rows]


def test_every_change_that_does_not_count_is_listed():
    rows = rows_below("Changes that do not count, in `hubless/domain/housekeeping.py`:")
    assert rows == [[one.client, f"`{one.method} {one.path}`"] for one in HOUSEKEEPING]


def test_every_public_path_is_listed_by_its_server():
    paths = {}
    for one in PUBLIC_PATHS:
        paths.setdefault(one.server, []).append(f"`{one.path}`")
    assert rows_below("so that nobody gets in by them:") == [[name, ", ".join(some)] for name, some in paths.items()]


def test_every_known_websocket_is_listed():
    rows = rows_below("and by what the hub judges them instead:")
    assert rows == [[one.client, f"`{one.path}`", one.judged_by] for one in KNOWN_SOCKETS]


def test_no_pattern_needs_quotes_in_haproxys_configuration():
    patterns = [one.path for one in (*HOUSEKEEPING, *PUBLIC_PATHS, *KNOWN_SOCKETS)]
    assert [pattern for pattern in patterns if set(pattern) & set(" \\\"'#${}")] == []
