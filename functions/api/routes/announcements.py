"""Announcements that admins make at run time, and maintenance. JupyterHub has no such API."""

from typing import Annotated

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from functions.api import request_schemas as requests
from functions.api import response_schemas as schemas
from functions.api.auth.acts import record
from functions.api.auth.scope_checks import holds_everywhere
from functions.api.dependencies import WholeHub
from functions.api.json_codec import JSONResponse
from functions.api.preconditions import Precondition, tagged
from functions.api.routers import api_router, problems
from functions.api.serializers import instant
from functions.api.store_pool import has_long_store_calls
from hubless.domain.announcements import Announcement, Kind
from hubless.domain.audit import Act
from hubless.domain.errors import NotFoundError
from hubless.domain.maintenance import Maintenance, seen_id
from hubless.services.announcements import Wish
from hubless.services.identity import Actor

router = api_router(tag="announcements")
MayAnnounce = Annotated[Actor, holds_everywhere("admin:users")]
MayMaintain = Annotated[Actor, holds_everywhere("admin:servers")]
_GONE = "No such announcement, or it has ended"


@router.get("/announcements", response_model=schemas.Announcements)
@has_long_store_calls
async def list_announcements(_actor: MayAnnounce, hub: WholeHub) -> Response:
    """List the announcements that have not ended. What starts first comes first."""
    return JSONResponse({"announcements": [_model(one) for one in hub.announcements.all()]})


@router.post("/announcements", status_code=201, response_model=schemas.Announcement)
@has_long_store_calls
async def make_announcement(
    request: Request, actor: MayAnnounce, body: requests.Announcement, hub: WholeHub
) -> Response:
    """Make an announcement, which pages show at most ten seconds later."""
    made = hub.announcements.make(actor.name, _wish_of(body))
    _record(request, Act.ANNOUNCEMENT_MADE, made)
    return JSONResponse(_model(made), 201)


@router.get("/announcements/{announcement_id:segment}", response_model=schemas.Announcement)
@has_long_store_calls
async def read_announcement(announcement_id: str, _actor: MayAnnounce, hub: WholeHub) -> Response:
    """Return one announcement that has not ended."""
    return JSONResponse(_model(_found(hub, announcement_id)))


@router.put(
    "/announcements/{announcement_id:segment}", response_model=schemas.Announcement, responses=problems(409, 412)
)
@has_long_store_calls
async def change_announcement(
    request: Request,
    announcement_id: str,
    _actor: MayAnnounce,
    body: requests.Announcement,
    precondition: Precondition,
    hub: WholeHub,
) -> Response:
    """Change an announcement; with `If-Match`, only what was read. Who has put it away does not see it again."""
    before = _found(hub, announcement_id)
    precondition.require(JSONResponse(_model(before)))
    with precondition.held():
        changed = hub.announcements.change(before, _wish_of(body))
    _record(request, Act.ANNOUNCEMENT_CHANGED, changed)
    return tagged(_model(changed))


@router.delete("/announcements/{announcement_id:segment}", status_code=204, responses=problems(409, 412))
@has_long_store_calls
async def remove_announcement(
    request: Request, announcement_id: str, _actor: MayAnnounce, precondition: Precondition, hub: WholeHub
) -> Response:
    """Remove an announcement; with `If-Match`, only what was read."""
    found = _found(hub, announcement_id)
    precondition.require(JSONResponse(_model(found)))
    with precondition.held():
        hub.announcements.remove(found)
    _record(request, Act.ANNOUNCEMENT_REMOVED, found)
    return Response(status_code=204)


@router.get("/maintenance", response_model=schemas.Maintenance)
@has_long_store_calls
async def read_maintenance(_actor: MayMaintain, hub: WholeHub) -> Response:
    """Say whether maintenance is on."""
    return JSONResponse(_maintenance_model(hub.maintaining.current()))


@router.put("/maintenance", response_model=schemas.Maintenance, responses=problems(409, 412))
@has_long_store_calls
async def turn_maintenance_on(
    request: Request, actor: MayMaintain, body: requests.MaintenanceWish, precondition: Precondition, hub: WholeHub
) -> Response:
    """Turn maintenance on, or change what is said of it; with `If-Match`, only what was read.

    No start is written from now on that it refuses.
    """
    before = hub.maintaining.current()
    precondition.require(JSONResponse(_maintenance_model(before)))
    with precondition.held():
        made = hub.maintaining.turn_on(
            actor.name, text=body.text, ends_at=body.ends_at, admins_start=body.admins_start, seen=seen_id(before)
        )
    record(request, Act.MAINTENANCE_ON, until=instant(made.ends_at) or "")
    return tagged(_maintenance_model(made))


@router.delete("/maintenance", status_code=204, responses=problems(409, 412))
@has_long_store_calls
async def turn_maintenance_off(
    request: Request, actor: MayMaintain, precondition: Precondition, hub: WholeHub
) -> Response:
    """Turn maintenance off; 204 also when it is off already. With `If-Match`, only what was read."""
    before = hub.maintaining.current()
    precondition.require(JSONResponse(_maintenance_model(before)))
    with precondition.held():
        was_on = hub.maintaining.turn_off(actor.name, seen=seen_id(before))
    if was_on:
        record(request, Act.MAINTENANCE_OFF)
    return Response(status_code=204)


def _found(hub: WholeHub, announcement_id: str) -> Announcement:
    """Return the announcement of this id.

    Raises:
        HTTPException: 404.
    """
    try:
        return hub.announcements.get(announcement_id)
    except NotFoundError:
        raise HTTPException(404, _GONE) from None


def _wish_of(body: requests.Announcement) -> Wish:
    return Wish(body.text, body.ends_at, body.starts_at, Kind(body.kind), tuple(dict.fromkeys(body.groups)))


def _record(request: Request, act: Act, one: Announcement) -> None:
    record(request, act, *one.groups[:1], announcement=one.id, until=instant(one.ends_at) or "")


def _model(one: Announcement) -> dict[str, object]:
    return {
        "id": one.id,
        "text": one.text,
        "kind": one.kind.value,
        "starts_at": one.starts_at,
        "ends_at": one.ends_at,
        "groups": list(one.groups),
        "made_by": one.made_by,
        "created": one.made_at,
    }


def _maintenance_model(found: Maintenance | None) -> dict[str, object]:
    if found is None:
        return {"on": False, "text": "", "since": None, "ends_at": None, "admins_start": False, "by": ""}
    return {
        "on": True,
        "text": found.text,
        "since": found.began_at,
        "ends_at": found.ends_at,
        "admins_start": found.admins_start,
        "by": found.by,
    }
