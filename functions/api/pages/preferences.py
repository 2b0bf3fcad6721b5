"""The reader's language and theme, which their browser keeps."""

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from functions.api import dependencies
from functions.api.auth.cookies import HUB_PATH, LANGUAGE_COOKIE, THEME_COOKIE, is_secure
from functions.api.auth.visitors import AnonymousForm
from functions.api.pages.sessions import EXPIRED
from functions.api.redirects import RequestRedirects
from functions.api.rendering import THEMES
from functions.api.routers import page_router

router = page_router()
_YEAR = 31_536_000  # seconds
SYSTEM = "system"  # the theme of the reader's system: the browser keeps none


@router.post("/preferences")
async def set_preferences(
    request: Request, form: AnonymousForm, settings: dependencies.Settings, redirects: RequestRedirects
) -> Response:
    """Keep what the form says in the browser, and go back to the page of the form."""
    if form is None:
        raise HTTPException(403, EXPIRED)
    # The page's own address comes from the browser: no page repeats what its address says.
    following = redirects.safe(form.text("next") or request.headers.get("referer", "")) or ""
    response = RedirectResponse(following if following.startswith(HUB_PATH) else "/hub/home", 303)
    if (language := form.text("language")) in settings.hub.offered_languages:
        _keep(request, response, LANGUAGE_COOKIE, language)
    if (theme := form.text("theme")) in THEMES:
        _keep(request, response, THEME_COOKIE, theme)
    elif theme == SYSTEM:
        response.delete_cookie(THEME_COOKIE, path=HUB_PATH, secure=is_secure(request), httponly=True, samesite="lax")
    return response


def _keep(request: Request, response: Response, name: str, value: str) -> None:
    response.set_cookie(
        name, value, max_age=_YEAR, path=HUB_PATH, httponly=True, samesite="lax", secure=is_secure(request)
    )
