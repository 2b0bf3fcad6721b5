"""Tests about the tests: names that a report shows whole, and bodies that can fail."""

import ast
from collections import Counter
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
LONGEST = 70  # characters of a test's name
FILES = sorted(TESTS.rglob("test_*.py"))


def functions_of(tree):
    """Yield the test functions of a module, also those within its classes."""
    scopes = [tree, *(node for node in tree.body if isinstance(node, ast.ClassDef))]
    for scope in scopes:
        for node in scope.body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
                yield node


def can_fail(test):
    """Return whether anything but a docstring, a constant or `pass` stands in the body of *test*."""
    return any(
        not (isinstance(step, ast.Pass) or (isinstance(step, ast.Expr) and isinstance(step.value, ast.Constant)))
        for step in test.body
    )


@pytest.fixture(scope="module")
def tests():
    return [(file.relative_to(TESTS), test) for file in FILES for test in functions_of(ast.parse(file.read_text()))]


def test_no_name_of_a_test_is_longer_than_70_characters(tests):
    too_long = [f"{file}::{test.name} ({len(test.name)})" for file, test in tests if len(test.name) > LONGEST]

    assert not too_long, "\n".join(too_long)


def test_no_test_is_empty(tests):
    empty = [f"{file}::{test.name}" for file, test in tests if not can_fail(test)]

    assert not empty, "\n".join(empty)


def test_no_two_test_files_have_the_same_module_name():
    """Pytest imports a file outside a package by its bare name, and refuses a second one of that name."""
    names = Counter(file.name for file in FILES if not (file.parent / "__init__.py").exists())

    assert [name for name, times in names.items() if times > 1] == []
