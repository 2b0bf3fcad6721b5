"""The page of services: what each may, where it is, who may open it, and when it was last seen. No JavaScript."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Final

from fastapi import Depends
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from functions.api import dependencies
from functions.api.auth.acts import record
from functions.api.auth.visitors import OwnForm, Person
from functions.api.flashes import flash
from functions.api.pages.views import scope_view
from functions.api.rendering import Render
from functions.api.routers import page_router
from functions.api.serializers import instant
from functions.api.store_pool import has_long_store_calls
from hubless.domain import names, roles
from hubless.domain.audit import Act
from hubless.domain.errors import HublessError
from hubless.domain.scopes import Bearer, expand
from hubless.domain.translatable import gettext as _
from hubless.domain.users import Service
from hubless.domain.values import value
from hubless.services.identity import Actor

router = page_router()
PAGE: Final = "/hub/admin/services"
_OPENS: Final = "access:services"


@value
class _Services:
    """The services that one person may list."""

    request: Request
    who: Actor
    services: dependencies.Services
    roles: dependencies.Roles
    origins: dependencies.Origins
    render: Render

    def page(self, *, error: str | None = None, status: int = 200) -> Response:
        """Return the page.

        Raises:
            HTTPException: 403 for who may list no service.
        """
        held = self.who.scopes
        if not held.has("list:services"):
            raise HTTPException(403, "This page is for people who may list services")
        seen = self.services.last_seen() if held.has("read:services") else {}
        listed = [one for one in self.services.all() if held.covers_service("list:services", one.name)]
        return self.render(
            "services.html", status_code=status, listed=[self._view(one, seen) for one in listed], error=error
        )

    def remove(self, name: str) -> Response:
        """Remove a service that was added while the hub ran, as the API does.

        Raises:
            HTTPException: 404 for one out of reach or that settings name.
        """
        service = self.services.get(name) if self.who.scopes.covers_service("admin:services", name) else None
        if service is None or service.from_settings:
            raise HTTPException(404, "No such service, or not one that you may remove")
        try:
            self.services.remove(name)
        except HublessError as gone:
            return self.page(error=gone.message, status=404)
        record(self.request, Act.SERVICE_REMOVED, name)
        response = RedirectResponse(PAGE, 303)
        flash(self.request, response, _("The service %(name)s is removed.", name=name))
        return response

    def _view(self, service: Service, seen: Mapping[str, datetime]) -> dict[str, Any]:
        """Return what the page shows: the name, and as much more as the person may read of the service."""
        held, name = self.who.scopes, service.name
        view: dict[str, Any] = {
            "name": name,
            "from_settings": service.from_settings,
            "reads": held.covers_service("read:services", name),
            "reads_roles": held.covers_service("read:roles:services", name),
            "remove_url": None,
        }
        if view["reads"]:
            opens = service.url and held.covers_service(_OPENS, name)
            view |= {
                "url": self.origins.link_to(service.prefix) if opens else "",
                "address": service.url or "",
                "last_seen": instant(seen.get(name)),
                "client_id": service.oauth_client_id or "",
                "asks": [scope_view(raw) for raw in service.oauth_client_allowed_scopes],
                "asks_for_consent": not service.oauth_no_confirm,
            }
        if view["reads_roles"]:
            own = roles.of_service(service, self.roles)
            view |= {
                "admin": service.admin,
                "roles": [
                    {"name": role, "scopes": [scope_view(raw) for raw in self.roles[role].scopes]} for role in own
                ],
                "opened_by": self._opened_by(name) if service.url or service.oauth_client_id else [],
            }
        if not service.from_settings and held.covers_service("admin:services", name):
            view["remove_url"] = f"{PAGE}/{names.url_name(name)}/remove"
        return view

    def _opened_by(self, service: str) -> list[str]:
        """Return the names of the roles whose holders may open the service."""
        bearer = Bearer(service=service)
        return [
            role.name for role in self.roles.values() if expand(role.scopes, bearer).covers_service(_OPENS, service)
        ]


async def _services(
    request: Request,
    who: Person,
    services: dependencies.Services,
    roles: dependencies.Roles,
    origins: dependencies.Origins,
    render: Render,
) -> _Services:
    return _Services(request, who, services, roles, origins, render)


Services = Annotated[_Services, Depends(_services)]


@router.get("/admin/services")
@has_long_store_calls
async def show_services(services: Services) -> Response:
    """Show the services."""
    return services.page()


@router.post("/admin/services/{name:segment}/remove")
@has_long_store_calls
async def remove_service(name: str, _form: OwnForm, services: Services) -> Response:
    """Remove a service that was added while the hub ran."""
    return services.remove(name)
