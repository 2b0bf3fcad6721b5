"""A Network Load Balancer with a TLS listener, as browsers and an edge see it.

It ends TLS and tells the edge each client's address by PROXY protocol v2 before the first byte. It changes no byte of
the requests: what a client claims in headers arrives as it was sent. Its health checks have the header too, and no
address in it.

Facts: ELB-18, ELB-19 and ELB-20.
"""

import ipaddress
import socket
import ssl
import struct
import threading
from contextlib import contextmanager, suppress

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
LOCAL, PROXY = 0x20, 0x21
TCP4, TCP6 = 0x11, 0x21
SECONDS = 20
_OWN = b"\xea\x00\x04\x01abc"  # PP2_TYPE_AWS: AWS adds it, and a reader skips what it does not know


def proxied(address, balancer="192.0.2.10"):
    """Return the header for a client at *address*."""
    source, target = ipaddress.ip_address(address), ipaddress.ip_address(balancer)
    if source.version == 6:
        target = ipaddress.ip_address("2001:db8::10")
    told = source.packed + target.packed + struct.pack("!HH", 50_000, 443) + _OWN
    family = TCP4 if source.version == 4 else TCP6
    return SIGNATURE + struct.pack("!BBH", PROXY, family, len(told)) + told


def health_check(address=b""):
    """Return the header of the balancer's own health checks: `LOCAL`, whatever *address* it holds."""
    return SIGNATURE + struct.pack("!BBH", LOCAL, TCP4 if address else 0, len(address)) + address


def _pass_on(source, target):
    with suppress(OSError):
        while data := source.recv(65_536):
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_RDWR)


@contextmanager
def network_balancer(pem, edge_port, *, address="198.51.100.7"):
    """Listen with the certificate *pem* until the block ends, for clients at *address*; yield the port.

    Without an *address* it only ends TLS, as a proxy in front of a hub.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    listening = socket.create_server(("127.0.0.1", 0))

    def serve(plain):
        with (
            suppress(OSError),
            context.wrap_socket(plain, server_side=True) as client,
            socket.create_connection(("127.0.0.1", edge_port), timeout=SECONDS) as edge,
        ):
            edge.settimeout(None)
            if address:
                edge.sendall(proxied(address))
            threading.Thread(target=_pass_on, args=(edge, client), daemon=True).start()
            _pass_on(client, edge)

    def accept():
        with suppress(OSError):
            while True:
                threading.Thread(target=serve, args=(listening.accept()[0],), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield listening.getsockname()[1]
    finally:
        with suppress(OSError):
            listening.shutdown(socket.SHUT_RDWR)
        listening.close()
