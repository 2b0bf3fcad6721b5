"""Starting a server from a browser, waiting for it, and what a prefix without a server says."""

from typing import Any
from urllib.parse import quote, urlencode

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from functions.api.asking import Form, OwnForm, Person, actor_of, hub_of, to_login, visitor
from functions.api.destinations import located, safe_next, with_next
from functions.api.jsontext import JSONResponse
from functions.api.pages.views import place
from functions.api.rendering import page
from functions.api.routing import Router
from functions.api.wire import progress_url
from functions.api.xsrf import READ_ONLY
from hubless.bootstrap.hub import Hub
from hubless.domain import lifecycle, names
from hubless.domain.errors import HublessError, InvalidRequestError, StoreConflictError
from hubless.domain.lifecycle import PENDING_START, Server, State
from hubless.domain.users import User
from hubless.services.identity import Actor

router = Router()
MAX_REDIRECTS = 2
LOOKS_AGAIN_AFTER = 5  # seconds
OPTION = "opt-"  # JupyterHub 6: query parameters that choose options
NO_OPTIONS = frozenset({"next", "display_name", "_xsrf", OPTION})


@router.get("/spawn")
@router.get("/spawn/{owner:segment}")
@router.get("/spawn/{owner:segment}/{server:segment}")
async def spawn(request: Request, who: Person, owner: str | None = None, server: str = "") -> Response:
    """Start what needs no choice and go on to wait for it; offer the choice else. What is stopping is waited for first."""
    hub = hub_of(request)
    user = _owner(hub, who, owner, server)
    found = hub.servers.find(user.id, server)
    if found is not None and found.state is State.STOPPING:
        return _stopping(request, user, server)
    if found is not None and found.state is State.READY:
        following = safe_next(request, request.query_params.get("next", ""))
        return RedirectResponse(located(request, following or names.server_prefix(user.name, server)), 302)
    if found is not None and found.state in lifecycle.ACTIVE:
        return _to_pending(request, user, server)
    options = _options(request)
    if options or len(hub.spawning.profiles) == 1:
        display_name = request.query_params.get("display_name") if server and found is None else None
        return _start(request, user, server, options or None, display_name=display_name)
    return _choice(request, user, server, found)


@router.post("/spawn")
@router.post("/spawn/{owner:segment}")
@router.post("/spawn/{owner:segment}/{server:segment}")
async def spawn_chosen(
    request: Request, form: OwnForm, who: Person, owner: str | None = None, server: str = ""
) -> Response:
    """Start with what the form chose."""
    hub = hub_of(request)
    user = _owner(hub, who, owner, server)
    found = hub.servers.find(user.id, server)
    if found is not None and found.state in lifecycle.ACTIVE:
        return _to_pending(request, user, server, see_other=True)
    return _start(request, user, server, _form_options(form), see_other=True)


def _start(
    request: Request,
    user: User,
    server_name: str,
    options: dict[str, Any] | None,
    *,
    display_name: str | None = None,
    see_other: bool = False,
) -> Response:
    hub = hub_of(request)
    try:
        hub.spawning.start(user, server_name, user_options=options, display_name=display_name)
    except StoreConflictError:
        pass  # another request came first: wait for what it started
    except HublessError as refused:
        if len(hub.spawning.profiles) > 1 and isinstance(refused, InvalidRequestError):
            return _choice(request, user, server_name, None, error=str(refused), status=400)
        raise
    return _to_pending(request, user, server_name, see_other=see_other)


def _to_pending(request: Request, user: User, server_name: str, *, see_other: bool = False) -> Response:
    following = safe_next(request, request.query_params.get("next", ""))
    return RedirectResponse(
        with_next(f"/hub/spawn-pending/{place(user, server_name)}", following), 303 if see_other else 302
    )


