"""Checks by HTTP whether a server answers, as JupyterHub does."""

import http.client
import logging
from contextlib import closing

from hubless.domain.lifecycle import Server

logger = logging.getLogger(__name__)

TIMEOUT = 1.0  # seconds; a slower server is checked again later
SERVER_ERROR = 500


class HttpReadiness:
    """Requests `<prefix>api`, which Jupyter servers answer without authentication; any status below 500 counts."""

    def answers(self, server: Server, prefix: str) -> bool:
        host, _, port = (server.address or "").rpartition(":")
        try:
            with closing(http.client.HTTPConnection(host, int(port), timeout=TIMEOUT)) as connection:
                connection.request("GET", f"{prefix}api")
                return connection.getresponse().status < SERVER_ERROR
        except (OSError, ValueError, OverflowError, http.client.HTTPException):
            return False  # not yet, or no address: the hub checks again until the start time-out
