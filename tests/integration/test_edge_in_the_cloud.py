"""Edges as they run in the cloud: processes with a real HAProxy each, on one table of DynamoDB (MiniStack).

Their environment configures them.
"""

import http.client
import os
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import tempfile
import threading
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest
from websockets.sync.client import connect
from websockets.sync.server import serve

from hubless.adapters.dynamodb.database import Database
from hubless.adapters.dynamodb.routes import DynamoRouteStore
from hubless.adapters.dynamodb.servers import DynamoServerStore
from hubless.adapters.dynamodb.users import DynamoUserStore
from hubless.domain.errors import StoreUnavailableError
from hubless.domain.routes import ServerKey
from hubless.services.routing import Routing
from tests.support.builders import a_server, a_user
from tests.support.concurrency import eventually
from tests.support.dockerfiles import Recipe
from tests.support.dynamodb import REGION, ministack
from tests.support.free_port import free_port
from tests.support.haproxy import edge_command
from tests.support.http_servers import Echo, TcpServer, ask_on, certificate, over_tls, running

pytestmark = pytest.mark.real
TOP = Path(__file__).parents[2]
ALICE = "/user/alice/"
ECONOMY = {"API": "", "API_NAME": "", "API_CA": "", "HOST_HEADER": "x-hubless-host"}


@pytest.fixture(scope="module")
def emulator(tmp_path_factory):
    with ministack(tmp_path_factory.mktemp("ministack")) as url:
        yield Database("hubless", region=REGION, endpoint=url)


