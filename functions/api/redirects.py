"""Safe redirect targets: only a path on this host, or at the host of the path's owner."""

from typing import Annotated
from urllib.parse import quote, urlsplit

from fastapi import Depends
from starlette.requests import Request

from functions.api import dependencies
from hubless.domain import names
from hubless.domain.lifecycle import State
from hubless.domain.origins import Origins
from hubless.domain.users import User
from hubless.ports.servers import ServerStore

_MAX = 4096  # characters


class Redirects:
    """Where one request may be redirected to."""

    def __init__(self, request: Request, origins: Origins) -> None:
        self._request, self._origins = request, origins

    @property
    def next(self) -> str | None:
        """Return the `next` of the request's query, as `safe` does."""
        return self.safe(self._request.query_params.get("next", ""))

    def safe(self, given: str) -> str | None:
        """Return *given* as a path with one leading slash, or None when a browser might follow it elsewhere.

        Browsers drop tabs and newlines, take a backslash for a slash and `//host` for an address (WHATWG URL). A text
        with one of these is refused. Spaces at the ends are dropped, as browsers do, and others encoded. A full address
        of this very host, or of one below the hub's, is cut to its path, which is checked again.
        """
        given = given.strip(" ")
        if not given or len(given) > _MAX or any(c < " " or c in "\\\x7f" for c in given):
            return None
        try:
            url = urlsplit(given)
        except ValueError:
            return None
        if url.scheme or url.netloc:
            own = (self._request.url.scheme, self._request.headers.get("host", ""))
            if (url.scheme, url.netloc) != own and not self._origins.is_below(url.scheme, url.netloc):
                return None
            given = url._replace(scheme="", netloc="").geturl() if url.path.startswith("/") else ""
        if not given.startswith("/") or given.startswith("//"):
            return None
        return quote(given, safe="/?#&=+%@:;,!*'()[]~$-._")

    def link_to(self, path: str) -> str:
        """Return the address of *path*: at its owner's host where each user has a host."""
        return self._origins.link_to(path)


def with_next(path: str, following: str | None) -> str:
    """Return *path* with *following* as its `next`."""
    return f"{path}?next={quote(following, safe='')}" if following else path


def default_destination(servers: ServerStore, origins: Origins, user: User) -> str:
    """Return the redirect of a person without a `next`: their server if it runs, otherwise the page that starts it."""
    server = servers.find(user.id, "")
    is_ready = server is not None and server.state is State.READY
    return origins.link_to(names.server_prefix(user.name, "")) if is_ready else "/hub/spawn"


async def _redirects(request: Request, origins: dependencies.Origins) -> Redirects:
    return Redirects(request, origins)


RequestRedirects = Annotated[Redirects, Depends(_redirects)]
