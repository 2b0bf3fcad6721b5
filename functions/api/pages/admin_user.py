"""The page of one user, for admins: servers, launches, sessions, tokens, shares, groups, and what to do with them."""

from collections.abc import Sequence
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import Depends
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response

from functions.api import dependencies
from functions.api.auth.acts import record
from functions.api.auth.visitors import Form, OwnForm, user_of
from functions.api.error_handlers import STATUSES
from functions.api.pages import home_limit_form
from functions.api.pages.admin import Admin, edit_url
from functions.api.pages.admin_filter import SELECTED
from functions.api.pages.home_limit_form import home_limit_view
from functions.api.pages.home_notices import size_in_words
from functions.api.pages.messages import view as message_view
from functions.api.provider_pool import in_provider_pool
from functions.api.routers import page_router
from functions.api.routes.users import record_change
from functions.api.serializers import instant
from functions.api.shown_once import forget_shown, show_once, shown_once
from functions.api.store_pool import has_long_store_calls
from hubless.domain import names, roles
from hubless.domain.audit import Act
from hubless.domain.bounds import MAX_IDENTIFIER
from hubless.domain.browsers import browser_in_words
from hubless.domain.errors import HublessError, NotFoundError
from hubless.domain.home_names import file_name
from hubless.domain.limits import size
from hubless.domain.translatable import gettext as _
from hubless.domain.usage import Usage
from hubless.domain.user_notes import MAX_REVISION, MAX_TEXT
from hubless.domain.user_table import Row
from hubless.domain.users import User
from hubless.domain.values import value

router = page_router()
SHOWN = 20  # of each list, the newest


