"""Pages of usage: of the whole hub for admins, and of one's own servers for everybody. They need no JavaScript."""

import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import Depends
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from functions.api import dependencies, usage_files
from functions.api.auth.visitors import Person, user_of
from functions.api.bar_charts import bar_chart
from functions.api.pages.home_notices import size_in_words
from functions.api.rendering import Render
from functions.api.routers import page_router
from functions.api.routes.usage import require_groups, subject_of
from functions.api.store_pool import has_long_store_calls
from hubless.domain.translatable import gettext as _
from hubless.domain.usage import Totals, TotalsOf, shifted
from hubless.domain.values import value
from hubless.services.identity import Actor
from hubless.services.usage_reports import Line

router = page_router()
PAGE, OWN_PAGE = "/hub/admin/usage", "/hub/usage"
MOST_ROWS = 100  # of the table; the files have all
_FIRST = "2020-01"  # before the first hub: no page leads further back
_DAY_HOURS = 24
_MONTHS = (
    _("January %(year)s"),
    _("February %(year)s"),
    _("March %(year)s"),
    _("April %(year)s"),
    _("May %(year)s"),
    _("June %(year)s"),
    _("July %(year)s"),
    _("August %(year)s"),
    _("September %(year)s"),
    _("October %(year)s"),
    _("November %(year)s"),
    _("December %(year)s"),
)


