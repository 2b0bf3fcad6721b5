"""The doctor's checks, and its smoke test on a hub that fails in several ways."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from hubless.domain.errors import StoreUnavailableError
from hubless.domain.routes import EdgeReport
from hubless.domain.spares import Spare
from hubless.services.name_checks import Glance
from hubless.settings.stage import Stage, StageSettings
from operations import commands
from operations.aws import AwsCallError
from operations.check_results import Level, ok
from operations.deployed_stage import Deployment
from operations.doctor import aws_checks, endpoint_checks, kernel
from operations.doctor.aws_checks import AwsChecks, Queue, evaluate_spares
from operations.doctor.hub_client import NoResponseError, Response
from operations.doctor.smoke_test import SmokeTest
from operations.doctor.steps import StepFailedError, Steps

NOW = datetime(2026, 11, 25, 9, tzinfo=UTC)
PAGE = '<input name="_xsrf"><script src="/hub/static/a.js?v=1"></script>'
EDGE = EdgeReport("e1", 7, NOW)


def answer(body="", status=200, **headers):
    text = body if isinstance(body, str) else json.dumps(body)
    return Response(status, {name.replace("_", "-"): value for name, value in headers.items()}, text.encode())


class Time:
    """A clock that only waiting moves."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


class HubClient:
    """A hub that answers by method and path. Each list is used up to its last item."""

    url, token, authorization = "https://hub.example.org", "secret", {}

    def __init__(self, **changed):
        self.users, self.asked = set(), []
        self.answers = {
            "server": [answer(status=202)],
            "stop": [answer(status=202), answer(status=204)],
            "events": [[{"ready": True, "message": "ready"}]],
        }
        self.answers |= changed

    def next(self, what):
        some = self.answers[what]
        found = some.pop(0) if len(some) > 1 else some[0]
        if isinstance(found, BaseException):
            raise found
        return found

    def request(self, method, address, *, body=None, with_token=False):
        self.asked.append((method, address))
        name = address.removeprefix("/hub/api/users/").partition("/")[0]
        if method == "POST" and address.endswith(name):
            self.users.add(name)
            return self.answers.get("user", [answer(status=201)])[0]
        if method == "DELETE" and address.endswith(name):
            self.users.discard(name)
            return self.next("removal") if "removal" in self.answers else answer(status=204)
        if address.endswith("/server"):
            return {
                "POST": lambda: self.next("server"),
                "DELETE": lambda: self.next("stop"),
                "GET": lambda: answer({"url": f"/user/{name}/"}),
            }[method]()
        if address.endswith("api/contents?content=0"):
            return self.answers.get("contents", [answer(status=403)])[0]
        return self.answers.get("opened", [answer({"version": "2.0"})])[0]

    def follow(self, address):
        try:
            yield from self.next("events")
        finally:
            if "closing" in self.answers:
                self.next("closing")


def smoke_test(client, **facts):
    time = Time()
    steps = Steps(lambda step: None, time)
    test = SmokeTest(
        client=client,
        name="doctor-1",
        clock=time,
        sleep=time.sleep,
        run_cell=lambda client, where: ok("kernel", where),
        **facts,
    )
    return test, steps


def levels(steps):
    return {finding.check: finding.level for finding in steps.results}


def test_a_healthy_hub_passes_and_is_left_unchanged():
    client = HubClient()
    test, steps = smoke_test(client)

    test.run(steps)

    assert levels(steps) == dict.fromkeys(
        ["user", "start", "ready", "server", "access", "kernel", "stop", "clean-up"], Level.OK
    )
    assert client.users == set()
    assert steps.results[3].message == "https://hub.example.org/user/doctor-1/ answered, Jupyter Server 2.0"


def test_a_progress_stream_that_ends_early_is_opened_again():
    client = HubClient(events=[[{"message": "waiting"}], [], [{"ready": True, "message": "there"}]])
    test, steps = smoke_test(client)

    test.run(steps)

    assert levels(steps)["ready"] is Level.OK


