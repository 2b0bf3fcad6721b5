"""Services: listing, reading, adding and removing them at run time."""

from typing import Annotated

from fastapi import Security
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from functions.api import request_schemas as requests
from functions.api import response_schemas as schemas
from functions.api import serializers
from functions.api.auth.acts import record
from functions.api.auth.authentication import CurrentActor, MaybeActor
from functions.api.auth.scope_checks import OUT_OF_REACH, holds, require
from functions.api.dependencies import Clock, Identities, Roles, Services
from functions.api.json_codec import JSONResponse
from functions.api.routers import api_router, problems
from hubless.domain.added_services import CLIENT_ID_PREFIX
from hubless.domain.audit import Act
from hubless.domain.tokens import sha256
from hubless.domain.users import Service
from hubless.services.identifiers import new_id
from hubless.services.identity import Actor

router = api_router("/services", tag="services")


class _ServiceInReach:
    """Gives the actor, who holds one of *scopes* for the service in the path; the service need not exist."""

    def __init__(self, *scopes: str) -> None:
        self.scopes = scopes

    async def __call__(self, request: Request, actor: MaybeActor) -> Actor:
        known, name = require(actor, *self.scopes), request.path_params["name"]
        if not any(known.scopes.covers_service(scope, name) for scope in self.scopes):
            raise HTTPException(404, OUT_OF_REACH)
        return known


_READS = _ServiceInReach("read:services", "read:services:name", "read:roles:services")
_CHANGES = _ServiceInReach("admin:services")
ServiceReader = Annotated[Actor, Security(_READS, scopes=_READS.scopes)]
ServiceAdmin = Annotated[Actor, Security(_CHANGES, scopes=_CHANGES.scopes)]


@router.get("", response_model=dict[str, schemas.Service])
async def list_services(actor: Annotated[Actor, holds("list:services")], services: Services, roles: Roles) -> Response:
    """Return the services by name."""
    found = {
        service.name: serializers.service_model(service, actor.scopes, roles)
        for service in services.all()
        if actor.scopes.covers_service("list:services", service.name)
    }
    return JSONResponse(found)


@router.get("/{name:segment}", response_model=schemas.Service)
async def read_service(name: str, actor: ServiceReader, services: Services, roles: Roles) -> Response:
    """Return one service."""
    service = services.get(name)
    if service is None:
        raise HTTPException(404, f"No such service: {name[:60]}")
    return JSONResponse(serializers.service_model(service, actor.scopes, roles))


async def _new_name(request: Request, _actor: ServiceAdmin, services: Services) -> str:
    name: str = request.path_params["name"]
    if services.get(name) is not None:
        raise HTTPException(409, f"Service {name} already exists")
    return name


@router.post("/{name:segment}", status_code=201, response_model=schemas.Service, responses=problems(409, 413))
async def add_service(
    request: Request,
    name: Annotated[str, Security(_new_name)],
    actor: CurrentActor,
    body: requests.NewService,
    services: Services,
    identities: Identities,
    roles: Roles,
    clock: Clock,
) -> Response:
    """Add an external service. The actor must hold every scope that the service will hold."""
    if not body.model_fields_set:
        raise HTTPException(400, "Invalid service data: give at least one of url, api_token, admin, info or display")
    if body.command:
        raise HTTPException(400, f"Can not create managed service {name} at runtime: this hub runs no services itself")
    service = _service(name, body, new_id("sv", clock.now()))
    known = filter(None, [actor.user])
    services.add(service, actor.scopes, identities.groups_of(*known), by_admin=actor.is_admin)
    record(request, Act.SERVICE_ADDED, service.name, admin="yes" if service.admin else "")
    return JSONResponse(serializers.service_model(service, actor.scopes, roles), 201)


@router.delete("/{name:segment}", response_class=Response, responses=problems(405))
async def remove_service(request: Request, name: str, _actor: ServiceAdmin, services: Services) -> Response:
    """Remove a service that was added at run time."""
    service = services.get(name)
    if service is None:
        raise HTTPException(404, f"Service {name[:60]} does not exist")
    if service.from_settings:
        raise HTTPException(405, f"Service {name} is not modifiable at runtime")
    services.remove(name)
    record(request, Act.SERVICE_REMOVED, name)
    return Response(media_type="application/json")


def _service(name: str, body: requests.NewService, service_id: str) -> Service:
    """Return what *body* describes. It is an OAuth client if it has a secret and a redirect URI."""
    is_client = bool(body.api_token and (body.url or body.oauth_redirect_uri))
    return Service(
        name=name,
        admin=body.admin,
        url=body.url or None,
        token_sha256=sha256(body.api_token) if body.api_token else None,
        oauth_client_id=(body.oauth_client_id or f"{CLIENT_ID_PREFIX}{name}") if is_client else None,
        oauth_redirect_uri=(body.oauth_redirect_uri or f"/services/{name}/oauth_callback") if is_client else None,
        oauth_no_confirm=body.oauth_no_confirm,
        oauth_client_allowed_scopes=tuple(body.oauth_client_allowed_scopes),
        info=body.info,
        display=body.display,
        from_settings=False,
        id=service_id,
    )
