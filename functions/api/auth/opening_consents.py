"""Consents to log in at one server, which a person gives on a page of the hub before the server asks for a login.

Such a page says whose server it is and what the visitor can do there. Its button stands in for the consent of OAuth: in
this session, for this server, once, within a quarter of an hour. It agrees to nothing but access and identity.
"""

from datetime import timedelta
from typing import Final

from itsdangerous import BadData, URLSafeTimedSerializer
from starlette.requests import Request
from starlette.responses import Response

from functions.api.auth.cookies import HUB_PATH, OPENING_COOKIE, cookies, is_secure
from functions.api.dependencies import hub_of
from hubless.bootstrap.hub import Hub
from hubless.domain.tokens import Client, Session, sha256
from hubless.services.identifiers import new_secret

LIFETIME: Final = timedelta(minutes=15)  # a start of the server may come between
_MAX = 512  # characters of a cookie
_READ = 3  # cookies


def agree(request: Request, response: Response, session: Session, server_id: str) -> None:
    """Give the browser its person's consent to log in at the server."""
    sealed = str(_serializer(hub_of(request)).dumps([session.id, server_id, new_secret()]))
    response.set_cookie(
        OPENING_COOKIE,
        sealed,
        max_age=int(LIFETIME.total_seconds()),
        path=HUB_PATH,
        httponly=True,
        samesite="lax",
        secure=is_secure(request),
    )


def take(request: Request, session: Session, client: Client) -> bool:
    """Say whether the person has agreed to log in at the server of *client*. Of two calls for one consent, one does."""
    hub = hub_of(request)
    for sealed in cookies(request, OPENING_COOKIE)[:_READ]:
        if len(sealed) <= _MAX and _read(hub, sealed) == (session.id, client.server_id):
            return hub.single_use.use(f"opening#{sha256(sealed)}", hub.clock.now() + 2 * LIFETIME)
    return False


def _read(hub: Hub, sealed: str) -> tuple[str, str] | None:
    try:
        session_id, server_id, _nonce = _serializer(hub).loads(sealed, max_age=int(LIFETIME.total_seconds()))
    except BadData:
        return None
    return session_id, server_id


def _serializer(hub: Hub) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(hub.key, salt="hubless.opening")
