"""Accepting what somebody shares by a code: a page that asks, and its answer."""

from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from functions.api.asking import OwnForm, Person, hub_of
from functions.api.destinations import located, safe_next
from functions.api.rendering import page
from functions.api.routing import Router
from hubless.domain import names, scopes
from hubless.domain.errors import NotFoundError
from hubless.domain.lifecycle import State
from hubless.domain.users import User
from hubless.services.sharing import Offered, SharedServer

router = Router()


@router.get("/accept-share")
async def ask(request: Request, who: Person) -> Response:
    """Say what is offered and by whom, and ask whether to accept."""
    secret = request.query_params.get("code")
    if secret is None:
        raise HTTPException(400, "The address lacks its code. Ask for a new link.")
    offered = _offered(request, secret, 404)
    assert who.user is not None  # noqa: S101 a person is a user
    if offered.of.owner.id == who.user.id:
        raise HTTPException(403, "You can't share with yourself!")
    return page(
        request,
        "accept_share.html",
        owner=offered.of.owner.name,
        server=_title(offered.of),
        is_ready=offered.of.server.state is State.READY,
        code=secret,
        next=safe_next(request, request.query_params.get("next", "")) or "",
        scopes=[{"raw": name, "description": scopes.described(name)} for name in offered.code.scopes],
    )


@router.post("/accept-share")
async def accept(request: Request, form: OwnForm, who: Person) -> Response:
    """Take what is offered and lead to the server."""
    secret = form.text("code") or request.query_params.get("code", "")
    assert who.user is not None  # noqa: S101 a person is a user
    _offered(request, secret, 400)
    taken = hub_of(request).sharing.accept(secret, who.user)
    following = safe_next(request, form.text("next") or request.query_params.get("next", ""))
    place = following or names.server_prefix(taken.of.owner.name, taken.of.server.name)
    return RedirectResponse(located(request, place), 302)


def _offered(request: Request, secret: str, status: int) -> Offered:
    try:
        return hub_of(request).sharing.offer_of(secret)
    except NotFoundError:
        raise HTTPException(status, "Share not found or expired. Ask for a new link.") from None


def _title(of: SharedServer) -> str:
    return of.server.display_name or of.server.name


def shared_servers(request: Request, who: User) -> list[dict[str, Any]]:
    """Return what home shows of the servers that are shared with somebody."""
    found, _ = hub_of(request).sharing.page(offset=0, limit=100, with_user=who)
    seen: dict[str, dict[str, Any]] = {
        granted.of.server.id: {
            "owner": granted.of.owner.name,
            "title": _title(granted.of),
            "url": located(request, names.server_prefix(granted.of.owner.name, granted.of.server.name)),
            "state": granted.of.server.state.value,
            "through": granted.group,
        }
        for granted in found
        if granted.of.owner.id != who.id
    }
    return list(seen.values())
