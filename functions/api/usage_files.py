"""Usage as JSON and CSV: what the API answers, and what the pages offer as files."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from starlette.responses import Response

from functions.api.json_codec import JSONResponse
from hubless.domain.errors import InvalidRequestError
from hubless.domain.usage import Totals, TotalsOf, days_of
from hubless.services.usage_reports import Line, UsageReports

CSV = "text/csv; charset=utf-8"
FORMATS = ("json", "csv")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # with which a spreadsheet's formulas begin
_COLUMNS = ("launches", "hours", "cpu_hours", "gb_hours", "gpu_hours", "cost")


def checked_month(month: str | None, reports: UsageReports) -> str:
    """Return the *month* that a request asks for: the present one if it names none.

    Raises:
        InvalidRequestError: when it is no month.
    """
    if not month:
        return reports.this_month()
    try:
        days_of(month)
    except ValueError as wrong:
        raise InvalidRequestError(str(wrong)) from None
    return month


def checked_by(by: str | None) -> TotalsOf:
    """Return by what a request wants the totals: by user if it names nothing.

    Raises:
        InvalidRequestError: when there are no such totals.
    """
    try:
        return TotalsOf(by or TotalsOf.USER)
    except ValueError:
        raise InvalidRequestError(f"by must be one of {', '.join(TotalsOf)}, and not {by!r:.60}") from None


def checked_format(given: str | None) -> str:
    """Return the form of an answer: `json` if the request names none.

    Raises:
        InvalidRequestError: when it is neither `json` nor `csv`.
    """
    if given in FORMATS or not given:
        return given or "json"
    raise InvalidRequestError(f"format must be json or csv, and not {given!r:.60}")


def amounts(totals: Totals) -> dict[str, Any]:
    """Return *totals* in hours and money, rounded to six decimals; the cost is a text, because it is exact."""
    return {
        "launches": totals.launches,
        "hours": round(totals.hours, 6),
        "cpu_hours": round(totals.cpu_hours, 6),
        "gb_hours": round(totals.gib_hours, 6),
        "gpu_hours": round(totals.gpu_hours, 6),
        "cost": f"{totals.cost:.6f}",
    }


def of_month(lines: Sequence[Line], by: TotalsOf, month: str, currency: str) -> Mapping[str, Any]:
    """Return the totals of a month as the API has them."""
    rows = [{"subject": line.subject, "name": line.name} | amounts(line.totals) for line in lines]
    return {"month": month, "by": by.value, "currency": currency, "rows": rows}


def of_days(days: Sequence[tuple[str, Totals]], month: str, currency: str) -> Mapping[str, Any]:
    """Return the totals of each day of a month as the API has them."""
    return {"month": month, "currency": currency, "days": [{"day": day} | amounts(totals) for day, totals in days]}


def answer(found: Mapping[str, Any], form: str, name: str = "") -> Response:
    """Return *found* as JSON or CSV; as a file if it has a *name* (without its ending)."""
    headers = {"Content-Disposition": f'attachment; filename="{name}.{form}"'} if name else {}
    if form == "json":
        return JSONResponse(dict(found), headers=headers)
    return Response(as_csv(found), media_type=CSV, headers=headers)


def as_csv(found: Mapping[str, Any]) -> str:
    """Return the rows or days of *found* as CSV with a head; no spreadsheet takes a name for a formula."""
    rows: Iterable[dict[str, Any]] = found["rows"] if "rows" in found else found["days"]
    first = ("month", "by", "subject", "name") if "rows" in found else ("day",)
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow((*first, *_COLUMNS, "currency"))
    for row in rows:
        known = {"month": found["month"], "by": found.get("by", ""), "currency": found["currency"]} | row
        known["cost"] = f"{Decimal(row['cost']):.4f}"  # so much that the sum of small ones is right, and no more
        writer.writerow([_plain(known[column]) for column in (*first, *_COLUMNS, "currency")])
    return text.getvalue()


def _plain(cell: Any) -> Any:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell
