"""AWS's STS as far as GetCallerIdentity goes: it checks signatures (Signature Version 4) by AWS's specification.

The code that signs in tests is botocore's, so two implementations meet here.
"""

import hashlib
import hmac
import http.server
import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from hubless.adapters.jose.fetching import Answer

ACCOUNT = "123456789012"
ROLE = f"arn:aws:sts::{ACCOUNT}:assumed-role/ci/build-7"
_LINE = re.compile(
    r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/([^/]+)/sts/aws4_request, ?SignedHeaders=([^,]+), ?Signature=(\w+)"
)


class StsDouble:
    """Knows callers by their access key. *asked* has the URLs of all requests."""

    def __init__(self, now: datetime) -> None:
        self.callers: dict[str, dict[str, str]] = {}
        self.now, self.asked = now, list[str]()

    def add_caller(self, key: str, secret: str, arn: str = ROLE, token: str = "") -> None:
        self.callers[key] = {"secret": secret, "arn": arn, "token": token}

    def request(self, method: str, url: str, headers: dict[str, str], body: str) -> Answer:
        """Answer as a `Fetcher` does."""
        self.asked.append(url)
        status, said = self.answer(method, urlsplit(url).path, headers, body)
        return Answer(status, {"content-type": "application/json"}, json.dumps(said).encode())

    def answer(self, method: str, path: str, headers: dict[str, str], body: str) -> tuple[int, Any]:
        headers = {name.lower(): text for name, text in headers.items()}
        if fault := self._fault_in(method, path, headers, body):
            return 403, {"Error": {"Code": fault}}
        caller = self.callers[_LINE.fullmatch(headers["authorization"])[1]]
        result = {"Account": caller["arn"].split(":")[4], "Arn": caller["arn"], "UserId": "AROAEXAMPLE:build-7"}
        return 200, {"GetCallerIdentityResponse": {"GetCallerIdentityResult": result}}

    def _fault_in(self, method: str, path: str, headers: dict[str, str], body: str) -> str | None:
        found = _LINE.fullmatch(headers.get("authorization", ""))
        if found is None:
            return "IncompleteSignature"
        key, date, region, names, signature = found.groups()
        caller = self.callers.get(key)
        if caller is None or headers.get("x-amz-security-token", "") != caller["token"]:
            return "InvalidClientTokenId"
        signed_at = datetime.strptime(headers["x-amz-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        canonical = "\n".join(
            [
                *(method, path, ""),
                *(f"{name}:{' '.join(headers.get(name, '').split())}" for name in names.split(";")),
                *("", names, _sha256(body)),
            ]
        )
        scope = f"{date}/{region}/sts/aws4_request"
        text = "\n".join(["AWS4-HMAC-SHA256", headers["x-amz-date"], scope, _sha256(canonical)])
        secret = f"AWS4{caller['secret']}".encode()
        for part in scope.split("/"):
            secret = hmac.new(secret, part.encode(), hashlib.sha256).digest()
        is_right = (
            hmac.new(secret, text.encode(), hashlib.sha256).hexdigest() == signature
            and headers["x-amz-date"].startswith(date)
            and abs(self.now - signed_at) <= timedelta(minutes=15)
            and headers["host"] in {f"sts.{region}.amazonaws.com", "sts.amazonaws.com"}
        )
        if not is_right:
            return "SignatureDoesNotMatch"
        is_known = body == "Action=GetCallerIdentity&Version=2011-06-15" and headers.get("accept") == "application/json"
        return None if is_known else "InvalidAction"


class StsHandler(http.server.BaseHTTPRequestHandler):
    """The double as a web server; the server's `sts` answers."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        status, said = self.server.sts.answer("POST", self.path, dict(self.headers), body)  # type: ignore[attr-defined]
        sent = json.dumps(said).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(sent)))
        self.end_headers()
        self.wfile.write(sent)

    def log_message(self, format: str, *args: Any) -> None:
        pass


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
