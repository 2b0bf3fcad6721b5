"""The hub as authenticators know it: the host and the origin of its pages."""

from ipaddress import ip_address

from starlette.requests import Request

from hubless.bootstrap.hub import Hub
from hubless.domain.origins import host_in, is_loopback
from hubless.domain.translatable import gettext as _
from hubless.ports.second_factors import RelyingParty


def relying_party(request: Request, hub: Hub) -> RelyingParty | None:
    """Return the hub at the address of its pages; None where browsers refuse passkeys, or settings do.

    Settings say the address. Otherwise it is the one that the browser asked: a passkey is of the host at which it was
    made, so another host in the request opens nothing.
    """
    if not hub.settings.login.passkeys or not hub.second_factors.are_offered or why_no_passkeys(request, hub):
        return None
    scheme, netloc = _address(request, hub)
    return RelyingParty(host_in(netloc), f"{scheme}://{netloc.lower()}", hub.settings.hub.name)


def why_no_passkeys(request: Request, hub: Hub) -> str | None:
    """Return why browsers refuse passkeys at this address, or None."""
    scheme, netloc = _address(request, hub)
    host = host_in(netloc)
    if _is_ip_address(netloc):
        return (
            _("Browsers take passkeys only at a name such as http://localhost, and this hub is at an IP address.")
            if is_loopback(netloc)
            else _("Browsers take passkeys only at a name, and this hub is at an IP address.")
        )
    if scheme != "https" and host != "localhost" and not host.endswith(".localhost"):
        return _("Browsers take passkeys only over https, and this hub is at http.")
    return None


def _address(request: Request, hub: Hub) -> tuple[str, str]:
    if hub.settings.hub.public_url:
        scheme, _, netloc = hub.settings.hub.public_url.partition("://")
        return scheme, netloc
    return request.url.scheme, request.headers.get("host", "")


def _is_ip_address(netloc: str) -> bool:
    if netloc.startswith("["):
        return True  # IPv6
    try:
        ip_address(host_in(netloc))
    except ValueError:
        return False
    return True
