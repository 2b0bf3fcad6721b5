"""An OAuth provider at a port of this machine, as a class of OAuthenticator asks one: strict, and with one person.

Nobody types a password: a browser that comes to `/authorize` is sent back at once.
"""

import base64
import contextlib
import hashlib
import http.server
import json
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlencode, urlsplit

from tests.support.http_servers import TcpServer, running


@dataclass
class OAuthDouble:
    """What the provider knows. Whatever a test sets counts from the next request on."""

    client_id: str = "hub"
    secret: str = "a+secret/with:signs"
    person: dict = field(default_factory=lambda: {"login": "Ada", "groups": ["staff", "maths"]})
    codes: dict = field(default_factory=dict)
    tokens: set = field(default_factory=set)
    refreshed: int = 0
    refuses: bool = False

    def authorize(self, asked):
        """Return where the browser is sent with its code."""
        assert asked["response_type"] == "code"
        assert asked["client_id"] == self.client_id
        back = {"state": asked["state"]}
        if self.refuses:
            return f"{asked['redirect_uri']}?{urlencode(back | {'error': 'access_denied'})}"
        code = f"code-{len(self.codes)}"
        self.codes[code] = asked
        return f"{asked['redirect_uri']}?{urlencode(back | {'code': code})}"

    def token(self, fields):
        """Return status and answer of the token endpoint."""
        if (fields.get("client_id"), fields.get("client_secret")) != (self.client_id, self.secret):
            return 401, {"error": "invalid_client"}
        if fields["grant_type"] == "refresh_token":
            self.refreshed += 1
            return self._given() if fields["refresh_token"] == "refresh" else (400, {"error": "invalid_grant"})
        asked = self.codes.pop(fields["code"], None)
        if asked is None or asked["redirect_uri"] != fields["redirect_uri"]:
            return 400, {"error": "invalid_grant"}
        verifier = hashlib.sha256(fields.get("code_verifier", "").encode()).digest()
        if asked["code_challenge"] != base64.urlsafe_b64encode(verifier).decode().rstrip("="):
            return 400, {"error": "invalid_grant"}
        return self._given()

    def _given(self):
        token = f"access-{len(self.tokens) + self.refreshed}"
        self.tokens.add(token)
        return 200, {"access_token": token, "token_type": "Bearer", "refresh_token": "refresh", "scope": "openid"}

    def userinfo(self, token):
        """Return status and answer of the address that says who somebody is."""
        return (200, self.person) if token in self.tokens else (401, {"error": "invalid_token"})


@contextlib.contextmanager
def oauth_server():
    """Run a provider and yield its double and its address."""
    double = OAuthDouble()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            parts = urlsplit(self.path)
            if parts.path == "/authorize":
                self.send_response(302)
                self.send_header("Location", double.authorize(dict(parse_qsl(parts.query))))
                self.end_headers()
            else:
                self._say(*double.userinfo(self.headers.get("Authorization", "").removeprefix("Bearer ")))

        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            self._say(*double.token(dict(parse_qsl(body))))

        def _say(self, status, answer):
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(json.dumps(answer).encode())

        def log_message(self, *_):
            pass

    server = running(TcpServer(("127.0.0.1", 0), Handler))
    try:
        yield double, f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
