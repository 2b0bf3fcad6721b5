"""The account behind a loopback port, for programs that are given `endpoint_url`."""

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.doubles.ecs.wire import answer, read
from tests.support.http_servers import running


@contextmanager
def serve(account, port=0, guard=None):
    """Answer for *account* until the block ends, and give the address; its time should be the machine's.

    Other users of the account hold *guard* meanwhile.
    """
    guard = guard or threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_any(self):
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            with guard:
                status, headers, said = answer(
                    account, *read(self.command, f"http://{self.headers['Host']}{self.path}", self.headers, body)
                )
            self.send_response(status)
            for name, value in (headers | {"Content-Length": str(len(said))}).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(said)

        do_GET = do_POST = do_PUT = do_DELETE = do_any

        def log_message(self, *_):
            pass

    server = running(ThreadingHTTPServer(("127.0.0.1", port), Handler))
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
