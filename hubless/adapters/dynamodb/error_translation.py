"""Translates errors of DynamoDB into the domain's; the only module that knows their codes."""

from collections.abc import Mapping, Sequence
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from pynamodb.exceptions import CancellationReason, PynamoDBException, VerboseClientError

from hubless.domain.errors import HublessError, InvalidRequestError, StoreUnavailableError

VENDOR_ERRORS = (ClientError, BotoCoreError, PynamoDBException)
_CONDITION_FAILED = {"ConditionalCheckFailedException", "ConditionalCheckFailed"}
# Another transaction held one of the items. Nothing was written, and a retry is right.
_TRANSACTION_CONFLICTS = {"TransactionConflict", "TransactionConflictException", "TransactionInProgressException"}
_THROTTLED = {
    "ProvisionedThroughputExceededException",
    "ProvisionedThroughputExceeded",
    "ThrottlingException",
    "ThrottlingError",
    "RequestLimitExceeded",
}
_REMEDIES: Mapping[str, str] = {
    "ResourceNotFoundException": "The table does not exist: deploy it, or check HUBLESS_TABLE and the region.",
    "AccessDeniedException": "The function's role lacks the right: grant it access to the table.",
    "UnrecognizedClientException": "AWS does not know the credentials: check the function's role.",
    "ExpiredTokenException": "The credentials have expired: renew them.",
    **dict.fromkeys(_THROTTLED, "DynamoDB throttles requests; try again."),
    "InternalServerError": "DynamoDB failed; try again.",
}
_TOO_LARGE = ("Item size", "item size")


def code_of(error: Exception) -> str:
    """Return DynamoDB's code of *error*, or its class name if it has none, such as a network error."""
    vendor = _vendor(error)
    return (
        str(vendor.response.get("Error", {}).get("Code", ""))
        if isinstance(vendor, ClientError)
        else type(vendor).__name__
    )


def is_condition_failed(error: Exception) -> bool:
    """Say whether the condition of a single write failed."""
    return code_of(error) in _CONDITION_FAILED


def item_found(error: BaseException | None) -> dict[str, Any] | None:
    """Return the item on which the condition of a single write failed, if the write asked for it and it exists.

    PynamoDB passes on only a part of the answer; its cause has all of it.
    """
    while error is not None:
        if isinstance(error, ClientError) and error.response.get("Item"):
            return dict(error.response["Item"])
        error = error.__cause__
    return None


def is_transaction_conflict(error: Exception) -> bool:
    """Say whether the write failed only because of another transaction."""
    return code_of(error) in _TRANSACTION_CONFLICTS or any(
        reason is not None and reason.code in _TRANSACTION_CONFLICTS for reason in _reasons(error)
    )


def is_throttled(error: Exception) -> bool:
    """Say whether DynamoDB refused the request only because too many came; nothing was written."""
    return code_of(error) in _THROTTLED or any(
        reason is not None and reason.code in _THROTTLED for reason in _reasons(error)
    )


def failed_positions(error: Exception) -> list[int]:
    """Return the positions of the items of a transaction whose conditions failed."""
    return [n for n, reason in enumerate(_reasons(error)) if reason is not None and reason.code in _CONDITION_FAILED]


def domain_error(error: Exception, table: str) -> HublessError:
    """Return the domain's error for *error*."""
    code = next((r.code for r in _reasons(error) if r is not None), None) or code_of(error)
    if any(words in str(_vendor(error)) for words in _TOO_LARGE):
        return InvalidRequestError("The record is larger than DynamoDB allows (400 KB)")
    if code in _TRANSACTION_CONFLICTS:
        return StoreUnavailableError(f"Other writes to the same record of the table {table} were faster; try again.")
    remedy = _REMEDIES.get(code, "")
    return StoreUnavailableError(f"DynamoDB refused a request to the table {table} ({code}). {remedy}".rstrip())


def _vendor(error: Exception) -> Any:
    cause = error.cause if isinstance(error, PynamoDBException) else None
    return error if cause is None else cause


def _reasons(error: Exception) -> Sequence[CancellationReason | None]:
    vendor = _vendor(error)
    return vendor.cancellation_reasons if isinstance(vendor, VerboseClientError) else ()
