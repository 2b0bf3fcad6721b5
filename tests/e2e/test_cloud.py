"""A whole hub in the cloud, with real parts: functions in Lambda's runtime client, an edge, Jupyter servers.

What is AWS's is doubled (`tests/doubles/aws.py` says how); what is ours runs as it does there.
"""

import json
import os
import shutil
import subprocess
import tempfile
from collections import Counter
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
from playwright.sync_api import expect

from edge_proxy.agent import Agent
from edge_proxy.haproxy_config import EdgeConfiguration
from hubless.adapters.dynamodb.desired_state import DynamoDesiredEdgeStateStore
from hubless.adapters.dynamodb.routes import DynamoRouteStore
from hubless.adapters.dynamodb.spares import DynamoSpareStore
from hubless.adapters.system_clock import SystemClock
from hubless.domain.edges import DesiredEdgeState, EdgePower
from hubless.domain.tokens import launch_secret, spare_secret
from tests.doubles.aws import deploy
from tests.doubles.ec2 import Ec2, Machine
from tests.doubles.ecs.account import REGION
from tests.doubles.ecs.processes import Processes
from tests.doubles.front import front
from tests.doubles.stacks import stack_outputs_server
from tests.e2e.conftest import SECONDS
from tests.e2e.test_browser import log_in, run_first_cell, shot
from tests.support.concurrency import eventually
from tests.support.free_port import free_port

HUBLESS = Path(__file__).parents[2] / ".venv/bin/hubless"
PROGRAMS = Path(__file__).parents[2] / ".venv-servers" / "bin"
TOKEN, PASSWORD = "a-token-of-the-tests-0123456789", "all of the class knows"
TIMEOUT_SECONDS = 120
# A server that says once that it is there.
SAYS_SO = """
import datetime, json, os, time, urllib.request
now = datetime.datetime.now(datetime.timezone.utc).isoformat()
said = json.dumps({"last_activity": now, "servers": {"": {"last_activity": now}}}).encode()
token = {"Authorization": "token " + os.environ["JUPYTERHUB_API_TOKEN"], "Content-Type": "application/json"}
urllib.request.urlopen(urllib.request.Request(os.environ["JUPYTERHUB_ACTIVITY_URL"], said, token))
time.sleep(600)
"""
WELL = ("API", "health", "login page", "static files")
SETTINGS = (
    """
[login]
kind = "shared-password"
[culling]
users = { idler = { max_age = "1s" } }
[[profiles]]
name = "lab"
args = ["--ServerApp.terminals_enabled=False", "--LabApp.news_url=None"]
[[profiles]]
name = "broken"
image = "no/such:image"
[[profiles]]
name = "warm"
warm = 1
command = ["python3", "-c", """
    + json.dumps(SAYS_SO)
    + """]
[[services]]
name = "tests"
admin = true
token_env = "TESTS_TOKEN"
"""
)
pytestmark = pytest.mark.real


class Cloud:
    def __init__(self, deployment, url, ec2):
        self.deployment, self.url, self.account, self.ec2 = deployment, url, deployment.account, ec2
        self.admin = httpx.Client(base_url=f"{url}/hub/api", headers={"Authorization": f"token {TOKEN}"}, timeout=40)

    def start(self, name, **options):
        self.admin.post(f"/users/{name}")
        asked = self.admin.post(f"/users/{name}/server", json=options)
        assert asked.status_code == 202, asked.text

    def follow(self, name):
        """Return all events of a start, read in one answer to its end."""
        answer = self.admin.get(
            f"/users/{name}/server/progress", headers={"Accept": "text/event-stream"}, timeout=TIMEOUT_SECONDS
        )
        return [json.loads(line.removeprefix("data:")) for line in answer.text.splitlines() if line.startswith("data:")]

    def run_a_task_behind_the_hubs_back(self):
        """Start what a function that died would have left: a task whose launch nobody knows, and return its ARN."""
        of_launches = [order for order in self.account.asked("RunTask") if "HUBLESS_LAUNCH_ID" in json.dumps(order)]
        order = json.loads(json.dumps(of_launches[-1])) | {"clientToken": "of-somebody-who-died"}
        for pair in order["overrides"]["containerOverrides"][0]["environment"]:
            if pair["name"] == "HUBLESS_LAUNCH_ID":
                pair["value"] = "l-unknown"
        with self.deployment.guard:
            return self.account.ask("RunTask", order)["tasks"][0]["taskArn"]

    def files_of_launches(self):
        return [name for name in self.account.secrets() if "/w" not in name]

    def waiting_spare(self):
        found = DynamoSpareStore(self.deployment.database()).all()
        return next((spare for spare in found if spare.can_be_claimed), None)

    def server(self, name):
        return self.admin.get(f"/users/{name}?include_stopped_servers=true").json()["servers"].get("", {})


