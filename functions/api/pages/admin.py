"""The admin page: users and their servers, page by page. It needs no JavaScript."""

from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import Depends
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from functions.api import dependencies
from functions.api.auth.acts import record
from functions.api.auth.visitors import OwnForm, Person, user_of
from functions.api.dependencies import hub_of
from functions.api.flashes import flash
from functions.api.pages.home_notices import size_in_words
from functions.api.pages.views import server_view, url_part
from functions.api.paging import Part, Window
from functions.api.provider_pool import in_provider_pool
from functions.api.rendering import Render
from functions.api.routers import page_router
from functions.api.routes.users import record_change, users_in_reach
from functions.api.serializers import instant
from functions.api.shown_once import forget_shown, show_once, shown_once
from functions.api.store_pool import has_long_store_calls
from hubless.domain import names
from hubless.domain.audit import Act
from hubless.domain.bounds import MAX_BODY, MAX_NAMES, MAX_TYPED_NAME
from hubless.domain.errors import HublessError
from hubless.domain.home_usage import HomeUsage
from hubless.domain.lifecycle import ACTIVE, INACTIVE, Server, State
from hubless.domain.translatable import Message
from hubless.domain.translatable import gettext as _
from hubless.domain.users import User
from hubless.domain.values import value
from hubless.services.identity import Actor

router = page_router()
_LISTED = ACTIVE | {State.FAILED}  # the states of named servers that the page lists
PAGE = "/hub/admin"
_STATES = frozenset({"active", "ready", "inactive"})


@value
class _Admin:
    """The admin page as one person may see it."""

    request: Request
    who: Actor
    part: Window
    users: dependencies.Users
    servers: dependencies.Servers
    spawning: dependencies.Spawning
    accounts: dependencies.Accounts
    privileges: dependencies.Privileges
    settings: dependencies.Settings
    origins: dependencies.Origins
    render: Render
    home_usage: dependencies.HomeUsage
    sign_ups: dependencies.SignUps

    def page(self, *, message: str | None = None, error: str | None = None, status: int = 200) -> Response:
        """Return the page, with the one-time link that a form has just made, once."""
        links = shown_once(self.request, user_of(self.who), PAGE)
        query, offset = self.request.query_params, self.part.offset
        state = query.get("state") if query.get("state") in _STATES else None
        limit = min(self.part.limit, self.settings.servers.api_page_limit)
        found, total = self.users.page(
            offset=offset,
            limit=limit,
            sort="name",
            name_contains=query.get("name_filter", "")[:MAX_TYPED_NAME] or None,  # no name is that long
            state=state,
            **users_in_reach(self.users, self.who),
        )
        servers: dict[str, list[Server]] = {}
        for server in self.servers.of_owners([u.id for u in found]) if found else []:
            servers.setdefault(server.owner_id, []).append(server)
        sizes = self.home_usage.get_many([u.id for u in found]) if found else {}
        kept = {k: v for k, v in query.items() if k in {"name_filter", "state", "limit"} and v}
        response = self.render(
            "admin.html",
            status_code=status,
            users=[self._view(user, servers.get(user.id, []), sizes.get(user.id)) for user in found],
            total=total,
            offset=offset,
            limit=limit,
            name_filter=query.get("name_filter", ""),
            state=state or "",
            previous_url=_page_url(kept, max(0, offset - limit)) if offset else None,
            next_url=_page_url(kept, offset + limit) if offset + limit < total else None,
            running=self.servers.count([State.READY]),
            message=message,
            error=error,
            password_link=links[0] if links else None,
            sign_ups=self._sign_ups(),
            isolation=self.settings.chosen_isolation,
            edit_url=edit_url,
            offers_factors=self.settings.login.kind != "shared-password",
            links_logins=bool(self.settings.providers),
            can_set_passwords=self.settings.login.kind == "password",
        )
        forget_shown(self.request, response, PAGE)
        return response

    def done(self, said: Message) -> Response:
        """Redirect to the page, which says what was done: a reload does not repeat it."""
        response = RedirectResponse("/hub/admin", 303)
        flash(self.request, response, said)
        return response

    def subject(self, name: str, scope: str) -> User:
        """Return the user that an action is about, when the person holds *scope* for it.

        Raises:
            HTTPException: 404, the same if the user does not exist and if it is out of reach; 400 for deleting oneself.
        """
        user = self.users.find(name)
        if user is None or not self.who.scopes.covers_user(scope, user.name, user.groups):
            raise HTTPException(404, "No such user, or not within your reach")
        if self.who.user is not None and self.who.user.id == user.id and scope == "delete:users":
            raise HTTPException(400, "You cannot delete yourself")
        return user

    def require(self, scope: str) -> None:
        """Refuse a person without *scope* for everybody.

        Raises:
            HTTPException: 403.
        """
        if not self.who.scopes.has_everywhere(scope):
            raise HTTPException(403, "This page is for admins")

    def require_admin(self) -> None:
        """Refuse a person who is no admin.

        Raises:
            HTTPException: 403.
        """
        if not self.who.is_admin:
            raise HTTPException(403, "Only admins can change who is an admin")

    def _sign_ups(self) -> list[dict[str, Any]]:
        """Return the sign-ups that wait, for who may add users: some came from another hub if nobody signs up here."""
        if not self.who.scopes.has_everywhere("admin:users"):
            return []
        return [
            {
                "name": one.name,
                "email": one.address,
                "created": instant(one.created_at),
                "waits_for_mail": one.waits_for_mail,
                "is_approved": not one.waits_for_admin,
                "approve_url": f"/hub/admin/sign-ups/{names.url_name(one.name)}/approve",
                "refuse_url": f"/hub/admin/sign-ups/{names.url_name(one.name)}/refuse",
            }
            for one in self.sign_ups.waiting()
        ]

    def _view(self, user: User, servers: list[Server], home: HomeUsage | None) -> dict[str, Any]:
        """Return what the person may see of a user and its servers."""
        scopes, name, groups = self.who.scopes, user.name, user.groups
        seen = [s for s in servers if scopes.covers_server("read:servers", name, s.name, groups)]
        sees_activity = scopes.covers_user("read:users:activity", name, groups)
        listed = [s for s in seen if s.state in _LISTED or not s.name]
        shown = [self._server(user, server) for server in listed]
        if scopes.covers_user("read:servers", name, groups) and not any(not s.name for s in servers):
            shown.insert(
                0,
                {
                    "name": "",
                    "state": "stopped",
                    "url": self.origins.link_to(names.server_prefix(name, "")),
                    "spawn_url": f"/hub/spawn/{names.url_name(name)}",
                    "stop_url": f"/hub/stop/{names.url_name(name)}",
                    "other_version": "",
                    "failure": None,
                },
            )
        if self.who.user is None or self.who.user.id != user.id:
            shown = [self._opened_in_place(user, view) for view in shown]
        return {
            "name": name,
            "admin": user.admin,
            "groups": list(groups) if scopes.covers_user("read:users:groups", name, groups) else [],
            "servers": shown,
            "home": size_in_words(home) if sees_activity else "",
            "home_is_over": sees_activity and home is not None and home.exceeds(self.settings.servers.home_limit),
            "sees_activity": sees_activity,
            "last_activity": instant(user.last_activity_at) if sees_activity else None,
            "created": instant(user.created_at) if scopes.covers_user("read:users", name, groups) else None,
        }

    def _server(self, user: User, server: Server) -> dict[str, Any]:
        """Return what the page shows of *server*; its log only to who may start it, as on the page of a start."""
        shown = server_view(self.spawning, self.origins, user, server)
        may_start = self.who.scopes.covers_server("start:servers", user.name, server.name, user.groups)
        return shown if may_start else shown | {"failure": None}

    def _opened_in_place(self, owner: User, view: dict[str, Any]) -> dict[str, Any]:
        """Return the view of somebody else's server with the page that asks once, starts the server and opens it."""
        if not self.who.scopes.covers_server("access:servers", owner.name, view["name"], owner.groups):
            return view
        opens = f"/hub/open/{url_part(owner, view['name'])}"
        starts = view["state"] in INACTIVE
        return view | {"url": opens, "spawn_url": opens if starts else view["spawn_url"]}


