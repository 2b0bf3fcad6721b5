"""Checks by HTTP whether a server answers, as JupyterHub does."""

import http.client
import logging
from contextlib import closing

from hubless.domain import jupyterhub_versions
from hubless.domain.lifecycle import Server
from hubless.ports.readiness import Answer

logger = logging.getLogger(__name__)

TIMEOUT = 1.0  # seconds; a slower server is checked again later
SERVER_ERROR = 500


class HttpReadiness:
    """Requests `<prefix>api`, which Jupyter servers answer without authentication; any status below 500 counts.

    The header `X-JupyterHub-Version` of the answer names the version that the server holds.
    """

    def answers(self, server: Server, prefix: str) -> Answer | None:
        host, _, port = (server.address or "").rpartition(":")
        try:
            with closing(http.client.HTTPConnection(host, int(port), timeout=TIMEOUT)) as connection:
                connection.request("GET", f"{prefix}api")
                response = connection.getresponse()
        except (OSError, ValueError, OverflowError, http.client.HTTPException):
            return None  # not yet, or no address: the hub checks again until the start time-out
        if response.status >= SERVER_ERROR:
            return None
        return Answer(jupyterhub_versions.version_in(response.headers.get("X-JupyterHub-Version")))