@pytest.mark.parametrize(
    ("changed", "check", "said"),
    [
        ({"user": [answer({"message": "no"}, 403)]}, "user", "cannot add the user doctor-1: 403 no"),
        ({"server": [answer({"message": "too many"}, 429)]}, "start", "cannot start a server: 429 too many"),
        ({"events": [[{"failed": True, "message": "Spawn failed: no image"}]]}, "ready", "Spawn failed: no image"),
        ({"events": [[{"message": "2 servers are ahead"}]]}, "ready", "the last progress: 2 servers are ahead"),
        ({"events": [NoResponseError("hub did not answer")]}, "ready", "hub did not answer"),
        ({"opened": [answer(status=503)]}, "server", "api answered 503"),
        ({"contents": [answer({"path": ""})]}, "access", "shows its files without authentication"),
    ],
)
def test_a_failed_step_is_reported_and_cleaned_up(changed, check, said):
    client = HubClient(**changed)
    test, steps = smoke_test(client, timeout_seconds=5.0)

    test.run(steps)

    failed = {finding.check: finding.message for finding in steps.results if finding.level is Level.PROBLEM}
    assert list(failed) == [check]
    assert said in failed[check]
    assert client.users == set()
    assert ("DELETE", "/hub/api/users/doctor-1/server") in client.asked


def test_ctrl_c_cleans_up():
    client = HubClient(events=[KeyboardInterrupt()])
    test, steps = smoke_test(client)

    with pytest.raises(KeyboardInterrupt):
        test.run(steps)

    assert client.users == set()
    assert levels(steps)["clean-up"] is Level.OK


def test_ctrl_c_while_the_progress_stream_is_closed_is_heeded():
    client = HubClient(closing=[KeyboardInterrupt()])
    test, steps = smoke_test(client)

    with pytest.raises(KeyboardInterrupt):
        test.run(steps)

    assert client.users == set()


def test_a_second_ctrl_c_says_what_may_be_left():
    client = HubClient(events=[KeyboardInterrupt()], stop=[KeyboardInterrupt()])
    test, steps = smoke_test(client)

    with pytest.raises(KeyboardInterrupt):
        test.run(steps)

    assert steps.results[-1].message == "the user doctor-1 may still exist"


def test_a_stop_without_a_response_is_retried():
    client = HubClient(stop=[NoResponseError("away"), answer(status=204)])
    test, steps = smoke_test(client)

    test.run(steps)

    assert levels(steps)["stop"] is Level.OK


def test_a_server_that_does_not_stop_is_reported():
    client = HubClient(stop=[answer(status=202)], removal=[answer({"message": "its servers must be stopped"}, 400)])
    test, steps = smoke_test(client, timeout_seconds=5.0)

    test.run(steps)

    failed = [finding for finding in steps.results if finding.level is Level.PROBLEM]
    assert [finding.check for finding in failed] == ["stop", "clean-up"]
    assert all(finding.action == "Remove the user doctor-1 on the admin page" for finding in failed)


# --- endpoint checks ---


class Pages(HubClient):
    def __init__(self, **pages):
        super().__init__()
        self.pages = {
            "/hub/api/": answer({"version": "6.1.1"}, x_jupyterhub_version="6.1.1"),
            "/hub/login": answer(PAGE),
            "/hub/static/a.js?v=1": answer(cache_control="public, immutable"),
            "/hub/health": answer(),
            "/hub/api/user": answer({"name": "ada", "scopes": ["admin:users", "admin:servers"]}),
        } | pages

    def request(self, method, address, *, body=None, with_token=False):
        return self.pages[address]


@pytest.mark.parametrize(
    "look",
    [endpoint_checks.api, endpoint_checks.health, endpoint_checks.login, endpoint_checks.static, endpoint_checks.token],
)
def test_correct_pages_are_ok(look):
    assert look(Pages()).level is Level.OK


def test_a_hub_that_does_not_answer_says_what_to_do():
    class Away:
        def request(self, method, address):
            raise NoResponseError("no response from hub.example.org: Connection refused")

    with pytest.raises(StepFailedError, match="no response") as failed:
        endpoint_checks.api(Away())

    assert failed.value.action == "Start the hub, or correct its address"


