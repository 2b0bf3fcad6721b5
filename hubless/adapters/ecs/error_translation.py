"""Translates errors of AWS into the domain's; the only module that knows their codes."""

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
        "ConcurrentModification",
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
# ECS reports these with exceptions that otherwise mean a wrong request.
_FULL = ("capacity is unavailable", "reached the limit on the number of", "tasks in the provisioning")
_BUSY = ("rate exceeded", "too many concurrent attempts")
_ROLE_REFUSED = ("unable to assume the role", "iam:passrole")
_DEREGISTERED = ("taskdefinition not found", "taskdefinition is inactive")
_NEVER = frozenset({"ATTRIBUTE", "INACTIVE", "LOCATION", "MISSING"})  # reasons of failures that a retry does not change


class NoCapacityError(CapacityUnavailableError):
    """Raised when a capacity provider has no capacity now; another may have some."""

    def __init__(self, message: str) -> None:
        super().__init__(message, after=FULL_FOR)


class DefinitionGoneError(CapacityUnavailableError):
    """Raised when the task definition was deregistered just now; registering it again helps."""


class RoleRefusedError(LaunchFailedError):
    """Raised when ECS cannot use a role of the task. It may be too new: IAM's changes reach ECS after some seconds."""


@contextmanager
def translate_errors(doing: str) -> Iterator[None]:
    """Raise the port's errors instead of botocore's; *doing* names the operation in the message."""
    try:
        yield
    except ClientError as error:
        raise domain_error(error, doing) from error
    except (HTTPClientError, NoConnectionError) as error:
        raise CapacityUnavailableError(f"Cannot reach AWS ({doing}): {error}") from error
    except BotoCoreError as error:
        raise LaunchFailedError(f"Cannot send a request to AWS ({doing}): {error}") from error


def domain_error(error: ClientError, doing: str) -> HublessError:
    """Return the port's error for *error*."""
    said, status = message_of(error), error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    words, lower = f"AWS refused a request ({doing}): {code_of(error)}: {said}", said.lower()
    if any(phrase in lower for phrase in _FULL):
        return NoCapacityError(words)
    if any(phrase in lower for phrase in _DEREGISTERED):
        return DefinitionGoneError(words)
    if any(phrase in lower for phrase in _ROLE_REFUSED):
        return RoleRefusedError(words)
    if code_of(error) in _LATER or status >= SERVER_ERROR or any(phrase in lower for phrase in _BUSY):
        return CapacityUnavailableError(words)
    return LaunchFailedError(words)


def domain_error_of_failures(failures: Sequence[Mapping[str, Any]]) -> HublessError:
    """Return the port's error for the *failures* in an answer of ECS with status 200."""
    if not failures:
        return CapacityUnavailableError("ECS started no task and gave no reason")
    reason = str(failures[0].get("reason", ""))
    words = " ".join(filter(None, (reason, str(failures[0].get("detail") or ""))))
    if reason.upper() in _NEVER:
        return LaunchFailedError(f"ECS cannot start the server: {words}")
    return NoCapacityError(f"ECS has no capacity for the server now: {words}")


def code_of(error: ClientError) -> str:
    """Return AWS's code of *error*."""
    return str(error.response.get("Error", {}).get("Code", ""))


def message_of(error: ClientError) -> str:
    """Return AWS's message."""
    return str(error.response.get("Error", {}).get("Message", ""))
