"""The addresses of the machine in its network."""

from ipaddress import IPv4Address
from socket import AddressFamily


def network_addresses() -> list[str]:
    """Return this machine's IPv4 addresses at which other machines may reach it."""
    import psutil  # noqa: PLC0415 large, and only for a hub that listens to a network

    up = {name for name, stats in psutil.net_if_stats().items() if stats.isup}
    every = (one for name, found in psutil.net_if_addrs().items() if name in up for one in found)
    texts = [one.address for one in every if one.family == AddressFamily.AF_INET]
    return [text for text in texts if not IPv4Address(text).is_loopback and not IPv4Address(text).is_link_local]
