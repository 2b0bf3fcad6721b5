"""Lambda's Runtime API (`2018-06-01`), as far as streamed answers need it.

AWS's own client for Python, which runs all other functions, sends an answer when it is complete.
"""

import json
import select
import time
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping
from http.client import HTTPConnection, HTTPException
from typing import Any

_INVOCATION, _INIT_ERROR = "/2018-06-01/runtime/invocation/", "/2018-06-01/runtime/init/error"
_HTTP = "application/vnd.awslambda.http-integration-response"
_ERROR_TYPE, _ERROR_BODY = "Lambda-Runtime-Function-Error-Type", "Lambda-Runtime-Function-Error-Body"
_AFTER_PRELUDE = bytes(8)


class Invocation:
    """One request and the connection for its answer. Handlers get it as their context."""

    def __init__(self, address: str, request_id: str, deadline: float) -> None:
        """*deadline* is in seconds since 1970."""
        self.aws_request_id, self._deadline = request_id, deadline
        self._connection = HTTPConnection(address)
        self.is_begun = False

    def get_remaining_time_in_millis(self) -> int:
        return max(0, round((self._deadline - time.time()) * 1000))

    def begin(self, status: int, headers: Iterable[tuple[bytes, bytes]]) -> None:
        """Send status and headers."""
        self.is_begun = True
        to = self._connection
        to.putrequest("POST", f"{_INVOCATION}{self.aws_request_id}/response")
        to.putheader("Content-Type", _HTTP)
        to.putheader("Lambda-Runtime-Function-Response-Mode", "streaming")
        to.putheader("Transfer-Encoding", "chunked")
        to.putheader("Trailer", f"{_ERROR_TYPE}, {_ERROR_BODY}")
        to.endheaders()
        self.send(json.dumps(_prelude(status, headers)).encode() + _AFTER_PRELUDE)

    def send(self, body: bytes) -> None:
        """Send a part of the body, at once.

        Raises:
            ConnectionError: when Lambda has closed the answer.
        """
        if not body:
            return  # an empty chunk ends the body (RFC 9112 7.1)
        if self._is_over():
            raise ConnectionAbortedError("Lambda has ended the answer")
        self._connection.send(b"%x\r\n%b\r\n" % (len(body), body))

    def end(self, error: Exception | None = None) -> None:
        """End the answer; with an *error*, mark it as incomplete."""
        trailers = _trailers(error) if error else b""
        try:
            self._connection.send(b"0\r\n" + trailers + b"\r\n")
            self._connection.getresponse().read()
        except (OSError, HTTPException):
            pass  # the answer has ended already
        finally:
            self._connection.close()

    def _is_over(self) -> bool:
        """Say whether Lambda has closed the answer: it has answered or hung up."""
        readable, _, _ = select.select([self._connection.sock], [], [], 0)
        return bool(readable)


class RuntimeApi:
    """Fetches invocations, and reports their errors."""

    def __init__(self, address: str) -> None:
        self._address = address

    def serve(self, handler: Callable[[Mapping[str, Any], Invocation], object], trace: Callable[[str], None]) -> None:
        """Let *handler* answer one invocation after the other, until the process is ended."""
        for event, invocation, trace_id in self._invocations():
            trace(trace_id)
            try:
                handler(event, invocation)
            except Exception as error:  # noqa: BLE001 one request must not end the process
                if invocation.is_begun:
                    invocation.end(error)
                else:
                    self._report(f"{_INVOCATION}{invocation.aws_request_id}/error", error)
            else:
                invocation.end()

    def init_failed(self, error: Exception) -> None:
        """Report to Lambda that the function cannot start."""
        self._report(_INIT_ERROR, error)

    def _invocations(self) -> Iterator[tuple[Mapping[str, Any], Invocation, str]]:
        connection = HTTPConnection(self._address)  # without a time-out: an environment sleeps here between requests
        while True:
            connection.request("GET", f"{_INVOCATION}next")
            response = connection.getresponse()
            event, known = json.loads(response.read()), response.headers
            deadline = int(known["Lambda-Runtime-Deadline-Ms"]) / 1000
            invocation = Invocation(self._address, known["Lambda-Runtime-Aws-Request-Id"], deadline)
            yield event, invocation, known.get("Lambda-Runtime-Trace-Id", "")

    def _report(self, path: str, error: Exception) -> None:
        connection = HTTPConnection(self._address)
        connection.request(
            "POST", path, _error_body(error), {"Content-Type": "application/json", _ERROR_TYPE: _error_type(error)}
        )
        connection.getresponse().read()
        connection.close()


def _prelude(status: int, headers: Iterable[tuple[bytes, bytes]]) -> dict[str, Any]:
    lists: dict[str, list[str]] = {}
    for name, value in headers:
        lists.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))
    lists.pop("content-length", None)  # a streamed answer has none
    cookies = lists.pop("set-cookie", [])
    single = {name: values[0] for name, values in lists.items() if len(values) == 1}
    several = {name: values for name, values in lists.items() if len(values) > 1}
    return {"statusCode": status, "headers": single, "multiValueHeaders": several, "cookies": cookies}


def _trailers(error: Exception) -> bytes:
    return b"%b: %b\r\n%b: %b\r\n" % (
        _ERROR_TYPE.encode(),
        _error_type(error).encode(),
        _ERROR_BODY.encode(),
        b64encode(_error_body(error)),
    )


def _error_type(error: Exception) -> str:
    return f"Runtime.{type(error).__name__}"


def _error_body(error: Exception) -> bytes:
    return json.dumps({"errorType": type(error).__name__, "errorMessage": str(error), "stackTrace": []}).encode()