@value
class _UserPage:
    """The page of one user, as one person may see it."""

    admin: Admin
    user: User

    @property
    def address(self) -> str:
        """Return the page's path."""
        return f"/hub/admin/users/{names.url_name(self.user.name)}"

    def __call__(self, *, error: str | None = None, status: int = 200, typed: str | None = None) -> Response:
        """Return the page, with the one-time link that a form has just made, once.

        Args:
            error: why a form was refused.
            status: of the answer.
            typed: the note that was refused, so that nobody types it again.
        """
        admin, user = self.admin, self.user
        links = shown_once(admin.request, user_of(admin.who), self.address)
        servers = admin.servers.of_owners([user.id])
        response = admin.render(
            "admin_user.html",
            status_code=status,
            name=user.name,
            is_own=self._is_own,
            is_admin=user.admin,
            servers=admin.row_views.servers(Row(user, tuple(servers))),
            password_link=links[0] if links else None,
            error=error,
            edit_url=edit_url,
            may={scope: self.may(scope) for scope in ("admin:users", "tokens", "delete:users")},
            may_make_admin=admin.who.is_admin,
            offers_factors=admin.settings.login.kind != "shared-password",
            links_logins=bool(admin.settings.providers),
            can_set_passwords=admin.settings.login.kind == "password",
            changes_groups=not admin.hub.manages_groups and admin.who.scopes.has("groups"),
            message_url=self._message_url,
            messages=self._messages(),
            note=self._note(typed) if admin.who.is_admin else None,
            home_limit=home_limit_view(admin.hub, admin.who, user),
            **self._account(),
            **self._records(),
        )
        forget_shown(admin.request, response, self.address)
        return response

    @property
    def _is_own(self) -> bool:
        return self.admin.who.user is not None and self.admin.who.user.id == self.user.id

    def may(self, scope: str) -> bool:
        """Say whether the person holds *scope* for this user."""
        return self.admin.who.scopes.covers_user(scope, self.user.name, self.user.groups)

    @property
    def _message_url(self) -> str:
        """Return the address of the page that sends a message to the user; "" for who may not."""
        if not (self.may("admin:users") and self.admin.who.scopes.has_everywhere("admin-ui")):
            return ""
        asked = {"act": "message", "name": self.user.name, "back": self.address}
        return f"{SELECTED}?{urlencode(asked)}"

    def _messages(self) -> list[dict[str, Any]]:
        """Return the newest messages of the user, for those who may send some."""
        if not self.may("admin:users"):
            return []
        return [message_view(one) for one in self.admin.hub.letters.received(self.user)[:SHOWN]]

    def _note(self, typed: str | None) -> dict[str, Any]:
        """Return the note on the user, which admins alone may read: others with rights here may be that user."""
        stored = self.admin.hub.user_notes.of(self.user)
        return {
            "text": stored.text if typed is None else typed,
            "stored": stored.text if typed is not None else "",
            "revision": stored.revision,
            "max_text": MAX_TEXT,
            "by": stored.written_by if stored.text else "",
            "written": instant(stored.written_at) if stored.text else None,
        }

    def write_note(self, form: Form) -> Response:
        """Write the note on the user, unless somebody has changed it since the form was shown."""
        admin, typed, seen = self.admin, form.text("note"), form.text("revision")
        is_number = seen.isascii() and seen.isdigit() and len(seen) < len(str(MAX_REVISION))
        before = admin.hub.user_notes.of(self.user)
        try:
            after = admin.hub.user_notes.write(
                self.user, typed, admin.who.name, revision=int(seen) if is_number else -1
            )
        except HublessError as refused:
            return self(error=refused.message, status=STATUSES[type(refused)], typed=typed)
        if after.revision != before.revision:
            record(admin.request, Act.NOTE_CHANGED, self.user.name)
        facts = {"user": self.user.name}
        said = _("The note on %(user)s is saved", **facts) if after.text else _("There is no note on %(user)s", **facts)
        return admin.done(said, self.address)

    def set_home_limit(self, form: Form) -> Response:
        """Set or remove the limit of the user's files."""
        admin = self.admin
        admin.require(home_limit_form.SCOPE)
        try:
            said = home_limit_form.limit_home(admin.hub, admin.request, self.user, form)
        except HublessError as refused:
            return self(error=refused.message, status=STATUSES[type(refused)])
        return admin.done(said, self.address)

    def _account(self) -> dict[str, Any]:
        admin, user = self.admin, self.user
        home = admin.hub.home_usage.get_many([user.id]).get(user.id)
        limit, sees_activity = admin.hub.home_limiting.of([user])[user.id], self.may("read:users:activity")
        sees_roles, held = self.may("read:roles:users"), admin.hub.roles
        inherited = {one for group in user.groups for one in roles.of_group(group, held)}
        return {
            "groups": list(user.groups) if self.may("read:users:groups") else [],
            "roles": sorted({*roles.of_user(user, held), *inherited}) if sees_roles else [],
            "created": instant(user.created_at) if self.may("read:users") else None,
            "sees_activity": sees_activity,
            "last_activity": instant(user.last_activity_at) if sees_activity else None,
            "files": size_in_words(home) if sees_activity else "",
            "files_limit": size(limit) if limit and sees_activity else "",
            "files_measured": instant(home.measured_at) if home is not None and sees_activity else None,
            "folder": self._folder if admin.who.is_admin and admin.settings.chosen_isolation != "accounts" else "",
        }

    @property
    def _folder(self) -> str:
        if self.admin.hub.home_keeping is None:
            return f"homes/{self.user.id}"
        return f"homes/by-name/{file_name(self.user.name)}"

    def _records(self) -> dict[str, Any]:
        """Return the newest of what the hub keeps of the user, for those who may read it."""
        hub, user, reads_tokens = self.admin.hub, self.user, self.may("read:tokens")
        launches = hub.usage.of_owner(user.id)[-SHOWN:][::-1] if self.may("read:servers") else []
        sessions = hub.logins.sessions_of(user) if reads_tokens else []
        tokens = hub.tokens.of(user) if reads_tokens else []
        own = [token for token in tokens if token.client_id is None and token.server_id is None]
        shares = {"received": ([], 0), "given": ([], 0)} if not self.may("read:shares") else self._shares()
        return {
            "launches": [self._launch(one) for one in launches],
            "sessions": [
                {"browser": browser_in_words(one.agent), "address": one.address, "created": instant(one.created_at)}
                for one in sessions[:SHOWN]
            ],
            "tokens": [
                {"note": one.note, "created": instant(one.created_at), "expires": instant(one.expires_at)}
                for one in own[-SHOWN:][::-1]
            ],
            "counts": {"sessions": len(sessions), "tokens": len(own)}
            | {kind: total for kind, (_, total) in shares.items()},
            "shares": {kind: found for kind, (found, _) in shares.items()},
        }

    def _launch(self, used: Usage) -> dict[str, Any]:
        profile = self.admin.spawning.profiles.get(used.profile)
        return {
            "profile": profile.title if profile else used.profile,
            "started": instant(used.started_at),
            "ended": instant(used.ended_at),
            "outcome": "" if used.outcome == "stopped" else used.outcome,
        }

    def _shares(self) -> dict[str, tuple[list[dict[str, Any]], int]]:
        sharing = self.admin.hub.sharing
        received, of_received = sharing.page(with_user=self.user, offset=0, limit=SHOWN)
        given, of_given = sharing.page(of_owner=self.user, offset=0, limit=SHOWN)
        return {
            kind: (
                [
                    {
                        "server": f"{one.of.owner.name}/{one.of.server.name}"
                        if one.of.server.name
                        else one.of.owner.name,
                        "to": one.user or one.group,
                    }
                    for one in found
                ],
                total,
            )
            for kind, found, total in (("received", received, of_received), ("given", given, of_given))
        }

    def change_group(self, form: Form) -> Response:
        """Add the user to a group, or take them out of one."""
        admin, name = self.admin, form.text("group", longest=MAX_IDENTIFIER).strip()
        adds = form.text("change") == "add"
        if admin.hub.manages_groups:
            raise HTTPException(400, "Groups follow logins here, so nobody changes them by hand")
        group = admin.hub.groups.find(name) if admin.who.scopes.covers_group("groups", name) else None
        if group is None:
            return self(error=_("There is no group %(group)s, or it is not within your reach.", group=name), status=404)
        try:
            if adds:
                admin.privileges.require_may_add(admin.who, [name], [self.user.name])
                admin.hub.groups.add_users(group.id, [self.user.name])
                record(admin.request, Act.MEMBER_ADDED, self.user.name, group=name)
            else:
                admin.privileges.require_may_take(admin.who, name, [self.user.name])
                admin.hub.groups.remove_users(group.id, [self.user.name])
                record(admin.request, Act.MEMBER_REMOVED, self.user.name, group=name)
        except HublessError as refused:
            return self(error=refused.message, status=403)
        facts = {"user": self.user.name, "group": name}
        said = _("%(user)s is in %(group)s now", **facts) if adds else _("%(user)s is no longer in %(group)s", **facts)
        return admin.done(said, self.address)

    def ask(self, *, fields: Sequence[tuple[str, str]] = (), **words: Any) -> Response:
        """Return the page that asks before something is done to this user; *fields* are those of its form."""
        return self.admin.render("admin_ask.html", fields=fields, back=self.address, **words)


