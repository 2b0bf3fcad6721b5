"""AWS for all adapters: one boto3 session a process, and clients that are made at their first use and kept.

DynamoDB is the exception: PynamoDB makes its own client (`dynamodb.database`).
"""

import threading
from functools import cache
from typing import Any

import boto3
from botocore.config import Config

# Seconds and attempts are few because a caller that waits holds up its queue, and the queue itself tries again for
# longer.
ATTEMPTS = 3
CONNECT_SECONDS, READ_SECONDS = 3, 10
_making = threading.Lock()  # boto3's sessions are not safe for threads; its clients are


@cache
def shared_session() -> boto3.Session:
    """Return the session of this process, with the environment's credentials; made at the first call."""
    return boto3.Session()


class Clients:
    """Clients of one region, by boto3's names of the services, as in `clients.ecs`. Safe for threads."""

    def __init__(
        self,
        region: str,
        session: boto3.Session | None = None,
        *,
        endpoint_url: str | None = None,
        attempts: int = ATTEMPTS,
    ) -> None:
        """Prepare clients of *region*; none is made before its first use.

        Args:
            region: AWS's name of it, such as "eu-central-1".
            session: makes the clients; the shared session of this process by default.
            endpoint_url: the address of every service, for emulators; AWS's own by default.
            attempts: how often a client sends one request at most.
        """
        self._region, self._session, self._endpoint_url = region, session, endpoint_url
        retries = {"mode": "standard", "total_max_attempts": attempts}
        self._config = Config(connect_timeout=CONNECT_SECONDS, read_timeout=READ_SECONDS, retries=retries)
        self._made: dict[str, Any] = {}

    def __getattr__(self, service: str) -> Any:
        """Return the client of *service*."""
        if service.startswith("_"):
            raise AttributeError(service)
        with _making:
            if service not in self._made:
                session = self._session or shared_session()
                self._made[service] = session.client(
                    service, region_name=self._region, endpoint_url=self._endpoint_url, config=self._config
                )
            return self._made[service]
