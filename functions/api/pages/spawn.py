"""Starting a server from a browser, and waiting for it."""

from collections.abc import Mapping
from typing import Annotated, Any
from urllib.parse import quote, urlencode, urlsplit

from fastapi import Depends
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from functions.api import dependencies
from functions.api.auth import csrf
from functions.api.auth.acts import record_of_server
from functions.api.auth.refreshing import require_fresh_login
from functions.api.auth.visitors import OwnForm, Person, user_of, visitor
from functions.api.error_handlers import seconds_to_wait
from functions.api.pages.home_notices import HomeNotice
from functions.api.pages.not_running import NotRunningPage, NotRunningView
from functions.api.pages.spawn_form import profile_views, sent_options
from functions.api.pages.views import url_part
from functions.api.redirects import Redirects, RequestRedirects, with_next
from functions.api.rendering import Render
from functions.api.routers import page_router
from functions.api.serializers import instant, progress_url
from functions.api.start_steps import steps_view
from hubless.domain import launch_times, lifecycle, names, profiles
from hubless.domain.audit import Act
from hubless.domain.errors import InvalidRequestError, OptionRefusedError, QuotaExceededError, StoreConflictError
from hubless.domain.lifecycle import PENDING_START, Server, State
from hubless.domain.translatable import gettext as _
from hubless.domain.users import User
from hubless.domain.values import value
from hubless.domain.waiting import MOST_AHEAD
from hubless.services.identity import Actor

router = page_router()
SAME_OPTIONS = "same_options"  # in the address of a form: start with the options of the last start
OPTION = "opt-"  # JupyterHub 6: query parameters that choose options
PLACE_PAUSE = 20  # seconds between two questions of a page for a place: a class that waits asks little
LONGEST_ADDRESS = 2_000  # characters: proxies and browsers take as much
NO_OPTIONS = frozenset({"next", "display_name", "_xsrf", OPTION, SAME_OPTIONS})


