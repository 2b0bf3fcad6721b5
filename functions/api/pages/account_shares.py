"""The shares on the account page: those that the visitor received, and those of their own servers."""

from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from functions.api.auth.acts import record
from functions.api.auth.visitors import Form, OwnForm, Person, user_of
from functions.api.dependencies import Groups, Servers, Sharing, Users
from functions.api.flashes import flash
from functions.api.pages.lists import PART, Lists
from functions.api.routers import page_router
from functions.api.serializers import instant
from hubless.domain import names
from hubless.domain.audit import Act
from hubless.domain.bounds import MAX_IDENTIFIER
from hubless.domain.lifecycle import Server
from hubless.domain.origins import Origins
from hubless.domain.translatable import Message
from hubless.domain.translatable import gettext as _
from hubless.domain.users import User
from hubless.services.sharing import ShareDetails

router = page_router()
PAGE = "/hub/account"
_GONE = _("This share has ended already.")


def shares_of(sharing: Sharing, origins: Origins, user: User, lists: Lists) -> dict[str, Any]:
    """Return the lists of the shares that *user* received and gave, as the account page shows them."""
    received, of_received = sharing.page(with_user=user, offset=lists.offsets["received"], limit=PART)
    given, of_given = sharing.page(of_owner=user, offset=lists.offsets["given"], limit=PART)
    return {
        "received": lists.shown("received", [_view(one, origins) for one in received], of_received),
        "given": lists.shown("given", [_view(one, origins) for one in given], of_given),
    }


def _view(one: ShareDetails, origins: Origins) -> dict[str, Any]:
    owner, server = one.of.owner, one.of.server
    return {
        "server_id": server.id,
        "owner": owner.name,
        "server": server.display_name or server.name,
        "url": origins.link_to(names.server_prefix(owner.name, server.name)),
        "user": one.user,
        "group": one.group,
        "created": instant(one.share.created_at),
    }


@router.post("/account/leave-share")
async def leave(request: Request, form: OwnForm, who: Person, servers: Servers, sharing: Sharing) -> Response:
    """End the share that the visitor received of a server. One with a group is not theirs to end."""
    server = _server(servers, form)
    there = sharing.look_up(server, user_of(who)) if server else None
    if there is None:
        return _done(request, _GONE)
    sharing.end(there)
    record(request, Act.SHARE_ENDED, who.name, server=server.name if server else "", left="yes")
    return _done(request, _("You have left this server."))


@router.post("/account/end-share")
async def end(
    request: Request, form: OwnForm, who: Person, servers: Servers, sharing: Sharing, users: Users, groups: Groups
) -> Response:
    """End a share of one of the visitor's servers, with a user or a group."""
    server = _server(servers, form)
    group, user = form.text("group", longest=MAX_IDENTIFIER), form.text("user", longest=MAX_IDENTIFIER)
    to = groups.find(group) if group else users.find(user)
    is_own = server is not None and server.owner_id == user_of(who).id
    there = sharing.look_up(server, to) if server is not None and is_own and to is not None else None
    if there is None:
        return _done(request, _GONE)
    sharing.end(there)
    told = {"group": group} if group else {"user": user}
    record(request, Act.SHARE_ENDED, who.name, server=server.name if server else "", **told)
    return _done(request, _("%(name)s can no longer open this server.", name=group or user))


def _server(servers: Servers, form: Form) -> Server | None:
    server_id = form.text("server_id", longest=MAX_IDENTIFIER)
    return servers.get_many([server_id]).get(server_id) if server_id else None


def _done(request: Request, said: Message) -> Response:
    response = RedirectResponse(PAGE, 303)
    flash(request, response, said)
    return response
