"""A stage that the real `cdk deploy` put into MiniStack (docs/emulator.md lists the limits), used by its REST API."""

import json
import threading
from contextlib import contextmanager

import httpx
import pytest

from tests.deployment.aws_doubles import Front
from tests.deployment.conftest import AFTER, BEFORE, PASSWORD, SETTINGS, TOKEN
from tests.deployment.stage import TOP
from tests.deployment.template_adaptation import LEFT_OUT
from tests.support.concurrency import eventually

TIMEOUT_SECONDS = 120
pytestmark = pytest.mark.real


def test_resources_that_are_left_out_are_documented():
    text = (TOP / "docs/emulator.md").read_text()
    assert [kind for kind in LEFT_OUT if f"`{kind}`" not in text] == []


def test_requests_that_bypass_cloudfront_are_refused(deployed):
    for said in ({}, {"x-hubless-front": "guessed"}):
        with httpx.Client(base_url=deployed.url, transport=Front(deployed.stage, said), timeout=40) as beside:
            refused = beside.get("/hub/api", headers={"Authorization": f"token {TOKEN}"})
        assert (refused.status_code, deployed.url in refused.json()["message"]) == (403, True)


def test_a_user_logs_in_by_the_form(deployed):
    browser = deployed.browser()

    assert BEFORE in browser.get("/hub/login").text
    assert browser.post("/hub/login", data={"username": "maria", "password": PASSWORD}).status_code == 403
    received = browser.submit("/hub/login", username="maria", password=PASSWORD)

    assert (received.status_code, received.headers["location"]) == (302, "/hub/spawn")
    assert "maria" in browser.get("/hub/token").text  # home would start the edge


def test_the_api_creates_users_and_tokens(deployed):
    made = deployed.admin.post("/users", {"usernames": ["noah", "zoë", "idler"]})
    assert made.status_code == 201, made.text
    token = deployed.admin.post("/users/noah/tokens", {"note": "of the tests"}).json()["token"]

    assert deployed.asking(token).get("/user").json()["name"] == "noah"
    assert deployed.admin.get("/users/zo%C3%AB").json()["name"] == "zoë"
    assert deployed.asking(token).get("/users").status_code == 403


def test_a_server_starts_and_starts_the_edge(deployed):
    assert deployed.instance.look() == "stopped"

    for name in ("maria", "idler"):
        asked = deployed.admin.post(f"/users/{name}/server")
        assert asked.status_code == 202, asked.text

    last = deployed.follow("maria")
    assert last.get("ready"), last
    assert last["url"] == "/user/maria/"
    assert deployed.instance.look() == "running"
    assert deployed.through_edge("/user/maria/api/status").json()["connections"] == 0
    assert deployed.through_edge("/user/maria/api/status", "none").status_code == 403


def test_the_reaper_culls_old_servers_and_stops_orphans(deployed):
    stranger = _run_an_orphan_task(deployed)

    def is_reaped():
        deployed.stage.invoke("reaper", {"detail-type": "Scheduled Event"})
        return deployed.server("idler")["stopped"] and stranger not in [
            task["taskArn"] for task in deployed.account.running()
        ]

    eventually(is_reaped, TIMEOUT_SECONDS)
    assert deployed.server("maria")["ready"]


def _run_an_orphan_task(deployed):
    order = json.loads(json.dumps(deployed.account.asked("RunTask")[-1])) | {"clientToken": "of-somebody-who-died"}
    for pair in order["overrides"]["containerOverrides"][0]["environment"]:
        if pair["name"] == "HUBLESS_LAUNCH_ID":
            pair["value"] = "l-unknown"
    with deployed.guard:
        known, deployed.account.latency = deployed.account.latency, (3600, 3600)
        arn = deployed.account.ask("RunTask", order)["tasks"][0]["taskArn"]
        deployed.account.latency = known
    return arn


def test_an_upgrade_drops_no_request_and_keeps_data_and_servers(deployed, tmp_path):
    browser = deployed.browser()
    browser.get("/hub/login")
    browser.submit("/hub/login", username="maria", password=PASSWORD)
    token = deployed.admin.post("/users/noah/tokens", {"note": "before"}).json()["token"]
    server, process = deployed.server("maria"), deployed.through_edge("/user/maria/api/status").json()["started"]
    before = deployed.versions()
    deployed.stage.synthesize(SETTINGS.format(name=AFTER), tmp_path / "after", deployed.instance.name)

    with sending_requests(deployed, token) as answers:
        deployed.stage.deploy(tmp_path / "after")
        eventually(lambda: AFTER in deployed.browser().get("/hub/login").text)

    assert set(answers) == {200}
    after = deployed.versions()
    assert all(before[name] != after[name] for name in before), after
    assert deployed.asking(token).get("/user").json()["name"] == "noah"
    assert "maria" in browser.get("/hub/home").text
    found = deployed.server("maria")
    assert found == server | {"last_activity": found["last_activity"]}
    assert deployed.through_edge("/user/maria/api/status").json()["started"] == process

    assert deployed.admin.delete("/users/maria/server").status_code in {202, 204}
    eventually(lambda: deployed.server("maria")["stopped"] and not deployed.account.running(), TIMEOUT_SECONDS)
    eventually(lambda: deployed.account.secrets() == {})


@contextmanager
def sending_requests(deployed, token):
    """Send requests to the API until the block ends. Yield the list of their statuses."""
    done, statuses = threading.Event(), []

    def ask():
        while not done.wait(0.05):
            statuses.extend(deployed.asking(token).get(path).status_code for path in ("/user", "/users/noah/tokens"))

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield statuses
    finally:
        done.set()
        thread.join(60)
