"""The hub's cookies: their names, and what a browser sends under them."""

import re

from starlette.requests import Request
from starlette.responses import Response

from functions.api.dependencies import hub_of

HUB_PATH = "/hub/"
LOGIN_COOKIE = "jupyterhub-hub-login"
SAFE_LOGIN_COOKIE = f"__Host-{LOGIN_COOKIE}"
SESSION_COOKIE = "jupyterhub-session-id"
XSRF_COOKIE = "_xsrf"
OWN_PAGE_COOKIE = "jupyterhub-hub-own-page"  # SameSite=Strict: a browser sends it where no other site led it here
# A login at a server or service leaves one if it does not end (jupyterhub.services.auth, `state_cookie_name`).
_STATE_COOKIE = re.compile(r"(jupyterhub-user-|service-)[^\s=;]+-oauth-state(-[A-Za-z0-9_-]+)?")
_FRESH = 2  # of those; browsers send the oldest first, so the last ones may belong to a login that goes on
_REMOVED_AT_ONCE = 40  # each is a header of the answer, for each path
# Each page after which somebody is logged in adds to it what it was sent. One path covers them all: HTTPX and Requests
# refuse to read a cookie that has several.
DEVICE_COOKIE = "jupyterhub-hub-device"
HALF_LOGIN_COOKIE = "jupyterhub-hub-second-factor"  # a login that waits for a second factor
FACTOR_COOKIE = "jupyterhub-hub-factor"  # the proof that a second factor was shown just now

LANGUAGE_COOKIE = "jupyterhub-hub-language"  # what its reader chose on a page
OPENING_COOKIE = "jupyterhub-hub-opening"  # a consent to log in at one server, given on a page of ours
THEME_COOKIE = "jupyterhub-hub-theme"
SEEN_COOKIE = "jupyterhub-hub-seen"  # newly received shares that the reader has seen
PUT_AWAY_COOKIE = "jupyterhub-hub-put-away"  # ids of announcements that its reader has put away
FLASH_COOKIE = "jupyterhub-hub-flash"  # what the next page says about a form
ONCE_COOKIE = "jupyterhub-hub-once"  # a secret that the next page shows, sealed


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


def remove_stale_state_cookies(request: Request, response: Response) -> None:
    """Remove cookies of logins that did not end, as far as this request shows them; piled up they fill its headers.

    A server that stopped removes none of its own. Browsers show cookies only below the path that they were set for.
    """
    parts = request.headers.get("cookie", "").split(";")
    names = dict.fromkeys(part.partition("=")[0].strip() for part in parts)
    found = [name for name in names if _STATE_COOKIE.fullmatch(name)]
    for name in found[:-_FRESH][:_REMOVED_AT_ONCE]:
        for path in _paths_of_cookies(request):
            response.delete_cookie(name, path=path, secure=is_secure(request), httponly=True)


def _paths_of_cookies(request: Request) -> list[str]:
    """Return the paths for which a cookie of this request may have been set: the root, and prefixes of servers."""
    asked: str = request.scope["raw_path"].decode("ascii", "replace").partition("?")[0]
    parts = asked.split("/")[1:4]
    if parts[0] not in {"user", "services"}:
        return ["/"]
    return ["/", *(f"/{'/'.join(parts[:count])}/" for count in range(2, len(parts) + 1))]
