"""The hub's cookies: their names, and what a browser sends under them."""

from starlette.requests import Request
from starlette.responses import Response

from functions.api.dependencies import hub_of

HUB_PATH = "/hub/"
LOGIN_COOKIE = "jupyterhub-hub-login"
SAFE_LOGIN_COOKIE = f"__Host-{LOGIN_COOKIE}"
SESSION_COOKIE = "jupyterhub-session-id"
XSRF_COOKIE = "_xsrf"
OWN_PAGE_COOKIE = "jupyterhub-hub-own-page"  # SameSite=Strict: a browser sends it where no other site led it here
DEVICE_COOKIE = "jupyterhub-hub-device"
LOGIN_PATH = "/hub/login"  # the only page that reads the device cookie: it makes no other request longer


def cookies(request: Request, name: str) -> list[str]:
    """Return the different values of the cookie *name*: a browser sends one for each path and host that set it."""
    pairs = (part.partition("=") for header in request.headers.getlist("cookie") for part in header.split(";"))
    return list(dict.fromkeys(value.strip() for key, _, value in pairs if key.strip() == name and value.strip()))


def device_cookie(request: Request) -> str:
    """Return what the browser sent as device cookie, "" if nothing; only its signature proves anything."""
    return "~".join(cookies(request, DEVICE_COOKIE))


def set_own_page_cookie(request: Request, response: Response) -> None:
    """Give the browser the cookie that it sends only where no other site led it here."""
    response.set_cookie(
        OWN_PAGE_COOKIE,
        "1",
        max_age=int(hub_of(request).settings.hub.cookie_max_age.total_seconds()),
        path=HUB_PATH,
        httponly=True,
        samesite="strict",
        secure=is_secure(request),
    )


def login_cookie(request: Request) -> tuple[str, str]:
    """Return name and path of the login cookie.

    Over https no other host, not even a sibling, can set a cookie of this name (RFC 6265bis 4.1.3.2). Browsers send
    it to every path; the edge removes it from requests to servers and services (docs/adr/0008).
    """
    return (SAFE_LOGIN_COOKIE, "/") if is_secure(request) else (LOGIN_COOKIE, HUB_PATH)


def is_secure(request: Request) -> bool:
    """Say whether the browser's address is https."""
    return request.url.scheme == "https" or hub_of(request).settings.hub.public_url.startswith("https:")