def _choice(
    request: Request, user: User, server_name: str, found: Server | None, *, error: str | None = None, status: int = 200
) -> Response:
    hub = hub_of(request)
    following = safe_next(request, request.query_params.get("next", ""))
    profiles = [
        {
            "name": p.name,
            "display_name": p.display_name or p.name,
            "description": p.description,
            "memory": _gib(p.memory_bytes),
            "cpus": p.cpus,
        }
        for p in hub.spawning.profiles.values()
    ]
    chosen = str(found.user_options.get("profile", "")) if found else ""
    return page(
        request,
        "spawn.html",
        status_code=status,
        for_user=_other(request, user),
        server_name=server_name,
        display_name=(found.display_name if found else "") or server_name,
        profiles=profiles,
        chosen=chosen if chosen in hub.spawning.profiles else profiles[0]["name"],
        next=following or "",
        action=f"/hub/spawn/{place(user, server_name)}",
        error=error,
    )


def _gib(size: int | None) -> str:
    return "" if size is None else f"{size / 2**30:g} GiB"


def _options(request: Request) -> dict[str, Any]:
    """Return the options in the query: those with the prefix, or, as in old links, all where none has it."""
    query = request.query_params
    keys = [key for key in query if key not in NO_OPTIONS]
    marked = [key for key in keys if key.startswith(OPTION)]
    return {key.removeprefix(OPTION): _one_or_many(query.getlist(key)) for key in marked or keys}


def _form_options(form: Form) -> dict[str, Any]:
    return {name: _one_or_many(form.texts(name)) for name in form.names() if name not in {"_xsrf", "next"}}


def _one_or_many(values: list[str]) -> str | list[str]:
    return values[0] if len(values) == 1 else values


@router.get("/spawn-pending/{owner:segment}")
@router.get("/spawn-pending/{owner:segment}/{server:segment}")
async def spawn_pending(request: Request, who: Person, owner: str, server: str = "") -> Response:
    """Show how far a start has come, and lead on once it is ready."""
    hub = hub_of(request)
    user = _owner(hub, who, owner, server)
    found = hub.servers.find(user.id, server)
    if server and found is None:
        raise HTTPException(404, f"{user.name} has no server of this name")
    following = safe_next(request, request.query_params.get("next", ""))
    if found is not None and found.state is State.READY:
        return RedirectResponse(located(request, following or names.server_prefix(user.name, server)), 302)
    if found is not None and found.state in PENDING_START:
        return _progress(request, user, found, following)
    if found is not None and found.state is State.STOPPING:
        return _stopping(request, user, server)
    return _not_running(request, user, server, found, following, status=500 if found and found.failure else 200)


def _stopping(request: Request, user: User, server_name: str) -> Response:
    """Say that the server is on its way out; the page asks for itself again until it is."""
    return page(request, "stop_pending.html", server_name=server_name, for_user=_other(request, user))


def _progress(request: Request, user: User, server: Server, following: str | None) -> Response:
    hub, who = hub_of(request), visitor(request)
    percent, message = lifecycle.progress(server)
    ahead = hub.spawning.position(server) if server.state is State.REQUESTED else 0
    token = urlencode({"_xsrf": who.xsrf})
    return page(
        request,
        "spawn_pending.html",
        server_name=server.name,
        for_user=_other(request, user),
        progress=percent,
        message=message,
        position=ahead or None,
        progress_url=f"{progress_url(user.name, server.name)}?{token}",
        next_url=located(request, following or names.server_prefix(user.name, server.name)),
        stop_url=f"/hub/stop/{place(user, server.name)}",
        log_tail=[],
    )


def _not_running(
    request: Request, user: User, server_name: str, found: Server | None, following: str | None, *, status: int
) -> Response:
    actor = actor_of(request)
    can_start = actor is not None and actor.scopes.covers_server("start:servers", user.name, server_name, user.groups)
    return page(
        request,
        "not_running.html",
        status_code=status,
        server_name=server_name,
        for_user=_other(request, user),
        url=located(request, names.server_prefix(user.name, server_name)),
        state=found.state.value if found else "stopped",
        failure=found.failure if found else None,
        log_tail=list(found.log_tail) if found else [],
        spawn_url=with_next(f"/hub/spawn/{place(user, server_name)}", following),
        can_start=can_start,
        implicit=False,
    )