async def _admin(
    request: Request,
    who: Person,
    part: Part,
    users: dependencies.Users,
    servers: dependencies.Servers,
    spawning: dependencies.Spawning,
    accounts: dependencies.Accounts,
    privileges: dependencies.Privileges,
    settings: dependencies.Settings,
    origins: dependencies.Origins,
    render: Render,
    home_usage: dependencies.HomeUsage,
    sign_ups: dependencies.SignUps,
) -> _Admin:
    return _Admin(
        request,
        who,
        part,
        users,
        servers,
        spawning,
        accounts,
        privileges,
        settings,
        origins,
        render,
        home_usage,
        sign_ups,
    )


Admin = Annotated[_Admin, Depends(_admin)]


@router.get("/admin")
@has_long_store_calls
async def show_users(admin: Admin) -> Response:
    """Show users and servers."""
    admin.require("admin-ui")
    return admin.page()


@router.post("/admin/users")
@has_long_store_calls
async def add_users(form: OwnForm, admin: Admin) -> Response:
    """Add the users in the form, one on each line."""
    admin.require("admin:users")
    lines = [line for line in form.text("usernames", longest=MAX_BODY).splitlines() if line.strip()]
    if len(lines) > MAX_NAMES:
        return admin.page(error=_("Add at most %(max_names)s users at once", max_names=MAX_NAMES), status=400)
    wanted = [names.typed_user_name(line) for line in lines]
    make_admin = form.text("admin") == "1"
    if make_admin or any(map(admin.accounts.is_reserved_name, wanted)):
        admin.require_admin()
    try:
        added = admin.accounts.add_many(wanted, admin=make_admin)
    except HublessError as refused:
        return admin.page(error=refused.message, status=400)
    if added:
        record(admin.request, Act.USER_ADDED, *(user.name for user in added), admin="yes" if make_admin else "")
    known = len(wanted) - len(added)
    if known:
        return admin.done(_("%(added)s added, %(known)s were there already", added=len(added), known=known))
    return admin.done(_("%(added)s added", added=len(added)))


