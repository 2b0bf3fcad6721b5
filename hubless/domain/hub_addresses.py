"""The address under which other people reach the hub, for links that somebody sends or prints."""

from collections.abc import Callable, Sequence
from ipaddress import ip_address
from urllib.parse import urlsplit

from hubless.domain.values import value

EVERYWHERE = frozenset({"0.0.0.0", "::"})  # noqa: S104 compared, not bound


@value
class HubAddress:
    """An address without a slash at its end. *is_only_here* says that it opens on the hub's own machine alone."""

    url: str
    is_only_here: bool = False


def address_for_others(
    public_url: str, asked_at: str, *, host: str, network: Callable[[], Sequence[str]]
) -> HubAddress:
    """Return the address that others can reach.

    Args:
        public_url: the setting; "" if there is none.
        asked_at: the address at which somebody has asked the hub, such as `http://127.0.0.1:8000`.
        host: on which the hub listens.
        network: returns the machine's addresses in its network.
    """
    if public_url:
        return HubAddress(public_url.rstrip("/"))
    here = asked_at.rstrip("/")
    parts = urlsplit(here)
    if not _is_of_this_machine(parts.hostname or ""):
        return HubAddress(here)
    if host in EVERYWHERE and (found := network()):
        return HubAddress(f"{parts.scheme}://{found[0]}{f':{parts.port}' if parts.port else ''}")
    return HubAddress(here, is_only_here=True)


def _is_of_this_machine(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
