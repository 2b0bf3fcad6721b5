"""DynamoDB's errors as the product's: the one place that knows the vendor's codes."""

from collections.abc import Mapping, Sequence
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from pynamodb.exceptions import CancellationReason, PynamoDBException, VerboseClientError

from hubless.domain.errors import HublessError, InvalidRequestError, StoreUnavailableError

VENDOR_ERRORS = (ClientError, BotoCoreError, PynamoDBException)
_CONDITION_FAILED = {"ConditionalCheckFailedException", "ConditionalCheckFailed"}
# Another transaction held one of the items: nothing was written, and trying again is right.
_TRANSACTION_CONFLICTS = {"TransactionConflict", "TransactionConflictException", "TransactionInProgressException"}
_REMEDIES: Mapping[str, str] = {
    "ResourceNotFoundException": "There is no such table here: deploy it, or look at the settings' table and region.",
    "AccessDeniedException": "The function's role may not do this: grant it the table.",
    "UnrecognizedClientException": "The credentials are not known: look at the function's role.",
    "ExpiredTokenException": "The credentials have expired.",
    "ProvisionedThroughputExceededException": "It is asked for more than it gives at this moment; try again.",
    "ThrottlingException": "It is asked for more than it gives at this moment; try again.",
    "ThrottlingError": "It is asked for more than it gives at this moment; try again.",
    "ProvisionedThroughputExceeded": "It is asked for more than it gives at this moment; try again.",
    "RequestLimitExceeded": "It is asked for more than it gives at this moment; try again.",
    "InternalServerError": "It failed within; try again.",
}
_TOO_LARGE = ("Item size", "item size")


def code_of(error: Exception) -> str:
    """Return the vendor's code of *error*, or its kind where it has none (a network that does not answer)."""
    vendor = _vendor(error)
    return (
        str(vendor.response.get("Error", {}).get("Code", ""))
        if isinstance(vendor, ClientError)
        else type(vendor).__name__
    )


def is_condition_failed(error: Exception) -> bool:
    """Say whether a single write found another state than it named."""
    return code_of(error) in _CONDITION_FAILED


def item_found(error: BaseException | None) -> dict[str, Any] | None:
    """Return the item that a single write found in another state than it named, where it asked for it and there is one.

    PynamoDB passes only a part of the answer on; the whole of it is with what its error came from.
    """
    while error is not None:
        if isinstance(error, ClientError) and error.response.get("Item"):
            return dict(error.response["Item"])
        error = error.__cause__
    return None


def is_transaction_conflict(error: Exception) -> bool:
    """Say whether nothing was written only because another transaction was at work."""
    return code_of(error) in _TRANSACTION_CONFLICTS or any(
        reason is not None and reason.code in _TRANSACTION_CONFLICTS for reason in _reasons(error)
    )


def failed_positions(error: Exception) -> list[int]:
    """Return which items of a transaction found another state than they named, by position."""
    return [n for n, reason in enumerate(_reasons(error)) if reason is not None and reason.code in _CONDITION_FAILED]


def domain_error(error: Exception, table: str) -> HublessError:
    """Return the product's error for *error*, to be raised from it."""
    code = next((r.code for r in _reasons(error) if r is not None), None) or code_of(error)
    if any(words in str(_vendor(error)) for words in _TOO_LARGE):
        return InvalidRequestError("This is more than one record can hold")
    if code in _TRANSACTION_CONFLICTS:
        return StoreUnavailableError(f"The table {table} is too busy with this record; try again.")
    remedy = _REMEDIES.get(code, "")
    return StoreUnavailableError(f"The table {table} does not work ({code}). {remedy}".rstrip())


def _vendor(error: Exception) -> Any:
    cause = error.cause if isinstance(error, PynamoDBException) else None
    return error if cause is None else cause


def _reasons(error: Exception) -> Sequence[CancellationReason | None]:
    vendor = _vendor(error)
    return vendor.cancellation_reasons if isinstance(vendor, VerboseClientError) else ()
