"""External identities of users: listing, linking and unlinking. JupyterHub has no such API: it knows people by name."""

from typing import Annotated, Any

from fastapi import Query
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from functions.api import request_schemas as requests
from functions.api import response_schemas as schemas
from functions.api.auth.acts import record
from functions.api.auth.authentication import CurrentActor
from functions.api.auth.scope_checks import user_in_path
from functions.api.dependencies import ExternalLogins, Privileges
from functions.api.json_codec import JSONResponse
from functions.api.routers import api_router, problems
from hubless.domain.audit import Act
from hubless.domain.bounds import MAX_ISSUER, MAX_SUBJECT
from hubless.domain.errors import NotFoundError
from hubless.domain.external_identities import ExternalId, LinkedIdentity
from hubless.domain.users import User

router = api_router("/users", tag="identities")
Administered = Annotated[User, user_in_path("admin:users")]


@router.get("/{name:segment}/identities", response_model=schemas.LinkedIdentities)
async def list_identities(user: Administered, external_logins: ExternalLogins) -> Response:
    """List the identities with which a user logs in."""
    return JSONResponse({"identities": [_model(linked) for linked in external_logins.of_user(user)]})


@router.post(
    "/{name:segment}/identities", status_code=201, response_model=schemas.LinkedIdentity, responses=problems(409, 413)
)
async def link_identity(
    request: Request,
    user: Administered,
    actor: CurrentActor,
    body: requests.NewIdentity,
    external_logins: ExternalLogins,
    privileges: Privileges,
) -> Response:
    """Link an identity to a user, who may log in with it from now on, whatever the lists of allowed users say."""
    privileges.require_may_act_as(actor, user)
    linked = external_logins.linked_by(
        user, ExternalId(body.issuer, body.subject), provider=body.provider, label=body.label, by_admin=True
    )
    added = external_logins.link(user, linked)
    record(request, Act.LOGIN_LINKED, user.name, issuer=body.issuer)
    return JSONResponse(_model(added), 201)


@router.delete("/{name:segment}/identities", status_code=204)
async def unlink_identity(
    request: Request,
    user: Administered,
    actor: CurrentActor,
    external_logins: ExternalLogins,
    privileges: Privileges,
    issuer: Annotated[str, Query(max_length=MAX_ISSUER)],
    subject: Annotated[str, Query(max_length=MAX_SUBJECT)],
) -> Response:
    """End a link, the only way in too. Sessions that are open stay."""
    privileges.require_may_act_as(actor, user)
    try:
        external_logins.unlink(user, ExternalId(issuer, subject), by_admin=True)
    except NotFoundError:
        raise HTTPException(404, f"This identity is not linked to {user.name}") from None
    record(request, Act.LOGIN_UNLINKED, user.name, issuer=issuer)
    return Response(status_code=204)


def _model(linked: LinkedIdentity) -> dict[str, Any]:
    return {
        "issuer": linked.id.issuer,
        "subject": linked.id.subject,
        "provider": linked.provider,
        "label": linked.label,
        "linked": linked.linked_at,
        "by_admin": linked.by_admin,
    }
