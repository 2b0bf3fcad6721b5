"""API Gateway before the API's functions, on a unix socket where an edge finds it.

An HTTP API (payload format 2.0) asks one function; a REST API asks the other, which streams, where starts are
followed. As AWS's, the HTTP API decodes the path, cuts it at an encoded `?`, joins headers of one name, hands cookies
on apart, and gives up after 30 seconds. The REST API hands on the path as it was sent. CloudFront, before both, adds a
header that has it too.

Facts: API-1, API-2, API-4, API-9, API-10, ELB-15.
"""

import base64
import json
import re
import uuid
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from itertools import chain
from socketserver import ThreadingMixIn, UnixStreamServer
from time import time
from urllib.parse import parse_qsl, unquote

from tests.doubles.lambdas import FunctionError
from tests.support.http_servers import running

LIMIT = 30  # seconds, of an HTTP API
LONGEST_STREAM = 900  # seconds, of a REST API
LARGEST_PRELUDE = 16 * 1024
# What CloudFront hands to the REST API, as its path pattern says it: `*` is anything, slashes too.
FOLLOWING = re.compile(r"/hub/api/users/.*/progress")


class Throttle:
    """The throttle of a stage: a bucket of *burst* tokens, of which *rate* come back each second."""

    def __init__(self, rate, burst):
        self._rate, self._burst = rate, burst
        self._tokens, self._at = burst, 0.0

    def takes(self, now):
        """Say whether a request at *now*, in seconds, is let through; others are answered with 429."""
        self._tokens = min(self._burst, self._tokens + (now - self._at) * self._rate)
        self._at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


def event_of(method, target, headers, body, source="127.0.0.1"):
    """Return the event for a request."""
    raw, _, query = target.partition("?")
    joined = {}
    for name, value in headers:
        joined.setdefault(name.lower(), []).append(value)
    cookies = [cookie for value in joined.pop("cookie", []) for cookie in value.split("; ")]
    path = unquote(raw).partition("?")[0]
    about = {
        "method": method,
        "path": path,
        "protocol": "HTTP/1.1",
        "sourceIp": source,
        "userAgent": joined.get("user-agent", [""])[0],
    }
    event = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": query,
        "headers": {name: ",".join(values) for name, values in joined.items()} | {"x-hubless-path": raw},
        "requestContext": {
            "http": about,
            "requestId": str(uuid.uuid4()),
            "stage": "$default",
            "apiId": "double",
            "domainName": "double.execute-api.eu-central-1.amazonaws.com",
            "timeEpoch": int(time() * 1000),
        },
        "isBase64Encoded": False,
    }
    if cookies:
        event["cookies"] = cookies
    if body:
        event |= {"body": base64.b64encode(body).decode(), "isBase64Encoded": True}
    return event


def rest_event_of(method, target, headers, body, source="127.0.0.1"):
    """Return the event of a REST API (payload format 1.0) for a request."""
    raw, _, query = target.partition("?")
    several, queries = _lists([*headers, ("x-hubless-path", raw)]), _lists(parse_qsl(query, keep_blank_values=True))
    event = {
        "resource": "/{proxy+}",
        "path": raw,
        "httpMethod": method,
        "pathParameters": {"proxy": raw.lstrip("/")},
        "stageVariables": None,
        "headers": {name: values[-1] for name, values in several.items()},
        "multiValueHeaders": several,
        "queryStringParameters": {name: values[-1] for name, values in queries.items()} or None,
        "multiValueQueryStringParameters": queries or None,
        "requestContext": {
            "identity": {"sourceIp": source},
            "requestId": str(uuid.uuid4()),
            "path": f"/hub{raw}",
            "stage": "hub",
            "httpMethod": method,
            "domainName": "double.execute-api.eu-central-1.amazonaws.com",
        },
        "body": None,
        "isBase64Encoded": False,
    }
    return event | ({"body": base64.b64encode(body).decode(), "isBase64Encoded": True} if body else {})


