"""What a fork server lets go of while it imports packages."""

import sys
from types import ModuleType

import pytest

from fork_server import leftovers


@pytest.fixture
def lark(monkeypatch):
    """Return a module with parsers that keep what they were made from."""

    class Lark:
        def __init__(self, text, *, start):
            self.grammar = self.rules = (text, start)

    module = ModuleType("lark.lark")
    module.Lark = Lark
    monkeypatch.setitem(sys.modules, "lark", ModuleType("lark"))
    monkeypatch.setitem(sys.modules, "lark.lark", module)
    return module


def test_parsers_that_packages_make_when_imported_let_their_grammars_go(lark):
    with leftovers.let_go(["lark.lark"]):
        made = lark.Lark("a", start="b")
    assert (made.grammar, made.rules) == (None, ("a", "b"))


def test_parsers_that_servers_make_keep_their_grammars(lark):
    with pytest.raises(ZeroDivisionError), leftovers.let_go(["lark.lark"]):
        raise ZeroDivisionError
    assert lark.Lark("a", start="b").grammar == ("a", "b")


def test_without_parsers_nothing_is_let_go(lark):
    with leftovers.let_go(["other"]):
        assert lark.Lark("a", start="b").grammar == ("a", "b")
