"""EC2 as far as the edge's machine needs it: one instance that is started and stopped, asked as AWS is.

What is on its way up cannot be stopped, and what is on its way down not be started (IncorrectInstanceState); what is
there already is no error.

Facts: EC2-1, EC2-4.
"""

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

INSTANCE = "i-0123456789abcdef0"
_CODES = {"pending": 0, "running": 16, "stopping": 64, "stopped": 80}
_TURNS = {  # call → from which state to which, and in which it is refused
    "StartInstances": ("stopped", "pending", "stopping"),
    "StopInstances": ("running", "stopping", "pending"),
}


class Machine:
    """What runs on the instance: at each start of it, *make* returns an object with `start`, `run` and `close`."""

    def __init__(self, ec2, make):
        self._ec2, self._make, self._leaving = ec2, make, threading.Event()
        self._up = None
        self._watching = threading.Thread(target=self._watch, daemon=True)
        self._watching.start()

    def close(self):
        self._leaving.set()
        self._watching.join(20)
        self._go_down()

    def _watch(self):
        while not self._leaving.wait(0.05):
            if self._ec2.state == "pending":
                self._come_up()
                self._ec2.arrive()
            elif self._ec2.state == "stopping":
                self._go_down()
                self._ec2.arrive()

    def _come_up(self):
        what, received = self._make(), threading.Event()
        what.start()
        running = threading.Thread(target=what.run, args=(received,), daemon=True)
        running.start()
        self._up = what, received, running

    def _go_down(self):
        if self._up:
            what, received, running = self._up
            received.set()
            running.join(20)
            what.close()
            self._up = None


class Ec2:
    """One instance. A test, or what runs on it, says when it has arrived: `arrive`."""

    def __init__(self, state="running"):
        self.state, self.calls = state, []
        self.refuses = None  # a code of EC2's
        self._guard = threading.Lock()

    def arrive(self):
        """Let it be where it is on its way to."""
        self.state = {"pending": "running", "stopping": "stopped"}.get(self.state, self.state)

    def answer(self, form):
        """Return status and XML for what was asked."""
        call, instance = form["Action"][0], form["InstanceId.1"][0]
        with self._guard:
            self.calls.append(call)
            if code := self._refusal(call, instance):
                return (
                    400,
                    f"<Response><Errors><Error><Code>{code}</Code><Message>no</Message></Error></Errors></Response>",
                )
            before, (begins, becomes, _) = self.state, _TURNS[call]
            if self.state == begins:
                self.state = becomes
            states = "".join(
                f"<{when}State><code>{_CODES[state]}</code><name>{state}</name></{when}State>"
                for when, state in (("current", self.state), ("previous", before))
            )
        item = f"<instancesSet><item><instanceId>{instance}</instanceId>{states}</item></instancesSet>"
        return 200, f'<{call}Response xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">{item}</{call}Response>'

    def _refusal(self, call, instance):
        if self.refuses:
            return self.refuses
        if instance != INSTANCE:
            return "InvalidInstanceID.NotFound"
        return "IncorrectInstanceState" if self.state == _TURNS[call][2] else None


@contextmanager
def serve(ec2):
    """Answer for *ec2* on a port of this machine, and give its address."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
            status, received = ec2.answer(form)
            self.send_response(status)
            self.send_header("Content-Type", "text/xml")
            self.send_header("Content-Length", str(len(received)))
            self.end_headers()
            self.wfile.write(received.encode())

        def log_message(self, *_):
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

    server = Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
