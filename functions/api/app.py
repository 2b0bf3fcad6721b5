"""The web application: the API under /hub/api, the pages under /hub, and a redirect to them from everywhere else."""

from functools import lru_cache
from typing import Any

from fastapi import FastAPI
from fastapi.telemetry import TelemetryConfig
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from functions.api import error_handlers
from functions.api.auth.visitors import LoginRequired, to_login
from functions.api.middleware import HubMiddleware
from functions.api.pages import (
    account,
    account_data,
    account_factors,
    account_shares,
    admin,
    admin_logins,
    admin_selected,
    admin_user,
    announcements,
    audit,
    budgets,
    email_addresses,
    forgotten,
    group,
    home,
    home_changes,
    join_links,
    lti,
    maintenance,
    messages,
    opening,
    passwords,
    people,
    plain,
    preferences,
    profile_pictures,
    providers,
    removed_files,
    schedules,
    second_factor,
    sessions,
    share,
    sharing,
    sign_up,
    spawn,
    token,
    unrouted,
    usage,
)
from functions.api.pages import groups as group_pages
from functions.api.pages import roles as role_pages
from functions.api.pages import services as service_pages
from functions.api.request_metrics import RequestMetrics
from functions.api.routes import announcements as announcement_routes
from functions.api.routes import audit as audit_routes
from functions.api.routes import (
    authorizations,
    documentation,
    groups,
    identities,
    oauth,
    servers,
    services,
    shares,
    sign_ups,
    tokens,
    users,
)
from functions.api.routes import budgets as budget_routes
from functions.api.routes import email_addresses as email_routes
from functions.api.routes import home_limits as home_limit_routes
from functions.api.routes import hub as hub_routes
from functions.api.routes import join_links as join_link_routes
from functions.api.routes import lti as lti_routes
from functions.api.routes import messages as message_routes
from functions.api.routes import people as people_routes
from functions.api.routes import schedules as schedule_routes
from functions.api.routes import second_factors as factor_routes
from functions.api.routes import sessions as session_routes
from functions.api.routes import spares as spare_routes
from functions.api.routes import usage as usage_routes
from functions.api.routes import user_notes as note_routes
from functions.api.version import VERSION
from functions.api.watchers import ALL_PLACES, Watchers
from functions.api.write_gate import WriteGate
from hubless.bootstrap.hub import Hub
from hubless.domain.translatable import gettext as _

# Routes are tried in this order, so the busiest come first and `everywhere` comes last.
API = (
    hub_routes,
    users,
    servers,
    tokens,
    groups,
    shares,
    services,
    session_routes,
    identities,
    email_routes,
    note_routes,
    home_limit_routes,
    factor_routes,
    people_routes,
    sign_ups,
    join_link_routes,
    authorizations,
    oauth,
    lti_routes,
    usage_routes,
    schedule_routes,
    budget_routes,
    announcement_routes,
    message_routes,
    audit_routes,
    spare_routes,
    documentation,
)
PAGES = (
    sessions,
    home,
    home_changes,
    sharing,
    share,
    opening,
    spawn,
    profile_pictures,
    unrouted,
    lti,
    token,
    admin,
    admin_logins,
    audit,
    admin_selected,
    admin_user,
    removed_files,
    group_pages,
    group,
    people,
    role_pages,
    service_pages,
    join_links,
    account,
    account_data,
    passwords,
    second_factor,
    account_factors,
    account_shares,
    email_addresses,
    forgotten,
    providers,
    sign_up,
    preferences,
    usage,
    budgets,
    schedules,
    announcements,
    messages,
    maintenance,
)
ROUTERS = (*(module.router for module in (*API, *PAGES)), plain.pages, plain.everywhere)
_NO_TELEMETRY: TelemetryConfig = {
    "tracing": False,
    "metrics": False,
    "logs": False,
    "operation_spans": False,
    "auto_configure": False,
}


def create_app(hub: Hub) -> FastAPI:
    """Return the application that serves *hub*.

    Some features of FastAPI are off. It builds redirects for slashes from the client's Host header, and its telemetry
    records query strings with tokens. The document and its page are routes of ours.

    `routes=` replaces `include_router`, which would match and build each route twice (docs/adr/0024).
    """
    app = FastAPI(
        title="hubless: JupyterHub's REST API",
        version=VERSION,
        routes=[*_plugin_routes(hub), *_routes()],
        openapi_url=None,
        redirect_slashes=False,
        telemetry=_NO_TELEMETRY,
        middleware=_middleware(hub),
        exception_handlers={
            **error_handlers.HANDLERS,
            LoginRequired: _login,
        },
    )
    app.state.hub = hub
    app.state.watchers = Watchers(max(1, ALL_PLACES // hub.settings.hub.workers))
    app.state.write_gate = WriteGate(hub.write_lock)
    return app


def _plugin_routes(hub: Hub) -> list[BaseRoute]:
    """Return the route of the login plug-in, where settings name one."""
    if hub.login_plugin is None:
        return []
    from functions.api.pages.plugin import PluginRoute  # noqa: PLC0415 few hubs have one

    return [PluginRoute(hub.login_plugin)]


def _middleware(hub: Hub) -> list[Middleware]:
    found = [Middleware(RequestMetrics, hub=hub), Middleware(HubMiddleware, origins=hub.origins)]
    if hub.settings.login_proxies:
        from functions.api.auth.proxy_logins import ProxyLoginMiddleware  # noqa: PLC0415 few hubs have any

        found.append(Middleware(ProxyLoginMiddleware, hub=hub))
    return found


@lru_cache(maxsize=1)
def _routes() -> list[BaseRoute]:
    """Return all routes, which are the same for every hub."""
    return [route for router in ROUTERS for route in router.routes]


@lru_cache(maxsize=1)
def api_document() -> dict[str, Any]:
    """Return the OpenAPI document of the API."""
    from functions.api.openapi_document import document_of  # noqa: PLC0415 few requests need it

    return document_of(_routes())


async def _login(request: Request, _error: Exception) -> Response:
    if request.headers.get("sec-fetch-mode", "navigate") not in {"navigate", "no-cors", "cors"}:
        return error_handlers.answer(request, 403, _("Log in first"))
    if request.method not in {"GET", "HEAD"}:
        return error_handlers.answer(request, 403, _("Log in first"))
    return to_login(request)
