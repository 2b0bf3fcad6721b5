"""The page of all groups that a person may list: their members' number, and what settings give them. No JavaScript."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Final
from urllib.parse import urlencode

from fastapi import Depends
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from functions.api import dependencies
from functions.api.auth.acts import record
from functions.api.auth.visitors import Form, OwnForm, Person
from functions.api.error_handlers import STATUSES
from functions.api.flashes import flash
from functions.api.rendering import Render
from functions.api.routers import page_router
from functions.api.store_pool import has_long_store_calls
from hubless.domain import names, roles
from hubless.domain.audit import Act
from hubless.domain.bounds import MAX_COUNTED, MAX_TYPED_NAME, MAX_USER_NAME
from hubless.domain.errors import HublessError
from hubless.domain.profiles import Profile
from hubless.domain.translatable import gettext as _
from hubless.domain.users import GroupSummary
from hubless.domain.values import value
from hubless.services.identity import Actor

router = page_router()
PAGE: Final = "/hub/admin/groups"
SEARCH: Final = "q"
_ROWS = 50


@value
class _Groups:
    """The groups that one person may list."""

    request: Request
    who: Actor
    groups: dependencies.Groups
    editing: dependencies.GroupEditing
    roles: dependencies.Roles
    spawning: dependencies.Spawning
    render: Render

    def page(self, form: Form | None = None, *, error: str | None = None, status: int = 200) -> Response:
        """Return the page; with the *form* that was refused, if one was, as it was filled in.

        Raises:
            HTTPException: 403 for who may list no group.
        """
        reach = self._reach("list:groups")
        search, after = searched(self.request), self.request.query_params.get("after", "")[:MAX_USER_NAME]
        found = self.groups.summaries(limit=_ROWS + 1, after=after, name_contains=search, names=reach)
        page = found[:_ROWS]
        more = {"after": page[-1].name} if len(found) > _ROWS else None
        kept = {SEARCH: search} if search else {}
        return self.render(
            "groups.html",
            status_code=status,
            groups=[self._view(group) for group in page],
            search=search,
            is_beginning=not after,
            first_url=_url(kept) if after else None,
            next_url=_url(kept | more) if more else None,
            follows_logins=self.editing.follows_logins,
            may_create=not self.editing.follows_logins and self.who.scopes.has("admin:groups"),
            name=form.text("name")[:MAX_TYPED_NAME] if form else "",
            error=error,
        )

    def create(self, form: Form) -> Response:
        """Add the group of the form, and go on to its page.

        Raises:
            HTTPException: 403 for who may create no group.
        """
        name, scopes = form.text("name").strip(), self.who.scopes
        if not scopes.has("admin:groups"):
            raise HTTPException(403, "You may not create groups")
        if not scopes.covers_group("admin:groups", name):
            return self.page(form, error=_("You may not create a group of this name."), status=403)
        try:
            self.editing.create(self.who, name)
        except HublessError as refused:
            return self.page(form, error=refused.message, status=STATUSES[type(refused)])
        record(self.request, Act.GROUP_ADDED, name)
        response = RedirectResponse(group_url(name), 303)
        flash(self.request, response, _("The group is ready. Add its members here."))
        return response

    def _reach(self, scope: str) -> list[str] | None:
        """Return the names of the groups for which the person holds *scope*; None for all.

        Raises:
            HTTPException: 403 for none.
        """
        if self.who.scopes.has_everywhere(scope):
            return None
        reach = sorted(self.who.scopes.values(scope, "group"))
        if not reach:
            raise HTTPException(403, "This page is for people who manage groups")
        return reach

    def _view(self, group: GroupSummary) -> dict[str, Any]:
        scopes = self.who.scopes
        return {
            "name": group.name,
            "url": group_url(group.name),
            "sees_members": scopes.covers_group("read:groups", group.name),
            **counted(group),
            "roles": roles.of_group(group.name, self.roles) if sees_roles(self.who, group.name) else [],
            "profiles": [profile.title for profile in offered_to(self.spawning.profiles, group.name)],
        }


def searched(request: Request) -> str:
    """Return the part of a name that the request looks for; no name is longer."""
    return request.query_params.get(SEARCH, "").strip()[:MAX_USER_NAME]


def group_url(name: str, what: str = "") -> str:
    """Return the path of the page of a group, or of *what* below it."""
    return f"{PAGE}/{names.url_name(name)}{what and '/'}{what}"


def counted(group: GroupSummary) -> dict[str, Any]:
    """Return how many members pages say that a group has, and whether it has more."""
    return {"members": min(group.members, MAX_COUNTED), "has_more": group.members > MAX_COUNTED}


def sees_roles(who: Actor, group: str) -> bool:
    """Say whether a person may read the roles of a group."""
    return who.scopes.covers_group("read:roles:groups", group)


def offered_to(profiles: Mapping[str, Profile], group: str) -> Iterable[Profile]:
    """Return the profiles that settings offer to this group by its name."""
    return [profile for profile in profiles.values() if group in profile.access.groups]


def _url(query: Mapping[str, str]) -> str:
    return f"{PAGE}?{urlencode(query)}" if query else PAGE


async def _groups(
    request: Request,
    who: Person,
    groups: dependencies.Groups,
    editing: dependencies.GroupEditing,
    roles: dependencies.Roles,
    spawning: dependencies.Spawning,
    render: Render,
) -> _Groups:
    return _Groups(request, who, groups, editing, roles, spawning, render)


Groups = Annotated[_Groups, Depends(_groups)]


@router.get("/admin/groups")
@has_long_store_calls
async def show_groups(groups: Groups) -> Response:
    """Show the groups, page by page."""
    return groups.page()


@router.post("/admin/groups")
@has_long_store_calls
async def create_group(form: OwnForm, groups: Groups) -> Response:
    """Create a group without members."""
    return groups.create(form)
