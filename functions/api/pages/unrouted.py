"""Answers below the prefix of a server or service to which the edge has no route."""

from typing import Annotated
from urllib.parse import urlencode

from fastapi import Depends
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from functions.api import dependencies
from functions.api.auth.authentication import actor_of
from functions.api.auth.csrf import READ_ONLY
from functions.api.auth.visitors import to_login
from functions.api.json_codec import JSONResponse
from functions.api.misplaced_hosts import is_program
from functions.api.pages.not_running import NotRunningPage, NotRunningView
from functions.api.pages.views import url_part
from functions.api.redirects import with_next
from functions.api.rendering import Render
from functions.api.routers import page_router
from functions.api.serializers import instant
from hubless.domain import lifecycle, names
from hubless.domain.lifecycle import Server, State
from hubless.domain.origins import Origins
from hubless.domain.translatable import gettext as _
from hubless.domain.users import User
from hubless.domain.values import value
from hubless.services.identity import Actor

router = page_router()
MAX_REDIRECTS = 2
RETRY_AFTER = 5  # seconds
_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]


@value
class _Unrouted:
    """Answers for one server to one request."""

    request: Request
    users: dependencies.Users
    servers: dependencies.Servers
    launching: dependencies.Launching
    edge_autosuspend: dependencies.EdgeAutosuspend
    origins: dependencies.Origins
    not_running: NotRunningView
    render: Render

    def find_server(self, user: User | None, path: str) -> tuple[str, Server | None]:
        """Return the server of *path* below a user's prefix: the named one that it begins with, or the default."""
        if user is None:
            return "", None
        first = path.partition("/")[0]
        named = self.servers.find(user.id, first) if first else None
        return (first, named) if named is not None else ("", self.servers.find(user.id, ""))

    def reconciled(self, server: Server | None) -> Server | None:
        """Return the current record of *server*, after checking that its task still runs."""
        return None if server is None else self.launching.look(server)

    def for_anonymous_program(self, owner: str, user: User | None, found: Server | None) -> Response:
        """Answer a program that is not logged in, such as a page's script at the server's own host.

        The answer says no more about a server that runs than the server's own answer would. It starts nothing: for a
        server that runs, the sweep starts the edge.
        """
        if user is None or found is None or found.state is not State.READY:
            return self.not_running_json(owner, "")
        return self._not_reachable(user, found, program=True, edge_is_starting=self.edge_autosuspend.is_down())

    def ready(self, user: User, found: Server, *, program: bool, may_stop: bool) -> Response:
        """Answer for a server that runs: redirect back to it, or say why it cannot be reached now.

        The query counts redirects, so that a server that never answers causes no endless loop.
        """
        if found.frozen_at is not None:
            return self._not_reachable(user, found, program=program, may_stop=may_stop)
        edge_is_starting = self.edge_autosuspend.start_if_down()
        if edge_is_starting or self.request.method not in READ_ONLY or _redirects_so_far(self.request) >= MAX_REDIRECTS:
            return self._not_reachable(user, found, program=program, edge_is_starting=edge_is_starting)
        return redirect_again(
            self.request, self.origins, f"{names.server_prefix(user.name, '')}{rest_of_path(self.request)}"
        )

    def not_running_json(self, owner_name: str, server_name: str) -> Response:
        """Answer a program with the message and the address that JupyterLab shows to people."""
        where = f"{names.url_name(owner_name)}" + (f"/{names.url_name(server_name)}" if server_name else "")
        asked: str = self.request.scope["raw_path"].decode("ascii", "replace").removeprefix("/hub")
        spawn = f"/hub/spawn/{where}"
        hub_origin = self.origins.hub_origin
        start = f"{hub_origin}{spawn}" if hub_origin else self.request.url.replace(path=spawn, query="", fragment="")
        return JSONResponse(
            {"message": f"JupyterHub server no longer running at {asked}. Restart the server at {start}"}, 424
        )

    def to_pending(self, user: User, server_name: str) -> Response:
        """Redirect to the progress of a start, and from there back to this address."""
        return RedirectResponse(
            with_next(f"/hub/spawn-pending/{url_part(user, server_name)}", self.own_address(user)), 303
        )

    def own_address(self, user: User) -> str:
        """Return the requested address as a path at the edge."""
        path = f"{names.server_prefix(user.name, '')}{rest_of_path(self.request)}"
        return f"{path}?{self.request.url.query}" if self.request.url.query else path

    def _not_reachable(
        self, user: User, found: Server, *, program: bool, edge_is_starting: bool = False, may_stop: bool = False
    ) -> Response:
        """Answer that a server runs, and why it cannot be reached; the page reloads itself."""
        headers = {"Retry-After": str(RETRY_AFTER), "Cache-Control": "no-store"}
        if program:
            why = _("The hub's proxy is starting") if edge_is_starting else _("The server runs but does not answer")
            return JSONResponse({"status": 503, "message": f"{why}. Try again in a moment."}, 503, headers)
        path = f"/hub{names.server_prefix(user.name, '')}{rest_of_path(self.request)}"
        query = f"?{urlencode(given)}" if (given := _query(self.request)) else ""
        return self.render(
            "unreached.html",
            status_code=503,
            headers=headers,
            edge_is_starting=edge_is_starting,
            for_user=self.not_running.other(user),
            server_name=found.name,
            frozen=instant(found.frozen_at),
            last_activity=instant(found.last_activity_at),
            stop_url=f"/hub/stop/{url_part(user, found.name)}" if may_stop else "",
            seconds=RETRY_AFTER,
            url=f"{path}{query}",
        )


