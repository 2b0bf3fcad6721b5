"""Budgets: what servers may use, and how much of it is used. JupyterHub has no such API."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final

from starlette.requests import Request
from starlette.responses import Response

from functions.api import request_schemas as requests
from functions.api import response_schemas as schemas
from functions.api.auth.acts import record
from functions.api.auth.scope_checks import holds_everywhere
from functions.api.dependencies import Budgets
from functions.api.json_codec import JSONResponse
from functions.api.routers import api_router
from functions.api.store_pool import has_long_store_calls
from hubless.domain.audit import Act
from hubless.domain.budgets import Budget, Resource, Standing
from hubless.domain.errors import NotFoundError
from hubless.services.identity import Actor

router = api_router("/budgets", tag="budgets")
Manager = Annotated[Actor, holds_everywhere("admin:servers")]
# How many of the unit in which a budget counts are one of the unit in which people count.
_UNITS: Final = {Resource.SERVERS: 1, Resource.CPUS: 1000, Resource.HOURS: 3600, Resource.MONEY: 1_000_000}


@router.get("", response_model=list[schemas.Budget])
@has_long_store_calls
async def list_budgets(_actor: Manager, budgets: Budgets) -> Response:
    """List the budgets, those of the settings first, each with what is used and left."""
    return JSONResponse([model(*one, budgets) for one in budgets.overview()])


@router.get("/{name:segment}", response_model=schemas.Budget)
@has_long_store_calls
async def read_budget(name: str, _actor: Manager, budgets: Budgets) -> Response:
    """Return one budget, with what is used and left."""
    return JSONResponse(_found(name, budgets))


@router.put("/{name:segment}", response_model=schemas.Budget, responses={201: {"model": schemas.Budget}})
@has_long_store_calls
async def put_budget(
    name: str, request: Request, _actor: Manager, body: requests.BudgetBody, budgets: Budgets
) -> Response:
    """Set a budget, or replace all of one; those of the settings change only there.

    It counts from now on, for servers that run too. Give at least one of `hours`, `money`, `servers` and `cpus`.
    """
    is_new = all(one.name != name for one in budgets.all())
    budgets.put(
        Budget(
            name,
            body.group,
            body.user,
            body.each_user,
            body.period == "month",
            body.servers,
            _whole(body.cpus, Resource.CPUS),
            _whole(body.hours, Resource.HOURS),
            _whole(body.money, Resource.MONEY),
        )
    )
    record(request, Act.BUDGET_SET, name)
    return JSONResponse(_found(name, budgets), 201 if is_new else 200)


@router.delete("/{name:segment}", status_code=204)
@has_long_store_calls
async def delete_budget(name: str, request: Request, _actor: Manager, budgets: Budgets) -> Response:
    """Remove a budget. Servers that run stay as they are."""
    budgets.remove(name)
    record(request, Act.BUDGET_REMOVED, name)
    return Response(status_code=204)


def model(budget: Budget, found: Sequence[Standing], budgets: Budgets) -> dict[str, Any]:
    """Return the JSON of *budget*; *found* is empty if each user has it, or its user is gone."""
    used = {one.resource: one.used for one in found}
    left = {one.resource: max(0, one.limit - one.used) for one in found}
    return {
        "name": budget.name,
        "group": budget.group,
        "user": budget.user,
        "each_user": budget.is_each,
        "period": "month" if budget.is_monthly else "total",
        **_amounts(budget.limits),
        "used": _amounts(used) if found else None,
        "left": _amounts(left) if found else None,
        "currency": budgets.currency,
        "from_settings": budgets.is_fixed(budget.name),
    }


def _found(name: str, budgets: Budgets) -> dict[str, Any]:
    for one in budgets.overview(name=name):
        return model(*one, budgets)
    raise NotFoundError("Budget", name)


def _amounts(found: Mapping[Resource, int]) -> dict[str, float | None]:
    """Return an amount of each resource, in hours, units of money, servers and CPUs; None for no limit."""
    return {one.value: found[one] / _UNITS[one] if one in found else None for one in Resource}


def _whole(amount: float | None, resource: Resource) -> int | None:
    return None if amount is None else round(amount * _UNITS[resource])
