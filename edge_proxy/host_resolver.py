"""Routes to hosts by name, which are services': they are few, and each is looked up when it comes and again now and then."""

import logging
import queue
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from hubless.domain.routes import ServerKey

logger = logging.getLogger(__name__)
LOOK_EVERY = 30.0  # seconds
_NO_SUCH = frozenset({socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)})
LookUp = Callable[[str], str]  # returns an IPv4 address or raises OSError


@dataclass(slots=True)
class ResolvedRoute:
    """A route to a host by its name."""

    prefix: str
    host: str
    port: str
    server: ServerKey | None
    ip: str | None  # where the host was found

    @property
    def address(self) -> str | None:
        """Return ip:port, which is all that HAProxy dials; None while the name leads nowhere."""
        return None if self.ip is None else f"{self.ip}:{self.port}"


class HostResolver:
    """Remembers those routes alone that lead to a name."""

    def __init__(self, look_up: LookUp = socket.gethostbyname, *, every_seconds: float = LOOK_EVERY) -> None:
        """Look up each host with *look_up* every so often."""
        self._look_up = look_up
        self._every_seconds = every_seconds
        self._routes: dict[str, ResolvedRoute] = {}  # by prefix
        self._known: dict[str, str | None] = {}  # where each host is
        self._found: queue.SimpleQueue[dict[str, str | None]] = queue.SimpleQueue()
        self._is_looking = False
        self._due_at = time.monotonic() + every_seconds

    def resolve(self, prefix: str, address: str, server: ServerKey | None) -> str | None:
        """Return *address* as ip:port; None while its host's name leads nowhere.

        From now on the name is followed, for as long as *prefix* leads there.
        """
        host, _, port = address.rpartition(":")
        self._routes.pop(prefix, None)
        if is_ip(host):
            return address
        ip = self._look(host, self._known.get(host))
        self._note(host, ip)
        self._routes[prefix] = named = ResolvedRoute(prefix, host, port, server, ip)
        return named.address

    def forget(self, prefix: str) -> None:
        """Follow what *prefix* led to no more."""
        self._routes.pop(prefix, None)

    def clear(self) -> None:
        """Follow nothing. Where hosts were found last is kept, for when nobody can tell."""
        self._routes.clear()

    def changed_routes(self) -> list[ResolvedRoute]:
        """Return the routes that lead elsewhere than before.

        Hosts are looked up meanwhile by a thread: where nobody answers that takes long, and other routes do not wait.
        """
        moved: list[ResolvedRoute] = []
        if not self._found.empty():
            self._is_looking, self._due_at = False, time.monotonic() + self._every_seconds
            moved = self._apply(self._found.get())
        if self._routes and not self._is_looking and time.monotonic() >= self._due_at:
            self._is_looking = True
            self._known = {named.host: self._known.get(named.host) for named in self._routes.values()}
            threading.Thread(target=self._look_at_all, args=(dict(self._known),), name="names", daemon=True).start()
        return moved

    def _look_at_all(self, known: dict[str, str | None]) -> None:
        self._found.put({host: self._look(host, before) for host, before in known.items()})

    def _apply(self, found: dict[str, str | None]) -> list[ResolvedRoute]:
        for host, ip in found.items():
            self._note(host, ip)
        moved = [named for named in self._routes.values() if named.host in found and named.ip != found[named.host]]
        for named in moved:
            named.ip = found[named.host]
        return moved

    def _look(self, host: str, before: str | None) -> str | None:
        """Return where *host* is; where nobody can tell, where it was *before*."""
        try:
            return self._look_up(host)
        except OSError as error:
            return None if isinstance(error, socket.gaierror) and error.errno in _NO_SUCH else before
        except (
            ValueError,
            TypeError,
        ):  # no host has such a name: a part of it is empty, or too long, or has a zero in it
            return None

    def _note(self, host: str, ip: str | None) -> None:
        if ip is None and self._known.get(host, "") is not None:
            logger.warning("the host %s of a route leads nowhere", host[:255])
        self._known[host] = ip


def is_ip(host: str) -> bool:
    """Say whether *host* is an IPv4 address."""
    try:
        socket.inet_pton(socket.AF_INET, host)
    except (OSError, ValueError, TypeError):
        return False
    return True
