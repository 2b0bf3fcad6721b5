"""Verifies who has AWS credentials: by a signed request for GetCallerIdentity, which the hub sends on to AWS's STS.

The workload signs the request (Signature Version 4) and sends its headers, not the request. The hub makes the request
anew: method, path and body are always the same, and the host is one of AWS's own, so that nobody can point the hub
elsewhere. A signed header names the hub, so that a request that was signed for somebody else proves nothing here.
Vault's AWS auth method and Amazon EKS prove callers in the same way.
"""

import base64
import binascii
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from hubless.adapters.jose.fetching import Answer, Fetcher, FetchError
from hubless.domain.bounds import MAX_FIELD
from hubless.domain.errors import LoginRefusedError, ProviderUnavailableError
from hubless.domain.tokens import sha256
from hubless.domain.workloads import Workload, claims_of_caller
from hubless.ports.clock import Clock

AUDIENCE_HEADER: Final = "x-hubless-audience"
BODY: Final = "Action=GetCallerIdentity&Version=2011-06-15"
CONTENT_TYPE: Final = "application/x-www-form-urlencoded; charset=utf-8"
MAX_AGE: Final = timedelta(minutes=5)  # AWS takes 15
LEEWAY: Final = timedelta(seconds=60)
_REGIONS = (
    *("af-south-1", "ap-east-1", "ap-east-2", "ap-northeast-1", "ap-northeast-2", "ap-northeast-3", "ap-south-1"),
    *("ap-south-2", "ap-southeast-1", "ap-southeast-2", "ap-southeast-3", "ap-southeast-4", "ap-southeast-5"),
    *("ap-southeast-6", "ap-southeast-7", "ca-central-1", "ca-west-1", "eu-central-1", "eu-central-2", "eu-north-1"),
    *("eu-south-1", "eu-south-2", "eu-west-1", "eu-west-2", "eu-west-3", "il-central-1", "me-central-1", "me-south-1"),
    *("mx-central-1", "sa-east-1", "us-east-1", "us-east-2", "us-west-1", "us-west-2"),
    *("us-gov-east-1", "us-gov-west-1"),
)
HOSTS: Final = frozenset(
    {"sts.amazonaws.com"}
    | {f"sts.{region}.amazonaws.com" for region in _REGIONS}
    | {f"sts.{region}.amazonaws.com.cn" for region in ("cn-north-1", "cn-northwest-1")}
)
# What a signature has to cover, and all that the hub sends on beside it.
_ESSENTIAL = ("host", "x-amz-date", AUDIENCE_HEADER)
_ALLOWED = frozenset({*_ESSENTIAL, "x-amz-security-token", "x-amz-content-sha256", "content-type"})
_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<key>[A-Z0-9]{16,128})/(?P<date>[0-9]{8})/(?P<region>[a-z0-9-]{1,32})/sts/"
    r"aws4_request, ?SignedHeaders=(?P<headers>[a-z0-9;-]{1,512}), ?Signature=(?P<signature>[0-9a-f]{64})"
)
_DATE = "%Y%m%dT%H%M%SZ"
_OK, _REFUSED = 200, range(400, 500)


