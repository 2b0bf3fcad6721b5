"""The admin page: users and their servers, page by page. It needs no JavaScript."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Annotated, Any

from fastapi import Depends
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from functions.api import dependencies
from functions.api.auth.acts import record
from functions.api.auth.visitors import OwnForm, Person
from functions.api.dependencies import hub_of
from functions.api.flashes import flash
from functions.api.pages.admin_filter import (
    COLUMNS,
    FILTERS,
    IDLE_HOURS,
    OF_LOADS,
    PAGE,
    SIZES,
    TableQuery,
    columns_of,
    keep_columns,
    table_query,
)
from functions.api.pages.admin_rows import RowViews
from functions.api.rendering import Render
from functions.api.routers import page_router
from functions.api.routes.users import users_in_reach
from functions.api.serializers import instant
from functions.api.store_pool import has_long_store_calls
from hubless.domain import names
from hubless.domain.audit import Act
from hubless.domain.errors import HublessError, InvalidRequestError
from hubless.domain.lifecycle import State
from hubless.domain.translatable import Message
from hubless.domain.usage import Totals
from hubless.domain.user_table import Reach, Row, TablePage
from hubless.domain.users import User
from hubless.domain.values import value
from hubless.services.identity import Actor

router = page_router()


@value
class _Admin:
    """The admin page as one person may see it."""

    request: Request
    who: Actor
    hub: dependencies.WholeHub
    render: Render

    @property
    def users(self) -> dependencies.Users:
        """Return the store of users."""
        return self.hub.users

    @property
    def servers(self) -> dependencies.Servers:
        """Return the store of servers."""
        return self.hub.servers

    @property
    def spawning(self) -> dependencies.Spawning:
        """Return the service that starts servers."""
        return self.hub.spawning

    @property
    def accounts(self) -> dependencies.Accounts:
        """Return the service of accounts."""
        return self.hub.accounts

    @property
    def privileges(self) -> dependencies.Privileges:
        """Return the service that compares rights."""
        return self.hub.privileges

    @property
    def settings(self) -> dependencies.Settings:
        """Return the hub's settings."""
        return self.hub.settings

    @property
    def sign_ups(self) -> dependencies.SignUps:
        """Return the service of sign-ups."""
        return self.hub.sign_ups

    def page(self, *, error: str | None = None, status: int = 200, asked: Mapping[str, str] | None = None) -> Response:
        """Return the page of the table that the address, or *asked*, asks for."""
        query = self.query if asked is None else self.query_of(asked)
        try:
            table = self._table(query)
        except InvalidRequestError:  # an old bookmark: its cursor is none of this order
            query = replace(query, cursor=None, backwards=False)
            table = self._table(query)
        response = self.render("admin.html", status_code=status, error=error, **self._facts(query, table))
        keep_columns(self.request, response, query.columns)
        return response

    @property
    def query(self) -> TableQuery:
        """Return what the address asks of the table."""
        return self.query_of(self.request.query_params)

    def query_of(self, fields: Mapping[str, str]) -> TableQuery:
        """Return what *fields* ask of the table, within the person's reach."""
        found = users_in_reach(self.users, self.who)
        reach = Reach(frozenset(found["ids"]), frozenset(found["groups"])) if found else None
        return table_query(fields, columns_of(self.request), reach, self.hub.clock.now())

    @property
    def row_views(self) -> RowViews:
        """Return what makes the views of rows."""
        return RowViews(
            self.who,
            self.hub.origins,
            self.hub.roles,
            self.spawning.profiles,
            self.hub.home_limiting,
            self.hub.clock.now(),
            self.hub.currency,
            self.hub.loads,
        )

    def used(self, rows: Iterable[Row]) -> dict[str, Totals]:
        """Return what the users of these rows have used this month, by id, in one read."""
        return self.hub.usage_reports.of_users({row.user.id: row.servers for row in rows})

    def _table(self, query: TableQuery) -> TablePage:
        return self.users.table(
            query.wanted,
            query.sort,
            limit=query.limit,
            descending=query.descending,
            cursor=query.cursor,
            backwards=query.backwards,
        )

    def _facts(self, query: TableQuery, table: TablePage) -> dict[str, Any]:
        ids = [row.user.id for row in table.rows] if "files" in query.columns else []
        sizes = self.hub.home_usage.get_many(ids) if ids else {}
        profiles = [(one.name, one.title) for one in self.spawning.profiles.values()]
        offered = [one for one in COLUMNS if one not in OF_LOADS or self.hub.loads is not None]
        return {
            "rows": self.row_views.views(
                table.rows, sizes, self.used(table.rows) if query.columns & {"hours", "cost"} else {}
            ),
            "total": table.total,
            "is_cut": table.is_cut,
            "is_filtered": query.is_filtered,
            "fields": dict.fromkeys(FILTERS, "") | dict(query.fields),
            "order": query.order if query.sort is table.sort else table.sort.value,
            "limit": query.limit,
            "sizes": SIZES,
            "idle_hours": IDLE_HOURS,
            "all_columns": offered,
            "columns": [one for one in offered if one in query.columns],
            "sorts": {sort.value: query.url(sort=query.turned(table.sort, sort)) for sort in table.sorts},
            "table_url": query.here,
            "first_url": query.url() if query.cursor else None,
            "previous_url": query.url(before=table.before) if table.before else None,
            "next_url": query.url(after=table.after) if table.after else None,
            "running": self.servers.count([State.READY]),
            "profiles": profiles if len(profiles) > 1 else [],
            "sign_ups": self._sign_ups(),
            "keeps_files": self.who.is_admin and self.hub.home_keeping is not None,
            "isolation": self.settings.chosen_isolation,
            "can_set_passwords": self.settings.login.kind == "password",
            "changes_groups": not self.hub.manages_groups,
            "sends_messages": self.who.scopes.has("admin:users"),
        }

    def done(self, said: Message, back: str = PAGE) -> Response:
        """Redirect to the page *back*, which says what was done: a reload does not repeat it."""
        response = RedirectResponse(back, 303)
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

    @property
    def link_base(self) -> str:
        """Return the address before the path of a link that this page makes."""
        return hub_of(self.request).address_for_others(str(self.request.base_url)).url

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


async def _admin(request: Request, who: Person, hub: dependencies.WholeHub, render: Render) -> _Admin:
    return _Admin(request, who, hub, render)


Admin = Annotated[_Admin, Depends(_admin)]


@router.get("/admin")
@has_long_store_calls
async def show_users(admin: Admin) -> Response:
    """Show users and servers."""
    admin.require("admin-ui")
    return admin.page()


@router.post("/admin/sign-ups/{name:segment}/approve")
@has_long_store_calls
async def approve_sign_up(name: str, _form: OwnForm, admin: Admin) -> Response:
    """Approve a sign-up."""
    admin.require("admin:users")
    try:
        admin.sign_ups.approve(name, admin.who)
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


def edit_url(name: str, what: str) -> str:
    """Return the path at which admins change something of a user."""
    return f"/hub/admin/users/{names.url_name(name)}/{what}"
