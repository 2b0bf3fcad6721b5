"""docs/security.md names tests that there are, and each of its lines has one or says why not."""

import ast
import re
import tomllib
from functools import cache
from pathlib import Path

import pytest

TOP = Path(__file__).parents[2]
TABLE = (TOP / "docs/security.md").read_text()
ROWS = [
    line
    for line in TABLE.splitlines()
    if line.startswith("| ") and not line.startswith(("| advisory", "| requirement", "| attack"))
]
NAMED = re.compile(r"`(tests/[\w/]+\.py)::([\w:]+)`")
SAFE = {"jupyter-server": (2, 20, 0), "jupyterhub": (6, 1, 1)}  # the first without what the table names


@cache
def names_of_tests(path):
    """Return the names of a file's tests, those of classes as `Class::test`."""
    tree = ast.parse((TOP / path).read_text())
    inside = [(f"{one.name}::", one.body) for one in tree.body if isinstance(one, ast.ClassDef)]
    return {
        prefix + one.name
        for prefix, body in [("", tree.body), *inside]
        for one in body
        if isinstance(one, ast.FunctionDef) and one.name.startswith("test_")
    }


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.split("|")[1].strip()[:50])
def test_every_line_names_tests_that_there_are_or_says_why_not(row):
    named = NAMED.findall(row)
    assert named or re.search(r"\| \*none: (cloud|not offered)\* \|$", row)
    assert [
        f"{path}::{name}" for path, name in named if not (TOP / path).exists() or name not in names_of_tests(path)
    ] == []


def test_the_table_is_read_as_it_is_written():
    assert len(ROWS) > 40
    assert TABLE.count("::test_") == sum(len(NAMED.findall(row)) for row in ROWS)


@pytest.mark.parametrize("package", SAFE)
def test_users_servers_are_locked_to_versions_without_what_the_table_names(package):
    locked = tomllib.loads((TOP / "uv.lock").read_text())["package"]
    versions = [tuple(map(int, one["version"].split(".")[:3])) for one in locked if one["name"] == package]
    assert versions
    assert min(versions) >= SAFE[package]
