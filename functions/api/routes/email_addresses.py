"""E-mail addresses of users, for admins. JupyterHub has no such API."""

from typing import Annotated

from starlette.requests import Request
from starlette.responses import Response

from functions.api import request_schemas as requests
from functions.api import response_schemas as schemas
from functions.api.auth.acts import record
from functions.api.auth.authentication import CurrentActor
from functions.api.auth.scope_checks import user_in_path
from functions.api.dependencies import Emails, Privileges
from functions.api.json_codec import JSONResponse
from functions.api.provider_pool import in_provider_pool
from functions.api.routers import api_router, problems
from hubless.domain.audit import Act
from hubless.domain.users import User

router = api_router("/users", tag="users")
Administered = Annotated[User, user_in_path("admin:users")]


@router.get("/{name:segment}/email", response_model=schemas.Email)
async def read_email(user: Administered, emails: Emails) -> Response:
    """Return a user's verified e-mail address, and the one that waits for its confirmation."""
    known = emails.of(user)
    return JSONResponse({"email": known.address, "pending": known.pending})


@router.put("/{name:segment}/email", response_model=schemas.Email, responses=problems(409, 413))
async def set_email(
    request: Request,
    user: Administered,
    actor: CurrentActor,
    body: requests.NewEmail,
    emails: Emails,
    privileges: Privileges,
) -> Response:
    """Set a user's e-mail address without asking there; "" removes it. Links to new passwords go there."""
    privileges.require_may_act_as(actor, user)
    address = await in_provider_pool(emails.set, user, body.email)  # it may tell the address before by mail
    record(request, Act.EMAIL_CHANGED, user.name)
    return JSONResponse({"email": address, "pending": ""})
