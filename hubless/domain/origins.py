"""Origins: one host for everything, or a subdomain of the hub's host for each user and each service.

Browsers isolate pages of different hosts: with subdomains, a page of one user's server cannot act for another user who
opens it. Host names follow JupyterHub's `idna` hook, except that no two users, and no user and service, ever share a
host (ADR 17).
"""

import base64
import hashlib
import re
import unicodedata
from functools import lru_cache
from urllib.parse import unquote, urlsplit

from hubless.domain.bounds import MAX_USER_NAME
from hubless.domain.values import value

LONGEST_HOST, LONGEST_LABEL = 253, 63  # characters (RFC 1035)
_OF_SERVICES = "--service"
_NETLOC = re.compile(r"[A-Za-z0-9.-]+(:[0-9]{1,5})?|\[[0-9a-fA-F:.]+\](:[0-9]{1,5})?")
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")
_STUB = 8  # characters of a name that precede its hash
_BITS = 130  # of that hash: users choose names, and a collision of JupyterHub's 28 bits is found within a minute
# Browsers, mail clients or the deployment give a host of one of these names a meaning of its own.
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
    """Return the first label of the host of the user called *name*."""
    return _hashed(name) if name in _RESERVED else _label(name, LONGEST_LABEL)


@lru_cache(maxsize=1024)
def service_label(name: str) -> str:
    """Return the first label of the host of the service called *name*; no user has the same label."""
    # RFC 5891 reserves labels with hyphens in the third and fourth place.
    written = _hashed(name) if len(name) == 2 else _label(name, LONGEST_LABEL - len(_OF_SERVICES))  # noqa: PLR2004 see above
    return written + _OF_SERVICES


def host_of_route(prefix: str, domain: str) -> str:
    """Return the only host that may serve the decoded *prefix*; "" for any host where *domain* is empty."""
    return domain and _host_of(prefix.split("/", 3)[1:3], domain)


@value
class Origins:
    """The addresses at which browsers reach the hub, its users' servers and its services."""

    hub: str = ""  # such as "https://hub.example.org"; "" where settings do not say
    subdomains: bool = False  # whether each user and each service has a subdomain of the hub's host

    @property
    def domain(self) -> str:
        """Return the hub's host, whose subdomains users and services have; "" where there is one host for all."""
        return host_in(urlsplit(self.hub).netloc) if self.subdomains else ""

    @property
    def hub_origin(self) -> str:
        """Return what a page of another host writes before a path of the hub; "" with one host for all."""
        return self.hub if self.subdomains else ""

    def is_hub(self, host: str) -> bool:
        """Say whether a request's *host*, with or without a port, is the hub's; always true with one host for all."""
        return not self.subdomains or host_in(host) == self.domain

    def is_below(self, scheme: str, netloc: str) -> bool:
        """Say whether *scheme* and *netloc* are the origin of a subdomain of the hub's host."""
        hub = urlsplit(self.hub)
        return (
            self.subdomains
            and scheme == hub.scheme
            and "@" not in netloc
            and netloc.lower().endswith(f".{hub.netloc.lower()}")
        )

    def is_host_of_path(self, path: str, host: str) -> bool:
        """Say whether *host* is the host that serves *path*."""
        return not self.subdomains or host_in(host) == _host_of(_parts(path), self.domain)

    def link_to(self, path: str) -> str:
        """Return the link from the hub to the encoded *path*: with an origin where another host serves the path."""
        origin = self.origin_of(path) if self.subdomains else self.hub
        return path if origin == self.hub else origin + path

    def absolute_url(self, path: str) -> str | None:
        """Return the absolute URL of the encoded *path*; None where the hub's own address is unknown."""
        return self.origin_of(path) + path if self.hub else None

    def origin_of(self, path: str) -> str:
        """Return the origin that serves the encoded *path*; "" where the hub's own address is unknown."""
        if not self.subdomains:
            return self.hub
        parts = urlsplit(self.hub)
        host = _host_of(_parts(path), self.domain)
        if host == self.domain:
            return self.hub
        port = "" if parts.port in {None, _DEFAULT_PORTS.get(parts.scheme)} else f":{parts.port}"
        return f"{parts.scheme}://{host}{port}"


SHARED = Origins()  # one host for all, at an unknown address


def host_in(netloc: str) -> str:
    """Return the host name in a `Host` header: without a port, in lower case."""
    return netloc.partition(":")[0].lower()


def is_loopback(netloc: str) -> bool:
    """Say whether *netloc*, with or without a port, names the machine itself; no other site can have such a name."""
    host = urlsplit(f"//{netloc}").hostname or "" if _NETLOC.fullmatch(netloc) else ""
    return host in {"localhost", "::1"} or re.fullmatch(r"127(\.[0-9]{1,3}){3}", host) is not None


def is_domain(host: str) -> bool:
    """Say whether *host* can have subdomains: an ASCII name, no IP address, that leaves room for the longest label."""
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
    """Return *name* if DNS allows it, its IDNA form if it has other letters, and a hash otherwise.

    No two of the three collide: the first has no double hyphen, and the others begin differently.
    """
    if "--" not in name and len(name) <= longest and _LABEL.fullmatch(name) and not name.isdigit():
        return name
    if len(name) <= MAX_USER_NAME and not name.isascii() and (written := _in_ascii(name)) and len(written) <= longest:
        return written
    return _hashed(name)


def _in_ascii(name: str) -> str:
    """Return an international name in IDNA form, or "" if decoding it would give another name."""
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
