"""The readiness check of servers."""

from typing import Protocol

from hubless.domain.lifecycle import Server
from hubless.domain.values import value


@value
class Answer:
    """What a server's answer shows: the version of JupyterHub that it holds, or "" if that is not known."""

    jupyterhub_version: str = ""


class Readiness(Protocol):
    """Knows whether a server answers at its address."""

    def answers(self, server: Server, prefix: str) -> Answer | None:
        """Return the answer of *server* under *prefix*, or None if there is none yet; never raises.

        The caller asks again and again. An adapter may find out meanwhile, and tell it at a later question.
        """
        ...
