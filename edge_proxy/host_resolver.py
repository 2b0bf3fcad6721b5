"""Resolves the host names of routes, each every 30 seconds. Only services have host names, so they are few."""

import logging
import queue
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from hubless.domain.routes import ServerKey

logger = logging.getLogger(__name__)
INTERVAL_SECONDS = 30.0
_NO_SUCH_HOST = frozenset({socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)})
LookUp = Callable[[str], str]  # returns an IPv4 address or raises OSError


@dataclass(slots=True)
class ResolvedRoute:
    """A route to a host name."""

    prefix: str
    host: str
    port: str
    server: ServerKey | None
    ip: str | None  # None while the host does not exist

    @property
    def address(self) -> str | None:
        """Return ip:port, the only form that HAProxy connects to; None while the host does not exist."""
        return None if self.ip is None else f"{self.ip}:{self.port}"


class HostResolver:
    """Remembers the routes to host names, and where each host is."""

    def __init__(self, look_up: LookUp = socket.gethostbyname, *, interval_seconds: float = INTERVAL_SECONDS) -> None:
        """Look up each host with *look_up* every *interval_seconds*."""
        self._look_up = look_up
        self._interval_seconds = interval_seconds
        self._routes: dict[str, ResolvedRoute] = {}  # by prefix
        self._known: dict[str, str | None] = {}  # the IP address of each host
        self._results: queue.SimpleQueue[dict[str, str | None]] = queue.SimpleQueue()
        self._is_looking_up = False
        self._due_at = time.monotonic() + interval_seconds

    def resolve(self, prefix: str, address: str, server: ServerKey | None) -> str | None:
        """Return *address* as ip:port; None while its host does not exist.

        A host name is looked up again and again from now on, until `forget` or another address for *prefix*.
        """
        host, _, port = address.rpartition(":")
        self._routes.pop(prefix, None)
        if is_ip(host):
            return address
        ip = self._find(host, self._known.get(host))
        self._remember(host, ip)
        self._routes[prefix] = route = ResolvedRoute(prefix, host, port, server, ip)
        return route.address

    def forget(self, prefix: str) -> None:
        """Stop looking up the host of *prefix*."""
        self._routes.pop(prefix, None)

    def clear(self) -> None:
        """Forget all routes, but not where their hosts were: DNS may not answer when they come back."""
        self._routes.clear()

    def changed_routes(self) -> list[ResolvedRoute]:
        """Return the routes whose host has another address than before.

        A thread looks hosts up: DNS may take long to answer, and other routes must not wait for it.
        """
        changed: list[ResolvedRoute] = []
        if not self._results.empty():
            self._is_looking_up, self._due_at = False, time.monotonic() + self._interval_seconds
            changed = self._apply(self._results.get())
        if self._routes and not self._is_looking_up and time.monotonic() >= self._due_at:
            self._is_looking_up = True
            self._known = {route.host: self._known.get(route.host) for route in self._routes.values()}
            threading.Thread(target=self._find_all, args=(dict(self._known),), name="dns", daemon=True).start()
        return changed

    def _find_all(self, known: dict[str, str | None]) -> None:
        self._results.put({host: self._find(host, before) for host, before in known.items()})

    def _apply(self, found: dict[str, str | None]) -> list[ResolvedRoute]:
        for host, ip in found.items():
            self._remember(host, ip)
        changed = [route for route in self._routes.values() if route.host in found and route.ip != found[route.host]]
        for route in changed:
            route.ip = found[route.host]
        return changed

    def _find(self, host: str, before: str | None) -> str | None:
        """Return the IP address of *host*; the one of *before* when DNS does not answer."""
        try:
            return self._look_up(host)
        except OSError as error:
            return None if isinstance(error, socket.gaierror) and error.errno in _NO_SUCH_HOST else before
        except (ValueError, TypeError):  # not a host name: a label is empty or too long, or holds a NUL
            return None

    def _remember(self, host: str, ip: str | None) -> None:
        if ip is None and self._known.get(host, "") is not None:
            logger.warning("the host %s does not exist: its service has no route until DNS knows it", host[:255])
        self._known[host] = ip


def is_ip(host: str) -> bool:
    """Say whether *host* is an IPv4 address."""
    try:
        socket.inet_pton(socket.AF_INET, host)
    except (OSError, ValueError, TypeError):
        return False
    return True
