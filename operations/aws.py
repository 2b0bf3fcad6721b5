"""AWS as the operator's own credentials reach it: clients, and what a refusal means."""

import re
from typing import TYPE_CHECKING, Any

from operations.errors import OperationsError

if TYPE_CHECKING:
    from botocore.exceptions import BotoCoreError, ClientError

INSTALL = "uv sync --group operations"
_RIGHT = re.compile(r"perform:? ([a-z0-9-]+:[A-Za-z]+)")
IAM_PREFIXES = {
    "service-quotas": "servicequotas",
    "elbv2": "elasticloadbalancing",
}  # where rights have another name than clients
_DENIED = ("AccessDenied", "Unauthorized", "NotAuthorized", "Forbidden", "AuthorizationError")
_NO_CREDENTIALS = (
    "There are no credentials of AWS here. Log in with `aws sso login` or `aws configure`, and choose a profile with AWS_PROFILE "
    "where there are several"
)


class AwsCallError(OperationsError):
    """Raised when AWS did not answer what was asked; *right* is what is missing, where that is why."""

    def __init__(self, message: str, *, missing_permission: str = "", error_code: str = "") -> None:
        super().__init__(message)
        self.missing_permission, self.error_code = missing_permission, error_code


class Aws:
    """Clients of one region, and of others where that is said. Each call answers or raises AwsCallError."""

    def __init__(self, region: str, session: Any = None) -> None:
        self.region = region
        self._session = session
        self._clients: dict[tuple[str, str], Any] = {}

    def call(self, service: str, operation: str, /, *, region: str = "", **arguments: Any) -> dict[str, Any]:
        """Return what *operation* of *service* answers, both by boto3's names, as in `call("ec2", "describe_vpcs")`.

        Raises:
            AwsCallError: when it does not.
        """
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 only where AWS is asked

        try:
            client = self._client(service, region or self.region)
            answer: dict[str, Any] = getattr(client, operation)(**arguments)
        except ClientError as error:
            raise _refused(error, service) from None
        except BotoCoreError as error:
            raise _unreached(error, service) from None
        return answer

    def paginate(self, service: str, operation: str, key: str, /, *, region: str = "", **arguments: Any) -> list[Any]:
        """Return all that is under *key* of *operation*'s answers, page after page.

        Raises:
            AwsCallError: when it is not answered.
        """
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 only where AWS is asked

        try:
            pages = self._client(service, region or self.region).get_paginator(operation).paginate(**arguments)
            return [one for page in pages for one in page.get(key, ())]
        except ClientError as error:
            raise _refused(error, service) from None
        except BotoCoreError as error:
            raise _unreached(error, service) from None

    def regions_of(self, service: str) -> list[str]:
        """Return the regions that have *service*, as boto3 knows."""
        names: list[str] = self._opened().get_available_regions(service)
        return names

    def _opened(self) -> Any:
        if self._session is None:
            self._session = open_session()
        return self._session

    def _client(self, service: str, region: str) -> Any:
        from botocore.config import Config  # noqa: PLC0415 only where AWS is asked

        if (service, region) not in self._clients:
            config = Config(connect_timeout=5, read_timeout=15, retries={"mode": "standard", "total_max_attempts": 3})
            self._clients[service, region] = self._opened().client(service, region_name=region, config=config)
        return self._clients[service, region]


def open_session() -> Any:
    """Return a boto3 session with the environment's credentials.

    Raises:
        OperationsError: when boto3 is not installed.
    """
    try:
        import boto3  # noqa: PLC0415 only where AWS is asked
    except ImportError:
        raise OperationsError(
            f"This command asks AWS, and what it needs for that is not installed. Install it: {INSTALL}"
        ) from None
    return boto3.Session()


def _refused(error: "ClientError", service: str) -> AwsCallError:
    found = error.response.get("Error", {})
    code, message = str(found.get("Code", "")), str(found.get("Message", ""))
    if any(code.startswith(word) for word in _DENIED):
        named = _RIGHT.search(message)
        right = named[1] if named else f"{IAM_PREFIXES.get(service, service)}:{error.operation_name}"
        return AwsCallError(f"the right {right} is missing", missing_permission=right, error_code=code)
    return AwsCallError(f"{service} answered {code}: {message}".rstrip(": "), error_code=code)


def _unreached(error: "BotoCoreError", service: str) -> AwsCallError:
    name = type(error).__name__
    if name in {
        "NoCredentialsError",
        "PartialCredentialsError",
        "ProfileNotFound",
        "SSOTokenLoadError",
        "UnauthorizedSSOTokenError",
        "TokenRetrievalError",
    }:
        return AwsCallError(_NO_CREDENTIALS, error_code=name)
    if name == "EndpointConnectionError":
        return AwsCallError(f"{service} cannot be reached from here: {error}", error_code=name)
    return AwsCallError(f"{service} could not be asked: {error}", error_code=name)
