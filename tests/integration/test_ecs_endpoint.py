"""An unmodified Jupyter server as a task: the launcher over HTTP, the double's account, and a real process."""

import json
import os
import subprocess
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import boto3
import pytest

from hubless.adapters.aws import Clients
from hubless.adapters.ecs.events import read
from hubless.adapters.ecs.launcher import EcsLauncher
from hubless.adapters.processes.readiness import HttpReadiness
from hubless.adapters.system_clock import SystemClock
from hubless.domain.profiles import Profile
from hubless.ports.launcher import Launch, Task, TaskRunning, TaskStopped
from tests.doubles.ecs.account import REGION, Account
from tests.doubles.ecs.endpoint import serve
from tests.doubles.ecs.processes import Processes
from tests.support.builders import a_server
from tests.support.concurrency import eventually
from tests.support.dockerfiles import Recipe
from tests.support.ecs import ecs_config
from tests.support.free_port import free_port
from tests.support.http_servers import running

PROGRAMS = Path(__file__).parents[2] / ".venv-servers" / "bin"
SECRET = "5ec2e75ec2e75ec2e75ec2e75ec2e75e"
PREFIX = "/user/alice/"
pytestmark = pytest.mark.real


class Api(BaseHTTPRequestHandler):
    """As much of the hub's API as a server asks for when it starts."""

    def do_GET(self):
        self._say({"version": "6.1.1"})

    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.tokens.append(self.headers["Authorization"])
        self._say({})

    def _say(self, facts_):
        body = json.dumps(facts_).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def api():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Api)
    server.tokens = []
    yield running(server)
    server.shutdown()
    server.server_close()


@pytest.fixture
def account(tmp_path):
    made = Account(SystemClock())
    made.latency, made.runtime = (0.5, 1), Processes(PROGRAMS, tmp_path)
    yield made
    made.runtime.close()


def is_healthy(address):
    """Return whether our image's health check passes; each task's loopback is an address of its own here."""
    recipe = Recipe("singleuser")
    assert tuple(recipe.command) == Profile("small").command
    host, _, port = address.partition(":")
    command = [word.replace("127.0.0.1", host) for word in recipe.health_check]
    known = {
        "PATH": f"{PROGRAMS}:{os.defpath}",
        "JUPYTERHUB_SERVICE_PREFIX": PREFIX,
        "http_proxy": "http://127.0.0.1:9",
    }

    def check(asked):
        environment = known | {"JUPYTERHUB_SERVICE_URL": f"http://0.0.0.0:{asked}{PREFIX}"}
        return subprocess.run(command, env=environment, capture_output=True, check=False).returncode == 0

    assert not check(free_port()), "nobody is there"
    return check(port)


def test_an_unmodified_server_runs_as_a_task_and_speaks_with_its_own_token(account, api):
    url = f"http://127.0.0.1:{api.server_port}/hub/api"
    environment = {
        "JUPYTERHUB_API_URL": url,
        "JUPYTERHUB_ACTIVITY_URL": f"{url}/users/alice/activity",
        "JUPYTERHUB_BASE_URL": "/",
        "JUPYTERHUB_SERVICE_PREFIX": PREFIX,
        "JUPYTERHUB_USER": "alice",
        "JUPYTERHUB_SERVER_NAME": "",
        "JUPYTERHUB_CLIENT_ID": "jupyterhub-user-s1",
        "JUPYTERHUB_HOST": "",
        "JUPYTERHUB_OAUTH_CALLBACK_URL": f"{PREFIX}oauth_callback",
        "JUPYTERHUB_OAUTH_ACCESS_SCOPES": '["access:servers!server=alice/"]',
    }
    secrets = {"JUPYTERHUB_API_TOKEN": SECRET, "JPY_API_TOKEN": SECRET}
    session = boto3.Session("AKIDEXAMPLE", "an example")
    with serve(account) as endpoint:
        its_config = ecs_config(port=free_port())
        launcher = EcsLauncher(its_config, Clients(REGION, session, endpoint_url=endpoint), SystemClock())
        task = launcher.launch(Launch("l1", "s1", "u1", "alice", "", PREFIX, Profile("small"), environment, secrets))

        status = eventually(lambda: found if isinstance(found := launcher.describe(task), TaskRunning) else None)
        eventually(lambda: HttpReadiness().answers(a_server(address=status.address), PREFIX), 60)
        eventually(lambda: api.tokens, 60)
        assert set(api.tokens) == {f"token {SECRET}"}
        assert launcher.tasks() == [Task(task, "l1", status)]
        assert is_healthy(status.address)

        launcher.stop(task)
        gone = eventually(lambda: found if isinstance(found := launcher.describe(task), TaskStopped) else None, 60)
        assert gone.why.startswith("was stopped")
        launcher.forget(task)
        assert launcher.tasks() == []
        assert account.secrets() == {}
        received = [read(event, its_config).status for event in account.take_news()]
        assert status in received
        assert received[-1] == gone