async def _user_page(name: str, admin: Admin) -> _UserPage:
    return _UserPage(admin, admin.subject(name, "list:users"))


UserPage = Annotated[_UserPage, Depends(_user_page)]


async def _changed_user(name: str, admin: Admin) -> _UserPage:
    return _UserPage(admin, admin.subject(name, "admin:users"))


ChangedUser = Annotated[_UserPage, Depends(_changed_user)]


async def _noted_user(name: str, admin: Admin) -> _UserPage:
    page = _UserPage(admin, admin.subject(name, "admin:users"))
    if not admin.who.is_admin:
        raise HTTPException(403, _("Only admins read and write notes on users"))
    return page


NotedUser = Annotated[_UserPage, Depends(_noted_user)]


async def _removed_user(name: str, admin: Admin) -> _UserPage:
    page = _UserPage(admin, admin.subject(name, "delete:users"))
    if page.user.admin:
        admin.require_admin()
    return page


RemovedUser = Annotated[_UserPage, Depends(_removed_user)]


async def _promoted_user(name: str, admin: Admin) -> _UserPage:
    admin.require_admin()
    return _UserPage(admin, admin.subject(name, "admin:users"))


PromotedUser = Annotated[_UserPage, Depends(_promoted_user)]


@router.get("/admin/users/{name:segment}")
@has_long_store_calls
async def show_user(page: UserPage) -> Response:
    """Show everything about one user."""
    return page()


@router.post("/admin/users/{name:segment}/groups")
@has_long_store_calls
async def change_group(form: OwnForm, page: UserPage) -> Response:
    """Add a user to a group, or take them out of one."""
    return page.change_group(form)


@router.post("/admin/users/{name:segment}/note")
@has_long_store_calls
async def write_note(form: OwnForm, page: NotedUser) -> Response:
    """Write the note on a user."""
    return page.write_note(form)


@router.post("/admin/users/{name:segment}/home-limit")
@has_long_store_calls
async def set_home_limit(form: OwnForm, page: UserPage) -> Response:
    """Limit the files of a user."""
    return page.set_home_limit(form)