@pytest.mark.parametrize(
    ("look", "pages", "said"),
    [
        (endpoint_checks.api, {"/hub/api/": answer("<html>")}, "the API answered 200"),
        (endpoint_checks.api, {"/hub/api/": answer({"message": "Forbidden"}, 403)}, "the API answered 403 Forbidden"),
        (
            endpoint_checks.api,
            {"/hub/api/": answer({"version": "6.1.1"})},
            "the header X-JupyterHub-Version is missing",
        ),
        (endpoint_checks.health, {"/hub/health": answer(status=502)}, "/hub/health answered 502"),
        (endpoint_checks.login, {"/hub/login": answer(status=404)}, "the login page answered 404"),
        (
            endpoint_checks.login,
            {"/hub/login": answer(PAGE, set_cookie="_xsrf=1; Path=/hub")},
            "sets cookies without Secure",
        ),
        (endpoint_checks.static, {"/hub/login": answer("_xsrf")}, "links no static file"),
        (endpoint_checks.static, {"/hub/static/a.js?v=1": answer(status=404)}, "a.js?v=1 answered 404"),
        (
            endpoint_checks.token,
            {"/hub/api/user": answer({"message": "Forbidden"}, 403)},
            "the hub refuses the token: 403 Forbidden",
        ),
        (
            endpoint_checks.token,
            {"/hub/api/user": answer({"name": "bob", "scopes": ["self"]})},
            "of bob lacks admin:users and admin:servers",
        ),
    ],
)
def test_a_wrong_page_says_why(look, pages, said):
    with pytest.raises(StepFailedError) as failed:
        look(Pages(**pages))

    assert said in str(failed.value)
    assert failed.value.action


@pytest.mark.parametrize(
    ("headers", "level"),
    [
        ({"cache_control": "immutable", "x_amz_cf_id": "1", "x_cache": "Hit from cloudfront"}, Level.OK),
        ({"cache_control": "immutable", "x_amz_cf_id": "1", "x_cache": "Miss from cloudfront"}, Level.WARNING),
        ({}, Level.WARNING),
    ],
)
def test_static_files_must_be_cached(headers, level):
    assert endpoint_checks.static(Pages(**{"/hub/static/a.js?v=1": answer(**headers)})).level is level


def test_api_gateway_must_refuse_direct_requests():
    assert endpoint_checks.direct(Pages()).level is Level.PROBLEM
    assert endpoint_checks.direct(Pages(**{"/hub/api/": answer(status=403)})).level is Level.OK


def test_a_certificate_that_expires_soon_is_a_warning():
    assert endpoint_checks.evaluate_expiry(NOW + timedelta(days=13), NOW, "TLSv1.3").level is Level.WARNING
    assert endpoint_checks.evaluate_expiry(NOW + timedelta(days=90), NOW, "TLSv1.3").level is Level.OK


def test_a_hub_without_tls_is_ok_only_on_this_machine():
    assert endpoint_checks.certificate("http://127.0.0.1:8000", NOW).level is Level.OK
    assert endpoint_checks.certificate("http://hub.example.org", NOW).level is Level.WARNING


def test_a_cells_result_is_found_among_other_messages():
    asked = kernel.execute_request()
    mine = {"parent_header": asked["header"]}
    said = [
        {"parent_header": {"msg_id": "another"}, "msg_type": "execute_result"},
        {**mine, "msg_type": "status"},
        {**mine, "msg_type": "execute_result", "content": {"data": {"text/plain": "42"}}},
        {**mine, "msg_type": "error", "content": {"ename": "NameError", "evalue": "no"}},
    ]

    assert [kernel._result(json.dumps(one), asked) for one in said] == [None, None, "42", "NameError: no"]
    assert kernel._result(b"\x00\xff", asked) is None


# --- AWS checks ---


@pytest.mark.parametrize(
    ("reports", "running", "may_sleep", "level"),
    [
        ([], 0, True, Level.OK),
        ([], 0, False, Level.PROBLEM),
        ([], 2, True, Level.PROBLEM),
        ([EdgeReport("e1", 7, NOW - timedelta(seconds=30))], 2, True, Level.PROBLEM),
        ([EDGE], 2, True, Level.OK),
        ([EDGE, EdgeReport("e2", 6, NOW)], 2, False, Level.WARNING),
    ],
)
def test_edges_must_report_unless_they_may_be_stopped(reports, running, may_sleep, level):
    assert aws_checks.evaluate_edges(reports, 7, running, NOW, may_sleep=may_sleep).level is level


def test_missing_or_failing_sweeps_are_a_problem():
    assert [aws_checks.evaluate_sweeps("r", *counts).level for counts in ((0, 0), (9, 9), (9, 1))] == [
        Level.PROBLEM,
        Level.PROBLEM,
        Level.OK,
    ]


