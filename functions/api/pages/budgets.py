"""The page of budgets: how much of each is used, and the form that sets one. No JavaScript."""

from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, Final

from fastapi import Depends
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from functions.api import dependencies
from functions.api.auth.acts import record
from functions.api.auth.visitors import Form, OwnForm, Person
from functions.api.error_handlers import STATUSES
from functions.api.flashes import flash
from functions.api.rendering import Render
from functions.api.routers import page_router
from functions.api.store_pool import has_long_store_calls
from hubless.domain.audit import Act
from hubless.domain.bounds import MAX_IDENTIFIER, MAX_TYPED_NAME
from hubless.domain.budgets import Budget, Ledger, Standing, standings
from hubless.domain.errors import HublessError, InvalidRequestError
from hubless.domain.translatable import Message
from hubless.domain.translatable import gettext as _
from hubless.domain.usage import EPOCH
from hubless.domain.values import value
from hubless.services.identity import Actor

router = page_router()
PAGE: Final = "/hub/admin/budgets"
SCOPE: Final = "admin:servers"
_FIELDS: Final = ("name", "group", "user", "each", "period", "hours", "money", "servers", "cpus")
_LONGEST_NUMBER: Final = 12  # characters
_HOUR, _THOUSAND, _MICROS = 3600, 1000, 1_000_000


@value
class _BudgetsPage:
    """The page, as one person sees it."""

    request: Request
    who: Actor
    hub: dependencies.WholeHub
    render: Render

    def __call__(self, form: Form | None = None, *, error: str | None = None, status: int = 200) -> Response:
        """Return the page; with the *form* that was refused, if one was, as it was filled in."""
        fixed = {budget.name for budget in self.hub.settings.budgets}
        return self.render(
            "budgets.html",
            status_code=status,
            budgets=[self._view(one, found, is_fixed=one.name in fixed) for one, found in self.hub.budgets.overview()],
            currency=self.hub.currency,
            filled={name: form.text(name)[:MAX_TYPED_NAME] for name in _FIELDS}
            if form
            else dict.fromkeys(_FIELDS, "") | {"group": self.request.query_params.get("group", "")[:MAX_IDENTIFIER]},
            error=error,
        )

    def set(self, form: Form) -> Response:
        """Set the budget of the form."""
        try:
            budget = _budget_of(form)
            self.hub.budgets.put(budget)
        except HublessError as refused:
            return self(form, error=refused.message, status=STATUSES[type(refused)])
        record(self.request, Act.BUDGET_SET, budget.name)
        return self._done(_("The budget %(name)s counts from now on.", name=budget.name))

    def remove(self, form: Form) -> Response:
        """Remove the budget of the form."""
        name = form.text("name")
        try:
            self.hub.budgets.remove(name)
        except HublessError as refused:
            return self(error=refused.message, status=STATUSES[type(refused)])
        record(self.request, Act.BUDGET_REMOVED, name)
        return self._done(_("The budget %(name)s is gone.", name=name))

    def _done(self, said: Message) -> Response:
        response = RedirectResponse(PAGE, 303)
        flash(self.request, response, said)
        return response

    def _view(self, budget: Budget, found: Sequence[Standing], *, is_fixed: bool) -> dict[str, Any]:
        return {
            "name": budget.name,
            "group": budget.group,
            "user": budget.user,
            "is_each": budget.is_each,
            "is_monthly": budget.is_monthly,
            "is_fixed": is_fixed,
            "limits": [self._limit(one, is_each=budget.is_each) for one in found or _empty(budget)],
        }

    def _limit(self, standing: Standing, *, is_each: bool) -> dict[str, Any]:
        used, limit = standing.in_words(self.hub.currency)
        share = 100.0 if not standing.limit else min(100.0, standing.used / standing.limit * 100)
        return {
            "used": "" if is_each else used,
            "limit": limit,
            "share": 0 if is_each else round(share, 1),
            "is_nearly_used": not is_each and standing.is_nearly_used,
        }


def _empty(budget: Budget) -> list[Standing]:
    """Return the limits of a budget that each user has, with nothing used."""
    return standings(budget, Ledger("", ""), EPOCH)


def _budget_of(form: Form) -> Budget:
    hours, money, cpus = (_number(form, name) for name in ("hours", "money", "cpus"))
    servers = _number(form, "servers")
    return Budget(
        form.text("name").strip(),
        group=form.text("group").strip(),
        user=form.text("user").strip(),
        is_each=form.text("each") == "1",
        is_monthly=form.text("period") != "total",
        servers=None if servers is None else int(servers),
        cpu_millis=None if cpus is None else round(cpus * _THOUSAND),
        seconds=None if hours is None else round(hours * _HOUR),
        cost_micros=None if money is None else round(money * _MICROS),
    )


def _number(form: Form, name: str) -> Decimal | None:
    """Return the number in a field; None if it is empty.

    Raises:
        InvalidRequestError: when it is no number of at least 0.
    """
    text = form.text(name).strip().replace(",", ".")
    if not text:
        return None
    try:
        number = Decimal(text[:_LONGEST_NUMBER])
    except InvalidOperation:
        number = Decimal("nan")
    if not number.is_finite() or number < 0 or len(text) > _LONGEST_NUMBER or number > Decimal(10) ** 9:
        raise InvalidRequestError(_("%(text)s is no number such as 40 or 2.5", text=text[:60]))
    return number


async def _page(request: Request, who: Person, hub: dependencies.WholeHub, render: Render) -> _BudgetsPage:
    if not who.scopes.has_everywhere(SCOPE):
        raise HTTPException(403, _("This page is for people who manage all servers"))
    return _BudgetsPage(request, who, hub, render)


BudgetsPage = Annotated[_BudgetsPage, Depends(_page)]


@router.get("/admin/budgets")
@has_long_store_calls
async def show_budgets(page: BudgetsPage) -> Response:
    """Show the budgets, and the form that sets one."""
    return page()


@router.post("/admin/budgets")
@has_long_store_calls
async def set_budget(form: OwnForm, page: BudgetsPage) -> Response:
    """Set a budget, in place of one of the same name."""
    return page.set(form)


@router.post("/admin/budgets/remove")
@has_long_store_calls
async def remove_budget(form: OwnForm, page: BudgetsPage) -> Response:
    """Remove a budget that is not one of the settings."""
    return page.remove(form)
