"""The process that has the hub's code loaded, and from which the supervisor's children are forked (ADR 76).

It holds no thread, store, loop or secret: what a child must know comes on the channel that the child alone reads.
"""

import contextlib
import gc
import importlib
import json
import os
import pkgutil
import selectors
import socket
import sys
from collections.abc import Iterable
from dataclasses import dataclass

from embedded import ipc
from embedded.ipc import Channel
from fork_server import linux
from hubless.settings.installed import installed_version

MOST_DESCRIPTORS = 3  # of an order
# A hub imports most of these when it first uses them. Somebody may have upgraded the files by then.
_PACKAGES = ("hubless", "functions.api")
# What a hub on one machine does not use, or only with an extra: it would take 0.2 s and 30 MB more.
_OF_OTHERS = (
    *("functions.api.gateway", "functions.api.handler", "functions.api.lambda_events", "functions.api.stream"),
    *(f"hubless.adapters.{one}" for one in ("alb", "aws", "dynamodb", "ec2", "ecs", "powertools", "sqs", "ssm")),
    *("hubless.adapters.mail.ses", "hubless.adapters.jupyterhub_database", "hubless.adapters.workloads"),
    "hubless.adapters.authenticators.jupyterhub_plugin",
    *("hubless.bootstrap.cloud", "hubless.bootstrap.edge", "hubless.bootstrap.workloads"),
)
_LONGEST_ORDER = 4096  # bytes


@dataclass(frozen=True, slots=True)
class Order:
    """What the supervisor asks to fork: the child's module, its channel, its standard error, and a listening socket."""

    module: str
    channel: int
    errors: int
    listener: int | None = None

    def close(self) -> None:
        """Close the descriptors, which the child has now."""
        for descriptor in (self.channel, self.errors, self.listener):
            if descriptor is not None:
                os.close(descriptor)


class Preloader:
    """Forks whenever the supervisor asks, and tells it how each child ended."""

    def __init__(self, end: socket.socket) -> None:
        self._end, self._channel = end, Channel(end)
        self._selector = selectors.DefaultSelector()
        self._selector.register(end, selectors.EVENT_READ)
        self._children: dict[int, int] = {}  # process ids by their pidfd

    def serve(self) -> Order | None:
        """Return in each child what it must do; in the preloader None once the supervisor has ended."""
        self._channel.send_event(ipc.READY)
        while True:
            for key, _ in self._selector.select():
                if key.fd in self._children:
                    self._tell_end(key.fd)
                elif (order := self._receive()) is None:
                    return None
                elif self._is_child(order):
                    return order

    def _receive(self) -> Order | None:
        try:
            said, descriptors, _, _ = socket.recv_fds(
                self._end, _LONGEST_ORDER, MOST_DESCRIPTORS, socket.MSG_CMSG_CLOEXEC
            )
        except ConnectionResetError:
            return None
        return Order(json.loads(said)["module"], *descriptors) if said else None

    def _is_child(self, order: Order) -> bool:
        """Fork, and return True in the child, which holds nothing of the preloader's."""
        pid = os.fork()
        if pid == 0:
            self._selector.close()
            self._channel.close()
            for descriptor in self._children:
                os.close(descriptor)
            return True
        order.close()
        os.setpgid(pid, pid)  # Ctrl-C reaches the supervisor alone; before it knows the child, which it kills by group
        ending = os.pidfd_open(pid)
        self._children[ending] = pid
        self._selector.register(ending, selectors.EVENT_READ)
        self._channel.send_event(ipc.FORKED, pid=pid)
        return False

    def _tell_end(self, ending: int) -> None:
        self._selector.unregister(ending)
        os.close(ending)
        pid, status = os.waitpid(self._children.pop(ending), 0)
        self._channel.send_event(ipc.ENDED, pid=pid, code=os.waitstatus_to_exitcode(status))


def load(roles: Iterable[str]) -> None:
    """Load the code of *roles*, and whatever else of this version they may use one day (ADR 80).

    The garbage collector keeps away from what was made: children share it.
    """
    for module in (*(f"embedded.{role}" for role in roles), *_own_modules()):
        importlib.import_module(module)
    importlib.import_module("functions.api.rendering").load()
    installed_version()
    gc.collect()
    gc.freeze()


def _own_modules() -> list[str]:
    """Return the names of the hub's modules that children use, if only at times."""
    paths = ((package, importlib.import_module(package).__path__) for package in _PACKAGES)
    found = (one.name for package, path in paths for one in pkgutil.walk_packages(path, f"{package}."))
    return [name for name in found if not name.startswith(_OF_OTHERS)]


def run_child(order: Order) -> None:
    """Become the child: with its own standard error and command line."""
    os.dup2(order.errors, sys.stderr.fileno())
    os.close(order.errors)
    with contextlib.suppress(OSError):  # only for `ps`
        linux.set_title([sys.executable, "-P", "-m", order.module], name="python")
    ipc.run_child(Channel.inherited(order.channel), importlib.import_module(order.module).run, listener=order.listener)


def main() -> None:
    """Load the code of the roles that the arguments name, and fork until the supervisor has ended."""
    *roles, end = sys.argv[1:]
    os.set_inheritable(int(end), False)
    if roles:
        load(roles)
    order = Preloader(socket.socket(fileno=int(end))).serve()
    if order is not None:
        run_child(order)


if __name__ == "__main__":
    main()
