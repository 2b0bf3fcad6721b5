"""Starts and stops the EC2 instance on which the edge runs.

Both calls return the state before, so no further call is needed. While an instance changes its state, EC2 refuses both
for about a minute; callers retry.
"""

from collections.abc import Callable
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from hubless.adapters.aws import Clients
from hubless.domain.errors import EdgeCapacityError, EdgeUnavailableError, HublessError, RetryLaterError

SERVER_ERROR = 500
_LATER = frozenset(
    {
        "IncorrectInstanceState",
        "IncorrectState",
        "InternalError",
        "InternalFailure",
        "RequestLimitExceeded",
        "ServiceUnavailable",
        "Throttling",
        "Unavailable",
    }
)
_FULL = frozenset(
    {"InsufficientAddressCapacity", "InsufficientCapacity", "InsufficientHostCapacity", "InsufficientInstanceCapacity"}
)
_GONE = "It does not exist: deploy it, or check HUBLESS_ECONOMY_INSTANCE and the region."
_FORBIDDEN = "The function's role lacks the right: grant it access to the instance."
_REMEDIES = {
    "InvalidInstanceID.NotFound": _GONE,
    "InvalidInstanceID.Malformed": _GONE,
    "UnauthorizedOperation": _FORBIDDEN,
    "AccessDenied": _FORBIDDEN,
}


class Ec2Machine:
    """One EC2 instance."""

    can_stop = True

    def __init__(self, instance: str, clients: Clients) -> None:
        self._instance, self._clients = instance, clients

    def start(self) -> bool:
        answer = self._ask(lambda: self._clients.ec2.start_instances(InstanceIds=[self._instance]))
        return self._was(answer["StartingInstances"]) == "stopped"

    def stop(self) -> bool:
        answer = self._ask(lambda: self._clients.ec2.stop_instances(InstanceIds=[self._instance]))
        return self._was(answer["StoppingInstances"]) in {"pending", "running"}

    def _was(self, changes: list[dict[str, Any]]) -> str:
        return next((str(one["PreviousState"]["Name"]) for one in changes if one["InstanceId"] == self._instance), "")

    def _ask(self, call: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        try:
            return call()
        except ClientError as error:
            raise self._domain_error(error) from error
        except BotoCoreError as error:
            raise RetryLaterError(
                f"Cannot reach EC2 for the instance {self._instance} ({type(error).__name__})"
            ) from error

    def _domain_error(self, error: ClientError) -> HublessError:
        code = str(error.response.get("Error", {}).get("Code", ""))
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        if code in _FULL:
            return EdgeCapacityError(
                f"EC2 has no capacity for the instance {self._instance} ({code})."
                " If this lasts, deploy the edge in another zone or with another instance type."
            )
        if code in _LATER or status >= SERVER_ERROR:
            return RetryLaterError(f"EC2 cannot change the instance {self._instance} now ({code})")
        return EdgeUnavailableError(
            f"EC2 refused to change the instance {self._instance} ({code}). {_REMEDIES.get(code, '')}".rstrip()
        )
