"""The token page: one's tokens, the applications that hold some, the browsers that are logged in."""

import contextlib
from datetime import timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from functions.api.asking import OwnForm, Person, hub_of
from functions.api.clients import describe_client
from functions.api.rendering import page
from functions.api.routing import Router
from functions.api.wire import instant
from hubless.domain.errors import HublessError, InvalidRequestError, NotFoundError
from hubless.domain.tokens import Token
from hubless.services.identity import Actor

router = Router()


@router.get("/token")
async def tokens(request: Request, who: Person) -> Response:
    """Show what acts for this person."""
    return _page(request, who)


@router.post("/token")
async def new_token(request: Request, form: OwnForm, who: Person) -> Response:
    """Issue a token and show it once."""
    hub = hub_of(request)
    assert who.user is not None  # noqa: S101 a person is a user
    try:
        _, secret = hub.tokens.issue_to(
            who.user,
            note=form.text("note") or "Requested via token page",
            expires_in=_lifetime(form.text("expires_in")),
            raw_scopes=form.text("scopes").split() or None,
        )
    except HublessError as refused:
        return _page(request, who, error=str(refused), status=400)
    return _page(request, who, secret=secret, status=201)


@router.post("/token/revoke")
async def revoke(request: Request, form: OwnForm, who: Person) -> Response:
    """Revoke one token, or all that an application holds."""
    hub = hub_of(request)
    assert who.user is not None  # noqa: S101 a person is a user
    if client_id := form.text("client_id"):
        hub.token_store.delete_issued(who.user.id, client_id)
    else:
        hub.tokens.revoke(who.user, hub.tokens.get(who.user, form.text("token_id")))
    return RedirectResponse("/hub/token", 303)


@router.post("/token/end-session")
async def end_session(request: Request, form: OwnForm, who: Person) -> Response:
    """End one of this person's browser sessions."""
    hub = hub_of(request)
    assert who.user is not None  # noqa: S101 a person is a user
    with contextlib.suppress(NotFoundError):  # it has ended, which is what is wanted
        hub.logins.close(who.user, form.text("session_id"))
    return RedirectResponse("/hub/token", 303)


def _lifetime(text: str) -> timedelta | None:
    if not text:
        return None
    try:
        return timedelta(seconds=int(text[:12]))
    except ValueError:
        raise InvalidRequestError("expires_in must be a number of seconds") from None


def _page(
    request: Request, who: Actor, *, secret: str | None = None, error: str | None = None, status: int = 200
) -> Response:
    hub, user = hub_of(request), who.user
    assert user is not None  # noqa: S101 a person is a user
    held = hub.tokens.of(user)
    lifetime = hub.tokens.max_lifetime
    return page(
        request,
        "token.html",
        status_code=status,
        tokens=[_token_view(t) for t in held if t.client_id is None],
        applications=_applications(request, [t for t in held if t.client_id is not None]),
        sessions=[
            {"id": s.id, "agent": s.agent, "created": instant(s.created_at), "is_this": s.id == who.session_id}
            for s in hub.logins.sessions_of(user)
        ],
        new_token=secret,
        max_lifetime=None if lifetime is None else int(lifetime.total_seconds()),
        error=error,
    )


def _token_view(token: Token) -> dict[str, Any]:
    return {
        "id": token.id,
        "note": token.note,
        "scopes": list(token.scopes),
        "created": instant(token.created_at),
        "last_activity": instant(token.last_activity_at),
        "expires_at": instant(token.expires_at),
    }


def _applications(request: Request, issued: list[Token]) -> list[dict[str, Any]]:
    by_client: dict[str, list[Token]] = {}
    for token in issued:
        by_client.setdefault(token.client_id or "", []).append(token)
    return [
        {
            "client_id": client_id,
            "description": describe_client(hub_of(request), held[0]),
            "tokens": len(held),
            "last_activity": max((instant(t.last_activity_at or t.created_at) or "" for t in held), default=None),
            "ids": [t.id for t in held],
        }
        for client_id, held in by_client.items()
    ]
