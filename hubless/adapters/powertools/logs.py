"""The log of a function: a JSON object a line, with the keys by which one finds what belongs together."""

import json
import logging
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NoReturn

from aws_lambda_powertools.logging.formatter import LambdaPowertoolsFormatter

from hubless.adapters.powertools.scrubbing import scrubbed

logger = logging.getLogger(__name__)
_TALKATIVE = ("botocore", "urllib3", "pynamodb", "mangum", "oauthlib")


class InvocationFailedError(Exception):
    """Raised in place of an unforeseen error, which was logged: Lambda itself prints what it is given, secrets and all."""


class Logs:
    """Has all that is logged anywhere written so; of one function."""

    def __init__(self, hub: str, function: str, level: str) -> None:
        self._formatter = LambdaPowertoolsFormatter(
            json_serializer=_line, utc=True, use_rfc3339=True, service=f"{hub}-{function}", cold_start=True
        )
        handler = logging.StreamHandler(sys.stdout)
        handler.setFormatter(self._formatter)
        root = logging.getLogger()
        root.handlers[:] = [handler]  # Lambda's own would write each line a second time
        root.setLevel(level.upper())
        for name in _TALKATIVE:
            logging.getLogger(name).setLevel(logging.WARNING)

    @contextmanager
    def invocation(self, event: Mapping[str, Any], context: Any) -> Iterator[None]:
        """Mark every line of one invocation with its ids.

        Raises:
            InvocationFailedError: in place of whatever was raised.
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
        """Log what is raised, and raise what says nothing."""
        try:
            yield
        except Exception as error:
            logger.exception("failed: %s", type(error).__name__)
            _fail(error)


def _fail(error: Exception) -> NoReturn:
    raise InvocationFailedError(f"{type(error).__name__}: the function's log says more") from None


def correlation_id(event: Mapping[str, Any]) -> str | None:
    """Return the id of what began this: API Gateway's of a request, EventBridge's of an event; messages have one each."""
    asked = event.get("requestContext")
    if isinstance(asked, Mapping):
        return str(asked.get("requestId", "")) or None
    return str(event["id"]) if isinstance(event.get("id"), str) else None


def _line(log: Mapping[str, Any]) -> str:
    return scrubbed(json.dumps(log, default=str, separators=(",", ":"), ensure_ascii=False))
