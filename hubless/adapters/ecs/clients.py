"""The clients of AWS: each is made when it is first used, and once."""

import threading
from typing import Any

import botocore.session
from botocore.config import Config

ATTEMPTS = 3  # and seconds, below, are few: whoever waits here holds up a queue, which itself tries again for long enough


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

    @property
    def ecs(self) -> Any:
        return self._client("ecs")

    @property
    def s3(self) -> Any:
        return self._client("s3")

    @property
    def efs(self) -> Any:
        return self._client("efs")

    def _client(self, service: str) -> Any:
        with self._guard:
            if service not in self._made:
                self._session = self._session or botocore.session.get_session()
                self._made[service] = self._session.create_client(
                    service, region_name=self._region, endpoint_url=self._endpoint_url, config=self._config
                )
            return self._made[service]