@pytest.fixture(scope="module")
def cloud():
    folder = Path(tempfile.mkdtemp(prefix="hubless-cloud-"))
    port, edge_port, home = free_port(), free_port(), folder / "home"
    home.mkdir()
    url, api_socket = f"http://127.0.0.1:{port}", folder / "api.sock"
    ec2 = Ec2("stopped")
    secrets = {"key": "k" * 40, "HUBLESS_SHARED_PASSWORD": PASSWORD, "TESTS_TOKEN": TOKEN}
    with (
        deploy(
            folder,
            url=url,
            settings_text=SETTINGS,
            secrets=secrets,
            runtime=Processes(PROGRAMS, home),
            api_socket=api_socket,
            ec2=ec2,
        ) as deployment,
        front(port, edge_port, api_socket),
    ):
        edge = EdgeConfiguration("127.0.0.1", edge_port, None, folder / "edge", host_header="x-hubless-host")
        routes, clock = DynamoRouteStore(deployment.database()), SystemClock()
        machine = Machine(ec2, lambda: Agent(edge, routes, edge_id="edge-1", clock=clock.now, poll_seconds=0.3))
        yield Cloud(deployment, url, ec2)
        machine.close()
    shutil.rmtree(folder, ignore_errors=True)


def test_a_person_logs_in_starts_a_server_runs_a_cell_and_stops_it(cloud, new_page):
    page = new_page()

    page.goto(f"{cloud.url}/hub/user-redirect/lab?reset")
    log_in(page, "maria", PASSWORD)
    page.locator("[type=radio][value=lab]").check()
    page.get_by_role("button", name="Start").click()
    page.wait_for_url("**/hub/spawn-pending/maria**")
    expect(page.locator("progress")).to_be_visible()
    shot(page, "cloud-progress")
    page.wait_for_url("**/user/maria/lab**")
    page.locator(".jp-LauncherCard[data-category='Notebook']").first.click()
    expect(page.get_by_text("Python 3 (ipykernel) | Idle")).to_be_visible(timeout=SECONDS)
    run_first_cell(page, "6*7", "42")
    shot(page, "cloud-lab")
    assert (cloud.ec2.state, set(cloud.ec2.calls)) == ("running", {"StartInstances"})  # the edge slept until now

    page.goto(f"{cloud.url}/hub/home")
    page.get_by_role("button", name="Stop").first.click()
    eventually(lambda: cloud.server("maria")["stopped"] and not cloud.account.running(), TIMEOUT_SECONDS)
    eventually(lambda: cloud.account.secrets() == {})


def test_an_unneeded_edge_is_suspended_and_the_api_answers_browsers(cloud):
    desired_state = DynamoDesiredEdgeStateStore(cloud.deployment.database())

    cloud.deployment.sweep()
    idle = desired_state.read()
    assert idle.power is EdgePower.IDLE
    desired_state.write(idle, DesiredEdgeState(EdgePower.IDLE, idle.since - timedelta(minutes=11)))
    cloud.deployment.sweep()

    eventually(lambda: cloud.ec2.state == "stopped")
    away = httpx.get(f"{cloud.url}/user/maria/lab", timeout=40)
    assert (away.status_code, away.headers["location"]) == (302, "/hub/user/maria/lab")
    assert httpx.post(f"{cloud.url}/user/maria/api/kernels", timeout=40).status_code == 502  # nobody may ask twice


def test_a_task_that_cannot_start_is_reported_with_the_message_of_ecs(cloud):
    cloud.account.broken_images["no/such:image"] = (
        "CannotPullContainerError: pull image manifest has been retried 5 time(s)"
    )

    cloud.start("noah", profile="broken")

    *_, last = cloud.follow("noah")
    assert last["failed"]
    assert "CannotPullContainerError" in last["message"]
    eventually(lambda: cloud.files_of_launches() == [])


