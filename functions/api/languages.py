"""The language of the pages that the sender of a request reads."""

from starlette.requests import Request
from starlette.responses import Response

from functions.api.auth.cookies import LANGUAGE_COOKIE, cookies
from functions.api.dependencies import hub_of
from hubless.domain.languages import chosen

_LANGUAGE = "hubless.language"  # where a request's scope keeps it


def language_of(request: Request) -> str:
    """Return the reader's language: the one that they chose here, else their browser's, else the hub's."""
    scope = request.scope
    if _LANGUAGE not in scope:
        accept = request.headers.get("accept-language", "")
        offered = hub_of(request).settings.hub.offered_languages
        scope[_LANGUAGE] = chosen(cookies(request, LANGUAGE_COOKIE), accept, offered)
    found: str = scope[_LANGUAGE]
    return found


def note_language(response: Response, language: str) -> None:
    """Say in which language *response* is, and what that depends on (RFC 9110 8.5, 12.5.5)."""
    response.headers["Content-Language"] = language
    response.headers["Vary"] = "Accept-Language, Cookie"
