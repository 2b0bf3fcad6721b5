"""Between boto3 and the account: requests are taken just before they would be sent, answers are bytes."""

import io
import json
import threading
from urllib.parse import parse_qsl, unquote, urlsplit
from xml.sax.saxutils import escape

from botocore.awsrequest import AWSResponse

from tests.doubles.ecs.errors import AwsError
from tests.support.aws_clients import QuickSession


class Wire:
    """A boto3 session that reaches whichever account is set and nothing else."""

    def __init__(self):
        self.account = None
        self.before = self.after = None  # called with the operation around each call; what they raise, the caller gets
        self._guard = threading.RLock()
        self.session = QuickSession("AKIDEXAMPLE", "an example")
        # First: other responders in this process (moto) are for other sessions.
        self.session.events.register_first("before-send", self._answer)

    def _answer(self, request, **_):
        operation, parameters = read(request.method, request.url, request.headers, body_of(request))
        with self._guard:
            if self.before:
                self.before(operation)
            status, headers, body = answer(self.account, operation, parameters)
            if self.after:
                self.after(operation)
        return AWSResponse(request.url, status, headers, _Raw(body))


class _Raw(io.BytesIO):
    def stream(self, **_):
        yield self.read()


def body_of(request):
    body = request.body
    return body.read() if hasattr(body, "read") else (body or b"") if isinstance(body, bytes | None) else body.encode()


def read(method, url, headers, body):
    """Return the operation that a request asks for and its parameters."""
    target = headers.get("X-Amz-Target", b"")
    target = target.decode() if isinstance(target, bytes) else target
    if target.startswith("AmazonEC2ContainerServiceV20141113."):
        return target.partition(".")[2], json.loads(body)
    if body.startswith(b"Action="):
        return _query(body)
    parts = urlsplit(url)
    if parts.path == "/2015-02-01/access-points" and method == "POST":
        return "CreateAccessPoint", json.loads(body)
    if parts.path == "/2015-02-01/access-points" and method == "GET":
        return "DescribeAccessPoints", dict(parse_qsl(parts.query))
    if parts.path.startswith("/2015-02-01/access-points/") and method == "DELETE":
        return "DeleteAccessPoint", {"AccessPointId": parts.path.rpartition("/")[2]}
    return _s3(method, parts, headers, body)


IAM = {"CreateRole", "GetRole", "ListRoles", "DeleteRole"}


def _query(body):
    """Return operation and parameters of a request to IAM; of lists it has tags alone."""
    fields = dict(parse_qsl(body.decode(), keep_blank_values=True))
    operation, _ = fields.pop("Action"), fields.pop("Version")
    tags = {}
    for name in [name for name in fields if name.startswith("Tags.")]:
        _, _, number, key = name.split(".")
        tags.setdefault(int(number), {})[key] = fields.pop(name)
    return operation, fields | ({"Tags": [tags[number] for number in sorted(tags)]} if tags else {})


def _s3(method, parts, headers, body):
    host, path = parts.hostname or "", unquote(parts.path)
    if ".s3." in host:
        bucket, key = host.partition(".s3.")[0], path.lstrip("/")
    else:
        bucket, _, key = path.lstrip("/").partition("/")
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    if method == "PUT" and key:
        kms = headers.get("x-amz-server-side-encryption-aws-kms-key-id")
        return "PutObject", {"Bucket": bucket, "Key": key, "Body": _unchunked(headers, body)} | (
            {"SSEKMSKeyId": kms} if kms else {}
        )
    if method == "DELETE" and key:
        return "DeleteObject", {"Bucket": bucket, "Key": key}
    if method == "GET" and not key and query.get("list-type") == "2":
        names = {"prefix": "Prefix", "max-keys": "MaxKeys", "continuation-token": "ContinuationToken"}
        return "ListObjectsV2", {"Bucket": bucket} | {
            names[name]: value for name, value in query.items() if name in names
        }
    raise AssertionError(f"the double does not know {method} {parts.path}?{parts.query}")


def _unchunked(headers, body):
    """Take a body out of the signed chunks in which it may be sent with its checksum behind it."""
    encoding = headers.get("Content-Encoding", "")
    if "aws-chunked" not in (encoding.decode() if isinstance(encoding, bytes) else encoding):
        return body
    out = b""
    while body:
        size, _, body = body.partition(b"\r\n")
        length = int(size.partition(b";")[0], 16)
        if not length:
            break
        out, body = out + body[:length], body[length + 2 :]
    return out


def answer(account, operation, parameters):
    """Return status, headers and body of the account's answer."""
    s3 = operation in {"PutObject", "DeleteObject", "ListObjectsV2"}
    try:
        given = account.ask(operation, parameters)
    except AwsError as error:
        return _refusal(error, s3=s3, iam=operation in IAM)
    if operation in IAM:
        body = f"<{operation}Response><{operation}Result>{_xml(given)}</{operation}Result></{operation}Response>"
        return 200, {"Content-Type": "text/xml"}, body.encode()
    if operation == "ListObjectsV2":
        return 200, {"Content-Type": "application/xml"}, _listing(given).encode()
    if s3:
        return 200 if operation == "PutObject" else 204, {"Content-Length": "0"} | given, b""
    return 200, {"Content-Type": "application/x-amz-json-1.1"}, json.dumps(given).encode()


def _xml(given):
    if isinstance(given, dict):
        return "".join(f"<{name}>{_xml(value)}</{name}>" for name, value in given.items())
    if isinstance(given, list):
        return "".join(f"<member>{_xml(one)}</member>" for one in given)
    return escape(given)


def _refusal(error, *, s3, iam=False):
    if iam:
        said = f"<Code>{error.code}</Code><Message>{escape(error.message)}</Message>"
        body = f"<ErrorResponse><Error><Type>Sender</Type>{said}</Error></ErrorResponse>"
        return error.status, {"Content-Type": "text/xml"}, body.encode()
    if s3:
        body = f"<Error><Code>{error.code}</Code><Message>{escape(error.message)}</Message></Error>"
        return error.status, {"Content-Type": "application/xml"}, body.encode()
    facts = {
        "__type": error.code,
        "message": error.message,
        "ErrorCode": error.code,
        "Message": error.message,
    } | error.members
    headers = {"Content-Type": "application/x-amz-json-1.1", "x-amzn-ErrorType": error.code}
    return error.status, headers, json.dumps(facts).encode()


def _listing(given):
    items = "".join(
        f"<Contents><Key>{escape(key)}</Key><LastModified>{stored.at:%Y-%m-%dT%H:%M:%S.000Z}</LastModified>"
        f"<Size>{len(stored.body)}</Size></Contents>"
        for key, stored in given["objects"]
    )
    more = given["next"]
    rest = f"<NextContinuationToken>{escape(more)}</NextContinuationToken>" if more else ""
    truncated = "true" if more else "false"
    return (
        '<?xml version="1.0" encoding="UTF-8"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        f"<IsTruncated>{truncated}</IsTruncated>{items}{rest}</ListBucketResult>"
    )