@value
class _Usage:
    """What a page of usage shows to one person."""

    request: Request
    who: Actor
    hub: dependencies.WholeHub
    reports: dependencies.UsageReports
    render: Render

    @property
    def month(self) -> str:
        """Return the month that the address names, or the present one."""
        return usage_files.checked_month(self.request.query_params.get("month"), self.reports)

    def of_hub(self) -> Response:
        """Return the page of the whole hub, or a file of it.

        Raises:
            HTTPException: 403 without `read:servers` for all, or for groups without `list:groups`.
        """
        if not self.who.scopes.has_everywhere("read:servers"):
            raise HTTPException(403, _("Only people who may read all servers can open this page"))
        query, month = self.request.query_params, self.month
        by = usage_files.checked_by(query.get("by"))
        require_groups(self.who, by)
        lines = self.reports.by_subject(by, month)
        if form := query.get("format"):
            found = usage_files.of_month(lines, by, month, self.hub.currency)
            return usage_files.answer(found, usage_files.checked_format(form), f"usage-{month}-{by}")
        shown = query.get("of", "")
        of = by if shown else TotalsOf.HUB
        days = self.reports.by_day(of, subject_of(self.hub.users, of, shown), month)
        here = {"month": month, "by": by.value}
        return self.render(
            "admin_usage.html",
            **self._months(PAGE, {"by": by.value} | ({"of": shown} if shown else {})),
            **self._charts(days),
            by=by.value,
            of=shown,
            kinds=self._kinds(month),
            whole_url=_url(PAGE, here),
            rows=self._rows(lines[:MOST_ROWS], by, here),
            hidden_rows=max(0, len(lines) - MOST_ROWS),
            running=self.reports.running(),
            csv_url=_url(PAGE, here | {"format": "csv"}),
            json_url=_url(PAGE, here | {"format": "json"}),
        )

    def of_visitor(self) -> Response:
        """Return the page of the visitor's own servers, or a file of it."""
        user, month = user_of(self.who), self.month
        days = self.reports.by_day(TotalsOf.USER, user.id, month)
        if form := self.request.query_params.get("format"):
            name = re.sub(r"[^A-Za-z0-9._-]", "_", user.name)[:60]
            found = usage_files.of_days(days, month, self.hub.currency)
            return usage_files.answer(found, usage_files.checked_format(form), f"usage-{name}-{month}")
        return self.render(
            "usage.html",
            **self._months(OWN_PAGE, {}),
            **self._charts(days),
            csv_url=_url(OWN_PAGE, {"month": month, "format": "csv"}),
            json_url=_url(OWN_PAGE, {"month": month, "format": "json"}),
        )

    def _months(self, page: str, query: dict[str, str]) -> dict[str, Any]:
        month, now = self.month, self.reports.this_month()
        return {
            "month": month,
            "month_name": month_in_words(month),
            "is_now": month == now,
            "earlier_url": _url(page, query | {"month": shifted(month, -1)}) if month > _FIRST else None,
            "later_url": _url(page, query | {"month": shifted(month, 1)}) if month < now else None,
        }

    def _charts(self, days: Sequence[tuple[str, Totals]]) -> dict[str, Any]:
        whole = sum((totals for _day, totals in days), Totals())
        return {
            "whole": self._amounts(whole),
            "hours_chart": bar_chart([(day, totals.hours, hours_in_words(totals.hours)) for day, totals in days]),
            "cost_chart": bar_chart([(day, float(totals.cost), self._money(totals.cost)) for day, totals in days])
            if whole.cost_micros
            else None,
            "days": [
                {"day": day, "servers": f"{totals.hours / _DAY_HOURS:.2f}"} | self._amounts(totals)
                for day, totals in days
                if totals.seconds or totals.launches
            ],
        }

    def _amounts(self, totals: Totals) -> dict[str, Any]:
        return {
            "launches": totals.launches,
            "hours": hours_in_words(totals.hours),
            "cpu_hours": f"{totals.cpu_hours:.1f}",
            "gb_hours": f"{totals.gib_hours:.1f}",
            "gpu_hours": f"{totals.gpu_hours:.1f}" if totals.gpu_seconds else "",
            "cost": self._money(totals.cost),
        }

    def _money(self, amount: Decimal) -> str:
        return f"{self.hub.currency}{amount:.2f}"

    def _kinds(self, month: str) -> list[dict[str, Any]]:
        sees_groups = self.who.scopes.has_everywhere("list:groups")
        kinds = [("user", _("People")), ("group", _("Groups")), ("profile", _("Server types"))]
        return [
            {"name": name, "title": title, "url": _url(PAGE, {"month": month, "by": name})}
            for name, title in kinds
            if name != "group" or sees_groups
        ]

    def _rows(self, lines: Sequence[Line], by: TotalsOf, here: dict[str, str]) -> list[dict[str, Any]]:
        sizes = self.hub.home_usage.get_many([line.subject for line in lines]) if by is TotalsOf.USER else {}
        most = max((line.totals.seconds for line in lines), default=0) or 1
        return [
            self._amounts(line.totals)
            | {
                "name": line.name,
                "url": _url(PAGE, here | {"of": line.name or line.subject}),
                "share": round(line.totals.seconds / most * 100, 1),
                "files": size_in_words(found) if (found := sizes.get(line.subject)) else "",
            }
            for line in lines
        ]


def month_in_words(month: str) -> Any:
    """Return *month*, such as `2026-11`, as people write it."""
    return _(_MONTHS[int(month[5:]) - 1], year=month[:4])


def hours_in_words(hours: float) -> str:
    """Return hours with one decimal, as the tables have them."""
    return f"{hours:.1f}"


def _url(page: str, query: dict[str, str]) -> str:
    return f"{page}?{urlencode(query)}"


async def _usage(
    request: Request, who: Person, hub: dependencies.WholeHub, reports: dependencies.UsageReports, render: Render
) -> _Usage:
    return _Usage(request, who, hub, reports, render)


UsagePage = Annotated[_Usage, Depends(_usage)]


@router.get("/admin/usage")
@has_long_store_calls
async def usage_of_hub(page: UsagePage) -> Response:
    """Show what all servers used in a month."""
    return page.of_hub()


@router.get("/usage")
@has_long_store_calls
async def usage_of_visitor(page: UsagePage) -> Response:
    """Show what the visitor's servers used in a month."""
    return page.of_visitor()