@router.get("/user-redirect")
@router.get("/user-redirect/{path:path}")
async def user_redirect(request: Request, who: Person) -> Response:
    """Lead to the same path on one's own server, started where it is not running (nbgitpuller's links)."""
    assert who.user is not None  # noqa: S101 a person is a user
    rest = request.scope["raw_path"].decode("ascii", "replace").partition("/user-redirect")[2].lstrip("/")
    query = f"?{request.url.query}" if request.url.query else ""
    target = f"{names.server_prefix(who.user.name, '')}{rest}{query}"
    return RedirectResponse(f"/hub/spawn/{place(who.user, '')}?next={quote(target, safe='')}", 302)


@router.route("/user/{owner:segment}", methods=["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"])
@router.route("/user/{owner:segment}/{path:path}", methods=["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"])
async def server_place(request: Request, owner: str, path: str = "") -> Response:
    """Answer for a server that the edge has no route to: lead on, or say what it is and how to start it."""
    hub, actor = hub_of(request), actor_of(request)
    program = _is_program(request, path)
    if actor is None and not program:
        return to_login(request)
    user = hub.users.find(owner)
    server_name, found = _addressed(hub, user, path)
    if actor is None:
        return _for_nobody(request, owner, user, found)
    if user is None or not actor.scopes.covers_server("access:servers", user.name, server_name, user.groups):
        raise HTTPException(404, "No such user, or not within your reach")
    if found is not None and found.state is State.READY:
        hub.launching.reconcile_safely(found)  # the edge could not reach it: look whether it is still there
        found = hub.servers.get(found.id)
    if found is not None and found.state is State.READY:
        return _of_ready(request, user, server_name, program=program)
    if program:
        return _gone(request, user.name, server_name)
    if found is not None and found.state in lifecycle.PENDING:
        following = with_query(f"{names.server_prefix(user.name, '')}{_raw_rest(request)}", request)
        return RedirectResponse(with_next(f"/hub/spawn-pending/{place(user, server_name)}", following), 303)
    following = with_query(f"{names.server_prefix(user.name, '')}{_raw_rest(request)}", request)
    return _not_running(request, user, server_name, found, following, status=424)


def _for_nobody(request: Request, owner: str, user: User | None, found: Server | None) -> Response:
    """Answer a program that shows nothing of the hub's, as a page's scripts do at the server's own host.

    Who asks for a server that runs learns no more than the server itself would tell by answering.
    """
    if user is None or found is None or found.state is not State.READY:
        return _gone(request, owner, "")
    return _unreached(request, user, found.name, program=True, waking=hub_of(request).edge_autosuspend.start_if_down())


def is_for_a_server(request: Request, path: str) -> bool:
    """Say whether it is a program that asks for what is at a server's *path*."""
    _, kind, _owner, *rest = (*path.split("/", 3), "", "")
    return kind == "user" and _is_program(request, "".join(rest))


@router.get("/services/{name:segment}")
@router.get("/services/{name:segment}/{path:path}")
async def service_place(request: Request, name: str) -> Response:
    """Lead to a service whose host was not asked."""
    service = hub_of(request).services.get(name) if hub_of(request).origins.subdomains else None
    if service is None or not service.url:
        raise HTTPException(404)
    if _times_led(request) >= MAX_REDIRECTS:
        raise HTTPException(503, f"The service {name} cannot be reached through the edge. Try again in a moment.")
    return _once_more(request, f"/services/{names.url_name(name)}/{_raw_rest(request, 'services')}")


def _addressed(hub: Hub, user: User | None, path: str) -> tuple[str, Server | None]:
    """Return which server *path* under a user's prefix means: the named one that it begins with, or the default."""
    if user is None:
        return "", None
    first = path.partition("/")[0]
    named = hub.servers.find(user.id, first) if first else None
    return (first, named) if named is not None else ("", hub.servers.find(user.id, ""))


