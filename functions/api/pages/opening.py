"""Opening somebody else's server: one page that says whose it is and what the visitor can do there, and one button."""

from contextlib import suppress
from typing import Annotated

from fastapi import Depends
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from functions.api import dependencies
from functions.api.auth import opening_consents
from functions.api.auth.acts import record_of_server
from functions.api.auth.refreshing import require_fresh_login
from functions.api.auth.visitors import OwnForm, Person, session_of, user_of
from functions.api.oauth_clients import OAuthClients
from functions.api.opening_views import opening_view
from functions.api.pages.views import url_part
from functions.api.redirects import RequestRedirects, with_next
from functions.api.rendering import Render
from functions.api.routers import page_router
from hubless.domain import lifecycle, names
from hubless.domain.audit import Act
from hubless.domain.errors import NotFoundError, StoreConflictError
from hubless.domain.lifecycle import INACTIVE, Server, State
from hubless.domain.translatable import gettext as _
from hubless.domain.users import User
from hubless.domain.values import value
from hubless.services.credentials import client_id_of
from hubless.services.identity import Actor

router = page_router()


@value
class _Opening:
    """Somebody else's server, and the person who wants to open it."""

    request: Request
    who: Actor
    users: dependencies.Users
    spawning: dependencies.Spawning
    launching: dependencies.Launching
    authorizations: dependencies.Authorizations
    clients: OAuthClients
    redirects: RequestRedirects
    render: Render

    def found(self, owner_name: str, server_name: str) -> tuple[User, Server]:
        """Return owner and server when the person may open it.

        Raises:
            HTTPException: 404, the same if the owner does not exist and if the server is out of reach.
        """
        owner = self.users.find(owner_name)
        covers = self.who.scopes.covers_server
        if owner is None or not covers("access:servers", owner.name, server_name, owner.groups):
            raise HTTPException(404, "This server is not there any more, or nobody shares it with you any more")
        try:
            server = self.spawning.find(owner, server_name)
        except NotFoundError:
            raise HTTPException(404, _("%(owner)s has no server of this name any more", owner=owner.name)) from None
        return owner, self.launching.look(server) or server

    def may_start(self, owner: User, server: Server) -> bool:
        """Say whether the person may start the server."""
        return self.who.scopes.covers_server("start:servers", owner.name, server.name, owner.groups)

    def needs_no_question(self, owner: User, server: Server) -> bool:
        """Say whether the server is the person's own, or runs and has let the person in already."""
        user = user_of(self.who)
        if owner.id == user.id:
            return True
        client = self.clients.find(client_id_of(server.id)) if server.state is State.READY else None
        if client is None:
            return False
        return not self.authorizations.needs_consent(user, client, self.authorizations.granted(user, client, ()))

    def page(self, owner: User, server: Server) -> Response:
        """Return the page."""
        may_start = self.may_start(owner, server)
        starts = may_start and server.state in INACTIVE
        view = opening_view(user_of(self.who), owner, server, starts=starts, may_start=may_start)
        return self.render(
            "open_server.html",
            **view | {"may_open": may_start or server.state is State.READY},
            action=with_next(f"/hub/open/{url_part(owner, server.name)}", self.redirects.next),
            fields=[],
        )

    def to_server(self, owner: User, server: Server) -> Response:
        """Redirect to the server, or to what was asked for in it."""
        target = self.redirects.next or names.server_prefix(owner.name, server.name)
        return RedirectResponse(self.redirects.link_to(target), 303)

    def start(self, owner: User, server: Server) -> Response:
        """Start the server as it was last started, and redirect to the page that waits for it.

        Raises:
            HublessError: when it cannot start, such as `QuotaExceededError` of a full hub.
        """
        where = url_part(owner, server.name)
        if len(self.spawning.profiles) > 1 and not server.user_options:
            return RedirectResponse(with_next(f"/hub/spawn/{where}", self.redirects.next), 303)
        if server.state in INACTIVE:
            with suppress(StoreConflictError):  # another request was first: show its progress
                self.spawning.start(owner, server.name)
                record_of_server(self.request, Act.SERVER_STARTED, owner, server.name)
        return RedirectResponse(with_next(f"/hub/spawn-pending/{where}", self.redirects.next), 303)


async def _opening(
    request: Request,
    who: Person,
    users: dependencies.Users,
    spawning: dependencies.Spawning,
    launching: dependencies.Launching,
    authorizations: dependencies.Authorizations,
    clients: OAuthClients,
    redirects: RequestRedirects,
    render: Render,
) -> _Opening:
    return _Opening(request, who, users, spawning, launching, authorizations, clients, redirects, render)


Opening = Annotated[_Opening, Depends(_opening)]


async def _server_part(request: Request) -> str:
    name: str = request.path_params.get("server", "")
    return name


ServerPart = Annotated[str, Depends(_server_part)]


@router.get("/open/{owner:segment}")
@router.get("/open/{owner:segment}/{server:segment}")
async def ask(owner: str, server: ServerPart, opening: Opening) -> Response:
    """Say whose server this is, and offer to open it."""
    whose, found = opening.found(owner, server)
    return opening.to_server(whose, found) if opening.needs_no_question(whose, found) else opening.page(whose, found)


@router.post("/open/{owner:segment}")
@router.post("/open/{owner:segment}/{server:segment}")
async def open_it(
    request: Request, _form: OwnForm, owner: str, server: ServerPart, opening: Opening, hub: dependencies.WholeHub
) -> Response:
    """Remember the consent, start the server where it does not run, and redirect to it."""
    whose, found = opening.found(owner, server)
    if found.state is State.READY:
        response = opening.to_server(whose, found)
    elif opening.may_start(whose, found) and found.state in {*INACTIVE, *lifecycle.PENDING_START}:
        await require_fresh_login(hub, opening.who, whose, before_start=True)
        response = opening.start(whose, found)
    else:
        return opening.page(whose, found)
    opening_consents.agree(request, response, session_of(opening.who), found.id)
    return response
