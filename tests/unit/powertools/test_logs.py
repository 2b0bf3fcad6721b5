"""What a function says of itself: a JSON object a line, with the ids one looks for, without secrets; and metrics."""

import json
import logging
from datetime import timedelta
from types import SimpleNamespace

import pytest

from hubless.adapters.powertools.logs import InvocationFailedError, Logs, correlation_id
from hubless.adapters.powertools.metrics import EmfMetrics
from hubless.adapters.powertools.scrubbing import scrubbed
from hubless.domain import histograms
from hubless.ports.metrics import Metric
from tests.support.fakes import HistogramsInMemory

SECRET = "5ec2e75ec2e75ec2e75ec2e75ec2e75e"
REQUEST = {"requestContext": {"requestId": "r-1"}}
CONTEXT = SimpleNamespace(aws_request_id="i-1")


@pytest.fixture
def logs():
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield lambda: Logs("school", "spawn", "info")
    root.handlers[:], root.level = handlers, level


def lines(capsys):
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_every_line_of_an_invocation_has_its_ids_and_no_other_has(logs, capsys):
    made = logs()

    with made.invocation(REQUEST, CONTEXT):
        logging.getLogger("hubless.services.launching").info("server %s is ready", "s1", extra={"launch_id": "l1"})
    logging.getLogger("elsewhere").warning("between two")

    within, between = lines(capsys)
    assert (within["message"], within["level"], within["service"]) == ("server s1 is ready", "INFO", "school-spawn")
    assert (within["correlation_id"], within["function_request_id"], within["launch_id"]) == ("r-1", "i-1", "l1")
    assert within["cold_start"] is True
    assert between["cold_start"] is False
    assert not {"correlation_id", "function_request_id"} & between.keys()


def test_an_error_is_logged_and_lambda_gets_no_detail_of_it(logs, capsys):
    with pytest.raises(InvocationFailedError) as received, logs().invocation(REQUEST, CONTEXT):
        raise ValueError(f"the answer was token={SECRET}")

    (line,) = lines(capsys)
    assert line["exception_name"] == "ValueError"
    assert "the answer was" in line["exception"]
    assert "test_logs.py" in line["exception"]
    assert SECRET not in json.dumps(line) + str(received.value)
    assert received.value.__cause__ is None


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (REQUEST, "r-1"),
        ({"id": "e-1", "detail-type": "ECS Task State Change"}, "e-1"),
        ({"Records": []}, None),
        ({"requestContext": {}}, None),
    ],
)
def test_what_began_it_is_known_by_the_id_that_aws_gave_it(event, expected):
    assert correlation_id(event) == expected


@pytest.mark.parametrize(
    "line",
    [
        f"GET /hub/api/user?token={SECRET}&x=1",
        f"/hub/oauth_callback?code={SECRET}&state={SECRET}",
        f'headers {{"Authorization": "token {SECRET}", "Accept": "*/*"}}',
        f"Authorization: Bearer {SECRET}",
        f"{{'Cookie': 'jupyterhub-hub-login={SECRET}; _xsrf={SECRET}'}}",
        f"JUPYTERHUB_API_TOKEN={SECRET}",
        f'"JPY_API_TOKEN":"{SECRET}"',
        f'{{\\"password\\":\\"{SECRET}\\"}}',
        f"password: {SECRET}",
        f"client_secret={SECRET}&grant_type=authorization_code",
        f"code_verifier={SECRET}",
        f"Created authorization code grant {{'code': '{SECRET}'}}",
        f'{{\\"code\\": \\"{SECRET}\\"}}',
        f"/hub/set-password?key={SECRET}",
        f"[b'jupyterhub-hub-login={SECRET}']",
        json.dumps(
            {
                "multiValueHeaders": {
                    "x-hubless-front": [SECRET],
                    "X-XSRFToken": [SECRET, SECRET],
                    "Cookie": [f"a={SECRET}", f"b={SECRET}"],
                }
            }
        ),
        json.dumps(
            json.dumps({"multiValueHeaders": {"x-hubless-front": [SECRET], "Cookie": [f'a="{SECRET}"', f"b={SECRET}"]}})
        ),
        repr(
            {
                "x-hubless-front": [SECRET],
                "cookies": (f"a={SECRET}", f"b={SECRET}"),
                "Set-Cookie": [f"it's={SECRET}", f"b={SECRET}"],
            }
        ),
        repr(
            [
                (b"x-hubless-front", SECRET.encode()),
                (b"x-xsrftoken", SECRET.encode()),
                (b"cookie", f"a={SECRET}; b={SECRET}".encode()),
            ]
        ),
        json.dumps({"cookies": [f"jupyterhub-user-alice={SECRET}", f"a={SECRET}"]}, indent=1),
        f'"Cookie": ["a={SECRET}',  # cut
        f"jupyterhub-session-id={SECRET}; a=b",
        f"refused: token {SECRET}",
        "AKIAIOSFODNN7EXAMPLE",
        "$argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHQ$RdescudvJCsgt3ub",
    ],
)
def test_a_line_is_scrubbed_of_what_proves_who_somebody_is(line):
    clean = scrubbed(line)

    assert "***" in clean
    assert SECRET not in clean
    assert not any(part in clean for part in ("AKIA", "c29tZXNhbHQ"))


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "line", ['"cookie": ["' + "x" * 100_000, "a_" * 50_000 + "token", '"cookie": ["x"' * 8_000, "\\" * 100_000]
)
def test_a_line_that_somebody_makes_long_holds_nobody_up(line):
    scrubbed(line)


