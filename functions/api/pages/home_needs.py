"""What home tells its visitor first: tokens that end soon, servers newly shared with them, and sign-ups that wait."""

import hashlib
import re
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from functions.api.auth.cookies import HUB_PATH, SEEN_COOKIE, cookies, is_secure
from functions.api.serializers import instant
from hubless.bootstrap.hub import Hub
from hubless.domain.shares import Share
from hubless.domain.users import User
from hubless.services.identity import Actor

ENDS_SOON = timedelta(days=7)
SHOWN_TOKENS, NOTE = 5, 60  # tokens that the page names, and characters of their notes
NEW_FOR = timedelta(days=14)  # how long a share may be news
MAX_SEEN = 100  # shares that a browser remembers as seen: those of one form, and 1.7 kB of a cookie's 4
_DIGITS = 16
_MARK = re.compile(rf"[0-9a-f]{{{_DIGITS}}}")


async def needs_of(hub: Hub, who: Actor, user: User) -> list[dict[str, Any]]:
    """Return what the visitor should know, by `kind`: sign-ups that wait for who may add users, and ending tokens."""
    return [*_sign_ups(hub, who), *_ending_tokens(hub, user)]


def _ending_tokens(hub: Hub, user: User) -> list[dict[str, Any]]:
    """Return the visitor's own tokens that end soon, the first to end first."""
    now = hub.clock.now()
    ending = [
        token
        for token in hub.tokens.of(user)
        if token.client_id is None and token.expires_at is not None and token.expires_at - now <= ENDS_SOON
    ]
    return [
        {"kind": "token", "note": token.note[:NOTE], "at": instant(token.expires_at)}
        for token in sorted(ending, key=lambda token: token.expires_at or now)[:SHOWN_TOKENS]
    ]


def _sign_ups(hub: Hub, who: Actor) -> list[dict[str, Any]]:
    if not (who.scopes.has_everywhere("admin-ui") and who.scopes.has_everywhere("admin:users")):
        return []
    count = sum(one.waits_for_admin and not one.waits_for_mail for one in hub.sign_ups.waiting())
    return [{"kind": "sign_ups", "count": count}] if count else []


def mark_of(user: User, share: Share) -> str:
    """Return by what a browser remembers that *user* has seen *share*; it tells nobody else anything."""
    return hashlib.sha256(f"{user.id}/{share.id}".encode()).hexdigest()[:_DIGITS]


def is_news(share: Share, now: datetime) -> bool:
    """Say whether *share* is so new that it is news to who has not seen it."""
    return now - share.created_at < NEW_FOR


def seen_in(request: Request) -> list[str]:
    """Return the marks of the shares that this browser's reader has seen, the latest last."""
    return [mark for sent in cookies(request, SEEN_COOKIE)[:1] for mark in _marks(sent.split("."))]


def remember_seen(request: Request, response: Response, marks: Iterable[str]) -> None:
    """Have the browser remember that its reader has seen the shares of these *marks*. Other texts are left out."""
    known = list(dict.fromkeys([*seen_in(request), *_marks(marks)]))[-MAX_SEEN:]
    response.set_cookie(
        SEEN_COOKIE,
        ".".join(known),
        max_age=int(NEW_FOR.total_seconds()),
        path=HUB_PATH,
        httponly=True,
        samesite="lax",
        secure=is_secure(request),
    )


def _marks(texts: Iterable[str]) -> list[str]:
    return [text for text in texts if _MARK.fullmatch(text)][-MAX_SEEN:]
