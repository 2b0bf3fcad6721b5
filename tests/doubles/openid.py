"""An OpenID Connect provider and a GitHub in this process, which a test makes misbehave.

They check what a strict provider checks: the redirect URI, the client's authentication, the PKCE verifier, and that a
code is used once. They differ from real ones in that nobody types a password: `browse` logs *person* in at once.
"""

import base64
import hashlib
import json
from dataclasses import dataclass, field
from datetime import timedelta
from email.utils import format_datetime
from urllib.parse import parse_qsl, unquote_plus, urlsplit

from hubless.adapters.jose.fetching import Answer, Fetcher, FetchError
from tests.doubles.signers import key_set, rsa_key, signed

ISSUER = "https://idp.example.org"
SECRET = "a+secret/with:signs"
ADA = {"sub": "sub-ada", "preferred_username": "ada", "email": "ada@example.org", "email_verified": True}


class DoubleFetcher(Fetcher):
    """Hands requests to a double instead of the network."""

    def __init__(self, double):
        super().__init__()
        self.double = double

    def request(self, method, url, headers=None, body=None):
        self.double.requests.append((method, url))
        parts = urlsplit(url)
        fields = dict(parse_qsl(body or "", strict_parsing=bool(body)))
        answer = self.double.answer(method, parts.path, dict(parse_qsl(parts.query)), dict(headers or {}), fields)
        if answer is None:
            raise FetchError(f"{parts.netloc} gave no answer to {method} {parts.path}: it is down.")
        status, given = answer
        date = format_datetime(self.double.clock.now() + self.double.skew, usegmt=True)
        text = given if isinstance(given, bytes) else json.dumps(given).encode()
        return Answer(status, {"date": date}, text)


@dataclass
class OpenIdDouble:
    """One provider. Whatever a test sets counts from the next request on."""

    clock: object
    issuer: str = ISSUER
    client_id: str = "hub"
    secret: str = SECRET
    person: dict = field(default_factory=lambda: dict(ADA))
    in_id_token: tuple = ("sub", "email", "email_verified", "preferred_username", "groups", "sid", "hd", "idp")
    metadata: dict = field(default_factory=dict)  # what differs from the usual
    key: object = None
    algorithm: str = "RS256"
    published: list = None  # keys in the set, if not *key* alone
    token_claims: dict = field(default_factory=dict)  # what differs in the ID token; None removes a claim
    token_answer: dict = field(default_factory=dict)  # what differs in the token endpoint's answer; None removes
    userinfo: dict = field(default_factory=dict)  # what differs from *person*
    userinfo_status: int = 200
    authorization: dict = field(default_factory=dict)  # what differs in the answer that the browser brings
    down: set = field(default_factory=set)  # paths that do not answer
    skew: timedelta = timedelta()
    authentication: str = "client_secret_basic"
    requests: list = field(default_factory=list)
    codes: dict = field(default_factory=dict)
    refresh_tokens: dict = field(default_factory=dict)
    refreshed: int = 0

    def __post_init__(self):
        self.key = self.key or rsa_key()

    def browse(self, url):
        """Log *person* in at the address, and return what the browser brings back."""
        parts = urlsplit(url)
        asked = dict(parse_qsl(parts.query))
        assert asked["client_id"] == self.client_id
        assert asked["code_challenge_method"] == "S256"
        code = f"code-{len(self.codes)}"
        self.codes[code] = asked
        return {"code": code, "state": asked["state"], "iss": self.issuer} | self.authorization

    def answer(self, method, path, query, headers, fields):
        if path in self.down:
            return None
        path = path.removeprefix(urlsplit(self.issuer).path.rstrip("/"))
        match path:
            case "/.well-known/openid-configuration":
                return 200, without_none(self.standard_metadata() | self.metadata)
            case "/jwks":
                return 200, key_set(*([self.key] if self.published is None else self.published))
            case "/token":
                return self.token(headers, fields)
            case "/userinfo":
                return self.userinfo_status, without_none(self.person | self.userinfo)
        return 404, {}

    def standard_metadata(self):
        base = self.issuer.rstrip("/")
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{base}/auth",
            "token_endpoint": f"{base}/token",
            "jwks_uri": f"{base}/jwks",
            "userinfo_endpoint": f"{base}/userinfo",
            "end_session_endpoint": f"{base}/logout",
            "id_token_signing_alg_values_supported": ["RS256", "HS256", "none"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "private_key_jwt"],
            "authorization_response_iss_parameter_supported": True,
            "scopes_supported": ["openid", "profile", "email", "offline_access"],
        }

    def token(self, headers, fields):
        if not self.is_client(headers, fields):
            return 401, {"error": "invalid_client"}
        if fields["grant_type"] == "refresh_token":
            asked = self.refresh_tokens.pop(fields["refresh_token"], None)
            if asked is None:
                return 400, {"error": "invalid_grant"}
            self.refreshed += 1
            return self.given({})
        asked = self.codes.pop(fields["code"], None)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(fields["code_verifier"].encode()).digest()).rstrip(b"=")
        if asked is None or asked["redirect_uri"] != fields["redirect_uri"]:
            return 400, {"error": "invalid_grant"}
        if asked["code_challenge"] != challenge.decode():
            return 400, {"error": "invalid_grant"}
        return self.given({"nonce": asked["nonce"]})

    def given(self, more):
        new = f"refresh-{len(self.refresh_tokens) + self.refreshed}"
        self.refresh_tokens[new] = True
        now = int(self.clock.now().timestamp())
        claims = {"iss": self.issuer, "aud": self.client_id, "iat": now, "exp": now + 300, **more}
        claims |= {name: self.person[name] for name in self.in_id_token if name in self.person}
        token = signed(without_none(claims | self.token_claims), self.key, self.algorithm)
        standard = {"access_token": "access", "token_type": "Bearer", "id_token": token, "refresh_token": new}
        return 200, without_none(standard | self.token_answer)

    def is_client(self, headers, fields):
        """Check who asks, as strictly as RFC 6749 2.3.1 says: both parts of Basic are form-encoded."""
        if self.authentication == "client_secret_post":
            return (fields.get("client_id"), fields.get("client_secret")) == (self.client_id, self.secret)
        if self.authentication == "none":
            return fields.get("client_id") == self.client_id and "Authorization" not in headers
        if self.authentication == "private_key_jwt":
            self.assertion = fields.get("client_assertion", "")
            return bool(self.assertion)
        kind, _, pair = headers.get("Authorization", "").partition(" ")
        name, _, secret = base64.b64decode(pair).decode().partition(":")
        return kind == "Basic" and (unquote_plus(name), unquote_plus(secret)) == (self.client_id, self.secret)


