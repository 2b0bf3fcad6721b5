"""docs/review.md answers each question with something that exists: a test, a definition or a file."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

TOP = Path(__file__).parents[2]
PAGE = (TOP / "docs/review.md").read_text()
ROWS = [line for line in PAGE.splitlines() if re.match(r"\| \d+ \| ", line)]
NAMED = re.compile(r"`((?:hubless|functions|infra|edge_proxy|operations|tests)/[\w/.-]+\.\w+)(?:::(\w+))?`")


@cache
def defined_in(path):
    """Return the names that a Python file defines at its top."""
    names = set()
    for one in ast.parse((TOP / path).read_text()).body:
        if isinstance(one, ast.FunctionDef | ast.ClassDef):
            names.add(one.name)
        elif isinstance(one, ast.Assign):
            names |= {target.id for target in one.targets if isinstance(target, ast.Name)}
    return names


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.split("|")[2].strip()[:50])
def test_each_answer_is_shown_by_something(row):
    assert NAMED.findall(row.rstrip("| ").rpartition(" | ")[2])


@pytest.mark.parametrize(("path", "name"), sorted(set(NAMED.findall(PAGE))))
def test_what_the_page_names_exists(path, name):
    assert (TOP / path).is_file()
    assert not name or name in defined_in(path)


def test_questions_are_numbered_and_enough():
    numbers = [int(row.split("|")[1]) for row in ROWS]

    assert numbers == list(range(1, len(ROWS) + 1))
    assert len(ROWS) >= 30
