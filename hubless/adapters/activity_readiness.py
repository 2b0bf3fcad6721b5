"""Readiness in AWS, where no function reaches servers: a server is ready once it reports activity."""

from hubless.domain import lifecycle
from hubless.domain.lifecycle import Server


class ActivityReadiness:
    """Relies on the activity that `jupyterhub-singleuser` reports as soon as it listens (singleuser-contract, 2)."""

    def answers(self, server: Server, prefix: str) -> bool:  # noqa: ARG002 the report came from the prefix
        return lifecycle.has_reported(server)
