"""Long lists of the account's pages, shown in parts: each list of a page has its own offset in the address."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar
from urllib.parse import urlencode

from starlette.requests import Request

from functions.api.paging import number_in_query
from hubless.domain.values import value

PART = 50  # rows of a list
T = TypeVar("T")


@value
class Lists:
    """The lists of one page, as one request wants them."""

    path: str
    names: Mapping[str, str]  # by list, which is the part of the page too: its offset's name in the query
    offsets: Mapping[str, int]  # by list

    def part(self, kind: str, things: Sequence[T], view: Callable[[T], dict[str, Any]]) -> dict[str, Any]:
        """Return the part of *things* that this page shows, and the addresses of the parts beside it."""
        offset = self.offsets[kind]
        return self.shown(kind, [view(thing) for thing in things[offset : offset + PART]], len(things))

    def shown(self, kind: str, rows: list[dict[str, Any]], total: int) -> dict[str, Any]:
        """Return the part of a list of *total* things whose rows are known, and the addresses of those beside it."""
        offset = self.offsets[kind]
        before, after = max(0, offset - PART), offset + PART
        return {
            "rows": rows,
            "offset": offset,
            "total": total,
            "newer_url": self._url(kind, before) if offset else None,
            "older_url": self._url(kind, after) if after < total else None,
        }

    def _url(self, kind: str, offset: int) -> str:
        """Return the address of this page with another part of one list, and the same parts of the others."""
        offsets = {**self.offsets, kind: offset}
        given = {name: offsets[one] for one, name in self.names.items() if offsets[one]}
        return f"{self.path}?{urlencode(given)}#{kind}" if given else f"{self.path}#{kind}"


def lists_of(request: Request, path: str, names: Mapping[str, str]) -> Lists:
    """Return the lists of the page at *path*; *names* has the name of each one's offset in the query.

    Raises:
        HTTPException: 400, naming an offset that is no number.
    """
    offsets = {kind: abs(number_in_query(name, request.query_params.get(name), 0)) for kind, name in names.items()}
    return Lists(path, names, offsets)
