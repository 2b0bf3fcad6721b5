"""Readiness in AWS, where no function reaches servers: a server is ready once it reports activity.

The report does not name the version of JupyterHub, so that stays unknown.
"""

from hubless.domain import lifecycle
from hubless.domain.lifecycle import Server
from hubless.ports.readiness import Answer


class ActivityReadiness:
    """Relies on the activity that `jupyterhub-singleuser` reports as soon as it listens (singleuser-contract, 2)."""

    def answers(self, server: Server, prefix: str) -> Answer | None:  # noqa: ARG002 the report came from the prefix
        return Answer() if lifecycle.has_reported(server) else None
