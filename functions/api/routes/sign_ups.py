"""Sign-ups that wait for an admin, or for the confirmation of their e-mail address. JupyterHub has no such API."""

from typing import Annotated

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from functions.api import response_schemas as schemas
from functions.api.auth.acts import record
from functions.api.auth.scope_checks import holds_everywhere
from functions.api.dependencies import SignUps
from functions.api.json_codec import JSONResponse
from functions.api.routers import api_router, problems
from functions.api.store_pool import has_long_store_calls
from hubless.domain.audit import Act
from hubless.domain.errors import NotFoundError
from hubless.domain.sign_ups import SignUp
from hubless.services.identity import Actor

router = api_router("/sign-ups", tag="users")
MayAddUsers = Annotated[Actor, holds_everywhere("admin:users")]


@router.get("", response_model=schemas.SignUps)
@has_long_store_calls
async def list_sign_ups(_actor: MayAddUsers, sign_ups: SignUps) -> Response:
    """List the sign-ups that wait, the oldest first."""
    return JSONResponse({"sign_ups": [_model(one) for one in sign_ups.waiting()]})


@router.post("/{name:segment}/approve", response_model=schemas.SignUpState, responses=problems(409))
@has_long_store_calls
async def approve_sign_up(request: Request, name: str, actor: MayAddUsers, sign_ups: SignUps) -> Response:
    """Approve a sign-up. The account is made at once, unless the e-mail address must still be confirmed."""
    try:
        made = sign_ups.approve(name, actor)
    except NotFoundError:
        raise HTTPException(404, "Sign-up not found") from None
    record(request, Act.SIGN_UP_APPROVED, name)
    return JSONResponse({"name": name, "is_made": not isinstance(made, SignUp)})


@router.delete("/{name:segment}", status_code=204, responses=problems(409))
@has_long_store_calls
async def refuse_sign_up(request: Request, name: str, _actor: MayAddUsers, sign_ups: SignUps) -> Response:
    """Refuse a sign-up: it is removed, and its user is not told."""
    try:
        sign_ups.refuse(name)
    except NotFoundError:
        raise HTTPException(404, "Sign-up not found") from None
    record(request, Act.SIGN_UP_REFUSED, name)
    return Response(status_code=204)


def _model(one: SignUp) -> dict[str, object]:
    return {
        "name": one.name,
        "email": one.address,
        "created": one.created_at,
        "expires_at": one.expires_at,
        "waits_for_mail": one.waits_for_mail,
        "waits_for_admin": one.waits_for_admin,
    }
