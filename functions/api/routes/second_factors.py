"""Second factors of users: what there is, and their reset. JupyterHub has no such API: its hub knows no factors."""

from typing import Annotated

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from functions.api import response_schemas as schemas
from functions.api.auth.acts import record
from functions.api.auth.authentication import CurrentActor
from functions.api.auth.scope_checks import user_in_path
from functions.api.dependencies import Privileges, SecondFactors
from functions.api.json_codec import JSONResponse
from functions.api.provider_pool import in_provider_pool
from functions.api.routers import api_router
from hubless.domain.audit import Act
from hubless.domain.users import User

router = api_router("/users", tag="second factors")
Administered = Annotated[User, user_in_path("admin:users")]
OWN_FACTORS = "Change your own second factors at /hub/account/second-factors, where you show one first"


@router.get("/{name:segment}/second-factors", response_model=schemas.SecondFactors)
async def read_second_factors(user: Administered, second_factors: SecondFactors) -> Response:
    """Say which second factors a user has, without any secret."""
    factors = second_factors.of(user)
    return JSONResponse(
        {
            "app": factors.app is not None,
            "passkeys": len(factors.passkeys),
            "recovery_codes": len(factors.recovery_codes),
            "demanded": second_factors.is_demanded_of(user),
        }
    )


@router.delete("/{name:segment}/second-factors", status_code=204)
async def reset_second_factors(
    request: Request, user: Administered, actor: CurrentActor, second_factors: SecondFactors, privileges: Privileges
) -> Response:
    """Remove all second factors of another user, who reads at the next login who did."""
    if actor.user is not None and actor.user.id == user.id:
        raise HTTPException(400, OWN_FACTORS)
    privileges.require_may_act_as(actor, user)
    await in_provider_pool(second_factors.reset, user, actor.name)
    record(request, Act.FACTORS_RESET, user.name)
    return Response(status_code=204)
