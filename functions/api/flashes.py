"""Flash messages: what a form's answer says on the page to which it redirects, once."""

import hashlib
from typing import Any

from itsdangerous import BadData, URLSafeTimedSerializer
from starlette.requests import Request
from starlette.responses import Response

from functions.api.auth import csrf
from functions.api.auth.cookies import FLASH_COOKIE, HUB_PATH, cookies, is_secure
from functions.api.auth.visitors import visitor
from functions.api.dependencies import hub_of
from hubless.domain.tokens import Session
from hubless.domain.translatable import Message

LIFETIME = 60  # seconds from a form to the page after it
MAX_FLASH = 2_000  # characters of the cookie; browsers keep 4096 bytes


def flash(request: Request, response: Response, said: Message, session: Session | None = None) -> None:
    """Have the next page say *said* to the sender of *request*, once, in their language.

    *session* is the one that this answer begins, if it begins one.

    The cookie is signed and bound to the sender's session, so pages show no text of anybody else's. A sentence that is
    too long for a cookie is left out: what the form asked for is done all the same.
    """
    token = csrf.session_token(hub_of(request).key, session.sha256) if session else visitor(request).xsrf
    facts = [_binding(token), said.msgid, said.plural, said.number, said.parameters]
    sealed = str(_serializer(request).dumps(facts))
    if len(sealed) > MAX_FLASH:
        return
    secure = is_secure(request)
    response.set_cookie(
        FLASH_COOKIE, sealed, max_age=LIFETIME, path=HUB_PATH, httponly=True, samesite="lax", secure=secure
    )


def flash_of(request: Request) -> Message | None:
    """Return what a form's answer left to say, or None."""
    for sent in cookies(request, FLASH_COOKIE)[:1]:
        if len(sent) > MAX_FLASH:
            return None
        try:
            facts = _serializer(request).loads(sent, max_age=LIFETIME)
        except BadData:
            return None
        return _message(request, facts)
    return None


def forget_flash(request: Request, response: Response) -> None:
    """Have the browser forget what a page has said."""
    if FLASH_COOKIE in request.cookies:
        response.delete_cookie(FLASH_COOKIE, path=HUB_PATH, secure=is_secure(request), httponly=True, samesite="lax")


def _message(request: Request, facts: Any) -> Message | None:
    binding, msgid, plural, number, parameters = facts
    return (
        Message(msgid, parameters, plural=plural, count=number) if binding == _binding(visitor(request).xsrf) else None
    )


def _binding(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()[:16]


def _serializer(request: Request) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(hub_of(request).key, salt="hubless.flash")
