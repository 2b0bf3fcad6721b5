"""The page of roles: what each allows in words, who has it, and where it comes from. It changes nothing."""

from collections.abc import Iterable
from typing import Annotated, Any, Final

from fastapi import Depends
from starlette.exceptions import HTTPException
from starlette.responses import Response

from functions.api import dependencies
from functions.api.auth.visitors import Person, user_of
from functions.api.pages.views import scope_view
from functions.api.rendering import Render
from functions.api.routers import page_router
from functions.api.store_pool import has_long_store_calls
from hubless.domain.roles import DEFAULTS, Role
from hubless.domain.scopes import GroupsOf
from hubless.domain.values import value
from hubless.services.identity import Actor

router = page_router()
OF_USERS, OF_GROUPS, OF_SERVICES = READS = ("read:roles:users", "read:roles:groups", "read:roles:services")
_MOST: Final = 50  # names that a role shows of each kind


@value
class _Roles:
    """The roles that one person may read."""

    who: Actor
    roles: dependencies.Roles
    settings: dependencies.Settings
    identities: dependencies.Identities
    render: Render

    def page(self) -> Response:
        """Return the page: all roles for who reads everybody's, otherwise those of whom the person may read.

        Raises:
            HTTPException: 403 for who may read nobody's roles.
        """
        held = self.who.scopes
        if not any(map(held.has, READS)):
            raise HTTPException(403, "This page is for people who may read roles")
        groups_of = self.identities.groups_of(user_of(self.who))
        shown = [self._view(role, groups_of) for role in self.roles.values()]
        sees_all = any(map(held.has_everywhere, READS))
        return self.render(
            "roles.html",
            roles=[one for one in shown if sees_all or any(one[kind]["names"] for kind in ("users", "groups", "on"))],
        )

    def _view(self, role: Role, groups_of: GroupsOf) -> dict[str, Any]:
        held = self.who.scopes
        named = {one.name for one in self.settings.roles}
        return {
            "name": role.name,
            "description": role.description,
            "scopes": [scope_view(raw) for raw in role.scopes],
            "default": role.name if role.name in DEFAULTS else "",
            "is_in_settings": role.name in named,
            "users": _names(one for one in sorted(role.users) if self._sees_user(one, groups_of)),
            "groups": _names(one for one in sorted(role.groups) if held.covers_group(OF_GROUPS, one)),
            "on": _names(one for one in sorted(role.services) if held.covers_service(OF_SERVICES, one)),
        }

    def _sees_user(self, name: str, groups_of: GroupsOf) -> bool:
        held = self.who.scopes
        if held.has_everywhere(OF_USERS) or not held.has(OF_USERS):  # without a look at the user's groups
            return held.has(OF_USERS)
        return held.covers_user(OF_USERS, name, groups_of(name))


def _names(found: Iterable[str]) -> dict[str, Any]:
    """Return the names that the page shows, and how many more there are."""
    every = list(found)
    return {"names": every[:_MOST], "more": max(0, len(every) - _MOST)}


async def _roles(
    who: Person,
    roles: dependencies.Roles,
    settings: dependencies.Settings,
    identities: dependencies.Identities,
    render: Render,
) -> _Roles:
    return _Roles(who, roles, settings, identities, render)


@router.get("/admin/roles")
@has_long_store_calls
async def show_roles(roles: Annotated[_Roles, Depends(_roles)]) -> Response:
    """Show the roles."""
    return roles.page()
