"""Browser sessions of users: listing and ending. JupyterHub has no such API: its hub does not know its sessions."""

from typing import Annotated

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from functions.api import response_schemas as schemas
from functions.api.auth.acts import record
from functions.api.auth.scope_checks import user_in_path
from functions.api.dependencies import Logins
from functions.api.json_codec import JSONResponse
from functions.api.routers import api_router
from functions.api.store_pool import has_long_store_calls
from hubless.domain.audit import Act
from hubless.domain.errors import NotFoundError
from hubless.domain.users import User

router = api_router("/users", tag="sessions")
UserToLogOut = Annotated[User, user_in_path("tokens")]


@router.get("/{name:segment}/sessions", response_model=schemas.Sessions)
@has_long_store_calls
async def list_sessions(user: Annotated[User, user_in_path("read:tokens")], logins: Logins) -> Response:
    """List the browsers in which a user is logged in."""
    models = [
        {"id": s.id, "created": s.created_at, "expires_at": s.expires_at, "agent": s.agent}
        for s in logins.sessions_of(user)
    ]
    return JSONResponse({"sessions": models})


@router.delete("/{name:segment}/sessions", status_code=204)
@has_long_store_calls
async def end_sessions(request: Request, user: UserToLogOut, logins: Logins) -> Response:
    """Log a user out everywhere, with every token that was issued in a browser."""
    logins.close_all(user)
    record(request, Act.SESSIONS_ENDED, user.name)
    return Response(status_code=204)


@router.delete("/{name:segment}/sessions/{session_id:segment}", status_code=204)
async def end_session(request: Request, user: UserToLogOut, session_id: str, logins: Logins) -> Response:
    """Log a user out of one browser, with every token that was issued in it."""
    try:
        logins.close(user, session_id)
    except NotFoundError:
        raise HTTPException(404, "Session not found") from None
    record(request, Act.SESSIONS_ENDED, user.name)
    return Response(status_code=204)
