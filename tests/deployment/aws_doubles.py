"""What AWS does around a stage and MiniStack does not: CloudFront, ECS and its events, the edge's booting instance."""

import json
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx

from tests.doubles.ecs.processes import Processes

VIEWER = "192.0.2.1"


class Front(httpx.BaseTransport):
    """CloudFront, for a client that asks the hub by its own name: API Gateway is asked, with the headers of the front.

    *said* are those of the origin; requests that bypass CloudFront have none.
    """

    def __init__(self, stage, said):
        self._address, self._beyond = httpx.URL(stage.emulator), httpx.HTTPTransport()
        self._host = f"{stage.named('web', 'AWS::ApiGatewayV2::Api', 'Api')}.execute-api.127.0.0.1:{self._address.port}"
        self._said = said

    def handle_request(self, request):
        path = request.url.raw_path.decode().partition("?")[0]
        own = {
            "host": self._host,
            "x-hubless-path": path,
            "x-hubless-host": request.url.netloc.decode(),
            "x-hubless-address": VIEWER,
        }
        kept = {
            name: value
            for name, value in request.headers.items()
            if name != "host" and not name.startswith("x-hubless-")
        }
        url = self._address.copy_with(raw_path=request.url.raw_path)
        asked = httpx.Request(
            request.method, url, headers=kept | own | self._said, stream=request.stream, extensions=request.extensions
        )
        return self._beyond.handle_request(asked)

    def close(self):
        self._beyond.close()


@contextmanager
def listening(client):
    """Pass requests at a port of this machine on to *client*, for programs that cannot resolve the hub's name.

    Yields: the address.
    """

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_any(self):
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            kept = [
                (name, value)
                for name, value in self.headers.items()
                if name.lower() not in {"host", "connection", "accept-encoding"}
            ]
            received = client.request(self.command, self.path, headers=kept, content=body)
            self.send_response(received.status_code)
            for name, value in received.headers.multi_items():
                if name not in {
                    "content-length",
                    "transfer-encoding",
                    "connection",
                    "date",
                    "server",
                    "content-encoding",
                }:
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(received.content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(received.content)

        do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_any

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


class Servers(Processes):
    """Servers as processes that reach the hub, whose name nobody else knows, at *address*."""

    hub = address_of_hub = ""

    def start(self, task, environment):
        super().start(task, {name: value.replace(self.hub, self.address_of_hub) for name, value in environment.items()})


def settle(account, received):
    """Create in the double's account what the stack made, with the names in the functions' variables (*received*)."""
    account.clusters = {received["HUBLESS_CLUSTER"]: {"FARGATE", "FARGATE_SPOT"}}
    account.subnets, account.security_groups = (
        set(received["HUBLESS_SUBNETS"].split(",")),
        set(received["HUBLESS_SECURITY_GROUPS"].split(",")),
    )
    account.roles, account.log_groups = (
        {received["HUBLESS_EXECUTION_ROLE"], received["HUBLESS_TASK_ROLE"]},
        {received["HUBLESS_LOG_GROUP"]},
    )
    account.buckets, account.file_systems = {received["HUBLESS_BUCKET"]: {}}, {received["HUBLESS_FILE_SYSTEM"]}


@contextmanager
def events_of(account, guard, stage):
    """Invoke the target of the stage's rule with each event of *account* that matches it.

    EventBridge refuses events whose source is AWS.
    """
    events, leaving = stage.client("events"), threading.Event()
    rule = stage.named("control", "AWS::Events::Rule", "Tasks").rpartition("/")[2].rpartition("|")[2]
    pattern = events.describe_rule(Name=rule)["EventPattern"]
    (target,) = events.list_targets_by_rule(Rule=rule)["Targets"]

    def deliver():
        while not leaving.wait(0.1):
            with guard:
                news = account.take_news()
            for event in news:
                if events.test_event_pattern(EventPattern=pattern, Event=json.dumps(event))["Result"]:
                    stage.client("lambda").invoke(FunctionName=target["Arn"], Payload=json.dumps(event))

    worker = threading.Thread(target=deliver, daemon=True)
    worker.start()
    try:
        yield
    finally:
        leaving.set()
        worker.join(20)


@contextmanager
def schedule(stage, seconds):
    """Invoke the reaper every few *seconds*, as its schedule does once a minute. MiniStack runs no schedules."""
    leaving = threading.Event()

    def sweep():
        while not leaving.wait(seconds):
            stage.invoke("reaper", {"detail-type": "Scheduled Event"})

    worker = threading.Thread(target=sweep, daemon=True)
    worker.start()
    try:
        yield
    finally:
        leaving.set()
        worker.join(60)


class Instance:
    """The edge's instance in MiniStack as `Machine` wants it.

    MiniStack changes its state at once; here it changes once it has `arrived`.
    """

    LOOKS_EVERY = 0.5  # seconds

    def __init__(self, stage, instance):
        self._ec2, self.name = stage.client("ec2"), instance
        self._is_up, self._seen, self._at = False, "stopped", 0.0

    @property
    def state(self):
        if time.monotonic() - self._at > self.LOOKS_EVERY:
            self._seen, self._at = self.look(), time.monotonic()
        return {("running", False): "pending", ("stopped", True): "stopping"}.get((self._seen, self._is_up), self._seen)

    def look(self):
        (received,) = self._ec2.describe_instances(InstanceIds=[self.name])["Reservations"][0]["Instances"]
        return received["State"]["Name"]

    def arrive(self):
        self._is_up = self._seen == "running"
