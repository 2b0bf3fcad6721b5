"""A real spare: the program that waits asks a real API, and becomes an unmodified `jupyterhub-singleuser`."""

import json
import threading
from pathlib import Path
from urllib.request import urlopen

import psutil
import pytest
import uvicorn

from functions.api.app import create_app
from hubless.bootstrap.cloud import CloudHub
from hubless.domain.errors import RetryLaterError
from hubless.domain.lifecycle import State
from hubless.domain.tokens import launch_secret
from hubless.settings.cloud import CloudSettings, load
from tests.doubles.ecs.account import EXECUTION_ROLE, REGION, TASK_ROLE
from tests.doubles.ecs.processes import Processes
from tests.support.concurrency import eventually
from tests.support.ecs import Cloud
from tests.support.fakes import InstantEdge, RecordingMetrics, RecordingQueue
from tests.support.free_port import free_port

PROGRAMS = Path(__file__).parents[2] / ".venv-servers" / "bin"
KEY = "k" * 40
SECONDS = 60
SETTINGS = """
[[profiles]]
name = "lab"
warm = 1
environment = { OF_THE_PROFILE = "1" }
"""
pytestmark = pytest.mark.real


@pytest.fixture
def hub(amazon, tmp_path):
    """A hub in the cloud in this process, whose API listens and whose tasks are processes."""
    stores, _ = amazon
    port, home = free_port(), tmp_path / "home"
    home.mkdir()
    (tmp_path / "hubless.toml").write_text(SETTINGS)
    facts = CloudSettings(
        url=f"http://127.0.0.1:{port}",
        table="hub",
        queue="http://queue",
        secrets="/hub/secrets",
        cluster="hub",
        image="jupyter/minimal:1",
        bucket="hub-launches",
        execution_role=EXECUTION_ROLE,
        task_role=TASK_ROLE,
        subnets=("subnet-a",),
        security_groups=("sg-servers",),
    )
    made = CloudHub(load(facts, tmp_path / "hubless.toml", {}), facts, REGION, {"key": KEY})
    cloud = Cloud(made.clock, port=free_port())
    cloud.account.latency, cloud.account.runtime = (0.1, 0.2), Processes(PROGRAMS, home)
    made._database, made._ecs_launcher = stores.database, cloud.launcher()
    made.queue, made.metrics, made.account = RecordingQueue(), RecordingMetrics(), cloud.account
    listener = uvicorn.Server(uvicorn.Config(create_app(made), port=port, lifespan="off", log_level="error"))
    thread = threading.Thread(target=listener.run, daemon=True)
    thread.start()
    eventually(lambda: listener.started, SECONDS)
    yield made
    cloud.account.runtime.close()
    listener.should_exit = True
    thread.join()


def until(hub, holds):
    """Handle messages, and let an edge and the cloud do their part, until *holds* is true."""
    edge = InstantEdge(hub.routes, hub.clock)

    def look():
        edge.look()
        hub.account.settle()
        for message in [hub.queue.sent.pop(0) for _ in hub.queue.sent[:]]:
            try:
                hub.launching.on_message(message)
            except RetryLaterError:
                hub.queue.send(message)
        return holds()

    return eventually(look, SECONDS)


def test_a_task_that_waited_becomes_the_server_of_its_launch(hub):
    hub.reaping.sweep()
    spare = until(hub, lambda: next((one for one in hub.spares.store.all() if one.can_be_claimed), None))
    alice = hub.accounts.add("alice")
    waiting = server_process(hub)
    assert "JUPYTERHUB_USER" not in waiting.environ()
    assert waiting.environ()["HUBLESS_SPARE_TOKEN"]

    hub.spawning.start(alice, "")
    server = until(hub, lambda: found if (found := hub.servers.find(alice.id, "")).state is State.READY else None)

    process = server_process(hub)
    assert (server.task, hub.spares.store.all()) == (spare.task, [])
    assert process.pid == waiting.pid
    assert "jupyterhub-singleuser" in " ".join(process.cmdline()[:3])
    environment = process.environ()
    assert environment["JUPYTERHUB_API_TOKEN"] == launch_secret(KEY.encode(), server.launch_id)
    assert (environment["OF_THE_PROFILE"], environment["HUBLESS_LAUNCH_ID"]) == ("1", server.launch_id)
    assert not [name for name in environment if "SPARE" in name]
    with urlopen(f"http://{server.address}/user/alice/api", timeout=SECONDS) as answer:
        assert json.load(answer)["version"]
    assert hub.account.count()["RunTask"] == 1


def server_process(hub):
    """Return the process that the first of the container has started."""
    ((_, first),) = hub.account.runtime._children
    (child,) = psutil.Process(first.pid).children()
    return child
