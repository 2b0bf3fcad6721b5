"""Lets go of what packages keep of their imports and never read again: a fork server would have it all its life."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_PARSERS = "lark.lark"


@contextmanager
def let_go(names: list[str]) -> Iterator[None]:
    """Let the modules *names* be imported in this context, and keep less.

    `rfc3987_syntax` makes 39 parsers when it is imported. Each keeps the trees of the grammar that it was made from,
    10 MB together. Only the `Reconstructor` of `lark` would read them.
    """
    if _PARSERS not in names:
        yield
        return
    parser: Any = importlib.import_module(_PARSERS).Lark
    make = parser.__init__

    def make_and_let_go(self: Any, *arguments: Any, **options: Any) -> None:
        make(self, *arguments, **options)
        self.grammar = None

    parser.__init__ = make_and_let_go
    try:
        yield
    finally:
        parser.__init__ = make  # servers keep the grammars of their own parsers
