"""Calls to AWS with the operator's own credentials, and what a failed call means."""

import re
from typing import TYPE_CHECKING, Any

from operations.errors import OperationsError

if TYPE_CHECKING:
    from botocore.exceptions import BotoCoreError, ClientError

INSTALL = "pip install 'hubless[aws]' (in a checkout: pip install '.[aws]', or make deployer)"
_PERMISSION = re.compile(r"perform:? ([a-z0-9-]+:[A-Za-z]+)")
IAM_PREFIXES = {
    "service-quotas": "servicequotas",
    "elbv2": "elasticloadbalancing",
    "efs": "elasticfilesystem",
    "resourcegroupstaggingapi": "tag",
}  # where IAM's prefix is not the name of the client
IAM_ACTIONS = {
    "ListBuckets": "ListAllMyBuckets",
    "ListObjectsV2": "ListBucket",
    "DeleteObjects": "DeleteObject",
}  # where IAM's action is not the name of the operation
_DENIED = ("AccessDenied", "Unauthorized", "NotAuthorized", "Forbidden", "AuthorizationError")
_KEY_DENIED = re.compile("ciphertext refers to|Access to KMS")  # of SSM, when KMS refuses the key of a secret
_EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired"})
_UNKNOWN = frozenset({"UnrecognizedClientException", "InvalidClientTokenId", "InvalidSignatureException"})
_NO_TABLE = "ResourceNotFoundException"
_NO_CREDENTIALS = (
    "No AWS credentials found. Log in with `aws sso login` or `aws configure`; "
    "if you have several profiles, choose one with AWS_PROFILE"
)


class AwsCallError(OperationsError):
    """Raised when a call to AWS failed. If IAM denied it, *missing_permission* is the action that is missing."""

    def __init__(self, message: str, *, missing_permission: str = "", error_code: str = "") -> None:
        super().__init__(message)
        self.missing_permission, self.error_code = missing_permission, error_code


class Aws:
    """Calls to AWS in one region, unless a call names another. Each call returns an answer or raises AwsCallError."""

    def __init__(self, region: str, session: Any = None) -> None:
        self.region = region
        self._session = session
        self._clients: dict[tuple[str, str], Any] = {}

    def call(self, service: str, operation: str, /, *, region: str = "", **arguments: Any) -> dict[str, Any]:
        """Return the answer of one call. The names are boto3's, as in `call("ec2", "describe_vpcs")`.

        Raises:
            AwsCallError: if the call fails.
        """
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 only commands that call AWS need it

        try:
            client = self._client(service, region or self.region)
            answer: dict[str, Any] = getattr(client, operation)(**arguments)
        except ClientError as error:
            raise _refusal(error, service) from None
        except BotoCoreError as error:
            raise _no_answer(error, service) from None
        return answer

    def paginate(self, service: str, operation: str, key: str, /, *, region: str = "", **arguments: Any) -> list[Any]:
        """Return the items under *key* of all pages of an answer.

        Raises:
            AwsCallError: if a call fails.
        """
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 only commands that call AWS need it

        try:
            pages = self._client(service, region or self.region).get_paginator(operation).paginate(**arguments)
            return [one for page in pages for one in page.get(key, ())]
        except ClientError as error:
            raise _refusal(error, service) from None
        except BotoCoreError as error:
            raise _no_answer(error, service) from None

    def regions_of(self, service: str) -> list[str]:
        """Return the regions that have *service*, according to boto3."""
        names: list[str] = self._open_session().get_available_regions(service)
        return names

    def _open_session(self) -> Any:
        if self._session is None:
            self._session = open_session()
        return self._session

    def _client(self, service: str, region: str) -> Any:
        from botocore.config import Config  # noqa: PLC0415 only commands that call AWS need it

        if (service, region) not in self._clients:
            config = Config(connect_timeout=5, read_timeout=15, retries={"mode": "standard", "total_max_attempts": 3})
            self._clients[service, region] = self._open_session().client(service, region_name=region, config=config)
        return self._clients[service, region]


def open_session() -> Any:
    """Return a boto3 session with the environment's credentials.

    Raises:
        OperationsError: if boto3 is not installed.
    """
    try:
        import boto3  # noqa: PLC0415 only commands that call AWS need it
    except ImportError:
        raise OperationsError(
            f"This command needs the AWS SDK, which is not installed. Install it: {INSTALL}"
        ) from None
    return boto3.Session()


def refusal_behind(error: BaseException) -> AwsCallError | None:
    """Return what an operator has to know of AWS's answer that caused *error*, which a store of the hub raised.

    None if AWS did not cause it, or if no operator can change it, such as throttling.
    """
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 only commands that call AWS need it

    found: BaseException | None = error
    while found is not None and not isinstance(found, (BotoCoreError, ClientError)):
        found = getattr(found, "cause", None) or found.__cause__  # PynamoDB's errors have their own
    if found is None:
        return None
    if isinstance(found, BotoCoreError):
        return _no_answer(found, "AWS")
    refusal = _refusal(found, "ssm" if found.operation_name == "GetParameters" else "dynamodb")
    if refusal.error_code == _NO_TABLE:
        return AwsCallError("its table is gone. Bring it back from a backup (docs/deploy.md)", error_code=_NO_TABLE)
    is_of_operator = refusal.missing_permission or refusal.error_code in _EXPIRED | _UNKNOWN
    return refusal if is_of_operator else None


def _refusal(error: "ClientError", service: str) -> AwsCallError:
    found = error.response.get("Error", {})
    code, message = str(found.get("Code", "")), str(found.get("Message", ""))
    if code in _EXPIRED:
        return AwsCallError("your AWS credentials have expired. Log in again, as with `aws sso login`", error_code=code)
    if code in _UNKNOWN:
        return AwsCallError(
            "AWS does not know your credentials. Log in again, or choose others with AWS_PROFILE", error_code=code
        )
    if any(code.startswith(word) for word in _DENIED):
        named = _PERMISSION.search(message)
        lacking = "kms:Decrypt" if _KEY_DENIED.search(message) else _permission_of(service, error.operation_name)
        permission = named[1] if named else lacking
        return AwsCallError(f"the permission {permission} is missing", missing_permission=permission, error_code=code)
    return AwsCallError(f"{service} answered {code}: {message}".rstrip(": "), error_code=code)


def _permission_of(service: str, operation: str) -> str:
    return f"{IAM_PREFIXES.get(service, service)}:{IAM_ACTIONS.get(operation, operation)}"


def _no_answer(error: "BotoCoreError", service: str) -> AwsCallError:
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
        return AwsCallError(f"cannot connect to {service}: {error}", error_code=name)
    return AwsCallError(f"the call to {service} failed: {error}", error_code=name)
