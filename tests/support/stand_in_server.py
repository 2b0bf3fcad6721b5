"""A program that answers as a user's server does, as far as a hub looks, and tells the hub once that it is active."""

import json
import os
import sys
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.request import Request, urlopen


class Answers(BaseHTTPRequestHandler):
    """Says yes to everything."""

    def do_GET(self):
        self.send_response(200)
        self.end_headers()


server = HTTPServer(("127.0.0.1", int(sys.argv[1])), Answers)
now = datetime.now(UTC).isoformat()
report = {"servers": {os.environ.get("JUPYTERHUB_SERVER_NAME", ""): {"last_activity": now}}, "last_activity": now}
if "JUPYTERHUB_ACTIVITY_URL" in os.environ:
    headers = {"Authorization": f"token {os.environ['JUPYTERHUB_API_TOKEN']}"}
    request = Request(os.environ["JUPYTERHUB_ACTIVITY_URL"], json.dumps(report).encode(), headers)
    with urlopen(request):
        pass
server.serve_forever()
