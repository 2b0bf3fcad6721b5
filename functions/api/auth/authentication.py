"""Who sent a request: a user or a service, proved by a token or by the login cookie."""

from typing import Annotated

from fastapi import Depends
from fastapi.openapi.models import HTTPBearer
from fastapi.security.base import SecurityBase
from starlette.exceptions import HTTPException
from starlette.requests import Request

from functions.api.auth import csrf
from functions.api.auth.cookies import cookies, login_cookie
from functions.api.auth.proxy_logins import admitted
from functions.api.dependencies import address_of, hub_of
from hubless.services.identity import Actor

NO_CREDENTIALS = "Missing or invalid credentials."
_ACTOR, _PERSON = "hubless.actor", "hubless.person"  # where a request's scope keeps them


def actor_of(request: Request) -> Actor | None:
    """Return who sent the request, by token or else by cookie; read the store only once for each request."""
    scope = request.scope
    if _ACTOR not in scope:
        scope[_ACTOR] = _by_token(request) or person_by_cookie(request)
    actor: Actor | None = scope[_ACTOR]
    return actor


def person_by_cookie(request: Request) -> Actor | None:
    """Return who is logged in with this browser, whatever token the request has; read the store only once.

    Pages ask this, as JupyterHub's do (`_accept_token_auth` is false there): a proxy or an extension that adds a token
    logs nobody out.
    """
    scope = request.scope
    if _PERSON not in scope:
        scope[_PERSON] = _by_cookie(request)
    person: Actor | None = scope[_PERSON]
    return person


def sender_of(request: Request) -> str:
    """Return a text that stands for who sent the request, if a dependency of its handler asked; "" for nobody known."""
    actor = known_sender(request)
    return f"{actor.kind.value} {actor.name}" if actor is not None else ""


def known_sender(request: Request) -> Actor | None:
    """Return who sent the request, if a dependency of its handler asked; read no store."""
    actor: Actor | None = request.scope.get(_ACTOR) or request.scope.get(_PERSON)
    return actor


def _by_token(request: Request) -> Actor | None:
    kind, _, secret = request.headers.get("authorization", "").partition(" ")
    if kind.lower() not in {"token", "bearer"} or not secret:
        return None
    return hub_of(request).identities.of_token(
        secret.strip(), address_of(request), request.headers.get("user-agent", "")
    )


def _by_cookie(request: Request) -> Actor | None:
    # Other hosts belong to users' servers: the hub set no cookie there.
    if not hub_of(request).origins.is_hub(request.headers.get("host", "")):
        return None
    # Two cookies of one name: another page planted one of them. The hub cannot tell which, so it accepts neither.
    sent = cookies(request, login_cookie(request)[0])
    actor = hub_of(request).identities.of_session(sent[0]) if len(sent) == 1 else None
    return None if actor is None else admitted(request, actor)


class HubToken(SecurityBase):
    """The API's security scheme: a token, or the cookie of our own pages."""

    scheme_name = "token"
    model = HTTPBearer(description="A token. The word `token` works in place of `Bearer`.")

    async def __call__(self, request: Request) -> Actor | None:
        """Return the sender of the request. A cookie counts only with its XSRF token and with JSON (JupyterHub 6.1).

        Raises:
            HTTPException: 403 for a cookie, unless the request proves that our own page sent it.
        """
        actor = actor_of(request)
        if actor is None or actor.session is None:
            return actor
        if not csrf.cannot_be_form(request):
            return None
        csrf.require_own_page(request, actor)
        return actor


HUB_TOKEN = HubToken()
MaybeActor = Annotated[Actor | None, Depends(HUB_TOKEN)]


async def _known(actor: MaybeActor) -> Actor:
    if actor is None:
        raise HTTPException(403, NO_CREDENTIALS)
    return actor


CurrentActor = Annotated[Actor, Depends(_known)]
