"""What the address of the admin page asks for: whom the table shows, in which order, and which page of it.

The fields are those of the form above the table. Unknown values count as none, so that an old bookmark still works.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from urllib.parse import urlencode

from starlette.requests import Request

from functions.api.auth.cookies import cookies, is_secure
from hubless.domain.bounds import MAX_IDENTIFIER, MAX_TYPED_NAME
from hubless.domain.user_table import Reach, Servers, Sort, TableFilter
from hubless.domain.values import value

PAGE = "/hub/admin"
SELECTED = f"{PAGE}/selected"  # what is done to many users at once
FILTERS = ("name_filter", "state", "group", "role", "profile", "idle")
SIZES = (25, 50, 100)  # rows of a page
USUAL_SIZE = 50
IDLE_HOURS = (1, 8, 24, 7 * 24, 30 * 24)
COLUMNS = (
    *("groups", "roles", "profile", "started", "last_activity", "created", "memory", "cpus"),
    *("files", "hours", "cost", "failure"),
)
OF_LOADS = frozenset({"memory", "cpus"})  # columns of a hub that measures what servers use
USUAL_COLUMNS = frozenset({"groups", "last_activity", "files", "failure"})
COLUMNS_COOKIE = "hubless-columns"
_YEAR = 31_536_000  # seconds
_LONGEST_CURSOR = 1_500  # characters: twice a name and an id


@value
class TableQuery:
    """What one request asks of the table."""

    fields: Mapping[str, str]  # of the filter, those that are not empty
    wanted: TableFilter
    sort: Sort
    descending: bool
    limit: int
    columns: frozenset[str]
    cursor: str | None = None
    backwards: bool = False

    @property
    def is_filtered(self) -> bool:
        """Say whether not everybody is shown."""
        return bool(self.fields)

    def url(self, *, sort: str | None = None, **cursor: str | None) -> str:
        """Return the address of the table with this filter; with *sort*, `after` or `before` instead of the present."""
        given = dict(self.fields)
        order = self.order if sort is None else sort
        if order != Sort.NAME:
            given["sort"] = order
        if self.limit != USUAL_SIZE:
            given["limit"] = str(self.limit)
        given |= {name: text for name, text in cursor.items() if text is not None}
        return f"{PAGE}?{urlencode(given)}" if given else PAGE

    def turned(self, shown: Sort, wanted: Sort) -> str:
        """Return the order that a click on the header of *wanted* asks for, while the table shows the order *shown*."""
        return f"-{wanted}" if wanted is shown and not self.descending else wanted.value

    @property
    def here(self) -> str:
        """Return the address of this very page."""
        return self.url(**{"before" if self.backwards else "after": self.cursor})

    @property
    def order(self) -> str:
        """Return the order as the address has it."""
        return f"-{self.sort}" if self.descending else self.sort.value


def table_query(given: Mapping[str, str], columns: frozenset[str], reach: Reach | None, now: datetime) -> TableQuery:
    """Return what the fields *given* ask for, within *reach*."""
    fields = {name: text for name in FILTERS if (text := given.get(name, "").strip()[:MAX_TYPED_NAME])}
    if fields.get("state") not in set(Servers):
        fields.pop("state", None)
    if fields.get("role") != "admin":
        fields.pop("role", None)
    if not fields.get("idle", "").isdecimal() or len(fields["idle"]) > len("8760") or int(fields["idle"]) < 1:
        fields.pop("idle", None)
    order = given.get("sort", "")
    sort = order.removeprefix("-")
    size, before = given.get("limit", ""), given.get("before") or None
    cursor = before or given.get("after") or None
    return TableQuery(
        fields,
        TableFilter(
            name_contains=fields.get("name_filter", ""),
            servers=Servers(fields["state"]) if "state" in fields else None,
            group=fields.get("group", "")[:MAX_IDENTIFIER],
            admin="role" in fields,
            profile=fields.get("profile", "")[:MAX_IDENTIFIER],
            idle_since=now - timedelta(hours=int(fields["idle"])) if "idle" in fields else None,
            reach=reach,
        ),
        Sort(sort) if sort in set(Sort) else Sort.NAME,
        sort in set(Sort) and order.startswith("-"),
        int(size) if size in {str(one) for one in SIZES} else USUAL_SIZE,
        columns,
        None if cursor is None else cursor[:_LONGEST_CURSOR],
        before is not None,
    )


def columns_of(request: Request) -> frozenset[str]:
    """Return the columns that the reader chose: in this request's address, or earlier in this browser."""
    if "columns" in request.query_params:
        return _known(request.query_params.getlist("columns"))
    kept = cookies(request, COLUMNS_COOKIE)[:1]
    return _known(kept[0].split(".")) if kept else USUAL_COLUMNS


def keep_columns(request: Request, response: object, columns: frozenset[str]) -> None:
    """Have the browser remember the columns, if this request's address chooses them."""
    if "columns" in request.query_params:
        text = ".".join(one for one in COLUMNS if one in columns)
        response.set_cookie(  # type: ignore[attr-defined]
            COLUMNS_COOKIE, text, max_age=_YEAR, path=PAGE, httponly=True, samesite="lax", secure=is_secure(request)
        )


def _known(names: Iterable[str]) -> frozenset[str]:
    return frozenset(names) & frozenset(COLUMNS)
