"""Schedules: when classes meet, whose servers start before. JupyterHub has no such API."""

from datetime import datetime, timedelta
from typing import Annotated, Any, Final

from starlette.requests import Request
from starlette.responses import Response

from functions.api import request_schemas as requests
from functions.api import response_schemas as schemas
from functions.api.auth.acts import record
from functions.api.auth.scope_checks import holds_everywhere
from functions.api.dependencies import Schedules
from functions.api.json_codec import JSONResponse
from functions.api.preconditions import Precondition, tagged
from functions.api.routers import api_router, problems
from functions.api.serializers import instant
from functions.api.store_pool import has_long_store_calls
from hubless.domain.audit import Act
from hubless.domain.errors import NotFoundError
from hubless.domain.schedules import DAYS, Schedule, clock_of, date_of, upcoming
from hubless.domain.wall_times import zone_of
from hubless.services.identity import Actor

router = api_router("/schedules", tag="schedules")
Manager = Annotated[Actor, holds_everywhere("admin:servers")]
_SHOWN: Final = 5  # lessons
_MINUTE: Final = timedelta(minutes=1)


@router.get("", response_model=list[schemas.Schedule])
@has_long_store_calls
async def list_schedules(_actor: Manager, schedules: Schedules) -> Response:
    """List the schedules, those of the settings first, each with its next lessons."""
    now = schedules.clock.now()
    return JSONResponse([model(one, now, is_fixed=schedules.is_fixed(one.name)) for one in schedules.all()])


@router.get("/{name:segment}", response_model=schemas.Schedule)
@has_long_store_calls
async def read_schedule(name: str, _actor: Manager, schedules: Schedules) -> Response:
    """Return one schedule."""
    found = schedules.find(name)
    return JSONResponse(model(found, schedules.clock.now(), is_fixed=schedules.is_fixed(name)))


@router.put(
    "/{name:segment}",
    response_model=schemas.Schedule,
    responses=problems(409, 412) | {201: {"model": schemas.Schedule}},
)
@has_long_store_calls
async def put_schedule(
    name: str,
    request: Request,
    _actor: Manager,
    body: requests.ScheduleBody,
    precondition: Precondition,
    schedules: Schedules,
) -> Response:
    """Add a schedule, or replace all of one; those of the settings change only there.

    With `If-Match` it replaces only what was read, and with `If-None-Match: *` it only adds.
    """
    wanted = Schedule(
        name,
        frozenset(map(DAYS.index, body.days)),
        clock_of(body.begins),
        clock_of(body.ends),
        zone_of(body.timezone),
        tuple(dict.fromkeys(body.groups)),
        body.profile,
        body.stop,
        None if body.date is None else date_of(body.date),
        body.start_before * _MINUTE,
        body.paused,
    )
    now = schedules.clock.now()
    try:
        before = schedules.find(name)
    except NotFoundError:
        before = None
    is_fixed = schedules.is_fixed(name)
    precondition.require(None if before is None else JSONResponse(model(before, now, is_fixed=is_fixed)))
    with precondition.held():
        saved = schedules.add(wanted) if before is None else schedules.change(before, wanted)
    record(request, Act.SCHEDULE_SET, name, paused="yes" if saved.is_paused else "")
    return tagged(model(saved, now, is_fixed=False), 201 if before is None else 200)


@router.delete("/{name:segment}", status_code=204, responses=problems(409, 412))
@has_long_store_calls
async def delete_schedule(
    name: str, request: Request, _actor: Manager, precondition: Precondition, schedules: Schedules
) -> Response:
    """Remove a schedule; with `If-Match`, only what was read. Servers that run stay as they are."""
    found = schedules.find(name)
    precondition.require(JSONResponse(model(found, schedules.clock.now(), is_fixed=schedules.is_fixed(name))))
    with precondition.held():
        schedules.remove(found)
    record(request, Act.SCHEDULE_REMOVED, name)
    return Response(status_code=204)


def model(schedule: Schedule, now: datetime, *, is_fixed: bool) -> dict[str, Any]:
    """Return the JSON of *schedule*."""
    return {
        "name": schedule.name,
        "days": [DAYS[day] for day in sorted(schedule.days)],
        "date": None if schedule.on is None else schedule.on.isoformat(),
        "begins": schedule.begins.isoformat("minutes"),
        "ends": schedule.ends.isoformat("minutes"),
        "timezone": str(schedule.zone),
        "groups": list(schedule.groups),
        "profile": schedule.profile,
        "start_before": schedule.lead // _MINUTE,
        "stop": schedule.stops,
        "paused": schedule.is_paused,
        "from_settings": is_fixed,
        "next": [
            {"servers_start": instant(one.begins), "begins": instant(one.meets_at), "ends": instant(one.ends)}
            for one in upcoming(schedule, now, _SHOWN)
        ],
    }
