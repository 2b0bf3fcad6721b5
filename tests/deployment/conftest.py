"""One stage for all tests of the folder: what it takes to deploy it is most of what they take."""

import json
import os
import shutil
import tempfile
import threading
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest

from edge_proxy.agent import Agent
from edge_proxy.haproxy_config import EdgeConfiguration
from hubless.adapters.dynamodb.database import Database
from hubless.adapters.dynamodb.routes import DynamoRouteStore
from hubless.adapters.system_clock import SystemClock
from tests.api.hub import Api, Browser
from tests.deployment.aws_doubles import Front, Instance, Servers, events_of, listening, settle
from tests.deployment.stage import ACCOUNT, REGION, TOP, Stage
from tests.doubles.ec2 import Machine
from tests.doubles.ecs.account import Account
from tests.doubles.ecs.endpoint import serve
from tests.support.dynamodb import ministack
from tests.support.free_port import free_port

TOKEN, PASSWORD = "a-token-of-the-tests-0123456789", "all of the class knows"
SETTINGS = """
[hub]
name = "{name}"
[login]
kind = "shared-password"
[culling]
users = {{ idler = {{ max_age = "1s" }} }}
[[profiles]]
name = "lab"
args = ["--ServerApp.terminals_enabled=False", "--LabApp.news_url=None"]
[[services]]
name = "tests"
admin = true
token_env = "TESTS_TOKEN"
[stages.test]
region = "eu-central-1"
image = "jupyter/minimal:1"
edge = "economy"
keep_data = false
"""
ROOM = 2 << 30  # bytes
BEFORE, AFTER = "The first hub", "The second hub"


class Deployed:
    """A hub, deployed. *account* is where its servers run, *edge* is what leads to them."""

    def __init__(self, stage, account, guard, instance, edge):
        self.stage, self.account, self.guard, self.instance, self.edge = stage, account, guard, instance, edge
        self.url = stage.outputs("web")["Url"]
        self._said = stage.said_by_front()
        self._clients = ExitStack()
        self.client = self._opened(httpx.Client(base_url=self.url, transport=self.by_front(), timeout=40))
        self.admin = self.asking(TOKEN)

    def by_front(self):
        return Front(self.stage, self._said)

    def asking(self, token):
        return Api(self.client, token)

    def browser(self):
        browser = self._opened(Browser(self.by_front(), self.url))
        browser.timeout = 40
        return browser

    def _opened(self, client):
        """Close *client* with the hub: an abandoned socket is a warning, and so an error."""
        self._clients.callback(client.close)
        return client

    def close(self):
        self._clients.close()

    def server(self, name):
        return self.admin.get(f"/users/{name}?include_stopped_servers=true").json()["servers"].get("", {})

    def follow(self, name):
        """Return the last event of a start, read answer by answer: API Gateway cuts each after half a minute."""
        while True:
            lines = self.admin.get(f"/users/{name}/server/progress").text.splitlines()
            last = json.loads([line for line in lines if line.startswith("data:")][-1].removeprefix("data:"))
            if last.get("ready") or last.get("failed"):
                return last

    def versions(self):
        """Return the version of each function that its callers reach."""
        names = ("api", "stream", "spawn", "reaper")
        aliases = self.stage.client("lambda").get_alias
        return {name: aliases(FunctionName=self.stage.function(name), Name="live")["FunctionVersion"] for name in names}

    def through_edge(self, path, token=TOKEN):
        """Ask as CloudFront asks an edge; None where nobody answers."""
        own = {"Authorization": f"token {token}", "x-hubless-host": httpx.URL(self.url).host}
        try:
            return httpx.get(f"{self.edge}{path}", headers=own, timeout=20)
        except httpx.TransportError:
            return None


class Emulated:
    """An account without a stage. *beside* are the addresses of services that MiniStack does not play."""

    def __init__(self, stage, account, guard, beside):
        self.stage, self.account, self.guard, self.beside = stage, account, guard, beside


@contextmanager
def emulated_account():
    """Run MiniStack with the double of ECS, and do what is done once for an account."""
    folder = Path(tempfile.mkdtemp(prefix="hubless-stage-", dir=_in_memory()))
    account, guard = Account(SystemClock()), threading.Lock()
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        home = folder / "home"
        home.mkdir()
        account.latency, account.runtime = (0.5, 1), Servers(TOP / ".venv-servers/bin", home)
        stack.callback(account.runtime.close)
        ecs = stack.enter_context(serve(account, guard=guard))
        beside = {f"AWS_ENDPOINT_URL_{name}": ecs for name in ("ECS", "S3", "EFS")}
        emulator = stack.enter_context(
            ministack(folder, "", MINISTACK_ACCOUNT_ID=ACCOUNT, MINISTACK_REGION=REGION, **beside)
        )
        stage = Stage(emulator, folder, TOP / "dist/bundles")
        stack.callback(stage.close)
        stage.bootstrap()
        yield Emulated(stage, account, guard, beside)


@pytest.fixture(scope="module")
def deployed():
    with emulated_account() as emulated, ExitStack() as stack:
        stage, account, guard = emulated.stage, emulated.account, emulated.guard
        folder = stage.folder
        instance = an_instance(stage.client("ec2"))
        stage.synthesize(SETTINGS.format(name=BEFORE), folder / "before", instance)
        stage.deploy(folder / "before")
        stage.tell_secrets({"HUBLESS_SHARED_PASSWORD": PASSWORD, "TESTS_TOKEN": TOKEN})
        settle(account, stage.variables())
        stack.enter_context(events_of(account, guard, stage))
        edge, machine = free_port(), Instance(stage, instance)
        stack.callback(boots(machine, edge, folder / "edge", stage).close)
        hub = Deployed(stage, account, guard, machine, f"http://127.0.0.1:{edge}")
        stack.callback(hub.close)
        account.runtime.hub = hub.url
        account.runtime.address_of_hub = stack.enter_context(listening(hub.client))
        yield hub


def _in_memory():
    """Return a folder in memory, where one has room and programs may run from it; otherwise None.

    Functions are unpacked again and again, some 20,000 files in all.
    """
    folder = "/dev/shm"
    try:
        about = os.statvfs(folder)
    except OSError:
        return None
    may_be_used = not about.f_flag & os.ST_NOEXEC and about.f_bavail * about.f_frsize > ROOM
    return folder if may_be_used else None


def an_instance(ec2):
    """Make the edge's instance, which MiniStack's CloudFormation cannot, and let it sleep."""
    (made,) = ec2.run_instances(ImageId="ami-1", MinCount=1, MaxCount=1)["Instances"]
    ec2.stop_instances(InstanceIds=[made["InstanceId"]])
    return made["InstanceId"]


def boots(machine, port, folder, stage):
    edge = EdgeConfiguration("127.0.0.1", port, None, folder, host_header="x-hubless-host")
    routes = DynamoRouteStore(Database(stage.variables()["HUBLESS_TABLE"], region=REGION, endpoint=stage.emulator))
    return Machine(machine, lambda: Agent(edge, routes, edge_id="edge-1", clock=SystemClock().now, poll_seconds=0.3))
