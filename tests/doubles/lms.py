"""An LMS in this process, which signs as Canvas and as Moodle do, and which a test makes misbehave.

It checks what a strict LMS checks: the redirect URI, the hub's assertion against the hub's key set, scopes of tokens,
and, as Canvas, that a login hint is used once. It differs from real ones in that nobody types a password: whoever is in
*person* is logged in.
"""

import html
import http.server
import json
import threading
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import KeySet

from hubless.adapters.jose.fetching import Answer, Fetcher, FetchError
from tests.doubles.signers import key_set, rsa_key, signed

CLAIM = "https://purl.imsglobal.org/spec/lti/claim/"
DL = "https://purl.imsglobal.org/spec/lti-dl/claim/"
SCOPE = "https://purl.imsglobal.org/spec/"
LIS = "http://purl.imsglobal.org/vocab/lis/v2/"
LEARNER, INSTRUCTOR = f"{LIS}membership#Learner", f"{LIS}membership#Instructor"
CANVAS_TEACHER = [
    f"{LIS}institution/person#Instructor",
    f"{LIS}system/person#User",
    INSTRUCTOR,
    f"{LIS}membership/instructor#TeachingAssistant",
]
MOODLE_ADMIN = [f"{LIS}institution/person#Administrator", f"{LIS}system/person#Administrator", LEARNER]
SERVICES = [
    f"{SCOPE}lti-ags/scope/lineitem",
    f"{SCOPE}lti-ags/scope/score",
    f"{SCOPE}lti-ags/scope/result.readonly",
    f"{SCOPE}lti-nrps/scope/contextmembership.readonly",
]
ADA = {"sub": "7b0e0a1c-ada", "name": "Ada Lovelace", "email": "ada@school.example.org"}