def test_the_schedule_culls_old_servers_and_ends_orphan_tasks(cloud):
    cloud.start("idler")
    first, *_, last = cloud.follow("idler")
    assert (first["progress"], last.get("ready"), last["url"]) == (0, True, "/user/idler/")

    stranger = cloud.run_a_task_behind_the_hubs_back()
    swept = Counter()
    eventually(
        lambda: swept.update(cloud.deployment.sweep()) or (swept["reaped"] and swept["orphans"]), TIMEOUT_SECONDS
    )

    assert (swept["reaped"], swept["orphans"]) == (1, 1)
    eventually(lambda: cloud.server("idler")["stopped"], TIMEOUT_SECONDS)
    eventually(lambda: stranger not in [task["taskArn"] for task in cloud.account.running()], TIMEOUT_SECONDS)


def test_names_reach_the_hub_as_they_were_sent(cloud):
    for name in ("50%2Foff", "what?", "a b", "zoë"):
        path = quote(name, safe="")
        assert cloud.admin.post(f"/users/{path}").status_code == 201, name
        assert cloud.admin.get(f"/users/{path}").json()["name"] == name
        assert cloud.admin.delete(f"/users/{path}").status_code == 204


def test_a_launchs_log_lines_carry_its_id_and_no_secret(cloud):
    """The launch gets a spare, which asks for it through CloudFront and the API."""
    browser = httpx.Client(base_url=cloud.url, follow_redirects=False, timeout=40)
    xsrf = browser.get("/hub/login").cookies["_xsrf"]
    browser.post("/hub/login", data={"username": "reader", "password": PASSWORD, "_xsrf": xsrf})
    assert browser.get("/hub/home").status_code == 200
    cloud.deployment.sweep()
    spare = eventually(cloud.waiting_spare, TIMEOUT_SECONDS)
    started = cloud.account.count()["RunTask"]
    cloud.start("reader", profile="warm")
    eventually(lambda: cloud.server("reader").get("ready"), TIMEOUT_SECONDS)
    assert cloud.account.count()["RunTask"] == started
    cloud.deployment.sweep()

    names = ("api", "stream", "spawn", "reaper")
    said = [line for name in names for line in cloud.deployment.log(name)]
    text = "".join((cloud.deployment.folder / f"{name}.log").read_text() for name in names)
    launch_id = next(line["launch_id"] for line in said if "of reader: start requested" in str(line.get("message")))
    services = {line["service"] for line in said if line.get("launch_id") == launch_id}
    assert {"school-api", "school-spawn"} <= services
    assert any(line.get("Spawns") == [1.0] and line.get("outcome") == "ready" for line in said)
    assert any("RunningServers" in line for line in said)
    assert any(line.get("SparesClaimed") == [1.0] for line in said)
    cookies = [value for value in browser.cookies.values() if value != "1"]  # a flag is no secret
    assert cookies
    for secret in (
        TOKEN,
        PASSWORD,
        "k" * 40,
        launch_secret(b"k" * 40, launch_id),
        spare_secret(b"k" * 40, spare.id),
        xsrf,
        *cookies,
    ):
        assert secret not in text


@pytest.fixture
def stacks(cloud):
    """Give the address of what says how the hub is deployed."""
    with stack_outputs_server("hubless-prod", cloud.deployment.environment) as url:
        yield url


def test_an_operator_creates_the_first_admin_and_runs_doctor_from_a_shell(cloud, stacks, tmp_path):
    deployment = cloud.deployment
    settings = tmp_path / "hubless.toml"
    settings.write_text(SETTINGS.replace('kind = "shared-password"', "") + f'[stages.prod]\nregion = "{REGION}"\n')
    shell = os.environ | {"AWS_ENDPOINT_URL": deployment.emulator, "TESTS_TOKEN": TOKEN}
    shell |= {name: text for name, text in deployment.environment.items() if name.startswith("AWS_")}
    shell |= {f"AWS_ENDPOINT_URL_{service}": stacks for service in ("CLOUDFORMATION", "LAMBDA")}

    def run(*words):
        return subprocess.run(
            [HUBLESS, *words, "--stage", "prod", "--settings", settings],
            env=shell,
            capture_output=True,
            text=True,
            check=False,
        )

    made = run("admin", "head")
    assert f"{cloud.url}/hub/set-password?key=" in made.stdout, made.stderr
    assert cloud.admin.get("/users/head").json()["admin"]
    looked = run("doctor", "--json")
    found = {step["check"]: step["level"] for step in json.loads(looked.stdout)}
    assert {check: found[check] for check in WELL} == dict.fromkeys(WELL, "ok")
    assert "edges" in found
