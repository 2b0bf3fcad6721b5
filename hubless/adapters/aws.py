"""The clients of AWS that the adapters share: each is made when it is first used, and once."""

import threading
from typing import Any

import botocore.session
from botocore.config import Config

ATTEMPTS = (
    3  # and seconds, below, are few: whoever waits here holds up a queue, which itself tries again for long enough
)


class Clients:
    """Makes clients of one region; safe for threads."""

    def __init__(
        self,
        region: str,
        session: botocore.session.Session | None = None,
        *,
        endpoint_url: str | None = None,
        attempts: int = ATTEMPTS,
    ) -> None:
        """Use *session* (or the environment's own); every service is asked at *endpoint_url* where one is given."""
        self._region = region
        retries = {"mode": "standard", "total_max_attempts": attempts}
        self._config = Config(connect_timeout=3, read_timeout=10, retries=retries)
        self._session = session
        self._endpoint_url = endpoint_url
        self._made: dict[str, Any] = {}
        self._guard = threading.Lock()

    def __getattr__(self, service: str) -> Any:
        """Return the client of *service* by botocore's name of it, as in `clients.ecs`."""
        if service.startswith("_"):
            raise AttributeError(service)
        with self._guard:
            if service not in self._made:
                self._session = self._session or botocore.session.get_session()
                self._made[service] = self._session.create_client(
                    service, region_name=self._region, endpoint_url=self._endpoint_url, config=self._config
                )
            return self._made[service]