@value
class _SpawnPages:
    """The pages of a start, for one request."""

    request: Request
    who: Actor
    users: dependencies.Users
    servers: dependencies.Servers
    spawning: dependencies.Spawning
    redirects: Redirects
    not_running: NotRunningView
    origins: dependencies.Origins
    settings: dependencies.Settings
    render: Render
    held: dependencies.HeldResources
    home_notice: HomeNotice
    edge_autosuspend: dependencies.EdgeAutosuspend

    def owner(self, name: str | None, server_name: str) -> User:
        """Return the owner of the server to start, if the visitor may start it; without a *name* the visitor.

        Raises:
            HTTPException: 404, the same if the owner does not exist and if it is out of reach.
        """
        if name is None:
            return user_of(self.who)
        user = self.users.find(name)
        covers = self.who.scopes.covers_server
        if user is None or not covers("start:servers", user.name, server_name, user.groups):
            raise HTTPException(404, "No such user, or not within your reach")
        return user

    def start(
        self,
        user: User,
        server_name: str,
        options: dict[str, Any] | None,
        *,
        display_name: str | None = None,
        see_other: bool = False,
    ) -> Response:
        """Start the server and redirect to its progress."""
        try:
            self.spawning.start(user, server_name, user_options=options, display_name=display_name, waits=True)
        except StoreConflictError:
            pass  # another request was first: show its progress
        except InvalidRequestError as refused:
            if not self.has_choice(user):
                raise
            return self.choice(user, server_name, options, display_name=display_name, refused=refused)
        except QuotaExceededError as full:
            again = self._again(user, server_name, options, display_name) if full.retry else None
            if again is None:
                raise
            return RedirectResponse(again, 303) if see_other else self.waiting(user, server_name, full, again)
        else:
            record_of_server(self.request, Act.SERVER_STARTED, user, server_name)
        return self.to_pending(user, server_name, see_other=see_other)

    def waiting(self, user: User, server_name: str, full: QuotaExceededError, again: str) -> Response:
        """Return the page that waits until there is a place, and then asks *again*: the status is that of the API.

        It asks every `PLACE_PAUSE` seconds, and more often when it is nearly its turn.
        """
        soon = PLACE_PAUSE if full.ahead is None else min(PLACE_PAUSE, 5 * (full.ahead + 1))
        seconds = soon if full.after is None else seconds_to_wait(full)
        return self.render(
            "full.html",
            status_code=429,
            headers={"Retry-After": str(seconds)},
            server_name=server_name,
            for_user=self.not_running.other(user),
            is_full=full.after is None,
            ahead=None if full.ahead == MOST_AHEAD else full.ahead,
            leave_url=f"/hub/stop-waiting/{url_part(user, '')}",
            message=full.message,
            seconds=seconds,
            url=again,
        )

    def _again(
        self, user: User, server_name: str, options: Mapping[str, Any] | None, display_name: str | None
    ) -> str | None:
        """Return the address that asks for the same start.

        Where an address cannot hold what was chosen, the server's record keeps it, as that of a last start. None if
        the `next` alone is too long.
        """
        if options is None and self.has_choice(user):  # those of the last start
            found = self.servers.find(user.id, server_name)
            options = found.user_options if found else {}
        query = [(f"{OPTION}{key}", text) for key, given in (options or {}).items() for text in _many(given)]
        rest = [("display_name", display_name)] if display_name else []
        rest += [("next", self.redirects.next)] if self.redirects.next else []
        address = f"/hub/spawn/{url_part(user, server_name)}"
        if all(isinstance(text, str) for _key, text in query):
            whole = f"{address}?{urlencode(query + rest)}" if query + rest else address
            if len(whole) <= LONGEST_ADDRESS:
                return whole
        shorter = f"{address}?{urlencode([(SAME_OPTIONS, '1'), *rest])}"
        if len(shorter) > LONGEST_ADDRESS:
            return None
        self.spawning.keep_choice(user, server_name, options or {}, display_name=display_name)
        return shorter

    def to_pending(self, user: User, server_name: str, *, see_other: bool = False) -> Response:
        """Redirect to the page that shows a start's progress."""
        target = with_next(f"/hub/spawn-pending/{url_part(user, server_name)}", self.redirects.next)
        return RedirectResponse(target, 303 if see_other else 302)

    def to_server(self, user: User, server_name: str) -> Response:
        """Redirect to a server that runs, or to the `next` of the query."""
        target = self.redirects.next or names.server_prefix(user.name, server_name)
        return RedirectResponse(self.redirects.link_to(target), 302)

    def has_choice(self, user: User) -> bool:
        """Say whether there is anything to choose: profiles, or options of the only one."""
        mine = profiles.offered(self.spawning.profiles, user)
        return len(mine) != 1 or any(profile.options for profile in mine.values())

    def choice(
        self,
        user: User,
        server_name: str,
        options: Mapping[str, Any] | None,
        *,
        display_name: str | None = None,
        refused: InvalidRequestError | None = None,
    ) -> Response:
        """Return the page that offers profiles, with *options* filled in; without them, those of the last start.

        Its form keeps the *display_name* of a server that is new.
        """
        self.edge_autosuspend.start_ahead()
        found = self.servers.find(user.id, server_name)
        offered = profiles.offered(self.spawning.profiles, user)
        filled_in = (found.user_options if found else {}) if options is None else options
        kept = f"?{urlencode({'display_name': display_name})}" if display_name else ""
        return self.render(
            "spawn.html",
            status_code=200 if refused is None else 400,
            for_user=self.not_running.other(user),
            server_name=server_name,
            display_name=display_name or (found.display_name if found else "") or server_name,
            profiles=profile_views(offered, filled_in, user, held=self.held, currency=self.settings.hub.currency),
            next=self.redirects.next or "",
            action=f"/hub/spawn/{url_part(user, server_name)}{kept}",
            error=None if refused is None else refused.message,
            wrong_option=refused.option if isinstance(refused, OptionRefusedError) else "",
            home_notice=None if self.not_running.other(user) else self.home_notice(user),
        )

    def must_ask(self) -> bool:
        """Say whether a link on another site led the browser here, so that a start needs a click on a page of ours."""
        if self.settings.servers.start_by_link:
            return False
        own = self.origins.absolute_url(names.server_prefix(user_of(self.who).name, ""))
        return csrf.is_led_by_another_site(self.request, {urlsplit(own).netloc} if own else ())

    def question(
        self, user: User, server_name: str, options: dict[str, Any], *, display_name: str | None = None
    ) -> Response:
        """Return the page whose button starts the server with the *options* of the link."""
        kept = {"next": self.redirects.next, "display_name": display_name, SAME_OPTIONS: "" if options else "1"}
        query = urlencode({key: text for key, text in kept.items() if text})
        action = f"/hub/spawn/{url_part(user, server_name)}"
        return self.render(
            "confirm_start.html",
            for_user=self.not_running.other(user),
            server_name=server_name,
            display_name=display_name or server_name,
            options=[(key, text) for key, given in options.items() for text in _many(given)],
            action=f"{action}?{query}" if query else action,
        )

    def stopping(self, user: User, server_name: str) -> Response:
        """Return the page that waits for the end of a stop; it reloads itself."""
        return self.render("stop_pending.html", server_name=server_name, for_user=self.not_running.other(user))

    def progress(self, user: User, server: Server) -> Response:
        """Return the page that shows a start's progress."""
        found = self.spawning.progress(server)
        usually = self.spawning.usual_time(server)
        token = urlencode({"_xsrf": visitor(self.request).xsrf})
        target = self.redirects.next or names.server_prefix(user.name, server.name)
        return self.render(
            "spawn_pending.html",
            server_name=server.name,
            for_user=self.not_running.other(user),
            progress=found.percent,
            place=found.sentence if found.ahead or found.is_held else "",
            asked_at=instant(server.requested_at),
            usually=None if usually is None else launch_times.about(usually),
            **steps_view(server, self.spawning.clock.now(), usually),
            progress_url=f"{progress_url(user.name, server.name)}?{token}",
            next_url=self.redirects.link_to(target),
            stop_url=f"/hub/stop/{url_part(user, server.name)}",
        )


