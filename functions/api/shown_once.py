"""Secrets that a page shows once: a form's answer seals them into a cookie and redirects to the page that opens them.

So a reload of that page asks for nothing again, and shows the secret no second time.
"""

import json
from datetime import timedelta

from starlette.requests import Request
from starlette.responses import Response

from functions.api.auth.cookies import ONCE_COOKIE, cookies, is_secure
from functions.api.dependencies import hub_of
from hubless.domain.users import User

LIFETIME = timedelta(minutes=2)  # from a form to the page after it
MAX_SEALED = 3_500  # characters of the cookie; browsers keep 4,096 bytes with its name
_AHEAD = timedelta(minutes=1)  # another machine's clock may be ahead of ours by this


def show_once(request: Request, response: Response, user: User, page: str, texts: tuple[str, ...]) -> None:
    """Have *page* show *texts* to *user* once.

    Args:
        request: the form's.
        response: its answer, which redirects to *page*.
        user: who is logged in after this answer. Nobody else is shown the texts in this browser.
        page: the path of the page that calls `shown_once`. The browser sends the cookie to no other.
        texts: what must not stand in an address; together some hundred characters.
    """
    hub = hub_of(request)
    facts = [user.id, page, hub.clock.now().timestamp(), *texts]
    sealed = hub.page_sealer.seal(json.dumps(facts).encode()).decode()
    assert len(sealed) <= MAX_SEALED  # noqa: S101 only our own texts come here
    lifetime = int(LIFETIME.total_seconds())
    response.set_cookie(
        ONCE_COOKIE, sealed, max_age=lifetime, path=page, httponly=True, samesite="lax", secure=is_secure(request)
    )


def shown_once(request: Request, user: User, page: str) -> tuple[str, ...]:
    """Return what a form left for *page* to show to *user*; nothing is the usual case."""
    for sent in cookies(request, ONCE_COOKIE)[:1]:
        if len(sent) <= MAX_SEALED and sent.isascii() and (opened := hub_of(request).page_sealer.open(sent.encode())):
            user_id, of_page, at, *texts = json.loads(opened)
            age = timedelta(seconds=hub_of(request).clock.now().timestamp() - at)
            if (user_id, of_page) == (user.id, page) and -_AHEAD <= age < LIFETIME:
                return tuple(texts)
    return ()


def forget_shown(request: Request, response: Response, page: str) -> None:
    """Have the browser forget what *page* has shown."""
    if ONCE_COOKIE in request.cookies:
        response.delete_cookie(ONCE_COOKIE, path=page, secure=is_secure(request), httponly=True, samesite="lax")
