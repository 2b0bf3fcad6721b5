"""Asks a server over HTTP whether it is there, as JupyterHub does."""

import http.client
import logging
from contextlib import closing

from hubless.domain.lifecycle import Server

logger = logging.getLogger(__name__)

TIMEOUT = 1.0  # seconds: a server on this machine that takes longer is asked again
SERVER_ERROR = 500


class HttpReadiness:
    """Asks for `<prefix>api`, which every Jupyter server answers without asking who is there; any status below 500 will do."""

    def answers(self, server: Server, prefix: str) -> bool:
        host, _, port = (server.address or "").rpartition(":")
        try:
            with closing(http.client.HTTPConnection(host, int(port), timeout=TIMEOUT)) as connection:
                connection.request("GET", f"{prefix}api")
                return connection.getresponse().status < SERVER_ERROR
        except (OSError, ValueError, OverflowError, http.client.HTTPException):
            return False  # not yet (or no address at all): whoever follows asks again until the deadline
