"""Services: listing, reading, and those that are added and removed at run time."""

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from functions.api import answers, bodies, wire
from functions.api.asking import OUT_OF_REACH, Ask, Asking
from functions.api.jsontext import JSONResponse
from functions.api.openapi import Operation
from functions.api.routing import Router
from hubless.domain.tokens import sha256
from hubless.domain.users import Service
from hubless.services.service_registry import CLIENT_ID_PREFIX

router = Router()
_READS = ("read:services", "read:services:name", "read:roles:services")


@router.get("/services", Operation(("list:services",), gives=dict[str, answers.Service]))
async def list_services(ask: Ask) -> Response:
    """Return the services by name."""
    actor = ask.needs("list:services")
    found = {
        service.name: wire.service_model(service, actor.scopes, ask.hub.roles)
        for service in ask.hub.services.all()
        if actor.scopes.covers_service("list:services", service.name)
    }
    return JSONResponse(found)


@router.get("/services/{name:segment}", Operation(_READS, gives=answers.Service))
async def read_service(ask: Ask, name: str) -> Response:
    """Return one service."""
    _within_reach(ask, name, *_READS)
    service = ask.hub.services.get(name)
    if service is None:
        raise HTTPException(404, f"No such service: {name[:60]}")
    return JSONResponse(_model(ask, service))


@router.post(
    "/services/{name:segment}",
    Operation(
        ("admin:services",), takes=bodies.NewService, gives=answers.Service, status=201, also=(409,), needs_body=True
    ),
)
async def add_service(ask: Ask, name: str, request: Request) -> Response:
    """Add an external service; whoever adds it must hold all that it will."""
    _within_reach(ask, name, "admin:services")
    if ask.hub.services.get(name) is not None:
        raise HTTPException(409, f"Service {name} already exists")
    body = await bodies.read(request, bodies.NewService)
    if not body.model_fields_set:
        raise HTTPException(400, "Invalid service data: give at least one of url, api_token, admin, info or display")
    if body.command:
        raise HTTPException(400, f"Can not create managed service {name} at runtime: this hub runs no services itself")
    service = _service(name, body)
    actor = ask.known()
    ask.hub.services.add(service, actor.scopes, ask.hub.identities.groups_of(*filter(None, [actor.user])))
    return JSONResponse(_model(ask, service), 201)


@router.delete("/services/{name:segment}", Operation(("admin:services",), also=(405,)))
async def remove_service(ask: Ask, name: str) -> Response:
    """Remove a service that was added at run time."""
    _within_reach(ask, name, "admin:services")
    service = ask.hub.services.get(name)
    if service is None:
        raise HTTPException(404, f"Service {name[:60]} does not exist")
    if service.from_settings:
        raise HTTPException(405, f"Service {name} is not modifiable at runtime")
    ask.hub.services.remove(name)
    return Response(media_type="application/json")


def _within_reach(ask: Asking, name: str, *needed: str) -> None:
    actor = ask.needs(*needed)
    if not any(actor.scopes.covers_service(scope, name) for scope in needed):
        raise HTTPException(404, OUT_OF_REACH)


def _service(name: str, body: bodies.NewService) -> Service:
    """Return what *body* describes; it is an OAuth client when it has a secret and somewhere to be sent back to."""
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
    )


def _model(ask: Asking, service: Service) -> dict[str, object]:
    return wire.service_model(service, ask.known().scopes, ask.hub.roles)
