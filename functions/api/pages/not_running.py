"""The page that says that a server does not run, and how to start it."""

from typing import Annotated

from fastapi import Depends
from starlette.requests import Request
from starlette.responses import Response

from functions.api import dependencies
from functions.api.auth.authentication import person_by_cookie
from functions.api.auth.visitors import visitor
from functions.api.pages.failures import failure_view
from functions.api.pages.views import url_part
from functions.api.redirects import with_next
from functions.api.rendering import Render
from hubless.domain import names
from hubless.domain.lifecycle import Server
from hubless.domain.origins import Origins
from hubless.domain.users import User


class NotRunningView:
    """Makes the page for one request."""

    def __init__(
        self, request: Request, origins: Origins, edge_autosuspend: dependencies.EdgeAutosuspend, render: Render
    ) -> None:
        self._request, self._origins, self._render = request, origins, render
        self._edge_autosuspend = edge_autosuspend

    def __call__(
        self, user: User, server_name: str, found: Server | None, following: str | None, *, status: int
    ) -> Response:
        """Return the page; a start goes on to *following*."""
        actor = person_by_cookie(self._request)
        covers = actor.scopes.covers_server if actor is not None else None
        can_start = covers is not None and covers("start:servers", user.name, server_name, user.groups)
        if can_start:
            self._edge_autosuspend.start_ahead()
        failure, other, where = failure_view(found), self.other(user), url_part(user, server_name)
        page = "open" if other and not failure else "spawn"  # the former says whose server starts
        return self._render(
            "not_running.html",
            status_code=status,
            server_name=server_name,
            for_user=other,
            url=self._origins.link_to(names.server_prefix(user.name, server_name)),
            failure=failure,
            spawn_url=with_next(f"/hub/{page}/{where}", following),
            can_start=can_start,
            implicit=False,
        )

    def other(self, user: User) -> str | None:
        """Return the user's name, or None if the user is the visitor."""
        who = visitor(self._request).user
        return None if who is not None and who.id == user.id else user.name


async def _not_running(
    request: Request,
    origins: dependencies.Origins,
    edge_autosuspend: dependencies.EdgeAutosuspend,
    render: Render,
) -> NotRunningView:
    return NotRunningView(request, origins, edge_autosuspend, render)


NotRunningPage = Annotated[NotRunningView, Depends(_not_running)]