@dataclass
class LmsDouble:
    """One LMS. Whatever a test sets counts from the next request on."""

    clock: object
    issuer: str = "https://lms.example.org"
    client_id: str = "10000000000042"
    kind: str = "moodle"
    deployment_id: str = "3"
    hub_url: str = "https://hub.test"
    hub_keys: object = None  # returns the hub's key set
    person: dict = field(default_factory=lambda: dict(ADA))
    roles: list = field(default_factory=lambda: [LEARNER])
    context: dict = field(default_factory=lambda: {"id": "101", "label": "BIO 101", "title": "Biology"})
    custom: dict = field(default_factory=dict)
    claims: dict = field(default_factory=dict)  # what differs; None removes
    key: object = None
    algorithm: str = "RS256"
    published: list = None
    members: list = field(default_factory=list)
    page_size: int = 50
    items: dict = field(default_factory=dict)  # line items by address
    scores: list = field(default_factory=list)
    tokens: dict = field(default_factory=dict)  # scopes by access token
    given_tokens: int = 0
    refused_scopes: set = field(default_factory=set)
    down: set = field(default_factory=set)
    registered: list = field(default_factory=list)
    configuration: dict = field(default_factory=dict)
    requests: list = field(default_factory=list)
    hints: set = field(default_factory=set)
    links: list = field(default_factory=list)  # that a teacher added

    def __post_init__(self):
        self.key = self.key or rsa_key()

    # --- with a browser ---

    def initiation(self, target="/hub/lti/launch", **more):
        """Return what the LMS sends at the beginning; each hint is good for one message."""
        hint = f"hint-{len(self.hints)}"
        self.hints.add(hint)
        facts = {
            "iss": self.issuer,
            "login_hint": self.person["sub"],
            "target_link_uri": self.hub_url + target,
            "lti_message_hint": hint,
            "client_id": self.client_id,
            "lti_deployment_id": self.deployment_id,
        }
        return {name: text for name, text in (facts | more).items() if text is not None}

    def authorize(self, url):
        """Return what the LMS lets the browser post to the hub, for the address that the hub sent the browser to."""
        asked = dict(parse_qsl(urlsplit(url).query))
        for name, expected in {
            "scope": "openid",
            "response_type": "id_token",
            "response_mode": "form_post",
            "prompt": "none",
            "client_id": self.client_id,
            "redirect_uri": f"{self.hub_url}/hub/lti/launch",
            "login_hint": self.person["sub"],
        }.items():
            assert asked[name] == expected, name
        if self.kind == "canvas" and asked["lti_message_hint"] not in self.hints:
            return {"error": "invalid_request_object", "error_description": "used", "state": asked["state"]}
        self.hints.discard(asked["lti_message_hint"])
        return {"state": asked["state"], "id_token": self.message(asked["nonce"])}

    def message(self, nonce, more=None):
        now = int(self.clock.now().timestamp())
        base = self.issuer.rstrip("/")
        audience = [self.client_id] if self.kind == "blackboard" else self.client_id
        standard = {
            "iss": self.issuer,
            "aud": audience,
            "azp": self.client_id,
            "iat": now,
            "exp": now + (60 if self.kind == "moodle" else 3600),
            "nonce": nonce,
            **self.person,
            f"{CLAIM}version": "1.3.0",
            f"{CLAIM}message_type": "LtiResourceLinkRequest",
            f"{CLAIM}deployment_id": self.deployment_id,
            f"{CLAIM}target_link_uri": f"{self.hub_url}/hub/lti/launch",
            f"{CLAIM}resource_link": {"id": "5"},
            f"{CLAIM}roles": self.roles,
            f"{CLAIM}context": self.context,
            f"{CLAIM}custom": {"section": "$CourseSection.sourcedId", **self.custom},
            f"{CLAIM}lis": {"person_sourcedid": "$Person.sourcedId"},
            f"{SCOPE}lti-ags/claim/endpoint": {"scope": SERVICES[:3], "lineitems": f"{base}/items?type_id=1"},
            f"{SCOPE}lti-nrps/claim/namesroleservice": {
                "context_memberships_url": f"{base}/members?limit={self.page_size}",
                "service_versions": ["2.0"],
            },
        }
        claims = {name: given for name, given in (standard | self.claims | (more or {})).items() if given is not None}
        return signed(claims, self.key, self.algorithm)

    def asks_for_a_link(self, data="opaque"):
        """Have the next message ask for a link."""
        base = self.issuer.rstrip("/")
        self.claims |= {
            f"{CLAIM}message_type": "LtiDeepLinkingRequest",
            f"{DL}deep_linking_settings": {
                "deep_link_return_url": f"{base}/return",
                "accept_types": ["ltiResourceLink"],
                "data": data,
            },
        }

    # --- as a server ---

    def answer(self, method, path, query, headers, body):  # noqa: PLR0911 one line a path reads best
        """Return status, headers and body of the answer to one request; None if the LMS is down there."""
        if path in self.down:
            return None
        match method, path:
            case "GET", "/keys":
                return 200, {}, key_set(*([self.key] if self.published is None else self.published))
            case "POST", "/token":
                return self.token(dict(parse_qsl(body)))
            case "GET", "/members":
                return self.allowed(headers, SERVICES[3]) or self.page_of_members(query)
            case "GET", "/items":
                return self.allowed(headers, SERVICES[0]) or (200, {}, list(self.items.values()))
            case "POST", "/items":
                return self.allowed(headers, SERVICES[0]) or self.add_item(json.loads(body))
            case "GET", "/openid-configuration":
                return 200, {}, self.own_configuration()
            case "POST", "/register":
                return self.register(json.loads(body))
        if method == "POST" and path.endswith("/scores"):
            return self.allowed(headers, SERVICES[1]) or self.take_score(path, query, json.loads(body))
        if method == "GET" and path.endswith("/results"):
            return self.allowed(headers, SERVICES[2]) or (200, {}, [{"userId": "1", "resultScore": 0.5}])
        return 404, {}, {}

    def token(self, fields):
        assertion = jwt.decode(fields["client_assertion"], KeySet.import_key_set(self.hub_keys()), algorithms=["RS256"])
        claims, now = assertion.claims, int(self.clock.now().timestamp())
        good = (
            fields["grant_type"] == "client_credentials"
            and claims["iss"] == claims["sub"] == self.client_id
            and claims["aud"] == f"{self.issuer.rstrip('/')}/token"
            and claims["iat"] <= now < claims["exp"] <= now + 300
            and claims["jti"]
        )
        if not good or fields["scope"] in self.refused_scopes:
            return 400, {}, {"error": "invalid_scope" if good else "invalid_client"}
        self.given_tokens += 1
        token = f"token-{self.given_tokens}"
        self.tokens[token] = fields["scope"]
        return 200, {}, {"access_token": token, "token_type": "Bearer", "expires_in": 3600, "scope": fields["scope"]}

    def allowed(self, headers, scope):
        token = headers.get("authorization", "").removeprefix("Bearer ")
        if self.tokens.get(token) != scope:
            return 401, {}, {"error": "invalid_token"}
        return None

    def page_of_members(self, query):
        start = int(query.get("start", 0))
        shown = self.members[start : start + self.page_size]
        following = start + self.page_size
        there = f"{self.issuer.rstrip('/')}/members?{urlencode({'start': following})}"
        links = {"link": f'<{there}>; rel="next", <https://x/y>; rel="first"'} if following < len(self.members) else {}
        return 200, links, {"id": "x", "context": self.context, "members": shown}

    def add_item(self, item):
        address = f"{self.issuer.rstrip('/')}/items/{len(self.items) + 1}/lineitem?type_id=1"
        self.items[address] = {**item, "id": address}
        return 201, {}, self.items[address]

    def take_score(self, path, query, score):
        address = f"{self.issuer.rstrip('/')}{path.removesuffix('/scores')}?{urlencode(query)}"
        if address not in self.items:
            return 404, {}, {}
        self.scores.append((address, score))
        return 204, {}, {}

    def own_configuration(self):
        base = self.issuer.rstrip("/")
        standard = {
            "issuer": self.issuer,
            "authorization_endpoint": f"{base}/auth",
            "token_endpoint": f"{base}/token",
            "jwks_uri": f"{base}/keys",
            "registration_endpoint": f"{base}/register",
            "https://purl.imsglobal.org/spec/lti-platform-configuration": {"product_family_code": self.kind},
        }
        return {name: given for name, given in (standard | self.configuration).items() if given is not None}

    def register(self, tool):
        self.registered.append(tool)
        return 200, {}, {**tool, "client_id": self.client_id}

    def form(self, action, fields, button="Go"):
        """Return a page whose form a browser sends at once, as LMS do."""
        inputs = "".join(
            f'<input type="hidden" name="{html.escape(name)}" value="{html.escape(text)}">'
            for name, text in fields.items()
        )
        return (
            f'<!doctype html><title>LMS</title><form id="f" method="post" action="{html.escape(action)}">{inputs}'
            f"<button>{button}</button></form><script>document.getElementById('f').submit()</script>"
        )


