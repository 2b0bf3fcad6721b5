"""Rules that limit how many connections one network address has open at once.

An address is an IPv4 address, or the /64 of an IPv6 address, of which every household has one. Behind a trusted proxy
or CloudFront HAProxy counts requests in progress, by the client's address that the proxy passes on. IPv4 addresses in
IPv6 form (::ffff:192.0.2.1) count as IPv4 for `ipmask`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

TABLE = "addresses"
_ROOM = 5, 4  # connections are cut where a quarter more than the limit are open; between the two HAProxy says why
_SHARE = 4, 5  # of all connections: the most that one address gets, so that others find room


@dataclass(frozen=True, slots=True)
class AddressLimit:
    """The limit of one HAProxy. *limit* 0 is none."""

    limit: int
    max_connections: int
    trusted_proxies: Sequence[str] = ()
    client_header: str = ""  # with which the only proxy in front passes on the client's address
    has_proxy_protocol: bool = False  # with which a load balancer in front tells the client's address

    @property
    def refused_above(self) -> int:
        """Return how many connections an address has when HAProxy answers 429."""
        return min(self.limit, self.max_connections * _SHARE[0] // _SHARE[1])

    @property
    def cut_above(self) -> int:
        """Return how many connections an address has when HAProxy closes further ones without an answer."""
        most = self.refused_above
        return max(
            most + 1, min(most * _ROOM[0] // _ROOM[1], self.max_connections - (self.max_connections - most) // 2)
        )

    # Connections and requests use one counter: HAProxy counts a connection, or, from a proxy, its requests.

    def connection_rules(self) -> str:
        """Return the rules for new connections."""
        if not self.limit or self.client_header:
            return ""
        unless = " unless trusted" if self.trusted_proxies else ""
        # HAProxy reads the protocol's header between the two: before, the address is the load balancer's.
        when = "session" if self.has_proxy_protocol else "connection"
        return f"""\
    tcp-request {when} track-sc2 src,ipmask(32,64) table {TABLE}{unless}
    tcp-request {when} reject if {{ sc2_conn_cur gt {self.cut_above} }}
"""

    def client_rules(self) -> str:
        """Return the rules that count the requests which a proxy passes on, by client."""
        if not self.limit or not (self.client_header or self.trusted_proxies):
            return ""
        source = (
            f"req.hdr_ip({self.client_header})" if self.client_header else "req.hdr_ip(X-Forwarded-For,-1) if trusted"
        )
        is_proxy = (
            f"var(txn.address) -m ip {' '.join(self.trusted_proxies)}" if self.trusted_proxies else "always_false"
        )
        counted = "{ var(txn.address) -m found } !is_proxy"
        return f"""\
    http-request set-var(txn.address) {source}
    acl is_proxy {is_proxy}
    http-request track-sc2 var(txn.address),ipmask(32,64) table {TABLE} if {counted}
"""

    def refusals(self, answer: str) -> str:
        """Return *answer*, a rule, for addresses above the limit."""
        if not self.limit:
            return ""
        return f"    {answer} if {{ sc2_conn_cur gt {self.refused_above} }}\n"

    def table(self) -> str:
        """Return the backend with the counters."""
        if not self.limit:
            return ""
        return f"""
backend {TABLE}
    stick-table type ipv6 size 100k expire 1m store conn_cur
"""
