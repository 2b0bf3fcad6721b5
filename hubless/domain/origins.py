"""Whose origin is whose: a host for each user and each service below the hub's own, or one host for all.

Browsers keep pages of different hosts apart, so that a page of one user's server can do nothing in the name of another user who
opens it. The names of hosts are JupyterHub's (its `idna` hook) but for what is written here: no two users, and no user and
service, ever share a host (docs/adr/0017).
"""

import base64
import hashlib
import re
import unicodedata
from functools import lru_cache
from urllib.parse import unquote, urlsplit

from hubless.domain.values import value

LONGEST_HOST, LONGEST_LABEL = 253, 63  # characters (RFC 1035)
_OF_SERVICES = "--service"
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")
_STUB = 8  # characters of a name that are shown beside its hash
_BITS = 130  # of that hash: names can be chosen, and JupyterHub's 28 bits are found again within a minute
# Of themselves, hosts of these names mean something: to browsers and mail clients, or to who sets up a hub.
_RESERVED = frozenset(
    {
        "api",
        "autoconfig",
        "autodiscover",
        "edge",
        "hub",
        "localhost",
        "mta-sts",
        "origin",
        "services",
        "static",
        "wpad",
        "www",
    }
)
_DEFAULT_PORTS = {"http": 80, "https": 443}


@lru_cache(maxsize=4096)
def user_label(name: str) -> str:
    """Return what stands before the hub's host in the host of the user called *name*."""
    return _hashed(name) if name in _RESERVED else _label(name, LONGEST_LABEL)


@lru_cache(maxsize=1024)
def service_label(name: str) -> str:
    """Return what stands before the hub's host in the host of the service called *name*: nothing that is a user's."""
    # Two letters before two hyphens are what DNS keeps for itself (RFC 5891).
    written = _hashed(name) if len(name) == 2 else _label(name, LONGEST_LABEL - len(_OF_SERVICES))  # noqa: PLR2004
    return written + _OF_SERVICES


def host_of_route(prefix: str, domain: str) -> str:
    """Return the one host at which what the decoded *prefix* leads to may be served; without a *domain* none is."""
    return domain and _host_of(prefix.split("/", 3)[1:3], domain)


@value
class Origins:
    """Where browsers find the hub, its users' servers and its services."""

    hub: str = ""  # such as "https://hub.example.org"; "" where nothing tells
    subdomains: bool = False  # whether each user and each service has a host of its own below the hub's

    @property
    def domain(self) -> str:
        """Return the host below which there are others; "" where all is at one."""
        return host_in(urlsplit(self.hub).netloc) if self.subdomains else ""

    @property
    def own_hub(self) -> str:
        """Return what is to be written before the hub's paths in what is shown at other hosts; "" where there are none."""
        return self.hub if self.subdomains else ""

    def is_hub(self, host: str) -> bool:
        """Say whether what a request calls its *host*, with or without a port, is the hub's own; where all is at one, it is."""
        return not self.subdomains or host_in(host) == self.domain

    def is_below(self, scheme: str, netloc: str) -> bool:
        """Say whether that is an origin below the hub's."""
        hub = urlsplit(self.hub)
        return (
            self.subdomains
            and scheme == hub.scheme
            and "@" not in netloc
            and netloc.lower().endswith(f".{hub.netloc.lower()}")
        )

    def is_at_home(self, path: str, host: str) -> bool:
        """Say whether *path* belongs to whose *host* was asked."""
        return not self.subdomains or host_in(host) == _host_of(_parts(path), self.domain)

    def located(self, path: str) -> str:
        """Return where *path*, as it is sent, is to be asked for by who is at the hub: at its owner's host where there is one."""
        origin = self._origin_of(path) if self.subdomains else self.hub
        return path if origin == self.hub else origin + path

    def full(self, path: str) -> str | None:
        """Return the full address of *path*, as it is sent; None where nothing tells the hub's own."""
        return self._origin_of(path) + path if self.hub else None

    def _origin_of(self, path: str) -> str:
        if not self.subdomains:
            return self.hub
        parts = urlsplit(self.hub)
        host = _host_of(_parts(path), self.domain)
        if host == self.domain:
            return self.hub
        port = "" if parts.port in {None, _DEFAULT_PORTS.get(parts.scheme)} else f":{parts.port}"
        return f"{parts.scheme}://{host}{port}"


SHARED = Origins()  # by a hub of whose address nothing tells


def host_in(netloc: str) -> str:
    """Return the name of the host in what a `Host` header holds: without a port, in lower case."""
    return netloc.partition(":")[0].lower()


def is_domain(host: str) -> bool:
    """Say whether there can be hosts below *host*: a name in ASCII that leaves room for the longest label, and no IP address."""
    parts = host.split(".")
    fits = len(host) + 1 + LONGEST_LABEL <= LONGEST_HOST and all(0 < len(part) <= LONGEST_LABEL for part in parts)
    return fits and all(map(_LABEL.fullmatch, parts)) and not parts[-1].isdigit()


def _parts(path: str) -> list[str]:
    return [unquote(part) for part in re.split("[?#]", path, maxsplit=1)[0].split("/", 3)[1:3]]


def _host_of(parts: list[str], domain: str) -> str:
    match parts:
        case ["user", str(name)] if name:
            return f"{user_label(name)}.{domain}"
        case ["services", str(name)] if name:
            return f"{service_label(name)}.{domain}"
        case _:
            return domain


def _label(name: str, longest: int) -> str:
    """Return *name* where DNS takes it as it is, as browsers write it where it is of other letters, and a hash else.

    The three cannot meet: the first has no double hyphen, the others begin differently.
    """
    if "--" not in name and len(name) <= longest and _LABEL.fullmatch(name) and not name.isdigit():
        return name
    if not name.isascii() and (written := _in_ascii(name)) and len(written) <= longest:
        return written
    return _hashed(name)


def _in_ascii(name: str) -> str:
    """Return an international name as DNS has it, or nothing where it would not be this very name that comes back."""
    kinds = [unicodedata.category(c)[0] if not c.isascii() else "L" if c.isalnum() or c == "-" else "" for c in name]
    if kinds[0] != "L" or not set(kinds) <= {"L", "M"} or "--" in name or name.startswith("-") or name.endswith("-"):
        return ""
    from encodings import idna  # noqa: PLC0415 few names need it

    try:
        written = idna.ToASCII(name).decode()
        return written if idna.ToUnicode(written) == name else ""
    except UnicodeError:
        return ""


def _hashed(name: str) -> str:
    digest = base64.b32encode(hashlib.sha256(name.encode()).digest()).decode().lower()[: _BITS // 5]
    stub = "".join(c for c in name.lower() if c.isascii() and c.isalnum())[:_STUB]
    return f"u-{stub or 'x'}--{digest}"
