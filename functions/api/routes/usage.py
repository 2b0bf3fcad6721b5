"""What servers used and cost: the totals of a month, and of its days. JupyterHub has no such API."""

from typing import Annotated

from starlette.exceptions import HTTPException
from starlette.responses import Response

from functions.api import response_schemas as schemas
from functions.api import usage_files
from functions.api.auth.scope_checks import holds_everywhere, user_in_path
from functions.api.dependencies import UsageReports, Users, WholeHub
from functions.api.routers import api_router
from functions.api.store_pool import has_long_store_calls
from hubless.domain.usage import TotalsOf
from hubless.domain.users import User
from hubless.services.identity import Actor

router = api_router(tag="usage")
MayReadUsage = Annotated[Actor, holds_everywhere("read:servers")]


@router.get("/usage", response_model=schemas.UsageOfMonth)
@has_long_store_calls
async def read_usage(
    actor: MayReadUsage,
    reports: UsageReports,
    hub: WholeHub,
    month: str | None = None,
    by: str | None = None,
    format: str | None = None,  # noqa: A002 the name in the query
) -> Response:
    """Return what all servers used in a month, by user, group or profile, or of the whole hub.

    Running servers are in it until now. Days and months are those of UTC. By group needs `list:groups` too.
    """
    form, of, when = (
        usage_files.checked_format(format),
        usage_files.checked_by(by),
        usage_files.checked_month(month, reports),
    )
    require_groups(actor, of)
    return usage_files.answer(usage_files.of_month(reports.by_subject(of, when), of, when, hub.currency), form)


@router.get("/usage/days", response_model=schemas.UsageOfDays)
@has_long_store_calls
async def read_days(
    actor: MayReadUsage,
    reports: UsageReports,
    hub: WholeHub,
    users: Users,
    subject: str = "",
    month: str | None = None,
    by: str = "hub",
    format: str | None = None,  # noqa: A002 the name in the query
) -> Response:
    """Return what one user, group or profile, or the whole hub, used on each day of a month.

    The subject of `by=user` is a name, or the id of a user who was removed.
    """
    form, of, when = (
        usage_files.checked_format(format),
        usage_files.checked_by(by),
        usage_files.checked_month(month, reports),
    )
    require_groups(actor, of)
    days = reports.by_day(of, subject_of(users, of, subject), when)
    return usage_files.answer(usage_files.of_days(days, when, hub.currency), form)


@router.get("/users/{name:segment}/usage", response_model=schemas.UsageOfDays)
@has_long_store_calls
async def read_usage_of_user(
    user: Annotated[User, user_in_path("read:servers")],
    reports: UsageReports,
    hub: WholeHub,
    month: str | None = None,
    format: str | None = None,  # noqa: A002 the name in the query
) -> Response:
    """Return what one user's servers used on each day of a month."""
    form, when = usage_files.checked_format(format), usage_files.checked_month(month, reports)
    days = reports.by_day(TotalsOf.USER, user.id, when)
    return usage_files.answer(usage_files.of_days(days, when, hub.currency), form)


def require_groups(actor: Actor, of: TotalsOf) -> None:
    """Let nobody read groups' names without the scope for it.

    Raises:
        HTTPException: 403 with the scope.
    """
    if of is TotalsOf.GROUP and not actor.scopes.has_everywhere("list:groups"):
        raise HTTPException(403, "Action is not authorized with current scopes; requires any of [list:groups]")


def subject_of(users: Users, of: TotalsOf, subject: str) -> str:
    """Return under what totals are kept: the id of the user whose name is *subject*, and otherwise *subject*."""
    if of is TotalsOf.HUB:
        return ""
    found = users.find(subject) if of is TotalsOf.USER and subject else None
    return found.id if found else subject
