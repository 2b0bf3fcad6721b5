"""The home page: lists, starts, stops, adds and removes the visitor's servers. It works without JavaScript."""

from collections.abc import Collection, Iterable
from datetime import timedelta
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import Depends
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from functions.api import dependencies
from functions.api.auth.acts import record_of_server
from functions.api.auth.refreshing import require_fresh_login
from functions.api.auth.visitors import OwnForm, Person, user_of, visitor
from functions.api.pages import home_changes, messages
from functions.api.pages.home_needs import needs_of, remember_seen, seen_in
from functions.api.pages.home_notices import HomeNotice
from functions.api.pages.loads import load_of, load_view
from functions.api.pages.sharing import SharedServers
from functions.api.pages.views import server_view, url_part
from functions.api.redirects import Redirects, default_destination
from functions.api.rendering import Render
from functions.api.routers import page_router
from functions.api.serializers import instant
from functions.api.store_pool import in_store_pool
from hubless.domain import durations, names
from hubless.domain.audit import Act
from hubless.domain.bounds import MAX_DISPLAY_NAME
from hubless.domain.errors import HublessError, NotFoundError
from hubless.domain.idleness import NextStop
from hubless.domain.lifecycle import INACTIVE, PENDING, Server, State
from hubless.domain.schedules import Schedule
from hubless.domain.stop_reasons import asked_by
from hubless.domain.users import User
from hubless.domain.values import value
from hubless.services.identity import Actor

router = page_router()
SHOWN_SERVERS = 8  # named ones, before stopped ones fold


@value
class _Home:
    """The home page of one person."""

    request: Request
    who: Actor
    users: dependencies.Users
    servers: dependencies.Servers
    spawning: dependencies.Spawning
    launching: dependencies.Launching
    stopping: dependencies.Stopping
    origins: dependencies.Origins
    shared: SharedServers
    edge_autosuspend: dependencies.EdgeAutosuspend
    render: Render
    home_notice: HomeNotice
    keeping: dependencies.Keeping
    visits: dependencies.Visits
    settings: dependencies.Settings
    hub: dependencies.WholeHub

    def page(self, *, error: str | None = None, status: int = 200, needs: Iterable[dict[str, Any]] = ()) -> Response:
        """Return the page; *needs* are what its visitor should know beyond the state of servers."""
        user = user_of(self.who)
        self.edge_autosuspend.start_ahead()
        for server in self.servers.of_owners([user.id]):
            if server.state is State.READY:
                self.launching.look(server)  # the page must not show a crashed server as running
        servers = self.servers.of_owners([user.id])
        runs = any(server.state is State.READY for server in servers)
        schedules = self.hub.schedules.all() if runs and user.groups else []
        views = [
            server_view(self.spawning, self.origins, user, server)
            | self._next_stop(user, server, schedules)
            | {"load": self._load(server)}
            for server in servers
        ]
        # A long list begins with what runs, starts, stops or has failed.
        named = sorted((view for view in views if view["name"]), key=lambda view: view["state"] == State.STOPPED)
        limit = self.spawning.named_limit
        shared, seen = self.shared(user), set(seen_in(self.request))
        return self.render(
            "home.html",
            status_code=status,
            default=next((view for view in views if not view["name"]), None),
            named=named,
            named_shown=max(SHOWN_SERVERS, sum(view["state"] != State.STOPPED for view in named)),
            longest_name=MAX_DISPLAY_NAME,
            named_limit=limit,
            named_left=max(0, limit - len(named)),
            shared=shared,
            new_shares=[one for one in shared if one["is_news"] and one["mark"] not in seen],
            home_notice=self.home_notice(user),
            needs=needs,
            messages=messages.unread_at_home(self.hub, user),
            messages_shown=messages.SHOWN_AT_HOME,
            budget_notices=self.hub.budgets.warnings(user),
            keep_for=self._keep_for(),
            changes_url=self._changes_url(),
            refreshes=any(server.state in PENDING for server in servers),
            may_share=self.settings.sharing.users_may_share,
            visits=[
                {"name": one.visitor_name, "server": one.server_name, "at": instant(one.at)}
                for one in self.visits.by_role(user)
            ],
            error=error,
        )

    def _changes_url(self) -> str:
        token = urlencode({"_xsrf": visitor(self.request).xsrf})  # an EventSource sends no headers of ours
        return f"{home_changes.PATH}?{token}" if home_changes.are_streamed(self.hub) else ""

    def _keep_for(self) -> str:
        extension = self.keeping.extension
        return durations.in_words(extension) if extension is not None and extension != timedelta.max else ""

    def _load(self, server: Server) -> dict[str, Any] | None:
        return load_view(load_of(self.hub.loads, server), self.hub.clock.now())

    def _next_stop(self, user: User, server: Server, schedules: Collection[Schedule]) -> dict[str, Any]:
        following = self.keeping.next_stop(user, server, schedules)
        return {
            "next_stop": following and {"at": instant(following.at), "why": following.expectation},
            "may_keep": isinstance(following, NextStop) and self.keeping.is_offered(user, server),
            "times_kept": server.times_kept,
        }

    def keep_running(self, server_name: str, times: str) -> Response:
        """Put off the stop of an idle server, unless another click has done so since the page was shown."""
        user = user_of(self.who)
        try:
            server = self.spawning.find(user, server_name)
            if times == str(server.times_kept):
                self.keeping.keep(user, server)
        except HublessError as refused:
            return self.page(error=refused.message, status=400)
        return RedirectResponse("/hub/home", 303)

    def rename(self, server_name: str, display_name: str) -> Response:
        """Give one of the visitor's named servers another name to show."""
        user = user_of(self.who)
        try:
            self.spawning.edit(user, self.spawning.find(user, server_name), display_name=display_name.strip())
        except HublessError as refused:
            return self.page(error=refused.message, status=400)
        return RedirectResponse("/hub/home", 303)

    def stop(self, owner_name: str, server_name: str, back: str) -> Response:
        """Stop a server and redirect to the page that lists it: *back*, if that is an admin page."""
        owner, server = self.reachable(owner_name, server_name)
        self.stopping.request_until_done(server, asked_by(self.who.name, owner.name))
        record_of_server(self.request, Act.SERVER_STOPPED, owner, server.name)
        if (target := Redirects(self.request, self.origins).safe(back) or "").startswith("/hub/admin"):
            return RedirectResponse(target, 303)
        is_own = self.who.user is not None and self.who.user.id == owner.id
        return RedirectResponse("/hub/home" if is_own else "/hub/admin", 303)

    def reachable(self, owner_name: str, server_name: str) -> tuple[User, Server]:
        """Return owner and server when the person may stop it.

        Raises:
            HTTPException: 404, the same if it does not exist and if it is out of reach.
        """
        owner = self.users.find(owner_name)
        covers = self.who.scopes.covers_server
        if owner is None or not covers("delete:servers", owner.name, server_name, owner.groups):
            raise HTTPException(404, "No such user, or not within your reach")
        try:
            return owner, self.spawning.find(owner, server_name)
        except NotFoundError:
            raise HTTPException(404, "There is no such server") from None