@dataclass
class GithubDouble:
    """GitHub's pages and its REST API, with its habit of answering errors with status 200."""

    clock: object
    user: dict = field(default_factory=lambda: {"id": 17, "login": "Ada", "email": "typed@by.hand", "name": "Ada"})
    emails: list = field(
        default_factory=lambda: [
            {"email": "old@example.org", "primary": False, "verified": True},
            {"email": "ada@example.org", "primary": True, "verified": True},
        ]
    )
    organizations: list = field(default_factory=list)
    teams: list = field(default_factory=list)
    refusal: str = ""
    api_status: int = 200
    skew: timedelta = timedelta()
    requests: list = field(default_factory=list)
    asked: dict = field(default_factory=dict)

    def browse(self, url):
        self.asked = dict(parse_qsl(urlsplit(url).query))
        return {"code": "code", "state": self.asked["state"]}

    def answer(self, _method, path, query, headers, fields):
        if path == "/login/oauth/access_token":
            assert headers["Accept"] == "application/json"
            if self.refusal:
                return 200, {"error": self.refusal, "error_description": "secret words"}
            assert fields["client_secret"] == SECRET
            return 200, {"access_token": "access", "token_type": "bearer", "scope": "read:user,user:email"}
        path = path.removeprefix("/api/v3")
        if path == "/meta":
            return 200, {}
        assert headers["Authorization"] == "Bearer access"
        lists = {"/user/emails": self.emails, "/user/orgs": self.organizations, "/user/teams": self.teams}
        if path in lists:
            size, page = int(query.get("per_page", 30)), int(query.get("page", 1))
            return self.api_status, lists[path][size * (page - 1) : size * page]
        return (self.api_status, self.user) if path == "/user" else (404, {})


def without_none(given):
    return {name: known for name, known in given.items() if known is not None}
