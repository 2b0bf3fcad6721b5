"""Translates errors of ELB into the domain's; the only module that knows their codes."""

import random
from collections.abc import Callable
from typing import TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from hubless.domain.errors import (
    HublessError,
    InvalidRequestError,
    QuotaExceededError,
    StoreUnavailableError,
)

TRIES = 6  # ELB throttles at about ten calls a second
_FIRST_WAIT, _LONGEST_WAIT = 0.2, 3.0  # seconds
_BUSY = frozenset(
    {
        "Throttling",
        "ThrottlingException",
        "RequestLimitExceeded",
        "TooManyRequestsException",
        "ServiceUnavailable",
        "InternalFailure",
        "InternalError",
        "ResourceInUse",  # a removed rule may still be seen for a moment
    }
)
_FULL = frozenset(
    {
        "TooManyTargetGroups",
        "TooManyUniqueTargetGroupsPerLoadBalancer",
        "TooManyRules",
        "TooManyTargets",
        "TooManyRegistrationsForTargetId",
    }
)
_REMEDIES = {
    "AccessDenied": "The function's role lacks the right: grant it access to the load balancer.",
    "ListenerNotFound": "The listener does not exist: deploy it, or check HUBLESS_ALB_LISTENER.",
}
T = TypeVar("T")


def ask(call: Callable[[], T], sleep: Callable[[float], None]) -> T:
    """Return ELB's answer; retry with back-off while it throttles.

    Raises:
        ClientError: any other error, unchanged, for the caller to handle.
        StoreUnavailableError: if ELB is not reached, or throttles every try.
    """
    for turn in range(TRIES):
        try:
            return call()
        except ClientError as error:
            if code_of(error) not in _BUSY:
                raise
            if turn < TRIES - 1:
                sleep(min(_LONGEST_WAIT, _FIRST_WAIT * 2.0**turn) * (1 + random.random()) / 2)  # noqa: S311 no secret
        except BotoCoreError as error:
            raise StoreUnavailableError(f"Cannot reach the API of the load balancer: {error}") from error
    raise StoreUnavailableError("AWS throttles changes of the load balancer; try again.")


def code_of(error: ClientError) -> str:
    """Return AWS's code of *error*."""
    return str(error.response.get("Error", {}).get("Code", ""))


def domain_error(error: ClientError, limit: int) -> HublessError:
    """Return the domain's error for *error*; *limit* is how many servers can have a route."""
    code, said = code_of(error), str(error.response.get("Error", {}).get("Message", ""))
    if code in _FULL:
        return QuotaExceededError(
            f"The load balancer is full ({said or code}). Try again when a server has stopped.",
            limit=limit,
            retry=True,
        )
    if code == "InvalidTarget":
        return InvalidRequestError(f"The load balancer refused the address: {said}")
    return StoreUnavailableError(f"ELB refused a request ({code}: {said}). {_REMEDIES.get(code, '')}".rstrip())
