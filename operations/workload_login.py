"""`hubless login`: a job gets a short-lived token of a hub for the proof that its platform gives it.

The proof comes from GitHub Actions, from a file that Kubernetes keeps fresh, or from AWS credentials; no secret of the
hub is on the job's side.
"""

import base64
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlencode, urlsplit

from hubless.adapters.jose.fetching import Answer, Fetcher, FetchError
from hubless.adapters.workloads.aws_callers import AUDIENCE_HEADER, BODY, CONTENT_TYPE
from hubless.ports.workloads import AWS_SIGV4, JWT

GITHUB_URL, GITHUB_TOKEN = "ACTIONS_ID_TOKEN_REQUEST_URL", "ACTIONS_ID_TOKEN_REQUEST_TOKEN"
TOKEN_FILE: Final = Path("/var/run/secrets/hubless/token")
EXCHANGE: Final = "urn:ietf:params:oauth:grant-type:token-exchange"
_OK = 200


class WorkloadLoginError(Exception):
    """Raised when there is no proof or no token; the message says why and what to do."""


def token_for(
    hub: str, proof: str, proof_type: str, *, scopes: str = "", rule: str = "", fetcher: Fetcher | None = None
) -> dict[str, Any]:
    """Return the hub's answer, with the token as `access_token`.

    Args:
        hub: the hub's address, with or without `/hub` at its end.
        proof: as the hub's `WorkloadVerifier` takes it.
        proof_type: its type.
        scopes: the scopes to ask for, with blanks between them; "" for all that the rule gives.
        rule: the rule that is meant; "" for the first that holds.
        fetcher: sends the request.

    Raises:
        WorkloadLoginError: when the hub gives none; the message is the hub's.
    """
    url = f"{address_of(hub)}/hub/api/oauth2/token"
    form = {"grant_type": EXCHANGE, "subject_token": proof, "subject_token_type": proof_type}
    form |= {name: text for name, text in (("scope", scopes), ("rule", rule)) if text}
    headers = {"content-type": "application/x-www-form-urlencoded", "accept": "application/json"}
    answer = _asked(lambda: (fetcher or Fetcher(seconds=30)).request("POST", url, headers, urlencode(form)))
    said = _object_in(answer)
    if answer.status != _OK or "access_token" not in said:
        why = said.get("error_description") or said.get("message") or said.get("error") or "no reason"
        raise WorkloadLoginError(f"{urlsplit(url).netloc} gave no token ({answer.status}): {why}")
    return said


def address_of(hub: str) -> str:
    """Return the hub's address as the hub itself writes it, which is the default audience of proofs."""
    return hub.rstrip("/").removesuffix("/hub")


def github_proof(audience: str, environ: Mapping[str, str], fetcher: Fetcher | None = None) -> tuple[str, str]:
    """Return a token of GitHub Actions for this *audience*, and its type.

    Raises:
        WorkloadLoginError: when this is no job of GitHub Actions that may ask for one.
    """
    if not environ.get(GITHUB_URL) or not environ.get(GITHUB_TOKEN):
        raise WorkloadLoginError(f"{GITHUB_URL} is not set: give the job `permissions: {{id-token: write}}`")
    url = f"{environ[GITHUB_URL]}&audience={quote(audience, safe='')}"
    headers = {"authorization": f"Bearer {environ[GITHUB_TOKEN]}", "accept": "application/json"}
    said = _object_in(_asked(lambda: (fetcher or Fetcher(seconds=30)).request("GET", url, headers)))
    if not isinstance(said.get("value"), str):
        raise WorkloadLoginError("GitHub gave no token: give the job `permissions: {id-token: write}`")
    return said["value"], JWT


def kubernetes_proof(file: Path = TOKEN_FILE) -> tuple[str, str]:
    """Return the token of the pod's service account in *file*, and its type.

    Raises:
        WorkloadLoginError: when it cannot be read.
    """
    try:
        return file.read_text(encoding="ascii").strip(), JWT
    except (OSError, ValueError) as error:
        raise WorkloadLoginError(
            f"{file} cannot be read ({error}): mount a projected token of the service account there, or name its file"
        ) from None


def aws_proof(audience: str, region: str) -> tuple[str, str]:
    """Return a request for GetCallerIdentity that this machine's AWS credentials signed, and its type.

    Raises:
        WorkloadLoginError: when there are no credentials.
        ModuleNotFoundError: when botocore, of the extra `aws`, is not installed.
    """
    from botocore.auth import SigV4Auth  # noqa: PLC0415 an extra, and slow
    from botocore.awsrequest import AWSRequest  # noqa: PLC0415 an extra, and slow
    from botocore.session import Session  # noqa: PLC0415 an extra, and slow

    credentials = Session().get_credentials()
    if credentials is None:
        raise WorkloadLoginError("There are no AWS credentials here: `aws sts get-caller-identity` must work first")
    suffix = ".cn" if region.startswith("cn-") else ""
    url = f"https://sts.{region}.amazonaws.com{suffix}/"
    headers = {"content-type": CONTENT_TYPE, AUDIENCE_HEADER: audience, "host": urlsplit(url).netloc}
    request = AWSRequest("POST", url, headers=headers, data=BODY)
    SigV4Auth(credentials.get_frozen_credentials(), "sts", region).add_auth(request)
    signed = json.dumps(dict(request.headers.items())).encode()
    return base64.urlsafe_b64encode(signed).decode().rstrip("="), AWS_SIGV4


def _asked(request: Callable[[], Answer]) -> Answer:
    try:
        return request()
    except FetchError as failed:
        raise WorkloadLoginError(str(failed)) from None


def _object_in(answer: Answer) -> dict[str, Any]:
    try:
        said = answer.json()
    except FetchError:
        said = None
    return said if isinstance(said, dict) else {}
