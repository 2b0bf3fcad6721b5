"""A browser as far as a login needs it: it keeps cookies, follows redirects and sends forms."""

import http.client
import urllib.request
from contextlib import closing
from http.cookiejar import CookieJar
from urllib.parse import urlencode, urljoin, urlsplit

from operations.doctor.hub_client import NoResponseError, Response
from operations.network import Network

MOST_REDIRECTS = 12  # of a login through a server's OAuth
XSRF, HUB = "_xsrf", "/hub"  # servers have a cookie of the same name at their own path
REDIRECTS = frozenset({301, 302, 303, 307, 308})


class Browser:
    """Visits the hub at *url*."""

    def __init__(self, url: str, network: Network) -> None:
        self.url, self._network, self._cookies = url.rstrip("/"), network, CookieJar()

    @property
    def xsrf(self) -> str:
        """Return the XSRF token that the hub gave this browser."""
        host = urlsplit(self.url).hostname
        found = [
            one.value
            for one in self._cookies
            if one.name == XSRF and one.domain.lstrip(".") == host and one.path.startswith(HUB)
        ]
        return str(found[0]) if found else ""

    def forget(self) -> None:
        """Remove all cookies."""
        self._cookies.clear()

    def get(self, address: str) -> Response:
        """Return the last response to a visit, after all redirects.

        Raises:
            NoResponseError: if there is none, or redirects do not end.
        """
        target = urljoin(f"{self.url}/", address)
        for _ in range(MOST_REDIRECTS):
            answer = self.send("GET", target)
            if answer.status not in REDIRECTS:
                return answer
            target = urljoin(target, answer.headers.get("location", ""))
        raise NoResponseError(f"{urlsplit(target).path} still redirects after {MOST_REDIRECTS} redirects")

    def submit(self, address: str, **fields: str) -> Response:
        """Return the response to a form, whose redirect is not followed."""
        body = urlencode(fields | {XSRF: self.xsrf}).encode()
        return self.send("POST", address, body, {"Content-Type": "application/x-www-form-urlencoded"})

    def send(
        self, method: str, address: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> Response:
        """Return the response to one request.

        Raises:
            NoResponseError: if there is none.
        """
        target = urljoin(f"{self.url}/", address)
        parts = urlsplit(target)
        asked = urllib.request.Request(target)  # noqa: S310 it is what the cookie jar reads, and nothing opens it
        self._cookies.add_cookie_header(asked)
        given = {"Accept": "text/html", "User-Agent": "hubless-trial"} | dict(asked.unredirected_hdrs) | (headers or {})
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        with closing(self._network.connection(target)) as connection:
            try:
                connection.request(method, path, body, given)
                answer = connection.getresponse()
                text = answer.read()
            except (OSError, http.client.HTTPException) as error:
                raise NoResponseError(f"no response from {parts.hostname}: {error or type(error).__name__}") from None
            self._cookies.extract_cookies(answer, asked)
            return Response(answer.status, {name.lower(): one for name, one in answer.getheaders()}, text)
