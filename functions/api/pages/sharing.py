"""The page on which a user accepts a share code."""

from typing import Annotated, Any

from fastapi import Depends
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from functions.api.auth import opening_consents
from functions.api.auth.acts import record
from functions.api.auth.refreshing import require_fresh_login
from functions.api.auth.visitors import OwnForm, Person, session_of, user_of
from functions.api.dependencies import Clock, Sharing, WholeHub
from functions.api.opening_views import opening_view
from functions.api.pages.home_needs import is_news, mark_of, remember_seen
from functions.api.pages.opening import Opening
from functions.api.pages.views import url_part
from functions.api.redirects import RequestRedirects
from functions.api.rendering import Render
from functions.api.routers import page_router
from functions.api.serializers import instant
from hubless.domain import names, scopes, shares
from hubless.domain.audit import Act
from hubless.domain.errors import NotFoundError
from hubless.domain.lifecycle import INACTIVE
from hubless.domain.users import User
from hubless.services.sharing import ShareCodeDetails, SharedServer

router = page_router()


@router.get("/accept-share")
async def ask(request: Request, who: Person, sharing: Sharing, redirects: RequestRedirects, render: Render) -> Response:
    """Show the offered server and its owner, and ask whether to accept."""
    secret = request.query_params.get("code")
    if secret is None:
        raise HTTPException(400, "The address lacks its code. Ask for a new link.")
    offered = _offered(sharing, secret, user_of(who), 404)
    if offered.of.owner.id == user_of(who).id:
        raise HTTPException(403, "You can't share with yourself!")
    given = set(offered.code.scopes)
    more = offered.code.scopes if given - {*shares.ACCESS, shares.START} else ()
    may_start = shares.START in given and not more
    view = opening_view(user_of(who), offered.of.owner, offered.of.server, starts=_starts(offered), may_start=may_start)
    return render(
        "open_server.html",
        **view
        | {"is_offered": True, "scopes": [{"raw": name, "description": scopes.described(name)} for name in more]},
        action="/hub/accept-share",
        fields=[("code", secret), ("next", redirects.next or "")],
    )


@router.post("/accept-share")
async def accept(
    request: Request,
    form: OwnForm,
    who: Person,
    sharing: Sharing,
    redirects: RequestRedirects,
    opening: Opening,
    hub: WholeHub,
) -> Response:
    """Accept the share, start the server where the share allows it and it does not run, and redirect to it."""
    secret = form.text("code") or request.query_params.get("code", "")
    _offered(sharing, secret, user_of(who), 400)
    taken = sharing.accept(secret, user_of(who))
    record(request, Act.SHARE_CODE_ACCEPTED, taken.of.owner.name, server=taken.of.server.name)
    following = redirects.safe(form.text("next") or request.query_params.get("next", ""))
    if _starts(taken) and not following:
        await require_fresh_login(hub, who, taken.of.owner, before_start=True)
        response = opening.start(taken.of.owner, taken.of.server)
    else:
        target = following or names.server_prefix(taken.of.owner.name, taken.of.server.name)
        response = RedirectResponse(redirects.link_to(target), 302)
    opening_consents.agree(request, response, session_of(who), taken.of.server.id)
    if there := sharing.look_up(taken.of.server, user_of(who)):
        remember_seen(request, response, [mark_of(user_of(who), there)])  # what one has accepted is no news
    return response


def _starts(offered: ShareCodeDetails) -> bool:
    """Say whether who accepts starts the server: they may, and it does not run."""
    return shares.START in offered.code.scopes and offered.of.server.state in INACTIVE


def _offered(sharing: Sharing, secret: str, user: User, status: int) -> ShareCodeDetails:
    try:
        return sharing.find_code(secret, user)
    except NotFoundError:
        raise HTTPException(
            status,
            (
                "This link does not work any more. It has expired, was used as often as allowed, or was ended. Ask the"
                " person who sent it for a new one."
            ),
        ) from None


def _title(of: SharedServer) -> str:
    return of.server.display_name or of.server.name


class SharedServersView:
    """Servers that others share with a user, as the home page shows them."""

    def __init__(self, sharing: Sharing, clock: Clock) -> None:
        self._sharing, self._clock = sharing, clock

    def __call__(self, who: User) -> list[dict[str, Any]]:
        """Return a view of each server that others share with *who*."""
        found, _ = self._sharing.page(offset=0, limit=100, with_user=who)
        now = self._clock.now()
        seen: dict[str, dict[str, Any]] = {
            granted.of.server.id: {
                "owner": granted.of.owner.name,
                "title": _title(granted.of),
                "url": f"/hub/open/{url_part(granted.of.owner, granted.of.server.name)}",
                "state": granted.of.server.state.value,
                "frozen": instant(granted.of.server.frozen_at),
                "through": granted.group,
                "since": instant(granted.share.created_at),
                "is_news": is_news(granted.share, now),
                "mark": mark_of(who, granted.share),
            }
            for granted in found
            if granted.of.owner.id != who.id
        }
        return list(seen.values())


async def _shared_servers(sharing: Sharing, clock: Clock) -> SharedServersView:
    return SharedServersView(sharing, clock)


SharedServers = Annotated[SharedServersView, Depends(_shared_servers)]