def balancer_event_of(method, target, headers, body, source="127.0.0.1", *, several=True, path_header=True):
    """Return a load balancer's event for a request; with *several*, its target group has multi-value headers."""
    raw, _, query = target.partition("?")
    given = _lists([(name.lower(), value) for name, value in headers] + [("x-hubless-path", raw)] * path_header)
    given["x-forwarded-for"] = [", ".join([*given.get("x-forwarded-for", ()), source])]
    if not several and "cookie" in given:
        given["cookie"] = ["; ".join(given["cookie"])]  # HTTP/2's, which it puts together
    queries = _lists(part.partition("=")[::2] for part in query.split("&") if part)
    listed = (
        (given, queries) if several else ({n: v[-1] for n, v in given.items()}, {n: v[-1] for n, v in queries.items()})
    )
    names = (
        ("multiValueHeaders", "multiValueQueryStringParameters") if several else ("headers", "queryStringParameters")
    )
    event = {
        "requestContext": {"elb": {"targetGroupArn": "arn:aws:elasticloadbalancing:eu-central-1:1:targetgroup/hub/1"}},
        "httpMethod": method,
        "path": raw,
        "body": "",
        "isBase64Encoded": False,
        **dict(zip(names, listed, strict=True)),
    }
    return event | ({"body": base64.b64encode(body).decode(), "isBase64Encoded": True} if body else {})


def _lists(pairs):
    lists = {}
    for name, value in pairs:
        lists.setdefault(name, []).append(value)
    return lists


def headers_of(answer):
    """Return what an answer gives as headers, whatever it was asked by."""
    pairs = [
        *(answer.get("headers") or {}).items(),
        *(("set-cookie", cookie) for cookie in answer.get("cookies") or ()),
    ]
    return pairs + [
        (name, value) for name, values in (answer.get("multiValueHeaders") or {}).items() for value in values
    ]


def body_of(answer):
    body = answer.get("body") or ""
    return base64.b64decode(body) if answer.get("isBase64Encoded") else body.encode()


def split_prelude(parts):
    """Return what a streamed answer begins with, and an iterator over its body."""
    held, parts = b"", iter(parts)
    while b"\0" * 8 not in held:
        assert len(held) < LARGEST_PRELUDE
        held += next(parts)
    prelude, _, first = held.partition(b"\0" * 8)
    received = json.loads(prelude)
    assert received.keys() <= {"statusCode", "headers", "multiValueHeaders", "cookies"}
    return received, chain([first] if first else [], parts)


@contextmanager
def gateway(function, socket_path, streaming=None):
    """Serve *function* on a unix socket until the block ends; progress streams go to *streaming*, where given."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_any(self):
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if streaming and FOLLOWING.fullmatch(self.path.partition("?")[0]):
                self.stream(
                    streaming.stream(rest_event_of(self.command, self.path, self.headers.items(), body), LONGEST_STREAM)
                )
                return
            event = event_of(self.command, self.path, self.headers.items(), body)
            try:
                answer = function.invoke(event, LIMIT)
            except (FunctionError, AssertionError):
                answer = {"statusCode": 502, "body": '{"message":"Internal Server Error"}', "headers": {}}
            said = body_of(answer)
            self.send_response(answer["statusCode"])
            for name, value in answer.get("headers", {}).items():
                if name.lower() != "content-length":
                    self.send_header(name, value)
            for cookie in answer.get("cookies", ()):
                self.send_header("Set-Cookie", cookie)
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(said)

        def stream(self, parts):
            received, body = split_prelude(parts)
            self.send_response(received["statusCode"])
            for name, value in headers_of(received):
                self.send_header(name, value)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            try:
                for part in body:
                    self.wfile.write(b"%x\r\n%b\r\n" % (len(part), part))
                self.wfile.write(b"0\r\n\r\n")
            except OSError:
                self.close_connection = True
            finally:
                parts.close()

        do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = do_any

        def address_string(self):
            return "edge"

        def log_message(self, *_):
            pass

    class Server(ThreadingMixIn, UnixStreamServer):
        daemon_threads = True
        request_queue_size = 128

    server = running(Server(str(socket_path), Handler))
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
