"""Readiness where nobody can ask: a server is taken at its own first word."""

from hubless.domain import server as lifecycle
from hubless.domain.server import Server


class HeardReadiness:
    """Goes by the activity that `jupyterhub-singleuser` reports as soon as it listens (singleuser-contract, 2)."""

    def answers(self, server: Server, prefix: str) -> bool:  # noqa: ARG002 whoever reported it knows the prefix
        return lifecycle.is_heard(server)
