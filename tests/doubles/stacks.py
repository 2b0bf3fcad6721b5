"""CloudFormation and Lambda as an operator's commands ask them: a stage's resources, and a function's variables."""

import json
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs
from xml.sax.saxutils import escape

from tests.support.http_servers import running

NAMESPACE = "http://cloudformation.amazonaws.com/doc/2010-05-15/"


@contextmanager
def stack_outputs_server(hub, variables):
    """Serve both at one address: the stacks of *hub*, and *variables* as those of its function api."""
    made = {f"{hub}-control": [("AWS::Lambda::Function", "ApiFunction12345678", "api")], f"{hub}-web": []}

    class Answer(BaseHTTPRequestHandler):
        def do_POST(self):
            asked = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
            assert asked["Action"] == ["ListStackResources"], asked
            stack = asked["StackName"][0]
            if stack not in made:
                message = f"Stack with id {escape(stack)} does not exist"
                text = f"<Error><Code>ValidationError</Code><Message>{message}</Message></Error>"
                return self.give(400, f'<ErrorResponse xmlns="{NAMESPACE}">{text}</ErrorResponse>')
            names = ("ResourceType", "LogicalResourceId", "PhysicalResourceId")
            members = "".join(
                "<member>"
                + "".join(f"<{name}>{escape(text)}</{name}>" for name, text in zip(names, one, strict=True))
                + "</member>"
                for one in made[stack]
            )
            summaries = f"<StackResourceSummaries>{members}</StackResourceSummaries>"
            result = f"<ListStackResourcesResult>{summaries}</ListStackResourcesResult>"
            return self.give(
                200, f'<ListStackResourcesResponse xmlns="{NAMESPACE}">{result}</ListStackResourcesResponse>'
            )

        def do_GET(self):
            assert self.path.endswith("/functions/api/configuration"), self.path
            self.give(200, json.dumps({"FunctionName": "api", "Environment": {"Variables": dict(variables)}}))

        def give(self, status, text):
            self.send_response(status)
            self.send_header("Content-Length", str(len(text.encode())))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *args):
            pass

    server = running(ThreadingHTTPServer(("127.0.0.1", 0), Answer))
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
