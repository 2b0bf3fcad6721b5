"""A real HAProxy with its agent, a route table in SQLite, an API and servers that say what reached them."""

import contextlib
import shutil
import socket
import tempfile
import threading
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from websockets.sync.client import connect
from websockets.sync.server import serve

from edge_proxy.agent import Agent
from edge_proxy.haproxy_binary import HAProxyBinary
from edge_proxy.haproxy_config import EdgeConfiguration, UnixSocket
from hubless.adapters.sqlite.database import Database
from hubless.adapters.sqlite.routes import SqliteRouteStore
from hubless.domain.errors import StoreUnavailableError
from hubless.domain.routes import Route, ServerKey
from tests.support.free_port import free_port
from tests.support.http_servers import Echo, TcpServer, Told, UnixServer, ask_on, running
from tests.support.sqlite import with_tables

OF_AGENT = (
    "heartbeat_seconds",
    "full_reload_after_seconds",
    "unhealthy_after_seconds",
    "report_activity",
    "activity_seconds",
)
SUBPROTOCOL = "v1.kernel.websocket.jupyter.org"


class AwayStore:
    """A route table that can be taken away."""

    def __init__(self, real: SqliteRouteStore) -> None:
        self._real = real
        self.is_away = False
        self.refuses = ""

    def __getattr__(self, name: str) -> Any:
        if self.is_away or name == self.refuses:
            raise StoreUnavailableError("the table is away")
        return getattr(self._real, name)


class World:
    """An edge with everything around it."""

    def __init__(self, folder: Path, database: Path, haproxy: HAProxyBinary | None) -> None:
        self.folder, self.haproxy = folder, haproxy
        self.port = free_port()
        self.routes = SqliteRouteStore(Database(with_tables(database)))
        self.store = AwayStore(self.routes)
        self.api_socket = folder / "api.sock"
        self._undo = contextlib.ExitStack()
        self.agents: list[Agent] = []
        self.addresses: dict[str, str] = {}
        self.start_api()

    def start_api(self) -> None:
        self.api_socket.unlink(missing_ok=True)
        self.api = running(UnixServer(str(self.api_socket), Echo))

    def stop_api(self) -> None:
        self.api.shutdown()
        self.api.server_close()
        self.api_socket.unlink()

    def agent(self, **facts: Any) -> Agent:
        of_agent = {name: facts.pop(name) for name in OF_AGENT if name in facts}
        facts = {
            "host": "127.0.0.1",
            "port": self.port,
            "api": UnixSocket(self.api_socket),
            "run_folder": self.folder / "e",
            "max_connections": 200,
        } | facts
        agent = Agent(
            EdgeConfiguration(**facts),
            self.store,  # type: ignore[arg-type]
            edge_id="edge-1",
            clock=lambda: datetime.now(UTC),
            poll_seconds=0.001,
            max_backoff_seconds=0,
            haproxy=self.haproxy,
            **of_agent,
        )
        self.agents.append(agent)
        return agent

    def started(self, **facts: Any) -> Agent:
        agent = self.agent(**facts)
        agent.start()
        return agent

    def server(self, name: str, handler: type[Echo] = Echo) -> str:
        """Start a server that says *name*, and return its address."""
        if name not in self.addresses:
            server = TcpServer(("127.0.0.1", 0), handler)
            server.name = name
            running(server)
            self._undo.callback(server.server_close)
            self._undo.callback(server.shutdown)
            self.addresses[name] = "127.0.0.1:{}".format(server.server_address[1])
        return self.addresses[name]

    def route(self, prefix: str, name: str) -> None:
        self.routes.put(Route(prefix, self.server(name), f"launch-{name}", ServerKey(f"s-{name}", f"u-{name}")))

    def web_socket_server(self) -> str:
        """Start a WebSocket server that echoes, and return its address."""
        server = serve(lambda socket_: [socket_.send(m) for m in socket_], "127.0.0.1", 0, subprotocols=[SUBPROTOCOL])  # type: ignore[list-item]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self._undo.callback(server.shutdown)
        return f"127.0.0.1:{server.socket.getsockname()[1]}"

    def web_socket(self, path: str, host: str = "127.0.0.1", headers: Mapping[str, str] | None = None) -> Any:
        """Open a WebSocket at *host*, which is this edge."""
        return connect(
            f"ws://{host}:{self.port}{path}",
            address=("127.0.0.1", self.port),
            subprotocols=[SUBPROTOCOL],
            proxy=None,
            additional_headers=headers,
            ping_interval=None,  # type: ignore[list-item]
        )

    def ask(self, path: str, method: str = "GET", headers: tuple[str, ...] = (), body: str = "", **host: str) -> Told:
        """Send *path* just as it is."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=20) as line:
            return ask_on(line, path, method, (*headers, "Connection: close"), body, **host)

    def abandon_agents(self) -> None:
        """Leave HAProxy running without its agent, as when the agent is killed."""
        for agent in self.agents:
            process = agent._haproxy._process
            assert process is not None
            self._undo.callback(process.wait, 20)  # it is still a child of this process
        self.agents.clear()

    def close(self) -> None:
        self.store.is_away = False
        for agent in self.agents:
            agent.close()
        self.api.shutdown()
        self.api.server_close()
        self._undo.close()


@contextlib.contextmanager
def edge_world(database: Path, haproxy: HAProxyBinary | None = None) -> Iterator[World]:
    """Yield an edge's world; its HAProxy ends with it."""
    folder = Path(tempfile.mkdtemp(prefix="edge-", dir="/tmp"))  # a unix socket's path has at most 107 bytes
    world = World(folder, database, haproxy)
    try:
        yield world
    finally:
        world.close()
        shutil.rmtree(folder, ignore_errors=True)
