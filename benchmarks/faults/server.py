"""A user's server in the benchmark of faults: answers with its owner's name, and keeps WebSockets to which it sends.

The server of a user whose name begins with `hang` takes connections and answers none.
"""

import base64
import hashlib
import os
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

OWNER = os.environ["JUPYTERHUB_USER"]
FRAME = b"\x81\x01x"  # a text of one letter, RFC 6455
EVERY_SECONDS = 0.5


class Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.headers.get("Upgrade", "").lower() == "websocket":
            self.push()
            return
        self.answer()

    def do_POST(self):
        self.answer()

    def answer(self):
        body = OWNER.encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def push(self):
        key = self.headers["Sec-WebSocket-Key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        self.send_header("Sec-WebSocket-Accept", base64.b64encode(hashlib.sha1(key.encode()).digest()).decode())
        self.end_headers()
        self.close_connection = True
        try:
            while True:
                self.wfile.write(FRAME)
                self.wfile.flush()
                time.sleep(EVERY_SECONDS)
        except OSError:
            pass  # who reads has gone

    def log_message(self, *args):
        pass


class Server(ThreadingHTTPServer):
    request_queue_size = 128


with Server(("127.0.0.1", urlsplit(os.environ["JUPYTERHUB_SERVICE_URL"]).port), Answer) as server:
    if OWNER.startswith("hang"):
        time.sleep(86_400)
    server.serve_forever()