def _of_ready(request: Request, user: User, server_name: str, *, program: bool) -> Response:
    """Answer for a server that runs: lead back to it, or say why that is of no use now.

    Who is led is counted, so that a server that never answers ends in words and not in a loop.
    """
    waking = hub_of(request).edge_autosuspend.start_if_down()
    if waking or request.method not in READ_ONLY or _times_led(request) >= MAX_REDIRECTS:
        return _unreached(request, user, server_name, program=program, waking=waking)
    return _once_more(request, f"{names.server_prefix(user.name, '')}{_raw_rest(request)}")


def _once_more(request: Request, target: str) -> Response:
    """Lead to *target*, and count."""
    query = urlencode([*_asked(request), ("redirects", str(_times_led(request) + 1))])
    return RedirectResponse(f"{located(request, target)}?{query}", 302)


def _times_led(request: Request) -> int:
    try:
        return max(0, int(request.query_params.get("redirects", "0")))
    except ValueError:
        return 0


def _asked(request: Request) -> list[tuple[str, str]]:
    """Return the query that was asked, without the count of redirects."""
    return [(key, value) for key, value in request.query_params.multi_items() if key != "redirects"]


def _unreached(request: Request, user: User, server_name: str, *, program: bool, waking: bool) -> Response:
    """Say that a server runs and why nobody reaches it; a page looks again by itself."""
    again = {"Retry-After": str(LOOKS_AGAIN_AFTER), "Cache-Control": "no-store"}
    if program:
        why = "The way to the server is asleep and wakes up" if waking else "The server runs but does not answer"
        return JSONResponse({"status": 503, "message": f"{why}. Try again in a moment."}, 503, again)
    asked_again = f"/hub{names.server_prefix(user.name, '')}{_raw_rest(request)}"
    query = f"?{urlencode(asked)}" if (asked := _asked(request)) else ""
    return page(
        request,
        "unreached.html",
        status_code=503,
        headers=again,
        waking=waking,
        for_user=_other(request, user),
        server_name=server_name,
        seconds=LOOKS_AGAIN_AFTER,
        url=f"{asked_again}{query}",
    )


def _raw_rest(request: Request, kind: str = "user") -> str:
    """Return what follows `/hub/user/<name>/`, as it was sent."""
    raw: str = request.scope["raw_path"].decode("ascii", "replace")
    return raw.partition(f"/hub/{kind}/")[2].partition("/")[2].lstrip("/")


def with_query(path: str, request: Request) -> str:
    """Return *path* with the query of the request."""
    return f"{path}?{request.url.query}" if request.url.query else path


def _is_program(request: Request, path: str) -> bool:
    accept = request.headers.get("accept", "")
    if request.method not in READ_ONLY or "api" in path.split("/"):
        return True
    return "application/json" in accept and "text/html" not in accept


def _gone(request: Request, owner_name: str, server_name: str) -> Response:
    """Say what is not running and where to start it, in the words and the address that JupyterLab shows to people."""
    where = f"{names.url_name(owner_name)}" + (f"/{names.url_name(server_name)}" if server_name else "")
    asked: str = request.scope["raw_path"].decode("ascii", "replace").removeprefix("/hub")
    spawn = f"/hub/spawn/{where}"
    start = (
        f"{hub}{spawn}"
        if (hub := hub_of(request).origins.own_hub)
        else request.url.replace(path=spawn, query="", fragment="")
    )
    return JSONResponse(
        {"message": f"JupyterHub server no longer running at {asked}. Restart the server at {start}"}, 424
    )


def _owner(hub: Hub, who: Actor, owner_name: str | None, server_name: str) -> User:
    """Return whose server is meant when *who* may start it.

    Raises:
        HTTPException: 404 alike for who is not there and who is out of reach.
    """
    if owner_name is None:
        assert who.user is not None  # noqa: S101 a person is a user
        return who.user
    user = hub.users.find(owner_name)
    if user is None or not who.scopes.covers_server("start:servers", user.name, server_name, user.groups):
        raise HTTPException(404, "No such user, or not within your reach")
    return user


def _other(request: Request, user: User) -> str | None:
    who = visitor(request).user
    return None if who is not None and who.id == user.id else user.name
