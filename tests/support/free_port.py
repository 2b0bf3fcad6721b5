"""Ports for what tests start."""

import random
import socket


def free_port() -> int:
    """Return a port that is free, outside the range from which the system takes those of outgoing connections.

    One from that range may be somebody's by the time that it is used.
    """
    while True:
        port = random.randint(20_000, 32_000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
