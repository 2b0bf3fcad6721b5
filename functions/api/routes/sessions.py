"""Browser sessions of users: listing and ending. JupyterHub has no such API: its hub does not know its sessions."""

from starlette.exceptions import HTTPException
from starlette.responses import Response

from functions.api import answers
from functions.api.asking import Ask
from functions.api.jsontext import JSONResponse
from functions.api.openapi import Operation
from functions.api.routing import Router
from hubless.domain.errors import NotFoundError

router = Router()


@router.get("/users/{name:segment}/sessions", Operation(("read:tokens",), gives=answers.Sessions))
async def list_sessions(ask: Ask, name: str) -> Response:
    """List the browsers in which a user is logged in."""
    found = ask.hub.logins.sessions_of(ask.user(name, "read:tokens"))
    models = [{"id": s.id, "created": s.created_at, "expires_at": s.expires_at, "agent": s.agent} for s in found]
    return JSONResponse({"sessions": models})


@router.delete("/users/{name:segment}/sessions", Operation(("tokens",), status=204))
async def end_sessions(ask: Ask, name: str) -> Response:
    """Log a user out everywhere, with every token that was issued in a browser."""
    ask.hub.logins.close_all(ask.user(name, "tokens"))
    return Response(status_code=204)


@router.delete("/users/{name:segment}/sessions/{session_id:segment}", Operation(("tokens",), status=204))
async def end_session(ask: Ask, name: str, session_id: str) -> Response:
    """Log a user out of one browser, with every token that was issued in it."""
    user = ask.user(name, "tokens")
    try:
        ask.hub.logins.close(user, session_id)
    except NotFoundError:
        raise HTTPException(404, "Session not found") from None
    return Response(status_code=204)
