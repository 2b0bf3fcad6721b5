"""Answers of a function, streamed to Lambda by our own client of its Runtime API."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from functions.api.stream.runtime import Invocation
from hubless.settings.cloud import to_environment
from tests.doubles.gateway import event_of, rest_event_of, split_prelude
from tests.doubles.lambdas import Function, FunctionError, Parts, runtime_api
from tests.support.concurrency import eventually
from tests.unit.test_cloud_settings import CLOUD

RUN = Path(__file__).parents[2] / "functions/api/stream/bootstrap"
ENVIRONMENT = {"AWS_REGION": "eu-central-1", "AWS_LAMBDA_EXEC_WRAPPER": str(RUN)}
# The runtime client and its serving are real, and so is the process; what is served is a small application that does
# as it is asked, so that no store is needed. `functions.api.gateway` puts the hub's own in that place.
PROGRAM = """
import asyncio, os, sys
from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from functions.api import gateway
from functions.api.stream import serving

serving.RESERVE = float(os.environ.get("RESERVE", "3"))

async def slowly(request):
    async def parts():
        try:
            yield "one"
            for _ in range(int(request.query_params.get("parts", "0"))):
                await asyncio.sleep(0.02)
                yield "\\n"
            if "fails" in request.query_params:
                raise ValueError("in the midst of it")
            yield "two"
        finally:
            print("the stream has ended", flush=True)
    return StreamingResponse(parts(), 201, media_type="text/event-stream")

async def at_once(request):
    if "fails" in request.query_params:
        raise ValueError("at once")
    if "late" in request.query_params:
        await asyncio.sleep(60)
    answer = JSONResponse({"body": (await request.body()).decode(), "trace": os.environ["_X_AMZN_TRACE_ID"]})
    answer.set_cookie("a", "1")
    answer.set_cookie("b", "2")
    answer.headers.append("x-two", "1")
    answer.headers.append("x-two", "2")
    if "after" in request.query_params:
        async def too_late():
            raise ValueError("too late for anybody")
        answer.background = too_late
    return answer

routes = [Route("/slowly", slowly), Route("/at-once", at_once, methods=["GET", "POST"])]
gateway.create_app = lambda hub: Starlette(routes=routes)
from functions.api.stream.__main__ import main
main()
"""


@pytest.fixture(scope="module")
def deploy(tmp_path_factory):
    """Deploy the function once for each environment."""
    made = {}

    def deployed(**more):
        known = tuple(sorted(more.items()))
        if known not in made:
            folder = tmp_path_factory.mktemp("function")
            run = folder / "run"
            (folder / "program.py").write_text(PROGRAM)
            run.write_text(f'#!/bin/sh\nexec "$1" {folder}/program.py\n')
            run.chmod(0o755)
            environment = (
                to_environment(CLOUD)
                | ENVIRONMENT
                | {"AWS_LAMBDA_EXEC_WRAPPER": str(run), "PYTHONPATH": str(RUN.parents[3])}
                | more
            )
            made[known] = Function("functions.api.stream.handler.handler", environment, folder / "log")
        return made[known]

    yield deployed
    for function in made.values():
        function.close()


def ask(function, target, method="GET", body=b"", make=rest_event_of):
    received, parts = split_prelude(function.stream(make(method, target, [("Host", "api")], body)))
    return received, parts


def test_parts_of_an_answer_come_as_they_are_made(deploy):
    parts = deploy().stream(rest_event_of("GET", "/slowly?parts=3", [], b""))

    received, body = split_prelude(parts)

    assert (received["statusCode"], received["headers"]["content-type"]) == (201, "text/event-stream; charset=utf-8")
    assert list(body) == [b"one", b"\n", b"\n", b"\n", b"two"]


@pytest.mark.parametrize("make", [rest_event_of, event_of])
def test_headers_cookies_and_the_body_come_through(deploy, make):
    received, parts = ask(deploy(), "/at-once", "POST", "grün".encode(), make)

    said = json.loads(b"".join(parts))
    assert said["body"] == "grün"
    assert said["trace"].startswith("Root=1-")
    assert received["multiValueHeaders"] == {"x-two": ["1", "2"]}
    assert [cookie.partition(";")[0] for cookie in received["cookies"]] == ["a=1", "b=2"]
    assert "content-length" not in received["headers"]


def test_a_head_has_no_body(deploy):
    received, parts = ask(deploy(), "/at-once", "HEAD")

    assert received["statusCode"] == 200
    assert list(parts) == []


def test_an_error_before_the_answer_is_an_answer(deploy):
    received, parts = ask(deploy(), "/at-once?fails")

    assert (received["statusCode"], b"".join(parts)) == (500, b"Internal Server Error")


def test_an_error_after_the_whole_answer_is_logged(deploy):
    function = deploy()

    assert ask(function, "/at-once?after")[0]["statusCode"] == 200
    eventually(lambda: "ValueError: too late for anybody" in function.log.read_text())
    assert "the application failed after its answer was complete" in function.log.read_text()


def test_an_error_in_mid_response_is_reported_and_the_next_one_is_served(deploy):
    function = deploy()
    _, parts = ask(function, "/slowly?fails")

    assert next(parts) == b"one"
    with pytest.raises(FunctionError, match="ValueError: see the function's log"):
        list(parts)
    assert "in the midst of it" in function.log.read_text()
    assert ask(function, "/at-once")[0]["statusCode"] == 200


def test_an_event_that_is_no_request_is_an_error_of_the_function(deploy):
    with pytest.raises(FunctionError, match="RuntimeError"):
        list(deploy().stream({"detail-type": "Scheduled Event"}))


def test_a_stream_that_nobody_reads_any_more_is_ended(deploy):
    function = deploy()
    ended = function.log.read_text().count("the stream has ended")
    parts = function.stream(rest_event_of("GET", "/slowly?parts=100000", [], b""))
    split_prelude(parts)

    parts.close()

    eventually(lambda: function.log.read_text().count("the stream has ended") > ended)
    assert ask(function, "/at-once")[0]["statusCode"] == 200


def test_a_stream_is_ended_before_lambda_does_it(deploy):
    function = deploy(RESERVE="59.5")  # of sixty seconds

    _, parts = ask(function, "/slowly?parts=100000")

    assert next(parts) == b"one"
    assert b"two" not in b"".join(parts)
    assert ask(function, "/at-once?late")[0]["statusCode"] == 504


@pytest.mark.parametrize("last", [b"", b"5\r\nt", b"5"])
def test_an_answer_that_is_cut_is_an_error_and_no_traceback(capfd, last):
    parts = Parts(timeout_seconds=30)
    server = runtime_api(SimpleNamespace(streaming=lambda _: parts))
    function = Invocation(f"127.0.0.1:{server.server_port}", "1", deadline=0)

    function.begin(200, [])
    function._connection.send(b"3\r\none\r\n" + last)
    function._connection.close()

    with pytest.raises(FunctionError, match="the answer ended before its end"):
        list(parts)
    server.shutdown()
    server.server_close()
    assert capfd.readouterr().err == ""


def test_a_failed_start_is_reported_with_its_reason(tmp_path):
    environment = to_environment(CLOUD) | ENVIRONMENT
    del environment["HUBLESS_TABLE"]
    function = Function("functions.api.stream.handler.handler", environment, tmp_path / "log")
    parts = function.stream({})

    try:
        with pytest.raises(FunctionError, match="HUBLESS_TABLE is missing: it must be a non-empty string"):
            list(parts)
    finally:
        function.close()