async def _unrouted(
    request: Request,
    users: dependencies.Users,
    servers: dependencies.Servers,
    launching: dependencies.Launching,
    edge_autosuspend: dependencies.EdgeAutosuspend,
    origins: dependencies.Origins,
    not_running: NotRunningPage,
    render: Render,
) -> _Unrouted:
    return _Unrouted(request, users, servers, launching, edge_autosuspend, origins, not_running, render)


Unrouted = Annotated[_Unrouted, Depends(_unrouted)]


async def _token_or_person(request: Request) -> Actor | None:
    return actor_of(request)


TokenOrPerson = Annotated[Actor | None, Depends(_token_or_person)]
"""The sender of a request: programs ask servers with a token, as in JupyterHub's `UserUrlHandler`."""


@router.api_route("/user/{owner:segment}", methods=_METHODS)
@router.api_route("/user/{owner:segment}/{path:path}", methods=_METHODS)
async def below_server_prefix(request: Request, owner: str, actor: TokenOrPerson, unrouted: Unrouted) -> Response:
    """Answer for a server without a route: redirect, or show its state and how to start it."""
    path: str = request.path_params.get("path", "")
    program = is_program(request, path)
    if actor is None and not program:
        return to_login(request)
    user = unrouted.users.find(owner)
    server_name, found = unrouted.find_server(user, path)
    if actor is None:
        return unrouted.for_anonymous_program(owner, user, found)
    if user is None or not actor.scopes.covers_server("access:servers", user.name, server_name, user.groups):
        raise HTTPException(404, "No such user, or not within your reach")
    found = unrouted.reconciled(found)
    if found is not None and found.state is State.READY:
        may_stop = actor.scopes.covers_server("delete:servers", user.name, server_name, user.groups)
        return unrouted.ready(user, found, program=program, may_stop=may_stop)
    if program:
        return unrouted.not_running_json(user.name, server_name)
    if found is not None and found.state in lifecycle.PENDING:
        return unrouted.to_pending(user, server_name)
    return unrouted.not_running(user, server_name, found, unrouted.own_address(user), status=424)


@router.get("/services/{name:segment}")
@router.get("/services/{name:segment}/{path:path}")
async def below_service_prefix(
    request: Request, name: str, services: dependencies.Services, origins: dependencies.Origins
) -> Response:
    """Redirect a request at another host to the host of the service."""
    service = services.get(name) if origins.subdomains else None
    if service is None or not service.url:
        raise HTTPException(404)
    if _redirects_so_far(request) >= MAX_REDIRECTS:
        raise HTTPException(
            503, _("The service %(name)s cannot be reached through the edge. Try again in a moment.", name=name)
        )
    return redirect_again(request, origins, f"/services/{names.url_name(name)}/{rest_of_path(request, 'services')}")


def redirect_again(request: Request, origins: Origins, target: str) -> Response:
    """Redirect to *target*, and count the redirect."""
    query = urlencode([*_query(request), ("redirects", str(_redirects_so_far(request) + 1))])
    return RedirectResponse(f"{origins.link_to(target)}?{query}", 302)


def rest_of_path(request: Request, kind: str = "user") -> str:
    """Return what follows `/hub/user/<name>/`, as it was sent."""
    raw: str = request.scope["raw_path"].decode("ascii", "replace")
    return raw.partition(f"/hub/{kind}/")[2].partition("/")[2].lstrip("/")


def _redirects_so_far(request: Request) -> int:
    try:
        return max(0, int(request.query_params.get("redirects", "0")))
    except ValueError:
        return 0


def _query(request: Request) -> list[tuple[str, str]]:
    """Return the query without the count of redirects."""
    return [(key, value) for key, value in request.query_params.multi_items() if key != "redirects"]
