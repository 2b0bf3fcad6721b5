"""The cookies that bind logins at providers to the browser in which they began, one for each login."""

import re
from collections.abc import Iterable

from starlette.requests import Request
from starlette.responses import Response

from functions.api.auth.cookies import HUB_PATH, cookies, is_secure

_NAME = "hubless-login-"
_SAFE_NAME = f"__Host-{_NAME}"  # over https no other host can set it (RFC 6265bis 4.1.3.2)
_OURS = re.compile(r"(?:__Host-)?hubless-login-[0-9a-f]{16}")
_KEPT = 20  # logins of one browser that go on at once; the oldest beyond end
_LIFETIME = 15 * 60  # seconds; as long as the store knows the login


def set_login_cookie(request: Request, response: Response, name: str, secret: str) -> None:
    """Bind the login *name* to this browser. Cookies of the oldest logins go, if there are many."""
    for old in _sent(request)[: -(_KEPT - 1)]:
        _delete(request, response, old)
    full, path = _place(request, name)
    response.set_cookie(
        full, secret, max_age=_LIFETIME, path=path, httponly=True, samesite="lax", secure=is_secure(request)
    )


def login_cookies(request: Request, name: str) -> list[str]:
    """Return what the browser sent for the login *name*."""
    return cookies(request, _place(request, name)[0])


def remove_login_cookie(request: Request, response: Response, name: str) -> None:
    """Remove the cookie of the login *name*, which is over."""
    _delete(request, response, _place(request, name)[0])


def _place(request: Request, name: str) -> tuple[str, str]:
    """Return name and path of the cookie."""
    return (f"{_SAFE_NAME}{name}", "/") if is_secure(request) else (f"{_NAME}{name}", HUB_PATH)


def _delete(request: Request, response: Response, full: str) -> None:
    path = "/" if full.startswith(_SAFE_NAME) else HUB_PATH
    response.delete_cookie(full, path=path, secure=is_secure(request), httponly=True, samesite="lax")


def _sent(request: Request) -> list[str]:
    """Return the names of all such cookies, the oldest first, as browsers send them (RFC 6265 5.4)."""
    parts: Iterable[str] = request.headers.get("cookie", "").split(";")
    names = dict.fromkeys(part.partition("=")[0].strip() for part in parts)
    return [name for name in names if _OURS.fullmatch(name)]