async def _spawn_pages(
    request: Request,
    who: Person,
    users: dependencies.Users,
    servers: dependencies.Servers,
    spawning: dependencies.Spawning,
    redirects: RequestRedirects,
    not_running: NotRunningPage,
    origins: dependencies.Origins,
    settings: dependencies.Settings,
    render: Render,
    held: dependencies.HeldResources,
    home_notice: HomeNotice,
    edge_autosuspend: dependencies.EdgeAutosuspend,
) -> _SpawnPages:
    return _SpawnPages(
        request,
        who,
        users,
        servers,
        spawning,
        redirects,
        not_running,
        origins,
        settings,
        render,
        held,
        home_notice,
        edge_autosuspend,
    )


SpawnPages = Annotated[_SpawnPages, Depends(_spawn_pages)]


async def _owner_part(request: Request) -> str | None:
    return request.path_params.get("owner")


async def _server_part(request: Request) -> str:
    name: str = request.path_params.get("server", "")
    return name


OwnerPart = Annotated[str | None, Depends(_owner_part)]
ServerPart = Annotated[str, Depends(_server_part)]


@router.get("/spawn")
@router.get("/spawn/{owner:segment}")
@router.get("/spawn/{owner:segment}/{server:segment}")
async def spawn(
    request: Request, owner: OwnerPart, server: ServerPart, pages: SpawnPages, hub: dependencies.WholeHub
) -> Response:
    """Start a server, or show the choice of profiles first. While it is stopping, show the page that waits for that."""
    user = pages.owner(owner, server)
    found = pages.servers.find(user.id, server)
    if found is not None and found.state is State.STOPPING:
        return pages.stopping(user, server)
    if found is not None and found.state is State.READY:
        return pages.to_server(user, server)
    if found is not None and found.state in lifecycle.ACTIVE:
        return pages.to_pending(user, server)
    await require_fresh_login(hub, pages.who, user, before_start=True)
    options, display_name = _options(request), _display_name(request, server, found)
    if options or SAME_OPTIONS in request.query_params or not pages.has_choice(user):
        if pages.must_ask():
            return pages.question(user, server, options, display_name=display_name)
        return pages.start(user, server, options or None, display_name=display_name)
    return pages.choice(user, server, None, display_name=display_name)


