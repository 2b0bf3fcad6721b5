"""What ELB refuses, in words of the product: the one place that knows its errors."""

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

TRIES = 6  # of a call that ELB has no time for; it takes some ten a second
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
        "ResourceInUse",
    }
)  # that a rule is gone is not known everywhere at once
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
    "AccessDenied": "The function's role may not do this: grant it the load balancer.",
    "ListenerNotFound": "There is no such listener: look at the settings' load balancer.",
}
T = TypeVar("T")


def ask(call: Callable[[], T], sleep: Callable[[float], None]) -> T:
    """Return what ELB answers; where it has no time, ask again, later each time.

    Raises:
        ClientError: what the caller may expect, as it came.
        StoreUnavailableError: when it cannot be asked, or had no time at any try.
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
            raise StoreUnavailableError(f"The load balancer cannot be asked: {error}") from error
    raise StoreUnavailableError("The load balancer is asked for more than it does at this moment; try again.")


def code_of(error: ClientError) -> str:
    """Return AWS's own name of *error*."""
    return str(error.response.get("Error", {}).get("Code", ""))


def domain_error(error: ClientError, limit: int) -> HublessError:
    """Return the product's error for *error*, to be raised from it; *limit* is how many servers there is room for."""
    code, said = code_of(error), str(error.response.get("Error", {}).get("Message", ""))
    if code in _FULL:
        return QuotaExceededError(
            f"The load balancer has no room for one more server ({said or code}). Try again when one has stopped.",
            limit=limit,
            retry=True,
        )
    if code == "InvalidTarget":
        return InvalidRequestError(f"The load balancer cannot reach this address: {said}")
    return StoreUnavailableError(
        f"The load balancer does not work ({code}: {said}). {_REMEDIES.get(code, '')}".rstrip()
    )