async def _home(
    request: Request,
    who: Person,
    users: dependencies.Users,
    servers: dependencies.Servers,
    spawning: dependencies.Spawning,
    launching: dependencies.Launching,
    stopping: dependencies.Stopping,
    origins: dependencies.Origins,
    shared: SharedServers,
    edge_autosuspend: dependencies.EdgeAutosuspend,
    render: Render,
    home_notice: HomeNotice,
    keeping: dependencies.Keeping,
    visits: dependencies.Visits,
    settings: dependencies.Settings,
    hub: dependencies.WholeHub,
) -> _Home:
    return _Home(
        request,
        who,
        users,
        servers,
        spawning,
        launching,
        stopping,
        origins,
        shared,
        edge_autosuspend,
        render,
        home_notice,
        keeping,
        visits,
        settings,
        hub,
    )


Home = Annotated[_Home, Depends(_home)]


@router.get("/")
async def redirect_to_server(who: Person, servers: dependencies.Servers, origins: dependencies.Origins) -> Response:
    """Redirect a person to their server when it runs, else to its start."""
    return RedirectResponse(default_destination(servers, origins, user_of(who)), 302)


@router.get("/home")
async def home(page: Home, hub: dependencies.WholeHub) -> Response:
    """Show the visitor's servers."""
    user = user_of(page.who)
    await require_fresh_login(hub, page.who, user)
    needs = await in_store_pool(needs_of, {"hub": hub, "who": page.who, "user": user}, user.id)
    return page.page(needs=needs)


@router.post("/home/seen")
async def seen(request: Request, form: OwnForm, _who: Person) -> Response:
    """Have the browser remember that its reader has seen what was newly shared with them."""
    response = RedirectResponse("/hub/home", 303)
    remember_seen(request, response, form.texts("seen"))
    return response


@router.post("/home/new-server")
async def new_server(form: OwnForm, page: Home) -> Response:
    """Make a named server from the form and go to its start."""
    user, name = user_of(page.who), form.text("server_name").strip()
    try:
        page.spawning.create(user, names.check_server_name(name))
    except HublessError as refused:
        return page.page(error=refused.message, status=400)
    return RedirectResponse(f"/hub/spawn/{url_part(user, name)}", 303)


@router.post("/home/keep-running")
async def keep_running(form: OwnForm, page: Home) -> Response:
    """Put off the stop of one of the visitor's idle servers."""
    return page.keep_running(form.text("server_name"), form.text("times"))


@router.post("/home/rename-server")
async def rename_server(form: OwnForm, page: Home) -> Response:
    """Give one of the visitor's named servers another name to show."""
    return page.rename(form.text("server_name"), form.text("display_name"))


@router.post("/stop/{owner:segment}")
async def stop_default(form: OwnForm, owner: str, page: Home) -> Response:
    """Stop a user's default server."""
    return page.stop(owner, "", form.text("next"))


@router.post("/stop/{owner:segment}/{server:segment}")
async def stop_named(form: OwnForm, owner: str, server: str, page: Home) -> Response:
    """Stop a user's named server."""
    return page.stop(owner, server, form.text("next"))


@router.post("/delete/{owner:segment}/{server:segment}")
async def delete_named(
    _form: OwnForm, owner: str, server: str, page: Home, removal: dependencies.UserRemoval
) -> Response:
    """Remove a named server; stop it first where it runs."""
    whose, found = page.reachable(owner, server)
    if found.state not in INACTIVE:
        found = await removal.wait_until_stopped(page.stopping.request_until_done(found))
    try:
        page.spawning.remove(found)
    except HublessError as refused:
        return page.page(error=refused.message, status=400)
    record_of_server(page.request, Act.SERVER_REMOVED, whose, found.name)
    return RedirectResponse("/hub/home", 303)