@router.post("/spawn")
@router.post("/spawn/{owner:segment}")
@router.post("/spawn/{owner:segment}/{server:segment}")
async def spawn_chosen(
    request: Request,
    form: OwnForm,
    owner: OwnerPart,
    server: ServerPart,
    pages: SpawnPages,
    hub: dependencies.WholeHub,
) -> Response:
    """Start a server with the options of the form."""
    user = pages.owner(owner, server)
    found = pages.servers.find(user.id, server)
    if found is not None and found.state in lifecycle.ACTIVE:
        return pages.to_pending(user, server, see_other=True)
    await require_fresh_login(hub, pages.who, user, before_start=True)
    display_name = _display_name(request, server, found)
    try:
        options = await sent_options(form, profiles.offered(pages.spawning.profiles, user))
    except OptionRefusedError as refused:
        return pages.choice(user, server, None, display_name=display_name, refused=refused)
    chosen = None if not options and request.query_params.get(SAME_OPTIONS) else options
    return pages.start(user, server, chosen, display_name=display_name, see_other=True)


@router.post("/stop-waiting/{owner:segment}")
async def stop_waiting(owner: str, form: OwnForm, pages: SpawnPages) -> Response:  # noqa: ARG001 its token is checked
    """Leave the line of those who wait for a place."""
    pages.spawning.leave_line(pages.owner(owner, ""))
    return RedirectResponse("/hub/home", 303)


@router.get("/spawn-pending/{owner:segment}")
@router.get("/spawn-pending/{owner:segment}/{server:segment}")
async def spawn_pending(owner: str, server: ServerPart, pages: SpawnPages) -> Response:
    """Show the progress of a start, and redirect to the server once it is ready."""
    user = pages.owner(owner, server)
    found = pages.servers.find(user.id, server)
    if server and found is None:
        raise HTTPException(404, _("%(user)s has no server of this name", user=user.name))
    if found is not None and found.state is State.READY:
        return pages.to_server(user, server)
    if found is not None and found.state in PENDING_START:
        return pages.progress(user, found)
    if found is not None and found.state is State.STOPPING:
        return pages.stopping(user, server)
    status = 500 if found and found.failure else 200
    return pages.not_running(user, server, found, pages.redirects.next, status=status)


@router.get("/user-redirect")
@router.get("/user-redirect/{path:path}", include_in_schema=False)
async def user_redirect(request: Request, who: Person) -> Response:
    """Redirect to the same path on the visitor's own server; start it if necessary (nbgitpuller's links)."""
    user = user_of(who)
    rest = request.scope["raw_path"].decode("ascii", "replace").partition("/user-redirect")[2].lstrip("/")
    query = f"?{request.url.query}" if request.url.query else ""
    target = f"{names.server_prefix(user.name, '')}{rest}{query}"
    return RedirectResponse(f"/hub/spawn/{url_part(user, '')}?next={quote(target, safe='')}", 302)


def _display_name(request: Request, server_name: str, found: Server | None) -> str | None:
    """Return the display name of a named server that is new."""
    return request.query_params.get("display_name") if server_name and found is None else None


def _many(given: str | list[str]) -> list[str]:
    return given if isinstance(given, list) else [given]


def _options(request: Request) -> dict[str, Any]:
    """Return the options in the query: those with the prefix, or, as in old links, all when none has it."""
    texts: dict[str, list[str]] = {}
    for key, text in request.query_params.multi_items():  # once: there may be thousands
        if key not in NO_OPTIONS:
            texts.setdefault(key, []).append(text)
    marked = {key: some for key, some in texts.items() if key.startswith(OPTION)}
    return {key.removeprefix(OPTION): _one_or_many(some) for key, some in (marked or texts).items()}


def _one_or_many(values: list[str]) -> str | list[str]:
    return values[0] if len(values) == 1 else values
