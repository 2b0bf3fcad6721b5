"""Asks the kernel who listens on a port, by sock_diag(7).

/proc/net/tcp has every connection of the machine. To read it takes a hundred times as long: milliseconds for each look
at each server, of which a class that starts needs some hundreds.
"""

import os
import socket
import struct
from contextlib import closing, suppress
from pathlib import Path

_SOCK_DIAG = 4  # NETLINK_SOCK_DIAG
_BY_FAMILY = 20  # SOCK_DIAG_BY_FAMILY
_DUMP = 0x301  # NLM_F_REQUEST | NLM_F_DUMP
_LISTENING = 1 << 10  # TCP_LISTEN
_ERROR, _DONE = 2, 3  # NLMSG_ERROR, NLMSG_DONE
_HEADER = struct.Struct("=IHHII")  # nlmsghdr
_REQUEST = struct.Struct("=BBBBI48x")  # inet_diag_req_v2, of any address
_PORT, _NUMBER = struct.Struct("!H"), struct.Struct("=I")
_PORT_AT, _WAITING_AT, _INODE_AT = (_HEADER.size + at for at in (4, 56, 68))  # in an answer, an inet_diag_msg
_LARGEST = 2**16
_SECONDS = 1.0  # until the kernel has answered
_FAMILIES = (socket.AF_INET, socket.AF_INET6)


def sockets_on(port: int) -> frozenset[str]:
    """Return the sockets that listen on *port*, as links of /proc/PID/fd name them.

    Raises:
        OSError: when the kernel does not tell: it is no Linux, or a filter of system calls refuses.
    """
    if not hasattr(socket, "AF_NETLINK"):
        raise OSError("only Linux has sock_diag")
    return frozenset(f"socket:[{inode}]" for family in _FAMILIES for at, inode, _ in _listeners(family) if at == port)


def waiting_by_port() -> dict[int, int]:
    """Return how many connections wait at each port on which somebody listens, until the listener takes them.

    Raises:
        OSError: when the kernel does not tell.
    """
    if not hasattr(socket, "AF_NETLINK"):
        raise OSError("only Linux has sock_diag")
    found = dict[int, int]()
    for family in _FAMILIES:
        for port, _, waiting in _listeners(family):
            found[port] = found.get(port, 0) + waiting
    return found


def has_one_of(pid: int, sockets: frozenset[str]) -> bool:
    """Say whether the process has one of these sockets open; False where it has ended, or hides its files."""
    with suppress(OSError), os.scandir(f"/proc/{pid}/fd") as entries:
        for entry in entries:
            with suppress(OSError):
                if str(Path(entry.path).readlink()) in sockets:
                    return True
    return False


def _listeners(family: int) -> list[tuple[int, int, int]]:
    """Return of each listening socket the port, the inode, and how many connections wait."""
    found = list[tuple[int, int, int]]()
    with closing(socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _SOCK_DIAG)) as kernel:
        kernel.settimeout(_SECONDS)
        body = _REQUEST.pack(family, socket.IPPROTO_TCP, 0, 0, _LISTENING)
        kernel.send(_HEADER.pack(_HEADER.size + len(body), _BY_FAMILY, _DUMP, 1, 0) + body)
        while True:
            part, at = kernel.recv(_LARGEST), 0
            while at < len(part):
                length, kind, *_ = _HEADER.unpack_from(part, at)
                if kind == _DONE:
                    return found
                if kind == _ERROR:
                    raise OSError("the kernel does not tell who listens")
                (port,) = _PORT.unpack_from(part, at + _PORT_AT)
                found.append((port, *(_NUMBER.unpack_from(part, at + here)[0] for here in (_INODE_AT, _WAITING_AT))))
                at += (length + 3) & ~3  # messages are aligned (netlink(7))
