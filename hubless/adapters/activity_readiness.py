"""Readiness where nobody can ask: a server is taken at its own first word."""

from hubless.domain import lifecycle
from hubless.domain.lifecycle import Server


class ActivityReadiness:
    """Goes by the activity that `jupyterhub-singleuser` reports as soon as it listens (singleuser-contract, 2)."""

    def answers(self, server: Server, prefix: str) -> bool:  # noqa: ARG002 whoever reported it knows the prefix
        return lifecycle.has_reported(server)