def test_an_old_message_is_a_problem_and_many_are_not():
    assert aws_checks.evaluate_queue("queue", Queue(500, 20, 120)).level is Level.OK
    assert aws_checks.evaluate_queue("queue", Queue(1, 0, 900)).level is Level.PROBLEM


class Amazon:
    """AWS with fixed answers. It denies all other calls."""

    def __init__(self, **answers):
        self.answers, self.asked = answers, []

    def call(self, service, operation, **arguments):
        self.asked.append((operation, arguments))
        if operation not in self.answers:
            raise AwsCallError(
                f"the permission {service}:{operation} is missing", missing_permission=f"{service}:{operation}"
            )
        return self.answers[operation]


def check_aws(aws, edge="economy"):
    deployment = Deployment(
        {"HUBLESS_QUEUE": "https://sqs/1/hub", "HUBLESS_LAUNCHES_QUEUE": "https://sqs/1/launches"},
        {"api": "a", "reaper": "r"},
        ("https://sqs/1/dead",),
    )
    steps = Steps(lambda step: None, lambda: 0.0)
    stage = Stage("prod", StageSettings(region="eu-central-1", edge=edge))
    names = Glance(0, 3, is_whole=True)
    AwsChecks(stage, deployment, aws, lambda: ([EDGE], 7, 1), lambda: names, lambda: NOW).run(steps)
    return levels(steps), [finding.message for finding in steps.results]


def test_as_many_spares_as_wait_are_told_with_what_made_others_fail():
    waits = Spare("w1", "lab", "kind", NOW, "w1/arn", NOW)
    failed = Spare("w2", "lab", "kind", NOW, ended_at=NOW, failure="could not be started: no such image")

    fine = evaluate_spares(lambda: [waits], {"lab": 2, "cold": 0})
    wrong = evaluate_spares(lambda: [waits, failed], {"lab": 2})

    assert (fine.level, fine.message) == (Level.OK, "1 of 2 wait for lab. The sweep starts missing ones")
    assert (wrong.level, wrong.message.partition("; ")[2]) == (
        Level.WARNING,
        "one of lab failed: it could not be started: no such image",
    )


def test_all_parts_of_a_deployment_are_checked():
    messages = {"Attributes": {"ApproximateNumberOfMessages": "3", "ApproximateNumberOfMessagesNotVisible": "1"}}
    points = {"Datapoints": [{"Sum": 2.0, "Maximum": 20.0}, {"Sum": 1.0, "Maximum": 10.0}]}

    found, said = check_aws(
        Amazon(
            get_queue_attributes=messages,
            get_metric_statistics=points,
            get_service_setting={"ServiceSetting": {"SettingValue": "true"}},
        )
    )

    assert found == {
        "queue": Level.OK,
        "launches": Level.OK,
        "dead letters": Level.PROBLEM,
        "function api": Level.WARNING,
        "function reaper": Level.WARNING,
        "sweeps": Level.PROBLEM,
        "edges": Level.OK,
        "SSM": Level.OK,
        "names": Level.OK,
    }
    assert "logins find all users" in said
    assert "3 messages in dead failed too often" in said
    assert "3 errors and 3 throttles in the last hour" in said


def test_users_whom_no_login_finds_are_a_warning():
    found = aws_checks.evaluate_names(lambda: Glance(2, 2000, is_whole=False), "prod")
    assert (found.level, found.message) == (Level.WARNING, "no login finds 2 of the first 2000 users")
    assert "check-names --stage prod" in found.action


def test_a_table_that_does_not_answer_is_a_warning():
    def names():
        raise StoreUnavailableError("no answer")

    found = aws_checks.evaluate_names(names, "prod")
    assert (found.level, found.message) == (Level.WARNING, "could not be checked: no answer")


def test_missing_permissions_are_warnings():
    found, said = check_aws(Amazon(), edge="alb")

    assert found.pop("names") is Level.OK  # the table answers
    assert set(found.values()) == {Level.WARNING}
    assert "could not be checked: the permission sqs:get_queue_attributes is missing" in said
    assert "edges" not in found


@pytest.mark.parametrize("option", ["--timeout", "--patience"])
def test_the_option_timeout_has_its_old_name_too(option):
    context = commands.doctor.make_context("doctor", ["--url", "http://127.0.0.1:8000", option, "5"])

    assert context.params["timeout_seconds"] == 5
