"""Addresses of clients, as far as one client cannot change its own."""

from ipaddress import IPv4Address, IPv6Address, ip_address

LONGEST_ADDRESS = 64  # characters; the longest IPv6 address with a zone and a port has fewer
HOST_BITS = 64  # of an IPv6 address: whoever has one address has its whole /64 network (RFC 4291 2.5.1, RFC 6177)


def network_of(address: str) -> str:
    """Return what to count in place of *address*: an IPv4 address, or the /64 network of an IPv6 address.

    A port is left out, and an IPv4 address within IPv6 (`::ffff:192.0.2.1`) is that IPv4 address. A text that is no
    address is returned as it is, but cut to 64 characters.
    """
    text = address.strip()[:LONGEST_ADDRESS]
    known = _parsed(text)
    if known is None:
        return text
    if isinstance(known, IPv6Address) and known.ipv4_mapped is not None:
        known = known.ipv4_mapped
    if isinstance(known, IPv4Address):
        return str(known)
    return f"{IPv6Address(int(known) >> HOST_BITS << HOST_BITS)}/64"


def shown_address(address: str) -> str:
    """Return the IP address in *address* as its owner reads it: without a port or a zone; "" if there is none."""
    known = _parsed(address.strip()[:LONGEST_ADDRESS])
    if known is None:
        return ""
    if isinstance(known, IPv6Address) and known.ipv4_mapped is not None:
        return str(known.ipv4_mapped)
    return str(known).partition("%")[0]


def _parsed(text: str) -> IPv4Address | IPv6Address | None:
    """Return the address in *text*, which may have a port (`192.0.2.1:80`, `[2001:db8::1]:80`) or a zone."""
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        return ip_address(text)
    except ValueError:
        return None
