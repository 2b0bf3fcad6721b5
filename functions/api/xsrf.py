"""Proof that a request comes from our own page: tokens bound to the browser session, and the Sec-Fetch rules.

The rules are JupyterHub 6.1's, stricter where it was fooled: a foreign page's request counts for nothing whatever its
mode, unless it is a navigation that only reads.
"""

import hashlib
import hmac
from collections.abc import Container

from itsdangerous import BadSignature, URLSafeTimedSerializer
from starlette.requests import Request

ANONYMOUS_LIFETIME = 3600  # seconds, JupyterHub's
READ_ONLY = frozenset({"GET", "HEAD", "OPTIONS"})


def session_token(key: bytes, session_sha256: str) -> str:
    """Return the token of a logged-in browser's session: the same for its life, and of no use to any other."""
    return hmac.new(key, f"xsrf:{session_sha256}".encode(), hashlib.sha256).hexdigest()


def anonymous_token(key: bytes, agent: str, nonce: str) -> str:
    """Return a token for a form that is filled in before logging in; good for an hour in the same browser."""
    return str(_serializer(key).dumps([nonce, _digest(agent)]))


def is_anonymous_token(key: bytes, agent: str, token: str) -> bool:
    """Say whether *token* is one of ours, young enough and from this browser."""
    try:
        facts = _serializer(key).loads(token, max_age=ANONYMOUS_LIFETIME)
    except BadSignature:
        return False
    return isinstance(facts, list) and len(facts) == 2 and facts[1] == _digest(agent)  # noqa: PLR2004 nonce, browser


def needs_token(request: Request) -> bool:
    """Say whether a cookie alone proves too little for this request."""
    mode, site = request.headers.get("sec-fetch-mode"), request.headers.get("sec-fetch-site")
    if request.method not in READ_ONLY:
        return True
    if mode in {None, "navigate"}:
        return False
    return not (mode == "no-cors" and site == "same-origin")


def is_foreign(request: Request, own: Container[str | None]) -> bool:
    """Say whether the browser tells that a page of another origin than *own* hosts sent this, its own token or not.

    Older browsers, and all of them over plain http, send no Sec-Fetch-Site; all send Origin with what may change something.
    """
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site not in {"same-origin", "none"}
    origin = request.headers.get("origin")
    if origin is None:
        return False
    host = origin.partition("://")[2]  # none in `null`, which sandboxed frames send
    return not host or host not in own


def is_same(expected: str, given: str) -> bool:
    """Compare in constant time."""
    return hmac.compare_digest(expected.encode(), given.encode(errors="replace"))


def _serializer(key: bytes) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(key, salt="hubless.xsrf.anonymous")


def _digest(agent: str) -> str:
    return hashlib.sha256(agent.encode()).hexdigest()[:16]
