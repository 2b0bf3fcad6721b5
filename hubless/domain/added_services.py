"""What a service must be like that is added while the hub runs: by the API or by an import."""

import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from hubless.domain import scopes
from hubless.domain.errors import InvalidRequestError
from hubless.domain.origins import LONGEST_HOST, LONGEST_LABEL
from hubless.domain.users import Service

if TYPE_CHECKING:
    from hubless.domain.archive import ArchivedService

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._~-]{0,254}")
MAX_SERVICES = 200  # that admins add: each page lists them
CLIENT_ID_PREFIX = "service-"  # as in JupyterHub: so no service can pose as a server


def check_service(service: "Service | ArchivedService") -> None:
    """Refuse what only settings may do, such as a client id that could be a server's.

    Raises:
        InvalidRequestError: naming what is wrong.
    """
    if not NAME.fullmatch(service.name):
        raise InvalidRequestError(
            f"Invalid service name {service.name[:60]!r}: use letters, digits and . _ ~ -, with a letter or digit first"
        )
    if service.url and not _is_address(service.url):
        raise InvalidRequestError("url must be an address such as http://10.0.0.7:8080")
    uri = service.oauth_redirect_uri
    if uri and (not uri.startswith(("http://", "https://", "/")) or uri.startswith("//") or not uri.isprintable()):
        raise InvalidRequestError("oauth_redirect_uri must be an address or a path")
    if service.oauth_client_id and not service.oauth_client_id.startswith(CLIENT_ID_PREFIX):
        raise InvalidRequestError(f"oauth_client_id must start with {CLIENT_ID_PREFIX!r}")
    for scope in service.oauth_client_allowed_scopes:
        scopes.parse(scope)


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        port_is_good = parts.port is None or parts.port > 0
    except ValueError:
        return False
    plain = url.isprintable() and not any(c in url for c in " \\\"'")
    return (
        plain
        and parts.scheme in {"http", "https"}
        and _is_host(parts.hostname)
        and "@" not in parts.netloc
        and port_is_good
    )


def _is_host(name: str | None) -> bool:
    """Say whether DNS can look *name* up: each label has 1 to 63 bytes (RFC 1035)."""
    try:
        written = (name or "").removesuffix(".").encode("idna")
    except UnicodeError:
        return False
    return 0 < len(written) <= LONGEST_HOST and all(0 < len(part) <= LONGEST_LABEL for part in written.split(b"."))