class AwsCallerVerifier:
    """Verifies proofs that name one of *audiences*, which are addresses of this hub.

    Args:
        audiences: what the signed header may say.
        fetcher: sends the request to AWS.
        clock: tells the time.
        endpoints: addresses by host, instead of `https://HOST/`: for an emulator.
    """

    def __init__(
        self, audiences: tuple[str, ...], fetcher: Fetcher, clock: Clock, endpoints: Mapping[str, str] | None = None
    ) -> None:
        self._audiences, self._fetcher, self._clock = audiences, fetcher, clock
        self._endpoints = endpoints if endpoints is not None else {host: f"https://{host}/" for host in HOSTS}

    def verify(self, proof: str, _proof_type: str) -> Workload:
        """Verify signed headers, as `WorkloadVerifier` promises."""
        headers = _headers_of(proof)
        signature = _signature_of(headers)
        signed_at = self._signed_at(headers)
        audience = headers[AUDIENCE_HEADER]
        if audience not in self._audiences:
            raise LoginRefusedError(f"The request was signed for another hub: {AUDIENCE_HEADER} must be this hub's.")
        endpoint = self._endpoints.get(headers["host"])
        if endpoint is None:
            raise LoginRefusedError("The request was signed for a host that is none of AWS's STS.")
        try:
            sent = {"content-type": CONTENT_TYPE, **headers, "accept": "application/json"}
            answer = self._fetcher.request("POST", endpoint, sent, BODY)
            account, arn, user_id = _caller_in(answer)
        except FetchError as failed:
            raise ProviderUnavailableError(str(failed)) from failed
        return Workload(
            issuer="",
            subject=arn,
            audiences=(audience,),
            claims=claims_of_caller(account, arn, user_id),
            proof_id=sha256(signature),
            valid_until=signed_at + MAX_AGE + LEEWAY,
            is_of_aws=True,
        )

    def _signed_at(self, headers: Mapping[str, str]) -> datetime:
        try:
            signed_at = datetime.strptime(headers["x-amz-date"], _DATE).replace(tzinfo=UTC)
        except ValueError:
            raise LoginRefusedError("The request's x-amz-date is no time.") from None
        # The age is compared: no time is so far away that a sum with it fails.
        if not -LEEWAY <= self._clock.now() - signed_at < MAX_AGE + LEEWAY:
            raise LoginRefusedError("The request was signed too long ago, or in the future. Check both clocks.")
        return signed_at


def _headers_of(proof: str) -> dict[str, str]:
    """Return the headers in *proof*, the base64url of a JSON object, with names in lower case."""
    if len(proof) > MAX_FIELD:
        raise LoginRefusedError(f"The proof has more than {MAX_FIELD} characters.")
    try:
        found = json.loads(base64.b64decode(proof + "=" * (-len(proof) % 4), b"-_", validate=True))
    except (ValueError, RecursionError, binascii.Error):
        found = None
    if not isinstance(found, dict) or not all(isinstance(text, str) for text in found.values()):
        raise LoginRefusedError("The proof is no JSON object of headers in base64url.")
    headers = {name.lower(): text for name, text in found.items()}
    if len(headers) != len(found) or not all(text.isascii() and text.isprintable() for text in headers.values()):
        raise LoginRefusedError("A header in the proof is there twice, or has characters that no header may have.")
    return headers


def _signature_of(headers: Mapping[str, str]) -> str:
    """Return the signature, which covers all other headers, as it must.

    Whether it is right, only AWS can say.
    """
    found = _AUTHORIZATION.fullmatch(headers.get("authorization", ""))
    if found is None:
        raise LoginRefusedError("The proof has no authorization header of Signature Version 4 for STS.")
    signed, given = set(found["headers"].split(";")), {name for name in headers if name != "authorization"}
    if missing := sorted(set(_ESSENTIAL) - signed):
        raise LoginRefusedError(f"The signature does not cover {', '.join(missing)}.")
    if signed != given:
        raise LoginRefusedError("The proof must have the headers that the signature covers, and no others.")
    if foreign := sorted(given - _ALLOWED):
        raise LoginRefusedError(f"The signature covers {foreign[0][:60]!r}, which the hub does not send on.")
    return found["signature"]


def _caller_in(answer: Answer) -> tuple[str, str, str]:
    """Return account, ARN and user id of the caller.

    Raises:
        FetchError: when AWS says something that nobody expects.
    """
    if answer.status in _REFUSED:
        raise LoginRefusedError(f"AWS refused the signed request ({answer.status}): sign a new one.")
    if answer.status != _OK:
        raise FetchError(f"AWS's STS answered {answer.status}.")
    said = answer.json()
    try:
        found: Any = said["GetCallerIdentityResponse"]["GetCallerIdentityResult"]
        caller = (found["Account"], found["Arn"], found["UserId"])
    except (KeyError, TypeError):
        raise FetchError("AWS's STS named no caller in its answer.") from None
    if not all(isinstance(text, str) and text for text in caller):
        raise FetchError("AWS's STS named no caller in its answer.")
    return caller
