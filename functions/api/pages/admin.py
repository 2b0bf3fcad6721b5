"""The admin page: users and their servers, page by page; forms only."""

from typing import Any
from urllib.parse import urlencode

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from functions.api import paging
from functions.api.asking import OwnForm, Person, hub_of
from functions.api.pages.views import server_view
from functions.api.rendering import page
from functions.api.routes.users import users_within_reach
from functions.api.routing import Router
from functions.api.wire import instant
from hubless.domain import names
from hubless.domain.errors import HublessError
from hubless.domain.lifecycle import ACTIVE, Server, State
from hubless.domain.users import User
from hubless.services.identity import Actor

router = Router()
_STATES = frozenset({"active", "ready", "inactive"})


@router.get("/admin")
async def admin(request: Request, who: Person) -> Response:
    """Show users and servers."""
    _require(who, "admin-ui")
    return _page(request, who)


@router.post("/admin/users")
async def add_users(request: Request, form: OwnForm, who: Person) -> Response:
    """Add the users that the form names, one a line."""
    _require(who, "admin:users")
    wanted = [names.normalise_user_name(line.strip()) for line in form.text("usernames").splitlines() if line.strip()]
    make_admin = form.text("admin") == "1"
    if make_admin or any(map(hub_of(request).accounts.is_reserved_name, wanted)):
        _require_admin(who)
    try:
        added = hub_of(request).accounts.add_many(wanted, admin=make_admin)
    except HublessError as refused:
        return _page(request, who, error=str(refused), status=400)
    known = len(wanted) - len(added)
    return _page(request, who, message=f"{len(added)} added" + (f", {known} were there already" if known else ""))


@router.post("/admin/users/{name:segment}/delete")
async def delete_user(request: Request, name: str, form: OwnForm, who: Person) -> Response:  # noqa: ARG001 the token
    """Stop and remove a user."""
    user = _subject(request, who, name, "delete:users")
    if user.admin:
        _require_admin(who)
    try:
        await hub_of(request).user_removal.remove(user)
    except HublessError as refused:
        return _page(request, who, error=str(refused), status=400)
    return RedirectResponse("/hub/admin", 303)


@router.post("/admin/users/{name:segment}/admin")
async def set_admin(request: Request, name: str, form: OwnForm, who: Person) -> Response:
    """Give or take the admin flag."""
    _require_admin(who)
    user = _subject(request, who, name, "admin:users")
    hub_of(request).accounts.change(user, admin=form.text("admin") == "1")
    return RedirectResponse("/hub/admin", 303)


@router.post("/admin/users/{name:segment}/log-out")
async def log_out_everywhere(request: Request, name: str, form: OwnForm, who: Person) -> Response:  # noqa: ARG001 the token
    """End all sessions of a user, with the tokens that were issued in them."""
    user = _subject(request, who, name, "tokens")
    hub_of(request).logins.close_all(user)
    return _page(request, who, message=f"{user.name} is logged out everywhere")


@router.post("/admin/users/{name:segment}/password-link")
async def password_link(request: Request, name: str, form: OwnForm, who: Person) -> Response:  # noqa: ARG001 the token
    """Make a one-time link with which the user sets a password."""
    user = _subject(request, who, name, "admin:users")
    if user.admin:
        _require_admin(who)
    path = hub_of(request).accounts.password_link(user.name)
    return _page(
        request, who, link=(hub_of(request).settings.hub.public_url or str(request.base_url)).rstrip("/") + path
    )


def _subject(request: Request, who: Actor, name: str, scope: str) -> User:
    user = hub_of(request).users.find(name)
    if user is None or not who.scopes.covers_user(scope, user.name, user.groups):
        raise HTTPException(404, "No such user, or not within your reach")
    if who.user is not None and who.user.id == user.id and scope == "delete:users":
        raise HTTPException(400, "You cannot delete yourself")
    return user


def _require(who: Actor, scope: str) -> None:
    if not who.scopes.has_everywhere(scope):
        raise HTTPException(403, "This page is for admins")


def _require_admin(who: Actor) -> None:
    if not who.is_admin:
        raise HTTPException(403, "Only admins can change who is an admin")


def _page(
    request: Request,
    who: Actor,
    *,
    message: str | None = None,
    error: str | None = None,
    link: str | None = None,
    status: int = 200,
) -> Response:
    hub, query, part = hub_of(request), request.query_params, paging.window(request)
    state = query.get("state") if query.get("state") in _STATES else None
    limit = min(part.limit, hub.settings.servers.api_page_limit)
    reach = users_within_reach(hub, who)
    found, total = hub.users.page(
        offset=part.offset,
        limit=limit,
        sort="name",
        name_contains=query.get("name_filter") or None,
        state=state,
        **reach,
    )
    servers: dict[str, list[Server]] = {}
    for server in hub.servers.of_owners([u.id for u in found]) if found else []:
        servers.setdefault(server.owner_id, []).append(server)
    kept = {k: v for k, v in query.items() if k in {"name_filter", "state", "limit"} and v}
    return page(
        request,
        "admin.html",
        status_code=status,
        users=[_view(request, who, user, servers.get(user.id, [])) for user in found],
        total=total,
        offset=part.offset,
        limit=limit,
        name_filter=query.get("name_filter", ""),
        state=state or "",
        previous_url=_turn(kept, max(0, part.offset - limit)) if part.offset else None,
        next_url=_turn(kept, part.offset + limit) if part.offset + limit < total else None,
        running=hub.servers.count([State.READY]),
        message=message,
        error=error,
        password_link=link,
        edit_url=_edit_url,
        can_set_passwords=hub.has_passwords,
    )


def _turn(kept: dict[str, str], offset: int) -> str:
    return "/hub/admin?" + urlencode(kept | {"offset": offset})


def _edit_url(name: str, what: str) -> str:
    return f"/hub/admin/users/{names.url_name(name)}/{what}"


def _view(request: Request, who: Actor, user: User, servers: list[Server]) -> dict[str, Any]:
    """Return what *who* may see of a user and its servers."""
    hub, scopes = hub_of(request), who.scopes
    seen = [s for s in servers if scopes.covers_server("read:servers", user.name, s.name, user.groups)]
    sees_activity = scopes.covers_user("read:users:activity", user.name, user.groups)
    shown = [server_view(hub, user, s) for s in seen if s.state in ACTIVE or not s.name]
    if scopes.covers_user("read:servers", user.name, user.groups) and not any(not s.name for s in servers):
        shown.insert(
            0,
            {
                "name": "",
                "state": "stopped",
                "url": hub.origins.located(names.server_prefix(user.name, "")),
                "spawn_url": f"/hub/spawn/{names.url_name(user.name)}",
                "stop_url": f"/hub/stop/{names.url_name(user.name)}",
            },
        )
    return {
        "name": user.name,
        "admin": user.admin,
        "groups": list(user.groups) if scopes.covers_user("read:users:groups", user.name, user.groups) else [],
        "servers": shown,
        "sees_activity": sees_activity,
        "last_activity": instant(user.last_activity_at) if sees_activity else None,
        "created": instant(user.created_at) if scopes.covers_user("read:users", user.name, user.groups) else None,
    }