def test_what_is_scrubbed_is_still_json():
    received = {
        "cookies": [f'a="{SECRET}"', f"b={SECRET}"],
        "headers": {"Authorization": f"token {SECRET}", "Accept": "*/*"},
        "x": ["y", "z"],
    }

    assert json.loads(scrubbed(json.dumps(received))) == {
        "cookies": ["***"],
        "headers": {"Authorization": "***", "Accept": "*/*"},
        "x": ["y", "z"],
    }


@pytest.mark.parametrize(
    "line",
    [
        "server s1 failed in launch l1: The server exited with code 137",
        (
            '{"launch_id":"l01m89ktxaa8b9yxhw09xbdc71p",'
            '"message":"server s1 runs as task l1/arn:aws:ecs:eu-central-1:1:task/hub/0123456789abcdef"}'
        ),
        "record m1 will be delivered again: The next slot comes in 3.2 seconds at the earliest",
        '{"cold_start":true,"service":"school-api","exit_code":1}',
        "a cookie, planted by a page, counts for nothing; tokens: ['a1', 'a2']",
        '{"multiValueHeaders": {"accept": ["*/*"], "x-hubless-host": ["hub.example.org"]}}',
    ],
)
def test_what_is_no_secret_stays(line):
    assert scrubbed(line) == line


def test_metrics_are_lines_of_the_log_as_cloudwatch_reads_them(capsys):
    metrics = EmfMetrics("school", HistogramsInMemory())

    metrics.count(Metric.SPAWNS, outcome="ready")
    metrics.duration(Metric.SPAWN_DURATION, timedelta(seconds=41.5))
    metrics.count(Metric.QUEUE_LENGTH, 7)

    spawns, took, waiting = lines(capsys)
    (about,) = spawns["_aws"]["CloudWatchMetrics"]
    assert (about["Namespace"], about["Metrics"][0]["Name"], about["Metrics"][0]["Unit"]) == (
        "hubless",
        "Spawns",
        "Count",
    )
    assert sorted(about["Dimensions"][0]) == ["hub", "outcome"]
    assert (spawns["Spawns"], spawns["hub"], spawns["outcome"]) == ([1.0], "school", "ready")
    assert took["SpawnDuration"] == [41.5]
    assert took["_aws"]["CloudWatchMetrics"][0]["Metrics"][0]["Unit"] == "Seconds"
    assert waiting["QueueLength"] == [7.0]
    assert waiting["_aws"]["CloudWatchMetrics"][0]["Dimensions"] == [["hub"]]


def test_rare_durations_are_stored_at_once_and_requests_are_not(capsys):
    store = HistogramsInMemory()
    metrics = EmfMetrics("school", store)

    metrics.observe(histograms.LOGIN_DURATION, timedelta(seconds=2), histograms.LOGGED_IN)
    metrics.observe(histograms.POLL_DURATION, timedelta(), histograms.RUNNING)
    metrics.observe(histograms.REQUEST_DURATION, timedelta(), "GET", "x", "200")

    assert store.all() == [histograms.LOGIN_DURATION.counted(timedelta(seconds=2), histograms.LOGGED_IN)]
    assert lines(capsys) == []


def test_a_store_that_is_away_costs_a_measurement_and_no_login(caplog):
    store = HistogramsInMemory()
    store.is_away = True
    EmfMetrics("school", store).observe(histograms.LOGOUT_DURATION, timedelta())
    assert "cannot write to the histogram jupyterhub_logout_duration_seconds" in caplog.text
