"""Lambda, as far as functions need one: each runs in AWS's own runtime client, which asks here for its next event.

`invoke` gives an answer when it is whole. `stream` is InvokeWithResponseStream of a function whose answers are
streamed.

How it differs from AWS: environments are processes of this machine, started beforehand, as many as are asked for, and
never recycled; nothing limits memory or time but `TIMEOUT_SECONDS`; invocations wait.

Facts: LAM-1, LAM-2, LAM-3, LAM-15, API-11.
"""

import json
import os
import queue
import subprocess
import sys
import uuid
from base64 import b64decode
from concurrent.futures import Future
from contextlib import contextmanager
from http.client import parse_headers
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from time import time

from tests.support.http_servers import running

TIMEOUT_SECONDS = 60  # seconds that an invocation may take


class FunctionError(Exception):
    """Raised when the function's code raised, with the runtime's report."""


class Function:
    """One deployed function. `invoke` is the RequestResponse of Lambda's Invoke."""

    def __init__(self, handler, environment, log, environments=1):
        self._waiting, self._open = queue.Queue(), {}
        self.log = log
        self._server = runtime_api(self)
        known = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
        own = {
            "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{self._server.server_port}",
            "_HANDLER": handler,
            "PYTHONUNBUFFERED": "1",
        }
        command = [sys.executable, "-m", "awslambdaric", handler]
        if wrapper := environment.get("AWS_LAMBDA_EXEC_WRAPPER"):
            command.insert(0, wrapper)
        with log.open("ab") as out:
            self._processes = [
                subprocess.Popen(command, env=known | environment | own, stdout=out, stderr=out)
                for _ in range(environments)
            ]

    def invoke(self, event, timeout_seconds=TIMEOUT_SECONDS):
        request_id, answer = str(uuid.uuid4()), Future()
        self._open[request_id] = answer
        self._waiting.put((request_id, json.dumps(event).encode()))
        try:
            return answer.result(timeout_seconds)
        except TimeoutError:
            raise AssertionError(f"{self.log.name} did not answer:\n{self.log.read_text()[-3000:]}") from None

    def stream(self, event, timeout_seconds=TIMEOUT_SECONDS):
        """Return the answer's parts as they come; closing them hangs up."""
        request_id, parts = str(uuid.uuid4()), Parts(timeout_seconds)
        self._open[request_id] = parts
        self._waiting.put((request_id, json.dumps(event).encode()))
        return parts

    def close(self):
        for process in self._processes:
            process.kill()
            process.wait()
        self._server.shutdown()
        self._server.server_close()

    # --- asked by the runtime ---

    def next(self):
        return self._waiting.get()

    def streaming(self, request_id):
        return self._open.pop(request_id)

    def answered(self, request_id, body):
        self._open.pop(request_id).set_result(json.loads(body))

    def failed(self, request_id, body):
        said = FunctionError(json.loads(body)["errorMessage"])
        for known in [request_id] if request_id else list(self._open):
            self._open.pop(known).set_exception(said)


class Parts:
    """A streamed answer, on its way from the function to who reads it."""

    def __init__(self, timeout_seconds):
        self._timeout_seconds, self._parts = timeout_seconds, queue.Queue()
        self.is_closed = False

    def __iter__(self):
        while (part := self._parts.get(timeout=self._timeout_seconds)) is not None:
            if isinstance(part, Exception):
                raise part
            yield part

    def close(self):
        self.is_closed = True

    def put(self, part):
        self._parts.put(part)

    set_exception = put  # as of an answer that is whole


def runtime_api(function):
    """Serve the Runtime API (Lambda's documentation, `2018-06-01`) on loopback."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            request_id, body = function.next()
            self.send_response(200)
            self.send_header("Lambda-Runtime-Aws-Request-Id", request_id)
            self.send_header("Lambda-Runtime-Deadline-Ms", str(int((time() + TIMEOUT_SECONDS) * 1000)))
            self.send_header("Lambda-Runtime-Trace-Id", "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=0")
            self.send_header(
                "Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:eu-central-1:123456789012:function:hub"
            )
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self):
            *_, request_id, what = self.path.split("/")
            if self.headers.get("Lambda-Runtime-Function-Response-Mode") == "streaming":
                self.take_stream(function.streaming(request_id))
                return
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if what == "response":
                function.answered(request_id, body)
            else:
                function.failed("" if request_id == "init" else request_id, body)
            self.send_response(202)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def take_stream(self, parts):
            assert self.headers["Transfer-Encoding"] == "chunked"
            assert self.headers["Content-Type"] == "application/vnd.awslambda.http-integration-response"
            try:
                for part in _chunks(self.rfile):
                    if parts.is_closed:
                        self.close_connection = True
                        return
                    parts.put(part)
            except ConnectionError as cut:  # such as of a function that was killed
                self.close_connection = True
                parts.put(FunctionError(f"the answer ended before its end: {cut}"))
                return
            trailers = parse_headers(self.rfile)
            error = trailers.get("Lambda-Runtime-Function-Error-Body")
            parts.put(FunctionError(json.loads(b64decode(error))["errorMessage"]) if error else None)
            self.send_response(202)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    return running(server)


def _chunks(file):
    """Yield the chunks of a body (RFC 9112 7.1); raise ConnectionError when it ends before its last one."""
    while True:
        line = file.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionAbortedError("no next chunk")
        if not (size := int(line, 16)):
            return
        chunk = file.read(size + 2)
        if len(chunk) < size + 2:
            raise ConnectionAbortedError("half a chunk")
        assert chunk.endswith(b"\r\n")
        yield chunk[:-2]


@contextmanager
def deployed(handler, environment, log, environments=1):
    """Run a function until the block ends."""
    function = Function(handler, environment, log, environments)
    try:
        yield function
    finally:
        function.close()
