"""TOML as text, with comments. The standard library reads TOML only."""

import json
import math
import re
import textwrap
from collections.abc import Iterable, Mapping
from typing import Any

WIDTH = 120
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_CONTROL = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def comment(text: str) -> str:
    """Return *text* as lines of a comment. Characters that a comment may not have become spaces."""
    return "\n".join(
        textwrap.wrap(
            _CONTROL.sub(" ", text), WIDTH, initial_indent="# ", subsequent_indent="# ", break_on_hyphens=False
        )
    )


def commented_out(text: str) -> str:
    """Return the lines of *text* as a comment, each as it is."""
    return "\n".join(f"# {line}" if line else "#" for line in text.split("\n"))


def lines(table: Mapping[str, Any]) -> Iterable[str]:
    """Yield a line for each key of *table*; a table in it stays on its line."""
    return (f"{key(name)} = {inline(one)}" for name, one in table.items() if one is not None)


def tables(path: str, given: Iterable[Mapping[str, Any]]) -> Iterable[str]:
    """Yield the lines of a list of tables, each with its own head; a list of tables in it has a line for each."""
    for table in given:
        yield from ("", f"[[{path}]]")
        for name, one in table.items():
            if isinstance(one, list) and any(isinstance(entry, Mapping) for entry in one):
                yield f"{key(name)} = ["
                yield from (f"  {inline(entry)}," for entry in one)
                yield "]"
            else:
                yield from lines({name: one})


def key(name: str) -> str:
    """Return *name* as a key."""
    return name if _BARE_KEY.fullmatch(name) else _quoted(name)


def inline(given: Any) -> str:
    """Return *given* as a value on one line; None is left out of tables and lists.

    Raises:
        TypeError: for what has no form in TOML.
    """
    match given:
        case bool():
            return str(given).lower()
        case str():
            return _quoted(given)
        case int():
            return str(given)
        case float():
            return _number(given)
        case Mapping():
            inner = ", ".join(lines(given))
            return f"{{ {inner} }}" if inner else "{}"
        case list() | tuple():
            return f"[{', '.join(inline(one) for one in given if one is not None)}]"
        case _:
            raise TypeError(type(given).__name__)


def _number(given: float) -> str:
    if math.isfinite(given):
        return repr(given)
    return "nan" if math.isnan(given) else "inf" if given > 0 else "-inf"


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
