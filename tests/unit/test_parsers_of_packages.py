"""When a fork server makes the parsers that packages make when they are imported."""

import copy
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from types import ModuleType

import pytest

from fork_server import parsers


@pytest.fixture
def lark(monkeypatch):
    """Return a module with parsers that keep what they were made from."""

    class Lark:
        made = 0

        def __init__(self, text, *, start):
            Lark.made += 1
            self.grammar = self.rules = (text, start)

        def parse(self):
            return self.rules

    module = ModuleType("lark.lark")
    module.Lark = Lark
    monkeypatch.setitem(sys.modules, "lark", ModuleType("lark"))
    monkeypatch.setitem(sys.modules, "lark.lark", module)
    return module


def test_parsers_that_packages_make_when_imported_are_made_when_used(lark):
    with parsers.made_later():
        from lark.lark import Lark

        made = Lark("a", start="b")
    assert isinstance(made, lark.Lark)
    assert lark.Lark.made == 0
    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(lambda _: made.parse(), range(4))) == {("a", "b")}
    assert (lark.Lark.made, type(made), made.grammar) == (1, lark.Lark, None)
    with pytest.raises(AttributeError):
        made.other  # noqa: B018 it has no such attribute


def test_a_copy_of_one_that_nobody_has_used_is_made_when_it_is_used(lark):
    with parsers.made_later():
        from lark.lark import Lark

        made = Lark("a", start="b")
    assert copy.copy(made).parse() == ("a", "b")


def test_parsers_of_files_are_made_at_once(lark, tmp_path):
    with parsers.made_later(), (tmp_path / "grammar").open("w") as file:
        from lark.lark import Lark

        assert Lark(file, start="b").grammar == (file, "b")
    assert lark.Lark.made == 1


def test_parsers_that_servers_make_keep_their_grammars(lark):
    with suppress(ZeroDivisionError), parsers.made_later():
        from lark.lark import Lark

        Lark("a", start="b")
        raise ZeroDivisionError
    assert lark.Lark("a", start="b").grammar == ("a", "b")