class DoubleFetcher(Fetcher):
    """Hands requests to a double instead of the network."""

    def __init__(self, double):
        super().__init__()
        self.double = double

    def request(self, method, url, headers=None, body=None):
        parts = urlsplit(url)
        self.double.requests.append((method, url))
        lower = {name.lower(): text for name, text in (headers or {}).items()}
        answer = None
        if f"{parts.scheme}://{parts.netloc}" == self.double.issuer.rstrip("/"):
            answer = self.double.answer(method, parts.path, dict(parse_qsl(parts.query)), lower, body or "")
        if answer is None:
            raise FetchError(f"{parts.netloc} gave no answer to {method} {parts.path}: it is down.")
        status, sent, given = answer
        return Answer(status, sent, b"" if status == 204 else json.dumps(given).encode())


class LmsServer:
    """The double as a web site at http://127.0.0.1: a course with a link in a frame, in the page, and a chooser."""

    def __init__(self, double):
        self.double = double
        site = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                site.handle(self)

            do_POST = do_GET

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        double.issuer = self.url
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def handle(self, request):
        parts = urlsplit(request.path)
        query = dict(parse_qsl(parts.query))
        body = request.rfile.read(int(request.headers.get("content-length", 0))).decode()
        page = self.page(parts.path, query, body, f"{self.url}{request.path}")
        if page is not None:
            return self.send(request, 200, {"content-type": "text/html; charset=utf-8"}, page.encode())
        lower = {name.lower(): text for name, text in request.headers.items()}
        status, headers, given = self.double.answer(request.command, parts.path, query, lower, body)
        sent = b"" if status == 204 else json.dumps(given).encode()
        return self.send(request, status, {"content-type": "application/json", **headers}, sent)

    def page(self, path, query, body, url):
        target = query.get("target", "/hub/lti/launch")
        match path:
            case "/course":  # a frame in the page, as Canvas and Moodle have it
                there = html.escape(f"/start?{urlencode({'target': target})}")
                frame = f'<iframe name="tool" width="900" height="700" src="{there}"></iframe>'
                return f"<!doctype html><title>Course</title>{frame}"
            case "/start":
                return self.double.form(f"{self.double.hub_url}/hub/lti/login", self.double.initiation(target=target))
            case "/auth":
                asked = dict(parse_qsl(urlsplit(url).query))
                return self.double.form(asked["redirect_uri"], self.double.authorize(url))
            case "/return":
                token = dict(parse_qsl(body))["JWT"]
                claims = jwt.decode(token, KeySet.import_key_set(self.double.hub_keys()), algorithms=["RS256"]).claims
                self.double.links += claims[f"{DL}content_items"]
                return "<!doctype html><title>Added</title><p>The link was added.</p>"
        return None

    @staticmethod
    def send(request, status, headers, body):
        request.send_response(status)
        for name, text in headers.items():
            request.send_header(name, text)
        request.send_header("content-length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)