@router.post("/admin/sign-ups/{name:segment}/approve")
@has_long_store_calls
async def approve_sign_up(name: str, _form: OwnForm, admin: Admin) -> Response:
    """Approve a sign-up."""
    admin.require("admin:users")
    try:
        admin.sign_ups.approve(name, admin.who.name)
    except HublessError as refused:
        return admin.page(error=refused.message, status=400)
    record(admin.request, Act.SIGN_UP_APPROVED, name)
    return RedirectResponse("/hub/admin", 303)


@router.post("/admin/sign-ups/{name:segment}/refuse")
@has_long_store_calls
async def refuse_sign_up(name: str, _form: OwnForm, admin: Admin) -> Response:
    """Refuse a sign-up; its user is not told."""
    admin.require("admin:users")
    try:
        admin.sign_ups.refuse(name)
    except HublessError as refused:
        return admin.page(error=refused.message, status=400)
    record(admin.request, Act.SIGN_UP_REFUSED, name)
    return RedirectResponse("/hub/admin", 303)


@router.post("/admin/users/{name:segment}/delete")
async def delete_user(name: str, _form: OwnForm, admin: Admin, removal: dependencies.UserRemoval) -> Response:
    """Stop and remove a user."""
    user = admin.subject(name, "delete:users")
    if user.admin:
        admin.require_admin()
    try:
        await removal.remove(user)
    except HublessError as refused:
        return admin.page(error=refused.message, status=400)
    record(admin.request, Act.USER_REMOVED, user.name)
    return RedirectResponse("/hub/admin", 303)


@router.post("/admin/users/{name:segment}/admin")
@has_long_store_calls
async def set_admin(name: str, form: OwnForm, admin: Admin) -> Response:
    """Give or take the admin flag. A new admin keeps no earlier session, token or link: others may have made them."""
    admin.require_admin()
    user = admin.subject(name, "admin:users")
    if form.text("admin") == "1" and not user.admin:
        changed = admin.accounts.promote(user, revoke=True)
    else:
        changed = admin.accounts.change(user, admin=form.text("admin") == "1")
    record_change(admin.request, user, changed)
    return RedirectResponse("/hub/admin", 303)


@router.post("/admin/users/{name:segment}/log-out")
@has_long_store_calls
async def log_out_everywhere(name: str, _form: OwnForm, admin: Admin, logins: dependencies.Logins) -> Response:
    """End all sessions of a user, with the tokens that were issued in them."""
    user = admin.subject(name, "tokens")
    logins.close_all(user)
    record(admin.request, Act.SESSIONS_ENDED, user.name)
    return admin.done(_("%(user)s is logged out everywhere", user=user.name))


@router.post("/admin/users/{name:segment}/password-link")
async def password_link(request: Request, name: str, _form: OwnForm, admin: Admin) -> Response:
    """Make a one-time link with which the user sets a password, and have the page show it once."""
    user = admin.subject(name, "admin:users")
    admin.privileges.require_may_act_as(admin.who, user)
    path = admin.accounts.password_link(user.name, limited=not admin.who.is_admin)
    record(request, Act.PASSWORD_LINK_MADE, user.name)
    link = hub_of(request).address_for_others(str(request.base_url)).url + path
    response = RedirectResponse(PAGE, 303)
    show_once(request, response, user_of(admin.who), PAGE, (link,))
    return response


@router.post("/admin/users/{name:segment}/reset-factors")
async def reset_factors(
    name: str, _form: OwnForm, admin: Admin, second_factors: dependencies.SecondFactors
) -> Response:
    """Remove all second factors of another user, who reads at the next login who did."""
    user = admin.subject(name, "admin:users")
    if admin.who.user is not None and admin.who.user.id == user.id:
        raise HTTPException(400, "Change your own second factors at /hub/account/second-factors")
    admin.privileges.require_may_act_as(admin.who, user)
    had_some = await in_provider_pool(second_factors.reset, user, admin.who.name)
    record(admin.request, Act.FACTORS_RESET, user.name)
    return admin.done(
        _("%(user)s has no second factor any more", user=user.name)
        if had_some
        else _("%(user)s has no second factor", user=user.name)
    )


def _page_url(kept: dict[str, str], offset: int) -> str:
    return "/hub/admin?" + urlencode(kept | {"offset": offset})


def edit_url(name: str, what: str) -> str:
    """Return the path at which admins change something of a user."""
    return f"/hub/admin/users/{names.url_name(name)}/{what}"
