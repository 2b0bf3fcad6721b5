"""The token page: the visitor's tokens, applications with tokens, and browser sessions."""

import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Annotated, Any, TypeVar
from urllib.parse import urlencode

from fastapi import Depends
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from functions.api import dependencies
from functions.api.auth.visitors import OwnForm, Person, user_of
from functions.api.oauth_clients import ClientLookup, OAuthClients
from functions.api.paging import number_in_query
from functions.api.rendering import Render
from functions.api.routers import page_router
from functions.api.serializers import instant
from functions.api.store_pool import has_long_store_calls
from hubless.domain.bounds import MAX_IDENTIFIER, MAX_SCOPES
from hubless.domain.errors import HublessError, InvalidRequestError, NotFoundError
from hubless.domain.tokens import Session, Token
from hubless.domain.translatable import gettext as _
from hubless.domain.values import value
from hubless.services.identity import Actor

router = page_router()
PAGE = 50  # tokens, applications and sessions of one page
_OFFSETS = {"tokens": "offset", "applications": "applications", "sessions": "sessions"}  # the query's name by kind
T = TypeVar("T")


@value
class _TokenPage:
    """The token page of one person."""

    who: Actor
    tokens: dependencies.Tokens
    logins: dependencies.Logins
    clients: ClientLookup
    render: Render
    offsets: Mapping[str, int]  # by kind: where its list begins

    def __call__(self, *, secret: str | None = None, error: str | None = None, status: int = 200) -> Response:
        """Return the page; *secret* is a new token, which is shown once."""
        user = user_of(self.who)
        held = self.tokens.of(user)
        own = [token for token in reversed(held) if token.client_id is None]
        sessions = list(reversed(self.logins.sessions_of(user)))
        applications = _by_client(t for t in held if t.client_id is not None)
        lifetime = self.tokens.max_lifetime
        return self.render(
            "token.html",
            status_code=status,
            tokens=self._list("tokens", own, _token_view),
            applications=self._list("applications", applications, self._application_view),
            sessions=self._list("sessions", _this_first(sessions, self.who), self._session_view),
            new_token=secret,
            max_lifetime=None if lifetime is None else int(lifetime.total_seconds()),
            error=error,
        )

    def _session_view(self, session: Session) -> dict[str, Any]:
        return {
            "id": session.id,
            "agent": session.agent,
            "created": instant(session.created_at),
            "is_this": session.id == self.who.session_id,
        }

    def _application_view(self, held: list[Token]) -> dict[str, Any]:
        return {
            "client_id": held[0].client_id,
            "description": self.clients.describe(held[0]),
            "tokens": len(held),
            "last_activity": max((instant(t.last_activity_at or t.created_at) or "" for t in held), default=None),
        }

    def _list(self, kind: str, things: Sequence[T], view: Callable[[T], dict[str, Any]]) -> dict[str, Any]:
        """Return the part of *things* that this page shows, and the addresses of the parts beside it."""
        offset = self.offsets[kind]
        before, after = max(0, offset - PAGE), offset + PAGE
        return {
            "rows": [view(thing) for thing in things[offset:after]],
            "offset": offset,
            "total": len(things),
            "newer_url": self._url(kind, before) if offset else None,
            "older_url": self._url(kind, after) if after < len(things) else None,
        }

    def _url(self, kind: str, offset: int) -> str:
        """Return the address of this page with another part of one list, and the same parts of the others."""
        offsets = {**self.offsets, kind: offset}
        given = {name: offsets[one] for one, name in _OFFSETS.items() if offsets[one]}
        return f"/hub/token?{urlencode(given)}#{kind}" if given else f"/hub/token#{kind}"


def _by_client(issued: Iterable[Token]) -> list[list[Token]]:
    found: dict[str, list[Token]] = {}
    for token in issued:
        found.setdefault(token.client_id or "", []).append(token)
    return list(found.values())


async def _page(
    who: Person,
    tokens: dependencies.Tokens,
    logins: dependencies.Logins,
    clients: OAuthClients,
    render: Render,
    request: Request,
) -> _TokenPage:
    offsets = {kind: abs(number_in_query(name, request.query_params.get(name), 0)) for kind, name in _OFFSETS.items()}
    return _TokenPage(who, tokens, logins, clients, render, offsets)


TokenPage = Annotated[_TokenPage, Depends(_page)]


@router.get("/token")
@has_long_store_calls
async def show_tokens(page: TokenPage) -> Response:
    """Show tokens, applications and sessions of the visitor."""
    return page()


@router.post("/token")
@has_long_store_calls
async def new_token(form: OwnForm, page: TokenPage) -> Response:
    """Issue a token and show it once."""
    scopes = form.text("scopes").split()
    try:
        if len(scopes) > MAX_SCOPES:
            raise InvalidRequestError(_("A token may have at most %(max_scopes)s scopes", max_scopes=MAX_SCOPES))
        _token, secret = page.tokens.issue_to(
            user_of(page.who),
            note=form.text("note") or "Requested via token page",
            expires_in=_lifetime(form.text("expires_in")),
            raw_scopes=scopes or None,
        )
    except HublessError as refused:
        return page(error=refused.message, status=400)
    return page(secret=secret, status=201)


@router.post("/token/revoke")
async def revoke(
    form: OwnForm, who: Person, tokens: dependencies.Tokens, token_store: dependencies.TokenStore
) -> Response:
    """Revoke one token, or all that an application holds."""
    user = user_of(who)
    if client_id := form.text("client_id"):
        if len(client_id) <= MAX_IDENTIFIER:
            token_store.delete_issued(user.id, client_id)
    else:
        tokens.revoke(user, tokens.get(user, form.text("token_id")))
    return RedirectResponse("/hub/token", 303)


@router.post("/token/end-session")
async def end_session(form: OwnForm, who: Person, logins: dependencies.Logins) -> Response:
    """End one of this person's browser sessions."""
    with contextlib.suppress(NotFoundError):  # it has ended already
        logins.close(user_of(who), form.text("session_id"))
    return RedirectResponse("/hub/token", 303)


def _this_first(sessions: list[Session], who: Actor) -> list[Session]:
    return sorted(sessions, key=lambda session: session.id != who.session_id)  # the others stay newest first


def _lifetime(text: str) -> timedelta | None:
    if not text:
        return None
    try:
        return timedelta(seconds=int(text[:12]))
    except ValueError:
        raise InvalidRequestError("expires_in must be a number of seconds") from None


def _token_view(token: Token) -> dict[str, Any]:
    return {
        "id": token.id,
        "note": token.note,
        "scopes": list(token.scopes),
        "created": instant(token.created_at),
        "last_activity": instant(token.last_activity_at),
        "expires_at": instant(token.expires_at),
    }
