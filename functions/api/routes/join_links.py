"""Join links, with which people of a class sign up themselves. JupyterHub has no such API."""

from datetime import timedelta
from typing import Annotated

from fastapi import Depends
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from functions.api import request_schemas as requests
from functions.api import response_schemas as schemas
from functions.api.auth.acts import record
from functions.api.auth.scope_checks import holds_everywhere
from functions.api.dependencies import JoinLinks, hub_of
from functions.api.json_codec import JSONResponse
from functions.api.routers import api_router, problems
from functions.api.store_pool import has_long_store_calls
from hubless.domain.audit import Act
from hubless.domain.errors import NotFoundError
from hubless.domain.join_links import JoinLink
from hubless.services.identity import Actor

router = api_router("/join-links", tag="users")
MayAddUsers = Annotated[Actor, holds_everywhere("admin:users")]


async def _where_people_sign_up(request: Request, _actor: MayAddUsers, join_links: JoinLinks) -> JoinLinks:
    if not hub_of(request).has_passwords:
        raise HTTPException(404, "Nobody signs up at this hub: people log in elsewhere.")
    return join_links


Links = Annotated[JoinLinks, Depends(_where_people_sign_up)]


@router.get("", response_model=schemas.JoinLinks)
@has_long_store_calls
async def list_join_links(request: Request, actor: MayAddUsers, join_links: Links) -> Response:
    """List the join links whose groups the caller may add people to, the newest first, with their codes."""
    return JSONResponse({"join_links": [_model(request, join_links, one) for one in join_links.seen_by(actor)]})


@router.post("", response_model=schemas.JoinLink, status_code=201, responses=problems(413))
@has_long_store_calls
async def make_join_link(
    request: Request, actor: MayAddUsers, body: requests.NewJoinLink, join_links: Links
) -> Response:
    """Make a join link. Who signs up with its code joins its group, which the first of them makes if there is none."""
    made = join_links.make(
        actor,
        group=body.group.strip(),
        lifetime=timedelta(days=body.days),
        places=body.places,
        needs_approval=body.needs_approval,
    )
    record(request, Act.JOIN_LINK_MADE, group=made.group, places=str(made.places))
    return JSONResponse(_model(request, join_links, made), 201)


@router.delete("/{link_id:segment}", status_code=204)
@has_long_store_calls
async def end_join_link(request: Request, link_id: str, actor: MayAddUsers, join_links: Links) -> Response:
    """End a join link. Who signed up with it stays."""
    try:
        ended = join_links.get(actor, link_id)
    except NotFoundError:
        raise HTTPException(404, "Join link not found") from None
    join_links.end(ended)
    record(request, Act.JOIN_LINK_ENDED, group=ended.group)
    return Response(status_code=204)


def _model(request: Request, join_links: JoinLinks, one: JoinLink) -> dict[str, object]:
    return {
        "id": one.id,
        "code": join_links.code_of(one),
        "url": hub_of(request).address_for_others(str(request.base_url)).url + join_links.path_of(one),
        "group": one.group,
        "places": one.places,
        "used": one.used,
        "needs_approval": one.needs_approval,
        "made_by": one.made_by,
        "created": one.made_at,
        "expires_at": one.expires_at,
    }