@router.get("/admin/users/{name:segment}/delete")
async def ask_to_delete(page: RemovedUser) -> Response:
    """Ask before a user is removed."""
    return page.ask(
        title=_("Delete %(user)s?", user=page.user.name),
        words=_("This ends their servers, tokens and sessions. Their files stay on the disk. Nobody can undo it."),
        button=_("Delete %(user)s", user=page.user.name),
        action=edit_url(page.user.name, "delete"),
    )


@router.post("/admin/users/{name:segment}/delete")
async def delete_user(_form: OwnForm, page: RemovedUser, removal: dependencies.UserRemoval) -> Response:
    """Stop and remove a user."""
    try:
        await removal.remove(page.user)
    except NotFoundError:
        pass  # a second click came later
    except HublessError as refused:
        return page(error=refused.message, status=400)
    record(page.admin.request, Act.USER_REMOVED, page.user.name, id=page.user.id)
    return page.admin.done(_("%(user)s is deleted", user=page.user.name))


@router.get("/admin/users/{name:segment}/admin")
async def ask_to_change_rights(page: PromotedUser) -> Response:
    """Ask before somebody becomes an admin, or is one no longer."""
    user, action = page.user, edit_url(page.user.name, "admin")
    if user.admin:
        return page.ask(
            title=_("Take the admin rights of %(user)s?", user=user.name),
            words=_("They keep their account, servers and files."),
            button=_("Remove admin rights"),
            action=action,
        )
    return page.ask(
        title=_("Make %(user)s an admin?", user=user.name),
        words=_(
            "Admins may do everything: open every server, read all files, add and delete users. The sessions and tokens"
            " of %(user)s end now.",
            user=user.name,
        ),
        button=_("Make admin"),
        action=action,
        fields=[("admin", "1")],
    )


@router.post("/admin/users/{name:segment}/admin")
@has_long_store_calls
async def set_admin(form: OwnForm, page: PromotedUser) -> Response:
    """Give or take the admin flag. A new admin keeps no earlier session, token or link: others may have made them."""
    user, admin = page.user, page.admin
    if form.text("admin") == "1":
        if not user.admin:
            record_change(admin.request, user, admin.accounts.promote(user, revoke=True))
        return admin.done(_("%(user)s is an admin now", user=user.name), page.address)
    record_change(admin.request, user, admin.accounts.change(user, admin=False))
    return admin.done(_("%(user)s is no longer an admin", user=user.name), page.address)


@router.post("/admin/users/{name:segment}/log-out")
@has_long_store_calls
async def log_out_everywhere(name: str, _form: OwnForm, admin: Admin, logins: dependencies.Logins) -> Response:
    """End all sessions of a user, with the tokens that were issued in them."""
    page = _UserPage(admin, admin.subject(name, "tokens"))
    logins.close_all(page.user)
    record(admin.request, Act.SESSIONS_ENDED, page.user.name)
    return admin.done(_("%(user)s is logged out everywhere", user=page.user.name), page.address)


@router.post("/admin/users/{name:segment}/password-link")
async def password_link(_form: OwnForm, page: ChangedUser) -> Response:
    """Make a one-time link with which the user sets a password, and have the page show it once."""
    admin, user = page.admin, page.user
    admin.privileges.require_may_act_as(admin.who, user)
    link = admin.link_base + admin.accounts.password_link(user.name, limited=not admin.who.is_admin)
    record(admin.request, Act.PASSWORD_LINK_MADE, user.name)
    response = RedirectResponse(page.address, 303)
    show_once(admin.request, response, user_of(admin.who), page.address, (link,))
    return response


@router.post("/admin/users/{name:segment}/reset-factors")
async def reset_factors(_form: OwnForm, page: ChangedUser, second_factors: dependencies.SecondFactors) -> Response:
    """Remove all second factors of another user, who reads at the next login who did."""
    admin, user = page.admin, page.user
    if admin.who.user is not None and admin.who.user.id == user.id:
        raise HTTPException(400, "Change your own second factors at /hub/account/second-factors")
    admin.privileges.require_may_act_as(admin.who, user)
    had_some = await in_provider_pool(second_factors.reset, user, admin.who.name)
    record(admin.request, Act.FACTORS_RESET, user.name)
    said = (
        _("%(user)s has no second factor any more", user=user.name)
        if had_some
        else _("%(user)s has no second factor", user=user.name)
    )
    return admin.done(said, page.address)
