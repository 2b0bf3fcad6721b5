"""What AWS refuses, in words of the product: the one place that knows its errors."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as NoConnectionError

from hubless.domain.errors import CapacityUnavailableError, HublessError, LaunchFailedError

SERVER_ERROR = 500
FULL_FOR = timedelta(seconds=15)
_LATER = frozenset(
    {
        "InternalError",
        "InternalServerError",
        "RequestLimitExceeded",
        "RequestTimeout",
        "ServerException",
        "ServiceUnavailable",
        "ServiceUnavailableException",
        "SlowDown",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)
# ECS says these by exceptions that elsewhere mean a wrong request.
_FULL = ("capacity is unavailable", "reached the limit on the number of", "tasks in the provisioning")
_BUSY = ("rate exceeded", "too many concurrent attempts")
_DEREGISTERED = ("taskdefinition not found", "taskdefinition is inactive")
_NEVER = frozenset({"ATTRIBUTE", "INACTIVE", "LOCATION", "MISSING"})  # reasons of failures that stay


class NoCapacityError(CapacityUnavailableError):
    """Raised when the capacity that was asked for is used up; another may have room, and in a while it may itself."""

    def __init__(self, message: str) -> None:
        super().__init__(message, after=FULL_FOR)


class DefinitionGoneError(CapacityUnavailableError):
    """Raised when the task definition was deregistered just now; once it is registered again, it serves."""


@contextmanager
def translate_errors(doing: str) -> Iterator[None]:
    """Turn what botocore raises into what the port names; *doing* says at what."""
    try:
        yield
    except ClientError as error:
        raise domain_error(error, doing) from error
    except (HTTPClientError, NoConnectionError) as error:
        raise CapacityUnavailableError(f"AWS could not be reached ({doing}): {error}") from error
    except BotoCoreError as error:
        raise LaunchFailedError(f"AWS could not be asked ({doing}): {error}") from error


def domain_error(error: ClientError, doing: str) -> HublessError:
    """Return what *error* means for a launch."""
    said, status = message_of(error), error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    words, lower = f"AWS refused ({doing}): {code_of(error)}: {said}", said.lower()
    if any(phrase in lower for phrase in _FULL):
        return NoCapacityError(words)
    if any(phrase in lower for phrase in _DEREGISTERED):
        return DefinitionGoneError(words)
    if code_of(error) in _LATER or status >= SERVER_ERROR or any(phrase in lower for phrase in _BUSY):
        return CapacityUnavailableError(words)
    return LaunchFailedError(words)


def domain_error_of_failures(failures: Sequence[Mapping[str, Any]]) -> HublessError:
    """Return what the *failures* mean that ECS gives with a status of 200."""
    if not failures:
        return CapacityUnavailableError("ECS started nothing and did not say why")
    reason = str(failures[0].get("reason", ""))
    words = " ".join(filter(None, (reason, str(failures[0].get("detail") or ""))))
    if reason.upper() in _NEVER:
        return LaunchFailedError(f"ECS cannot start the server: {words}")
    return NoCapacityError(f"ECS has no place for the server now: {words}")


def code_of(error: ClientError) -> str:
    """Return AWS's own name of *error*."""
    return str(error.response.get("Error", {}).get("Code", ""))


def message_of(error: ClientError) -> str:
    """Return AWS's own words."""
    return str(error.response.get("Error", {}).get("Message", ""))
