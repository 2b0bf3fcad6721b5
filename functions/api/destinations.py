"""Where a person is led after a page: only ever to a path on this host."""

from urllib.parse import quote, urlsplit

from starlette.requests import Request

from functions.api.asking import hub_of

_MAX = 4096


def safe_next(request: Request, given: str) -> str | None:
    """Return *given* as a path with one leading slash, or None when a browser might follow it elsewhere.

    Browsers drop tabs and newlines, take a backslash for a slash and `//host` for an address (WHATWG URL): whatever holds
    one of these is not followed at all. Spaces at the ends are dropped here, as there, and others encoded. A full address of this
    very host, or of one below the hub's, is cut to its path, and that is looked at again.
    """
    given = given.strip(" ")
    if not given or len(given) > _MAX or any(c < " " or c in "\\\x7f" for c in given):
        return None
    try:
        url = urlsplit(given)
    except ValueError:
        return None
    if url.scheme or url.netloc:
        own = (request.url.scheme, request.headers.get("host", ""))
        if (url.scheme, url.netloc) != own and not hub_of(request).origins.is_below(url.scheme, url.netloc):
            return None
        given = url._replace(scheme="", netloc="").geturl() if url.path.startswith("/") else ""
    if not given.startswith("/") or given.startswith("//"):
        return None
    return quote(given, safe="/?#&=+%@:;,!*'()[]~$-._")


def located(request: Request, path: str) -> str:
    """Return where a person is led who is to come to *path*: at its owner's host where each has one."""
    return hub_of(request).origins.located(path)


def with_next(path: str, following: str | None) -> str:
    """Return *path* with *following* as its `next`."""
    return f"{path}?next={quote(following, safe='')}" if following else path
