"""Adding many people at once from a list or table, with one-time links. JupyterHub has no such API."""

from datetime import timedelta
from typing import Annotated

from starlette.requests import Request
from starlette.responses import Response

from functions.api import request_schemas as requests
from functions.api import response_schemas as schemas
from functions.api.auth.acts import doer_of
from functions.api.auth.scope_checks import holds_everywhere
from functions.api.dependencies import AddingPeople, hub_of
from functions.api.json_codec import JSONResponse
from functions.api.password_pool import in_new_password_pool
from functions.api.routers import api_router, problems
from hubless.domain.pasted_people import Column
from hubless.domain.people_batches import Links
from hubless.domain.people_checks import CheckedPerson
from hubless.services.adding_people import Wishes
from hubless.services.identity import Actor

router = api_router("/people", tag="users")


@router.post("", response_model=schemas.People, responses=problems(409, 413))
async def add_people(
    request: Request,
    actor: Annotated[Actor, holds_everywhere("admin:users")],
    body: requests.NewPeople,
    adding: AddingPeople,
) -> Response:
    """Add the people of a list or table, and make one-time links; with `dry_run` only say what would come of each line.

    Lines with a fault are left out. A second call with the same text adds nobody again, and makes no link for who is
    here already unless `links` is `all`.
    """
    wishes = Wishes(
        body.text,
        tuple(map(Column, body.columns)),
        tuple(body.groups),
        Links(body.links),
        timedelta(days=body.days),
        admin=body.admin,
    )
    if body.dry_run:
        preview = await in_new_password_pool(adding.preview, wishes, actor)
        return JSONResponse({"people": [_model(one) for one in preview.people], "links": [], "links_until": None})
    preview, batch_id, content = await in_new_password_pool(adding.add_now, wishes, actor)
    base = hub_of(request).address_for_others(str(request.base_url)).url
    links = {one.name: base + path for one in content.people if (path := adding.link_of(batch_id, one))}
    hub_of(request).auditing.people_added(doer_of(request), content.people, links)
    lost = {one.name for one in content.people if one.is_lost}
    return JSONResponse(
        {
            "people": [_model(one, is_lost=one.user_name in lost) for one in preview.people],
            "links": [{"name": name, "link": link} for name, link in links.items()],
            "links_until": content.links_until if links else None,
        }
    )


def _model(one: CheckedPerson, *, is_lost: bool = False) -> dict[str, object]:
    return {
        "line": one.row.line,
        "name": one.user_name,
        "full_name": one.full_name,
        "email": one.email,
        "groups": list(one.groups),
        "outcome": "fault" if is_lost else one.outcome.value,
        "fault": "Somebody else took this name meanwhile." if is_lost else one.fault,
    }