class Edge:
    """One edge."""

    def __init__(self, folder, port, environment, command=(sys.executable, "-m", "edge_proxy"), place=TOP):
        self.port, self.folder, self.environment, self._command, self._place = port, folder, environment, command, place
        self.log = folder.with_suffix(".log")
        self.start()

    def start(self):
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self._command, cwd=self._place, env=self.environment, stdout=log, stderr=log
            )

    def get(self, path, method="GET"):
        """Return the answer, or None where nobody listens."""
        with (
            suppress(OSError, http.client.HTTPException),
            socket.create_connection(("127.0.0.1", self.port), timeout=10) as line,
        ):
            return ask_on(line, path, method, headers=("Connection: close", "Cookie: key=alices"))

    def status(self):
        assert self.process.poll() is None, self.log.read_text()
        received = self.get("/edge/health")
        return received and received.status

    def who(self, path):
        received = self.get(path)
        return received and received.who

    def haproxy(self):
        return int((self.folder / "haproxy.pid").read_text().split()[0])

    def end(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(20)


class Cloud:
    """A table, an API, servers, and edges."""

    def __init__(self, database, folder, undo, haproxy):
        self.database, self.folder, self.undo, self.haproxy = database, folder, undo, haproxy
        self.routes = DynamoRouteStore(database)
        self.routing = Routing(self.routes, SimpleNamespace(now=lambda: datetime.now(UTC)))
        self.pem = certificate(folder, "api.example.org")
        self.api = self._kept(over_tls(self.pem, []))
        self.edges = []

    def _kept(self, server):
        running(server)
        self.undo.callback(server.server_close)
        self.undo.callback(server.shutdown)
        return server

    def edge(self, image=None, **others):
        port, number = free_port(), len(self.edges) + 1
        facts = {
            "TABLE": "hubless",
            "REGION": REGION,
            "ENDPOINT": self.database.client.meta.endpoint_url,
            "ID": f"edge-{number}",
            "HOST": "127.0.0.1",
            "PORT": str(port),
            "RUN_FOLDER": str(self.folder / f"e{number}"),
            "API_CA": str(self.pem),
            "API": f"https://127.0.0.1:{self.api.server_address[1]}",
            "API_NAME": "api.example.org",
            "POLL_SECONDS": "0.05",
            "ACTIVITY_SECONDS": "0.2",
            "HEARTBEAT_SECONDS": "1",
            "DRAIN_SECONDS": "0",
        }
        environment = {f"HUBLESS_EDGE_{name}": text for name, text in (facts | others).items()}
        environment |= {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "PATH": os.environ["PATH"]}
        edge = (
            image.edge(self.folder / f"e{number}", port, environment)
            if image
            else Edge(self.folder / f"e{number}", port, environment, edge_command(self.haproxy))
        )
        self.undo.callback(edge.end)
        self.edges.append(edge)
        return edge

    def ready_edge(self, **others):
        edge = self.edge(**others)
        eventually(lambda: edge.status() == 200, within=60)
        return edge

    def server(self, name):
        server = TcpServer(("127.0.0.1", 0), Echo)
        server.name = name
        return "127.0.0.1:{}".format(self._kept(server).server_address[1])

    def route(self, name, address, launch="l1"):
        return self.routing.add(f"/user/{name}/", address, launch, ServerKey(f"s-{name}-", f"u-{name}"))


@pytest.fixture
def cloud(emulator, haproxy):
    folder = Path(tempfile.mkdtemp(prefix="edge-", dir="/tmp"))  # a unix socket's path has at most 107 bytes
    with ExitStack() as undo:
        undo.callback(shutil.rmtree, folder, ignore_errors=True)

        def dropped():
            with suppress(StoreUnavailableError):
                emulator.drop()

        undo.callback(dropped)
        yield Cloud(emulator, folder, undo, haproxy)


class Image:
    """The code of the edge's image, laid out as its Dockerfile says, and the libraries, without this checkout."""

    def __init__(self, root):
        self.recipe, self.root = Recipe("edge_proxy"), root
        for sources, target in self.recipe.copies:
            for source in sources:
                if (TOP / source).is_dir():
                    shutil.copytree(TOP / source, self.within(target), ignore=shutil.ignore_patterns("__pycache__"))

    def within(self, path):
        return self.root / path.lstrip("/")

    def here(self, command):
        assert command[0] == "python"
        return [
            sys.executable,
            "-S",
            *command[1:],
        ]  # -S: site-packages lead to the checkout, as a path alone they do not

    def edge(self, folder, port, environment):
        own = self.recipe.environment
        libraries = sysconfig.get_path("purelib")
        environment |= own | {"PYTHONPATH": f"{self.within(own['PYTHONPATH'])}{os.pathsep}{libraries}"}
        return Edge(folder, port, environment, self.here(self.recipe.command), self.root)

    def finds_well(self, edge):
        return (
            subprocess.run(
                self.here(self.recipe.health_check),
                env=edge.environment,
                cwd=self.root,
                capture_output=True,
                check=False,
            ).returncode
            == 0
        )


def test_the_edge_image_holds_all_that_an_edge_needs(cloud):
    cloud.database.create(expires=False)
    image = Image(cloud.folder / "image")
    edge = cloud.edge(image)
    assert not image.finds_well(edge), "before it listens"
    eventually(lambda: edge.status() == 200, within=60)
    assert image.finds_well(edge)
    cloud.route("alice", cloud.server("alice"))
    eventually(lambda: edge.who(ALICE) == "alice")

    edge.process.send_signal(signal.SIGTERM)
    assert edge.process.wait(20) == 0
    assert not image.finds_well(edge)


def test_two_edges_follow_one_table_and_each_leaves_in_order(cloud):
    cloud.database.create(expires=False)
    users, servers = DynamoUserStore(cloud.database), DynamoServerStore(cloud.database)
    users.create([a_user()])
    servers.create(a_server(id="s-alice-"))
    address = cloud.server("alice")
    first, second = cloud.edge(DRAIN_SECONDS="60"), cloud.edge()
    for edge in (first, second):
        eventually(lambda edge=edge: edge.status() == 200, within=60)
    api = first.get(ALICE)
    assert (api.who, api.said["headers"]["host"]) == ("API", ["api.example.org"])

    sequence = cloud.route("alice", address)
    eventually(lambda: cloud.routing.is_served(sequence))
    assert [edge.who(ALICE) for edge in (first, second)] == ["alice", "alice"]
    assert {report.edge_id for report in cloud.routes.reports()} == {"edge-1", "edge-2"}
    first.get(ALICE, "POST")
    eventually(lambda: servers.get("s-alice-").last_activity_at)  # somebody changed something, and the edge says so

    first.process.send_signal(signal.SIGTERM)
    eventually(lambda: first.status() == 503)
    eventually(lambda: {report.edge_id for report in cloud.routes.reports()} == {"edge-2"})
    cloud.routing.remove(ALICE, "l1")
    for edge in (first, second):
        eventually(lambda edge=edge: edge.who(ALICE) == "API")  # who leaves still follows
    first.process.send_signal(signal.SIGTERM)
    assert first.process.wait(20) == 0
    assert first.get("/") is None
    assert second.status() == 200


def test_a_table_outage_stops_no_request_and_routes_follow_afterwards(cloud):
    cloud.database.create(expires=False)
    address = cloud.server("alice")
    cloud.route("alice", address)
    for number in range(3):
        cloud.route(f"u{number}", address)
    edge = cloud.ready_edge()
    echo = serve(lambda channel: [channel.send(message) for message in channel], "127.0.0.1", 0)
    threading.Thread(target=echo.serve_forever, daemon=True).start()
    cloud.undo.callback(echo.shutdown)
    cloud.route("socket", "127.0.0.1:{}".format(echo.socket.getsockname()[1]))
    eventually(lambda: edge.get("/user/socket/").status == 426)  # it wants an upgrade

    answers, done = [], threading.Event()

    def traffic():
        while not done.wait(0.005):
            answers.append(edge.who(ALICE))

    asking = threading.Thread(target=traffic)
    asking.start()
    try:
        with connect(f"ws://127.0.0.1:{edge.port}/user/socket/x", proxy=None) as channel:
            cloud.database.drop()
            eventually(lambda: "cannot read the route table" in edge.log.read_text())
            seen = len(answers)
            eventually(lambda: len(answers) > seen + 20)
            assert set(answers) == {"alice"}
            assert edge.status() == 200
            channel.send("still here")
            assert channel.recv(timeout=10) == "still here"

            cloud.database.create(expires=False)
            sequence = cloud.route("alice", address, "l2")
            eventually(lambda: cloud.routing.is_served(sequence), within=60)
            eventually(lambda: edge.who("/user/u1/") == "API")  # the new table has no such route
            assert edge.who(ALICE) == "alice"
            channel.send("still here")
            assert channel.recv(timeout=10) == "still here"
    finally:
        done.set()
        asking.join()
    assert set(answers) <= {"alice", "API"}  # every request got an answer


def test_an_edge_without_a_table_is_unhealthy_and_sends_all_to_the_api(cloud):
    edge = cloud.edge()
    eventually(lambda: edge.who(ALICE) == "API", within=60)
    assert edge.status() == 503
    cloud.database.create(expires=False)
    cloud.route("alice", cloud.server("alice"))
    eventually(lambda: edge.status() == 200)
    eventually(lambda: edge.who(ALICE) == "alice")  # a look at the table may fall before the route


def test_the_next_agent_adopts_the_haproxy_of_a_killed_one(cloud):
    cloud.database.create(expires=False)
    cloud.route("alice", cloud.server("alice"))
    edge = cloud.ready_edge()
    haproxy = edge.haproxy()
    edge.process.kill()
    edge.process.wait(20)
    cloud.route("bob", cloud.server("bob"))
    assert [edge.who(f"/user/{name}/") for name in ("alice", "bob")] == ["alice", "API"]
    edge.start()
    eventually(lambda: edge.who("/user/bob/") == "bob", within=60)
    assert (edge.haproxy(), edge.status()) == (haproxy, 200)


def test_a_restarted_instance_drains_and_comes_back_with_current_routes(cloud):
    """What its service does when the instance is stopped is SIGTERM, and the same command when it comes up again."""
    cloud.database.create(expires=False)
    address = cloud.server("alice")
    cloud.route("alice", address)
    cloud.route("gone", address, "l2")
    edge = cloud.ready_edge(**ECONOMY)
    haproxy = edge.haproxy()
    assert [edge.who(ALICE), edge.get("/user/bob/").status] == ["alice", 503]

    edge.process.send_signal(signal.SIGTERM)
    assert edge.process.wait(20) == 0
    assert cloud.routes.reports() == []
    with pytest.raises(ProcessLookupError):
        os.kill(haproxy, 0)

    cloud.routing.remove("/user/gone/", "l2")
    sequence = cloud.route("bob", cloud.server("bob"), "l3")
    edge.start()
    eventually(lambda: cloud.routing.is_served(sequence), within=60)
    assert [edge.who(f"/user/{name}/") for name in ("alice", "bob")] == ["alice", "bob"]
    assert (edge.get("/user/gone/").status, edge.status()) == (503, 200)


def test_a_hanging_table_delays_neither_requests_nor_haproxys_supervision(cloud):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        edge = cloud.edge(ENDPOINT=f"http://127.0.0.1:{silent.getsockname()[1]}")
        eventually(lambda: edge.who(ALICE) == "API", within=60)
        haproxy = edge.haproxy()
        os.kill(haproxy, signal.SIGKILL)
        eventually(lambda: edge.haproxy() != haproxy and edge.who(ALICE) == "API", within=60)
        assert edge.status() == 503
        edge.end()
    assert edge.process.returncode == 0


def test_wrong_settings_end_it_with_a_message(tmp_path):
    ended = subprocess.run(
        [sys.executable, "-m", "edge_proxy"],
        cwd=TOP,
        env={"HUBLESS_EDGE_TABLE": "hubless"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 2
    assert "HUBLESS_EDGE_REGION is missing" in ended.stderr
    assert "Traceback" not in ended.stderr
