"""What `hubless routes` prints: the store's route table and HAProxy's map side by side."""

import json
from collections.abc import Callable, Iterator, Sequence

from edge_proxy.route_comparison import RouteRow, RouteState
from hubless.domain.errors import HublessError

DEFAULT_LIMIT = 200  # rows of text
_HEAD = ("PREFIX", "STORE", "HAPROXY", "LAUNCH", "")
_NONE = "-"


def as_text(rows: Sequence[RouteRow], limit: int = DEFAULT_LIMIT, text: str = "") -> Iterator[str]:
    """Yield the lines of a table of at most *limit* rows (0: all), those that differ first, and a summary.

    *text* is what the caller chose the rows by; a typing error in it must not look like tables that agree.
    """
    if text and not rows:
        yield f"No route has {_printable(text)} in its prefix, neither in the store nor in HAProxy."
        return
    shown = _first(rows, limit)
    cells = [_HEAD, *map(_cells, shown)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(_HEAD))]
    if shown:
        yield _line(" ", _HEAD, widths)
        for row, line in zip(shown, cells[1:], strict=True):
            yield _line("!" if row.differs else " ", line, widths)
    if len(shown) < len(rows):
        yield f"  … and {len(rows) - len(shown)} more: name a part of the prefix, or print all with --limit 0."
    in_store = sum(row.store_address is not None for row in rows)
    in_haproxy = sum(row.haproxy_address is not None for row in rows)
    differing = sum(row.differs for row in rows)
    verdict = f"{differing} differ; `hubless status` says whether the edge is behind" if differing else "they agree"
    yield f"{in_store} in the store, {in_haproxy} in HAProxy: {verdict}."


def haproxy_state(compare: Callable[[], Sequence[RouteRow]]) -> str:
    """Return in a few words whether HAProxy answers and has the store's routes, as *compare* finds them."""
    try:
        differing = sum(row.differs for row in compare())
    except HublessError as error:
        return str(error)
    if differing:
        return f"{differing} routes differ from the store's; `hubless routes` shows them"
    return "answers, and has the store's routes"


def as_json(rows: Sequence[RouteRow], limit: int = 0) -> str:
    """Return a JSON document of at most *limit* rows (0: all), those that differ first."""
    return json.dumps(
        {
            "same": not any(row.differs for row in rows),
            "routes": [
                {
                    "prefix": row.prefix,
                    "state": row.state,
                    "store_address": row.store_address,
                    "haproxy_address": row.haproxy_address,
                    "launch_id": row.launch_id,
                }
                for row in _first(rows, limit)
            ],
        },
        indent=2,
    )


def _first(rows: Sequence[RouteRow], limit: int) -> list[RouteRow]:
    return sorted(rows, key=lambda row: not row.differs)[: limit or None]


def _cells(row: RouteRow) -> tuple[str, ...]:
    facts = (row.prefix, row.store_address, row.haproxy_address, row.launch_id)
    return (*(_printable(fact or _NONE) for fact in facts), "" if row.state is RouteState.SAME else row.state)


def _line(mark: str, cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = (cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
    return f"{mark} {'  '.join(padded)}".rstrip()


def _printable(text: str) -> str:
    """Return *text* with escapes for what a terminal might obey."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
