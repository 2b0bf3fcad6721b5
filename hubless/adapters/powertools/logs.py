"""The log of a function: one JSON object a line, with the ids of the request or event."""

import json
import logging
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NoReturn

from aws_lambda_powertools.logging.formatter import LambdaPowertoolsFormatter

from hubless.adapters.powertools.scrubbing import scrubbed

logger = logging.getLogger(__name__)
_NOISY = ("botocore", "urllib3", "pynamodb", "mangum", "oauthlib")


class InvocationFailedError(Exception):
    """Raised instead of an unexpected error, which is in the log. Lambda would print the original with its secrets."""


class Logs:
    """Formats all log lines of one function."""

    def __init__(self, hub: str, function: str, level: str) -> None:
        self._formatter = LambdaPowertoolsFormatter(
            json_serializer=_line, utc=True, use_rfc3339=True, service=f"{hub}-{function}", cold_start=True
        )
        handler = logging.StreamHandler(sys.stdout)
        handler.setFormatter(self._formatter)
        root = logging.getLogger()
        root.handlers[:] = [handler]  # Lambda's own handler would write each line again
        root.setLevel(level.upper())
        for name in _NOISY:
            logging.getLogger(name).setLevel(logging.WARNING)

    @contextmanager
    def invocation(self, event: Mapping[str, Any], context: Any) -> Iterator[None]:
        """Add the ids of one invocation to each of its lines.

        Raises:
            InvocationFailedError: instead of any other error.
        """
        ids = {"function_request_id": getattr(context, "aws_request_id", None), "correlation_id": correlation_id(event)}
        self._formatter.append_keys(**ids)
        try:
            with self.failures():
                yield
        finally:
            self._formatter.remove_keys(ids)
            self._formatter.append_keys(cold_start=False)

    @contextmanager
    def failures(self) -> Iterator[None]:
        """Log an error, and raise `InvocationFailedError` instead, which contains no secret."""
        try:
            yield
        except Exception as error:
            logger.exception("invocation failed: %s", type(error).__name__)
            _fail(error)


def _fail(error: Exception) -> NoReturn:
    raise InvocationFailedError(f"{type(error).__name__}: see the function's log") from None


def correlation_id(event: Mapping[str, Any]) -> str | None:
    """Return the id of a request (API Gateway's) or an event (EventBridge's); None for batches of messages."""
    asked = event.get("requestContext")
    if isinstance(asked, Mapping):
        return str(asked.get("requestId", "")) or None
    return str(event["id"]) if isinstance(event.get("id"), str) else None


def _line(log: Mapping[str, Any]) -> str:
    return scrubbed(json.dumps(log, default=str, separators=(",", ":"), ensure_ascii=False))
