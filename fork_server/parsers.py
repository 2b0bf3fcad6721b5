"""Puts off what `lark` makes when packages are imported, until somebody uses it: hardly any server does."""

from __future__ import annotations

import builtins
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

_PARSERS = "lark.lark"
_making = threading.RLock()


@contextmanager
def made_later() -> Iterator[None]:
    """Let parsers that are asked for in this context be made when somebody uses them.

    `rfc3987_syntax` makes 39 parsers of one grammar when it is imported. That takes as long as all other imports of a
    server together, and 15 MB. `jsonschema` uses one of them, where a schema asks for an international address.
    """
    importing = builtins.__import__
    undo: list[Callable[[], None]] = []

    def importing_parsers(*arguments: Any, **options: Any) -> Any:
        made = importing(*arguments, **options)
        if not undo and (parser := getattr(sys.modules.get(_PARSERS), "Lark", None)) is not None:
            undo.append(_put_off(parser))
        return made

    builtins.__import__ = importing_parsers
    try:
        yield
    finally:
        builtins.__import__ = importing
        for one in undo:
            one()


def _put_off(parser: Any) -> Callable[[], None]:
    """Let parsers of the class *parser* be made later, and return what ends that."""
    make, later = parser.__init__, _later(parser)

    def put_off(self: Any, grammar: Any, **options: Any) -> None:
        if isinstance(grammar, str):
            self.__class__, self.__dict__["_given"] = later, (grammar, options)
        else:  # a file, which its owner will have closed
            make(self, grammar, **options)

    def end() -> None:
        parser.__init__ = make

    parser.__init__ = put_off
    return end


def _later(parser: Any) -> Any:
    """Return the class of parsers that become one of class *parser* when somebody first uses them."""

    class Later(parser):  # type: ignore[misc] # a class of the servers' packages
        def __getattr__(self, name: str) -> Any:
            if name.startswith("__"):  # Python asks for what parsers do not have
                raise AttributeError(name)
            with _making:
                if type(self) is Later:
                    grammar, options = self._given
                    made = parser(grammar, **options)
                    made.grammar = None  # 10 MB in all, which only the `Reconstructor` of `lark` reads
                    self.__dict__.update(vars(made))
                    self.__class__ = parser
            return getattr(self, name)

    return Later
