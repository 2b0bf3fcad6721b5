"""The web behind API Gateway (HTTP API, payload format 2.0)."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from mangum import Mangum

from functions.api.app import create_app
from hubless.bootstrap.hub import Hub


@lru_cache(maxsize=1)
def _adapter(hub: Hub) -> Mangum:
    return Mangum(create_app(hub), lifespan="off")


def handle(hub: Hub, event: Mapping[str, Any], context: Any) -> dict[str, Any]:
    """Serve one request."""
    answer: dict[str, Any] = _adapter(hub)(dict(event), context)
    return answer
