"""The label `handler` of the request metrics: JupyterHub's class where it has the path, so that queries fit both hubs.

Labels are these classes and functions of ours: a client cannot make new ones.
"""

from collections.abc import Mapping
from functools import lru_cache

from starlette.types import Scope

# JupyterHub 6.1.1's handlers by module, and the paths of ours that they serve there.
_HANDLERS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "apihandlers.users": {
        "SelfAPIHandler": ("/hub/api/user",),
        "UserAPIHandler": ("/hub/api/users/{name:segment}",),
        "ActivityAPIHandler": ("/hub/api/users/{name:segment}/activity",),
        "UserListAPIHandler": ("/hub/api/users",),
        "UserAdminAccessAPIHandler": ("/hub/api/users/{name:segment}/admin-access",),
        "UserServerAPIHandler": (
            "/hub/api/users/{name:segment}/servers/{server:segment}",
            "/hub/api/users/{name:segment}/servers/",
            "/hub/api/users/{name:segment}/server",
        ),
        "SpawnProgressAPIHandler": (
            "/hub/api/users/{name:segment}/servers/{server:segment}/progress",
            "/hub/api/users/{name:segment}/servers//progress",
            "/hub/api/users/{name:segment}/server/progress",
        ),
        "UserTokenListAPIHandler": ("/hub/api/users/{name:segment}/tokens",),
        "UserTokenAPIHandler": ("/hub/api/users/{name:segment}/tokens/{token_id:segment}",),
    },
    "apihandlers.hub": {
        "RootAPIHandler": (
            "/hub/api",
            "/hub/api/",
        ),
        "InfoAPIHandler": ("/hub/api/info",),
        "ShutdownAPIHandler": ("/hub/api/shutdown",),
    },
    "handlers.pages": {
        "HealthCheckHandler": (
            "/hub/api/health",
            "/hub/health",
        ),
        "RootHandler": ("/hub/",),
        "HomeHandler": ("/hub/home",),
        "AcceptShareHandler": ("/hub/accept-share",),
        "SpawnHandler": (
            "/hub/spawn/{owner:segment}/{server:segment}",
            "/hub/spawn/{owner:segment}",
            "/hub/spawn",
        ),
        "SpawnPendingHandler": (
            "/hub/spawn-pending/{owner:segment}/{server:segment}",
            "/hub/spawn-pending/{owner:segment}",
        ),
        "TokenPageHandler": ("/hub/token",),
        "AdminHandler": ("/hub/admin",),
        "ProxyErrorHandler": ("/hub/error/{status:int}",),
    },
    "handlers.metrics": {
        "MetricsHandler": (
            "/hub/api/metrics",
            "/hub/metrics",
        ),
    },
    "apihandlers.proxy": {
        "ProxyAPIHandler": ("/hub/api/proxy",),
    },
    "apihandlers.groups": {
        "GroupListAPIHandler": ("/hub/api/groups",),
        "GroupAPIHandler": ("/hub/api/groups/{name:segment}",),
        "GroupUsersAPIHandler": ("/hub/api/groups/{name:segment}/users",),
        "GroupPropertiesAPIHandler": ("/hub/api/groups/{name:segment}/properties",),
    },
    "apihandlers.shares": {
        "ServerShareAPIHandler": (
            "/hub/api/shares/{owner:segment}",
            "/hub/api/shares/{owner:segment}/{server:segment}",
            "/hub/api/shares/{owner:segment}/",
        ),
        "UserShareListAPIHandler": ("/hub/api/users/{name:segment}/shared",),
        "UserShareAPIHandler": (
            "/hub/api/users/{name:segment}/shared/{owner:segment}/{server:segment}",
            "/hub/api/users/{name:segment}/shared/{owner:segment}/",
        ),
        "GroupShareListAPIHandler": ("/hub/api/groups/{name:segment}/shared",),
        "GroupShareAPIHandler": (
            "/hub/api/groups/{name:segment}/shared/{owner:segment}/{server:segment}",
            "/hub/api/groups/{name:segment}/shared/{owner:segment}/",
        ),
        "ServerShareCodeAPIHandler": (
            "/hub/api/share-codes/{owner:segment}",
            "/hub/api/share-codes/{owner:segment}/{server:segment}",
            "/hub/api/share-codes/{owner:segment}/",
        ),
    },
    "apihandlers.services": {
        "ServiceListAPIHandler": ("/hub/api/services",),
        "ServiceAPIHandler": ("/hub/api/services/{name:segment}",),
    },
    "apihandlers.auth": {
        "TokenAPIHandler": (
            "/hub/api/authorizations/token/{secret:segment}",
            "/hub/api/authorizations/token",
        ),
        "CookieAPIHandler": (
            "/hub/api/authorizations/cookie/{name:segment}",
            "/hub/api/authorizations/cookie/{name:segment}/{secret:segment}",
        ),
        "OAuthAuthorizeHandler": ("/hub/api/oauth2/authorize",),
        "OAuthTokenHandler": ("/hub/api/oauth2/token",),
    },
    "handlers.login": {
        "LoginHandler": ("/hub/login",),
        "LogoutHandler": ("/hub/logout",),
    },
    "handlers.base": {
        "Template404": ("/hub/{path:path}",),
        "PrefixRedirectHandler": ("/{path:path}",),
        "UserRedirectHandler": ("/hub/user-redirect/{path:path}",),
        "UserUrlHandler": (
            "/hub/user/{owner:segment}/{path:path}",
            "/hub/user/{owner:segment}",
        ),
        "CSPReportHandler": ("/hub/security/csp-report",),
    },
    "handlers.static": {
        "CacheControlStaticFilesHandler": ("/hub/static/{path:path}",),
        "LogoHandler": ("/hub/logo",),
    },
}
_EARLY = "functions.api.middleware.HubMiddleware"  # what is answered before a route is sought


def handler_label(scope: Scope) -> str:
    """Return the label of a request that was answered."""
    path, endpoint = getattr(scope.get("route"), "path", None), scope.get("endpoint")
    if path is not None and (known := _by_path().get(path)) is not None:
        return known
    return _EARLY if endpoint is None else f"{endpoint.__module__}.{endpoint.__name__}"


@lru_cache(maxsize=1)
def _by_path() -> Mapping[str, str]:
    return {
        path: f"jupyterhub.{module}.{name}"
        for module, handlers in _HANDLERS.items()
        for name, paths in handlers.items()
        for path in paths
    }
